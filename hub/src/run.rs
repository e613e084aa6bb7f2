//! One hub from start to stop.
//!
//! Start: API (its own, standalone) → operators' pages → definitions served → leader → epoch → caches → agents' listener
//! → ready file. Stop, by the token: no new agents and no new work → controllers finish what they hold → the Lease is
//! given up → the pages → the own API, all within [`STOP`]. A part that ends before it was asked to ends the process;
//! what restarts it is outside.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use prometheus_client::registry::Registry;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::info;
use vitistack_protocol::ids::HubEpoch;

use crate::config::{Api, Config};
use crate::controllers::{self, Hub, events, gauges};
use crate::http::{self, Pages, Readiness};
use crate::metrics::Metrics;
use crate::{definitions, dispatch, enrolment, leader};

/// How long a stop may take. Kubernetes kills after 30 s, systemd after 90.
pub const STOP: Duration = Duration::from_secs(20);

/// Where everything listens, for the ready file.
#[derive(Clone, Debug, Serialize)]
struct Addresses {
    quic: SocketAddr,
    http: SocketAddr,
    api: Option<SocketAddr>,
}

/// Runs a hub until `cancel`.
///
/// # Errors
///
/// When it cannot start, or a part of it ends early.
pub async fn run(config: Config, cancel: CancellationToken) -> anyhow::Result<()> {
    // The own API outlives all that talks to it.
    let api_stop = CancellationToken::new();
    let (server, kubeconfig) = match &config.api {
        Api::Cluster { kubeconfig } => (None, kubeconfig.clone()),
        Api::Standalone {
            data_dir,
            key_file,
            listen,
        } => {
            let server = standalone(data_dir, key_file, *listen, &api_stop).await?;
            let kubeconfig = server.kubeconfig.clone();
            (Some(server), Some(kubeconfig))
        }
    };
    let api = server.as_ref().map(|server| server.address);
    let hub = async {
        let client = client(kubeconfig.as_deref()).await?;
        serve(&config, client, api, cancel.clone()).await
    };
    let Some(server) = server else {
        return hub.await;
    };
    let mut joined = Box::pin(server.join());
    let ended = tokio::select! {
        // The losing future is dropped only when the process ends because of it.
        ended = hub => ended,
        early = &mut joined => {
            early.context("the own API ended early")?;
            anyhow::bail!("the own API ended early");
        }
    };
    api_stop.cancel();
    tokio::time::timeout(STOP, joined)
        .await
        .context("the own API did not stop in time")?
        .context("stop the own API")?;
    ended
}

async fn standalone(
    data_dir: &Path,
    key_file: &Path,
    listen: SocketAddr,
    stop: &CancellationToken,
) -> anyhow::Result<vitistack_standalone::Server> {
    let options = vitistack_standalone::Options {
        data_dir: data_dir.to_owned(),
        key_file: key_file.to_owned(),
        listen,
        crds: vitistack_api::crd::crds(),
    };
    let server = options
        .start(stop.clone())
        .await
        .context("start the own API")?;
    info!(address = %server.address, kubeconfig = %server.kubeconfig.display(), "the own API listens");
    Ok(server)
}

/// A client of the API: by the given file, else in-cluster, else the usual kubeconfig.
///
/// # Errors
///
/// When there is no usable configuration.
pub async fn client(kubeconfig: Option<&Path>) -> anyhow::Result<Client> {
    let config = match kubeconfig {
        Some(path) => {
            let file = Kubeconfig::read_from(path)
                .with_context(|| format!("read kubeconfig {}", path.display()))?;
            kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                .await
                .with_context(|| format!("use kubeconfig {}", path.display()))?
        }
        None => kube::Config::infer()
            .await
            .context("find the Kubernetes API")?,
    };
    Client::try_from(config).context("make a client of the Kubernetes API")
}

