//! Serves the boot network to one server, without an agent: to try firmware, a switch or an initramfs by hand.
//!
//! `netboot INTERFACE own:FIRST-LAST|proxy|relay ASSETS MAC local|inspect`
//!
//! What is seen goes to the log. It needs the rights to bind low ports and open raw sockets.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ring::signature::Ed25519KeyPair;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::info;
use vitistack_drivers::capability::Capability;
use vitistack_drivers::netboot::slot::{BootUrls, InstallerBoot, Mac, PhonedHome, Purpose, Slot};
use vitistack_drivers::netboot::{Config, Mode, Parameters, RouterAdvertisements, start};
use vitistack_installer_wire as wire;
use vitistack_protocol::ids::{OperationId, Uid};
use vitistack_protocol::message::numbered::BootMode;

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(std::io::stderr)
        .init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [interface, mode, assets, mac, purpose] = arguments.as_slice() else {
        return Err("netboot INTERFACE own:FIRST-LAST|proxy|relay ASSETS MAC local|inspect".into());
    };
    let random = ring::rand::SystemRandom::new();
    let key = Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| "no randomness")?;
    let directory = tempfile::tempdir()?;
    let config = Config {
        interface: interface.clone(),
        mode: parse_mode(mode)?,
        http_port: 8080,
        router_advertisements: RouterAdvertisements::Auto,
        assets: PathBuf::from(assets),
        lease_file: directory.path().join("leases"),
        signing_key: Arc::new(
            Ed25519KeyPair::from_pkcs8(key.as_ref()).map_err(|_| "the new key is not a key")?,
        ),
    };
    let (sender, mut phoned_home) = mpsc::channel::<PhonedHome>(1);
    let cancel = CancellationToken::new();
    let (handle, tasks) = start(config, sender, cancel.clone())?;
    let object = Uid([1; 16]);
    let mac: Mac = mac.parse()?;
    handle.open(Slot {
        mac,
        object,
        boot_mode: BootMode::Uefi,
        purpose: parse_purpose(purpose, mac)?,
    })?;
    let mut changes = handle.changes();
    let run = tasks.run();
    tokio::pin!(run);
    loop {
        tokio::select! {
            () = &mut run => return Ok(()),
            Ok(_) = changes.recv() => info!(seen = ?handle.seen(mac, object), "changed"),
            Some(guest) = phoned_home.recv() => {
                info!(?guest, "phoned home");
                guest.durable.send(true).ok();
            }
            () = tokio::time::sleep(Duration::from_secs(10)) => info!(service = ?handle.service(), "still here"),
            _ = tokio::signal::ctrl_c() => cancel.cancel(),
        }
    }
}

fn parse_mode(text: &str) -> Result<Mode, Error> {
    match (text, text.strip_prefix("own:")) {
        ("proxy", _) => Ok(Mode::Proxy),
        ("relay", _) => Ok(Mode::Relay),
        (_, Some(range)) => {
            let (first, last) = range.split_once('-').ok_or("own:FIRST-LAST")?;
            Ok(Mode::Own {
                range: first.parse()?..=last.parse()?,
                lease: Duration::from_secs(600),
                parameters: Parameters::default(),
            })
        }
        (_, None) => Err("the mode is own:FIRST-LAST, proxy or relay".into()),
    }
}

fn parse_purpose(text: &str, mac: Mac) -> Result<Purpose, Error> {
    let capability = || Capability::random().map_err(|_| "no randomness");
    match text {
        "local" => Ok(Purpose::Local { phone_home: None }),
        "inspect" => {
            let operation = OperationId([2; 16]);
            Ok(Purpose::Installer(Box::new(InstallerBoot {
                operation,
                urls: BootUrls {
                    boot: capability()?,
                    plan: capability()?,
                    report: capability()?,
                    image: capability()?,
                },
                plan: wire::Plan {
                    operation: operation.to_string(),
                    mac: mac.to_string(),
                    report: String::new(),
                    mode: wire::Mode::Inspect,
                },
                image: None,
                phone_home: None,
            })))
        }
        _ => Err("the purpose is local or inspect".into()),
    }
}
