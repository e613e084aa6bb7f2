//! Starts everything and stops it in order.
//!
//! Tasks, by stage: the *line* (uplink), the *work* (executor, boot network, the waker between the two, image
//! downloads), the *disk* (the store's commit task). A stage that ends by itself ends the agent, and whoever supervises
//! the process starts it again. On stop the line goes first, so that nothing new is accepted; then the work, which may
//! be interrupted anywhere; then the disk, which writes what is queued.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ring::signature::Ed25519KeyPair;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vitistack_drivers::baremetal::{BareMetal, Timing, redfish};
use vitistack_drivers::image::{self, Images};
use vitistack_drivers::netboot::{self, PhonedHome};
use vitistack_protocol::Chain;
use vitistack_protocol::ids::Uid;
use vitistack_protocol::transport::Line;

use crate::config::{Config, Mode, Netboot};
use crate::executor::{self, Drivers};
use crate::health::Signs;
use crate::site::Site;
use crate::store::{self, Settings, Store};
use crate::uplink;

#[cfg(test)]
mod tests;

/// How long each stage may take to stop. systemd kills after 90 s, Kubernetes after 30.
const STOP: Duration = Duration::from_secs(5);

type Stage = JoinSet<anyhow::Result<()>>;

/// Runs the agent until `cancel` is cancelled or a part of it fails.
///
/// # Errors
/// When something cannot be started, or ended although nobody asked for it.
pub async fn run(
    config: Config,
    ready_file: Option<PathBuf>,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let started = Instant::now();
    let (line_cancel, work_cancel) = (cancel.child_token(), CancellationToken::new());
    let (mut disk, mut work, mut line) = (Stage::new(), Stage::new(), Stage::new());
    let store = start_disk(&config, &mut disk).await?;
    let Work {
        netboot,
        executor,
        downloads,
    } = start_work(&config, &store, &work_cancel, &mut work)?;

    let (link, link_seen) = watch::channel(uplink::Link::default());
    let signs = Signs {
        store: store.clone(),
        netboot: netboot.clone(),
        link: link_seen,
        data_dir: config.data_dir.clone(),
        started,
    };
    let site = Site { store, executor };
    start_uplink(&config, site, signs, link, &line_cancel, &mut line);
    if let Some(path) = ready_file {
        write_ready(&path, netboot.address()).context("the ready file could not be written")?;
    }
    tracing::info!(name = config.name, hub = config.hub, "the agent runs");

    let outcome = until_end(&cancel, &mut line, &mut work, &mut disk).await;
    line_cancel.cancel();
    finish("the uplink", line).await;
    work_cancel.cancel();
    downloads.close();
    finish("the work", work).await;
    if tokio::time::timeout(STOP, downloads.wait()).await.is_err() {
        tracing::warn!("downloads were cut off");
    }
    // The commit task ends with the last handle of the store, and the last ones were in the line and in the work.
    finish("the store", disk).await;
    tracing::info!("the agent stopped");
    outcome
}

/// Waits for the order to stop, or for a stage that ends before it. What ends because of the order is no early end, so
/// the order is looked at first. Cancel-safe.
async fn until_end(
    cancel: &CancellationToken,
    line: &mut Stage,
    work: &mut Stage,
    disk: &mut Stage,
) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Ok(()),
        ended = line.join_next() => early("the uplink", ended),
        ended = work.join_next() => early("the work", ended),
        ended = disk.join_next() => early("the store", ended),
    }
}

/// Opens the store and starts its commit task.
async fn start_disk(config: &Config, disk: &mut Stage) -> anyhow::Result<Store> {
    let settings = settings(config);
    // Where agents before this one kept it: inside what is to be copied without it.
    let former = config.data_dir.join("identity/seal.key");
    let opened = tokio::task::spawn_blocking(move || store::open_moving(&settings, Some(&former)))
        .await?
        .context("the store could not be opened")?;
    if let Some(lost) = &opened.lost {
        tracing::error!(
            error = %Chain(lost),
            "the store was lost and set aside; the hub will send everything again"
        );
    }
    disk.spawn(async move { opened.service.run().await.context("the store failed") });
    Ok(opened.store)
}

/// What the other parts see of the work.
struct Work {
    netboot: netboot::Handle,
    executor: executor::Handle,
    downloads: TaskTracker,
}

/// Starts the boot network, the drivers and the executor.
fn start_work(
    config: &Config,
    store: &Store,
    cancel: &CancellationToken,
    work: &mut Stage,
) -> anyhow::Result<Work> {
    let (phoned, phoned_home) = mpsc::channel(executor::PHONE_QUEUE);
    let netboot = start_netboot(config, phoned, cancel, work)?;
    let downloads = TaskTracker::new();
    let images = Images::new(
        image::Config::new(config.data_dir.join("images"), config.image_bytes),
        downloads.clone(),
        cancel.child_token(),
    )
    .context("the image cache could not be opened")?;
    let metal = BareMetal::new(
        netboot.clone(),
        images,
        redfish::Pace::default(),
        Timing::default(),
    );

    let executor = executor::Handle::default();
    let service = executor::Service {
        store: store.clone(),
        drivers: Drivers {
            machine: Arc::new(metal.machines()),
            host: Arc::new(metal.hosts()),
        },
        handle: executor.clone(),
        phoned_home,
        jitter: rand::random::<f64>,
    };
    let token = cancel.child_token();
    work.spawn(async move { service.run(token).await.context("the executor failed") });
    let token = cancel.child_token();
    let changes = netboot.changes();
    work.spawn(wake(changes, executor.clone(), store.clone(), token));
    Ok(Work {
        netboot,
        executor,
        downloads,
    })
}

