use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ring::signature::Ed25519KeyPair;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Error, fits, start};
use crate::netboot::interface;
use crate::netboot::slot::Service;
use crate::netboot::{Config, Mode, Parameters, RouterAdvertisements};

fn config(interface: &str, mode: Mode) -> Config {
    let random = ring::rand::SystemRandom::new();
    let key = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    Config {
        interface: interface.to_owned(),
        mode,
        http_port: 0,
        router_advertisements: RouterAdvertisements::Off,
        assets: PathBuf::from("/nowhere"),
        lease_file: PathBuf::from("/nowhere/leases"),
        signing_key: Arc::new(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap()),
    }
}

fn own(first: [u8; 4], last: [u8; 4], seconds: u64) -> Mode {
    Mode::Own {
        range: Ipv4Addr::from(first)..=Ipv4Addr::from(last),
        lease: Duration::from_secs(seconds),
        parameters: Parameters::default(),
    }
}

#[tokio::test]
async fn a_configuration_that_can_never_work_is_refused() {
    let table = [
        ("reversed", own([10, 0, 0, 9], [10, 0, 0, 1], 600)),
        (
            "larger than any site",
            own([10, 0, 0, 0], [10, 1, 0, 0], 600),
        ),
        ("a lease of seconds", own([10, 0, 0, 1], [10, 0, 0, 9], 59)),
    ];
    for (name, mode) in table {
        let (sender, _receiver) = mpsc::channel(1);
        let started = start(config("no-such0", mode), sender, CancellationToken::new());
        let error = started.map(drop).unwrap_err();
        assert!(
            matches!(error, Error::Range | Error::Lease),
            "{name}: {error}"
        );
    }
}

#[test]
fn range_and_router_must_be_of_the_interfaces_network_and_resolvers_need_not() {
    // Every Linux has it, with 127.0.0.1/8.
    let interface = interface::find("lo").unwrap();
    let router = |address: [u8; 4]| Parameters {
        router: Some(Ipv4Addr::from(address)),
        dns: vec![Ipv4Addr::new(9, 9, 9, 9)],
        ..Parameters::default()
    };
    let table = [
        ("a router", [127, 0, 0, 20], router([127, 9, 9, 9]), ""),
        ("ourselves", [127, 0, 0, 20], router([127, 0, 0, 1]), ""),
        (
            "a router elsewhere",
            [127, 0, 0, 20],
            router([10, 0, 0, 1]),
            "netboot.router = 10.0.0.1: must be inside 127.0.0.0/8, the network of interface lo",
        ),
        (
            "the network's broadcast address",
            [127, 0, 0, 20],
            router([127, 255, 255, 255]),
            "netboot.router = 127.255.255.255: must be inside 127.0.0.0/8, the network of interface lo",
        ),
        (
            "a range that goes too far",
            [128, 0, 0, 1],
            Parameters::default(),
            "netboot.range = [127.0.0.10, 128.0.0.1]: must be inside 127.0.0.0/8, the network of interface lo",
        ),
    ];
    for (name, last, parameters, expected) in table {
        let range = Ipv4Addr::new(127, 0, 0, 10)..=Ipv4Addr::from(last);
        let refusal = fits(&interface, &range, &parameters);
        let said = refusal.map_or_else(|error| error.to_string(), |()| String::new());
        assert_eq!(said, expected, "{name}");
    }
}

#[tokio::test]
async fn a_missing_interface_is_said_and_waited_for() {
    let (sender, _receiver) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let (handle, tasks) = start(config("no-such0", Mode::Proxy), sender, cancel.clone()).unwrap();
    let Service::Broken { message } = handle.service() else {
        panic!("{:?}", handle.service());
    };
    assert!(message.contains("no-such0"), "{message}");
    assert_eq!(handle.address(), None);
    cancel.cancel();
    tokio::time::timeout(Duration::from_secs(5), tasks.run())
        .await
        .unwrap();
}