/// Everything but the own API.
async fn serve(
    config: &Config,
    client: Client,
    api: Option<SocketAddr>,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let front = Front::start(config).await?;
    definitions::check_served(&client).await?;
    front.wait("standing by: another replica leads");
    let candidate =
        leader::Candidate::new(client.clone(), &config.namespace, config.identity.clone());
    let leadership = tokio::select! {
        // Cancel-safe: a Lease that was taken and not used expires.
        () = cancel.cancelled() => return Ok(()),
        leadership = candidate.elect() => leadership?,
    };
    front.wait("filling the caches");
    let mut service = Service::start(config, client, leadership, &front, &cancel).await?;
    let early = service.watch(config, api, &front).await;
    front.wait("stopping");
    info!("stopping");
    let stopped = tokio::time::timeout(STOP, async {
        service.stop().await;
        front.stop().await;
    })
    .await;
    if let Some(path) = &config.ready_file {
        // A file that says "ready" must not outlive the hub; one that is gone already is what was wanted.
        drop(std::fs::remove_file(path));
    }
    early?;
    stopped.map_err(|_| anyhow::anyhow!("the hub did not stop within {STOP:?}"))
}

/// What operators see. It stays until everything else has stopped, so that a stop can be watched.
struct Front {
    address: SocketAddr,
    metrics: Metrics,
    readiness: watch::Sender<Readiness>,
    gauges: watch::Sender<Option<http::Gauges>>,
    stop: CancellationToken,
    task: JoinSet<std::io::Result<()>>,
}

impl Front {
    async fn start(config: &Config) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(config.http).await.with_context(|| {
            format!(
                "listen on {} for /healthz, /readyz and /metrics",
                config.http
            )
        })?;
        let address = listener
            .local_addr()
            .context("ask for the address of the pages")?;
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let (readiness, readiness_seen) = watch::channel(Readiness::Waiting("starting"));
        let (gauges, gauges_seen) = watch::channel(None);
        let pages = Pages {
            readiness: readiness_seen,
            registry: Arc::new(registry),
            gauges: gauges_seen,
        };
        let stop = CancellationToken::new();
        let mut task = JoinSet::new();
        task.spawn(http::run(listener, pages, stop.clone()));
        Ok(Self {
            address,
            metrics,
            readiness,
            gauges,
            stop,
            task,
        })
    }

    /// Says what the hub waits for.
    fn wait(&self, what: &'static str) {
        self.readiness.send_replace(Readiness::Waiting(what));
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while self.task.join_next().await.is_some() {}
    }
}

/// What a leader runs.
struct Service {
    tasks: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
    lease: JoinSet<anyhow::Result<()>>,
    lease_stop: CancellationToken,
    synced: watch::Receiver<bool>,
    quic: SocketAddr,
    epoch: HubEpoch,
}

impl Service {
    async fn start(
        config: &Config,
        client: Client,
        leadership: leader::Leadership,
        front: &Front,
        cancel: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let authority = enrolment::Authority::open(client.clone(), &config.namespace)
            .await
            .context("open the authority")?;
        let authority = Arc::new(authority);
        let epoch = enrolment::raise_epoch(&client, &config.namespace, HubEpoch(0))
            .await
            .context("raise the epoch")?;
        let handle = dispatch::Handle::new(epoch);
        let (announcer, publisher) = events::channel(client.clone(), config.identity.clone());
        let hub = Arc::new(Hub::new(
            client,
            config.namespace.clone(),
            handle.clone(),
            announcer,
            front.metrics.clone(),
        ));
        front.gauges.send_replace(Some(Arc::new({
            let hub = hub.clone();
            move |registry: &mut Registry| gauges::compute(&hub, registry)
        }) as http::Gauges));

        let (stop, lease_stop) = (cancel.child_token(), CancellationToken::new());
        let (mut tasks, mut lease) = (JoinSet::new(), JoinSet::new());
        let (is_synced, synced) = watch::channel(false);
        let on_synced = move || {
            is_synced.send_replace(true);
        };
        tasks.spawn(controllers::run(hub, publisher, on_synced, stop.clone()));
        let rivalry = match config.api {
            Api::Cluster { .. } => leader::Rivalry::Replicas,
            Api::Standalone { .. } => leader::Rivalry::None,
        };
        lease.spawn(leadership.hold(rivalry, lease_stop.clone()));
        let server = dispatch::Server::bind(config.listen, authority.clone(), handle)?;
        let quic = server
            .address()
            .context("ask for the address of the agents' listener")?;
        authority
            .publish(&advertised(config.advertise.as_deref(), quic))
            .await
            .context("publish the hub's address")?;
        tasks.spawn({
            let stop = stop.clone();
            async move { server.run(stop).await.context("serve agents") }
        });
        Ok(Self {
            tasks,
            stop,
            lease,
            lease_stop,
            synced,
            quic,
            epoch,
        })
    }