fn start_uplink(
    config: &Config,
    site: Site,
    signs: Signs,
    link: watch::Sender<uplink::Link>,
    cancel: &CancellationToken,
    line: &mut Stage,
) {
    let options = uplink::Options {
        hub: config.hub.clone(),
        token_file: config.token_file.clone(),
        identity: config.data_dir.join("identity"),
        name: config.name.clone(),
        line: if config.metered {
            Line::Metered
        } else {
            Line::Normal
        },
        build: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let site = Arc::new(site);
    let ports = uplink::Ports {
        intake: Arc::clone(&site),
        outbox: site,
        vitals: Arc::new(signs),
    };
    let cancel = cancel.clone();
    line.spawn(async move {
        uplink::run(options, ports, link, cancel).await;
        Ok(())
    });
}

fn settings(config: &Config) -> Settings {
    Settings {
        dir: config.data_dir.join("store"),
        key_file: config.key_file.clone(),
        quota_bytes: config.store_bytes,
        ballast_bytes: config.ballast_bytes,
    }
}

fn start_netboot(
    config: &Config,
    phoned: mpsc::Sender<PhonedHome>,
    cancel: &CancellationToken,
    work: &mut Stage,
) -> anyhow::Result<netboot::Handle> {
    let Some(Netboot {
        interface,
        mode,
        http_port,
        router_advertisements,
        assets,
    }) = config.netboot.clone()
    else {
        return Ok(netboot::Handle::disabled());
    };
    let identity = config.data_dir.join("identity");
    let file = &config.file;
    let config = netboot::Config {
        interface,
        mode: match mode {
            Mode::Own {
                range,
                lease,
                parameters,
            } => netboot::Mode::Own {
                range: range.0..=range.1,
                lease,
                parameters,
            },
            Mode::Proxy => netboot::Mode::Proxy,
            Mode::Relay => netboot::Mode::Relay,
        },
        http_port,
        router_advertisements: if router_advertisements {
            netboot::RouterAdvertisements::Auto
        } else {
            netboot::RouterAdvertisements::Off
        },
        assets,
        lease_file: config.data_dir.join("leases"),
        signing_key: Arc::new(signing_key(&identity.join("plan.key"))?),
    };
    let (handle, tasks) = netboot::start(config, phoned, cancel.child_token())
        .with_context(|| format!("the boot network of {} cannot be served", file.display()))?;
    work.spawn(async move {
        tasks.run().await;
        Ok(())
    });
    Ok(handle)
}

/// The key that boot plans are signed with: PKCS#8, made at the first start.
fn signing_key(path: &Path) -> anyhow::Result<Ed25519KeyPair> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => zeroize::Zeroizing::new(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let made = Ed25519KeyPair::generate_pkcs8(&ring::rand::SystemRandom::new())
                .map_err(|_| anyhow::anyhow!("no key for boot plans could be made"))?;
            store::write_private(path, made.as_ref())?;
            zeroize::Zeroizing::new(made.as_ref().to_vec())
        }
        Err(error) => {
            return Err(error).with_context(|| format!("{} could not be read", path.display()));
        }
    };
    Ed25519KeyPair::from_pkcs8(&bytes)
        .map_err(|_| anyhow::anyhow!("{} is not an Ed25519 key in PKCS#8", path.display()))
}

/// Wakes the workers of objects of which the boot network saw something. What was missed wakes everybody.
async fn wake(
    mut changes: broadcast::Receiver<Uid>,
    executor: executor::Handle,
    store: Store,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        let change = tokio::select! {
            // Both cancel-safe: `recv` loses nothing when dropped.
            () = cancel.cancelled() => return Ok(()),
            change = changes.recv() => change,
        };
        match change {
            Ok(uid) => executor.wake(uid),
            Err(broadcast::error::RecvError::Lagged(_)) => {
                for (uid, _) in store.live() {
                    executor.wake(uid);
                }
            }
            // A boot network that is switched off never speaks.
            Err(broadcast::error::RecvError::Closed) => {
                cancel.cancelled().await;
                return Ok(());
            }
        }
    }
}

/// Whoever waits for the agent finds the file complete or not at all.
fn write_ready(path: &Path, netboot: Option<SocketAddrV4>) -> std::io::Result<()> {
    let text = serde_json::json!({ "netboot": netboot.map(|address| address.to_string()) });
    let temporary = path.with_extension("new");
    std::fs::write(&temporary, text.to_string())?;
    std::fs::rename(&temporary, path)
}

type Ended = Option<Result<anyhow::Result<()>, tokio::task::JoinError>>;

/// A stage ended although nobody asked for it.
fn early(stage: &'static str, ended: Ended) -> anyhow::Result<()> {
    match ended {
        Some(Ok(Ok(()))) | None => anyhow::bail!("{stage} ended by itself"),
        Some(Ok(Err(error))) => Err(error),
        Some(Err(error)) => Err(error).with_context(|| format!("{stage} panicked")),
    }
}

/// Waits for a stage that was told to stop, and cuts it off where it takes too long.
async fn finish(stage: &'static str, mut tasks: Stage) {
    let wait = async {
        while let Some(ended) = tasks.join_next().await {
            match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(stage, "stopped with: {error:#}"),
                Err(error) => tracing::error!(stage, %error, "panicked while it stopped"),
            }
        }
    };
    if tokio::time::timeout(STOP, wait).await.is_err() {
        tracing::warn!(stage, "cut off");
    }
}