    /// Says when everything is ready, and returns when it is asked to stop or a part ends early.
    async fn watch(
        &mut self,
        config: &Config,
        api: Option<SocketAddr>,
        front: &Front,
    ) -> anyhow::Result<()> {
        let synced = async {
            // An end of the controllers is seen as an end of theirs.
            drop(self.synced.wait_for(|synced| *synced).await);
        };
        tokio::select! {
            // Both arms are cancel-safe per tokio's documentation.
            ended = until_end(&self.stop, &mut self.tasks, &mut self.lease) => return ended,
            () = synced => {}
        }
        front.readiness.send_replace(Readiness::Ready);
        info!(quic = %self.quic, http = %front.address, epoch = self.epoch.0, "ready");
        let addresses = Addresses {
            quic: self.quic,
            http: front.address,
            api,
        };
        write_ready_file(config.ready_file.clone(), &addresses).await?;
        until_end(&self.stop, &mut self.tasks, &mut self.lease).await
    }

    /// No new agents and no new work; the Lease is given up last.
    async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
        self.lease_stop.cancel();
        while self.lease.join_next().await.is_some() {}
    }
}

/// Waits for the order to stop, or for a part that ends before it. What ends because of the order is no early end, so
/// the order is looked at first. Cancel-safe.
///
/// # Errors
///
/// When a part ended early.
async fn until_end(
    stop: &CancellationToken,
    tasks: &mut JoinSet<anyhow::Result<()>>,
    lease: &mut JoinSet<anyhow::Result<()>>,
) -> anyhow::Result<()> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        Some(ended) = tasks.join_next() => Err(ended_early(ended, "a part of the hub")),
        Some(ended) = lease.join_next() => Err(ended_early(ended, "leading")),
    }
}

fn ended_early(
    ended: Result<anyhow::Result<()>, tokio::task::JoinError>,
    what: &str,
) -> anyhow::Error {
    match ended {
        Ok(Ok(())) => anyhow::anyhow!("{what} ended early"),
        Ok(Err(error)) => error.context(format!("{what} ended early")),
        Err(error) => anyhow::Error::new(error).context(format!("{what} panicked")),
    }
}

/// What agents are told to dial. A wildcard is no address to dial; then it is this machine's own loopback, which is
/// right for a trial on one machine and plainly wrong anywhere else.
fn advertised(wanted: Option<&str>, listening: SocketAddr) -> String {
    match wanted {
        // `--advertise host:0` means the port that was found free.
        Some(wanted) => match wanted.strip_suffix(":0") {
            Some(host) => format!("{host}:{}", listening.port()),
            None => wanted.to_owned(),
        },
        None if listening.ip().is_unspecified() => {
            SocketAddr::new(std::net::Ipv4Addr::LOCALHOST.into(), listening.port()).to_string()
        }
        None => listening.to_string(),
    }
}

/// Written beside and renamed, so that a reader sees all of it or nothing.
async fn write_ready_file(path: Option<PathBuf>, addresses: &Addresses) -> anyhow::Result<()> {
    let Some(path) = path else {
        return Ok(());
    };
    let text = serde_json::to_vec(addresses).context("encode the ready file")?;
    let mut partial = path.clone().into_os_string();
    partial.push(".partial");
    tokio::fs::write(&partial, text)
        .await
        .with_context(|| format!("write the ready file {}", path.display()))?;
    tokio::fs::rename(&partial, &path)
        .await
        .with_context(|| format!("write the ready file {}", path.display()))
}

#[cfg(test)]
mod tests;
