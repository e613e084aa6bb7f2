//! Many agents in this process: each the real uplink, store and executor, with a directory, a key, a certificate and a
//! UDP socket of its own. Only the drivers are [`instant`](crate::instant).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use vitistack_agent::executor::{self, Drivers};
use vitistack_agent::health::Signs;
use vitistack_agent::site::Site;
use vitistack_agent::store::{self, Settings, Store};
use vitistack_agent::uplink::ports::{Intake, Position, StoreError, Taken};
use vitistack_agent::uplink::{self, Link};
use vitistack_drivers::netboot;
use vitistack_protocol::ids::{HubEpoch, Uid};
use vitistack_protocol::message::intent::{Intent, SecretRow};
use vitistack_protocol::message::numbered::IntentOutcome;
use vitistack_protocol::transport::Line;

use crate::instant;

/// Threads for what blocks (fsyncs, reads): a thousand agents stand for as many machines, each with a disk of its own.
const BLOCKING: usize = 96;

/// Stores that are opened at a time.
const OPENING: usize = 8;

/// How often links are looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Who an agent is to be.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) name: String,
    /// Text of a join token.
    pub(crate) token: String,
}

/// When each intent was on its agent's disk, by object and generation.
#[derive(Debug, Default)]
pub(crate) struct Stored {
    times: Mutex<HashMap<(Uid, i64), Instant>>,
}

impl Stored {
    /// When it was, if it is.
    pub(crate) fn when(&self, uid: Uid, generation: i64) -> Option<Instant> {
        self.times
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&(uid, generation))
            .copied()
    }

    fn now(&self, uid: Uid, generation: i64) {
        self.times
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((uid, generation))
            .or_insert_with(Instant::now);
    }
}

/// The site of one agent, with a look at the clock behind every intent that is durable.
struct Watched {
    site: Site,
    stored: Arc<Stored>,
}

impl Intake for Watched {
    async fn position(&self) -> Result<Position, StoreError> {
        self.site.position().await
    }

    async fn raise_epoch(&self, epoch: HubEpoch) -> Result<(), StoreError> {
        self.site.raise_epoch(epoch).await
    }

    async fn intent(&self, intent: Intent) -> Result<Taken, StoreError> {
        let (uid, generation) = (intent.object.uid, intent.generation.0);
        let taken = self.site.intent(intent).await?;
        if taken.outcome == IntentOutcome::Stored {
            self.stored.now(uid, generation);
        }
        Ok(taken)
    }

    async fn secret(&self, row: SecretRow) -> Result<(), StoreError> {
        self.site.secret(row).await
    }
}

/// One agent.
struct Agent {
    spec: Spec,
    dir: PathBuf,
    site: Site,
    link: watch::Receiver<Link>,
    uplink: Option<(CancellationToken, JoinHandle<()>)>,
    /// Kept open: nobody phones home.
    _phone: mpsc::Sender<netboot::PhonedHome>,
}

/// Many agents.
pub(crate) struct Fleet {
    agents: Vec<Agent>,
    stored: Arc<Stored>,
    hub: String,
    work: CancellationToken,
    // Last: everything above may hold something that lives in it.
    runtime: Runtime,
}

impl Fleet {
    /// Makes the agents of `specs` below `dir`. No line is dialled yet.
    pub(crate) fn new(dir: &Path, hub: &str, specs: Vec<Spec>) -> anyhow::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("agents")
            .max_blocking_threads(BLOCKING)
            .enable_all()
            .build()
            .context("no runtime for the agents")?;
        let work = CancellationToken::new();
        let agents = runtime.block_on(open_all(dir, specs, &work))?;
        Ok(Self {
            agents,
            stored: Arc::default(),
            hub: hub.to_owned(),
            work,
            runtime,
        })
    }

    /// When intents were on disk.
    pub(crate) fn stored(&self) -> Arc<Stored> {
        Arc::clone(&self.stored)
    }

    /// How many agents there are.
    pub(crate) fn len(&self) -> usize {
        self.agents.len()
    }

    /// Lets all agents dial over a line of this kind, `at_once` of them joining or dialling at a time, until every one
    /// has a session. Returns how long that took.
    pub(crate) fn dial(
        &mut self,
        line: Line,
        at_once: usize,
        bound: Duration,
    ) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let mut dialling: Vec<usize> = Vec::new();
        for index in 0..self.agents.len() {
            self.start(index, line);
            dialling.push(index);
            while dialling.len() >= at_once {
                dialling.retain(|index| !self.is_up(*index));
                self.in_time(begun, bound)?;
                std::thread::sleep(LOOK);
            }
        }
        while !dialling.is_empty() {
            dialling.retain(|index| !self.is_up(*index));
            self.in_time(begun, bound)?;
            std::thread::sleep(LOOK);
        }
        Ok(begun.elapsed())
    }

    fn in_time(&self, begun: Instant, bound: Duration) -> anyhow::Result<()> {
        let up = self.agents.iter().filter(|agent| agent.is_up()).count();
        anyhow::ensure!(
            begun.elapsed() < bound,
            "only {up} of {} agents have a session after {} s",
            self.agents.len(),
            bound.as_secs()
        );
        Ok(())
    }

    /// The newest epoch of the hub that any agent has accepted.
    pub(crate) fn epoch(&self) -> HubEpoch {
        let epochs = self.agents.iter().map(Agent::epoch);
        epochs.max().unwrap_or_default()
    }

    /// Waits until every agent has a session with a hub that is newer than `before`. Returns, for each, how long after
    /// `since` that was, in seconds.
    pub(crate) fn back(
        &self,
        before: HubEpoch,
        since: Instant,
        bound: Duration,
    ) -> anyhow::Result<Vec<f64>> {
        let mut away: Vec<&Agent> = self.agents.iter().collect();
        let mut times = Vec::with_capacity(away.len());
        while !away.is_empty() {
            away.retain(|agent| {
                let is_back = agent.is_up() && agent.epoch() > before;
                if is_back {
                    times.push(since.elapsed().as_secs_f64());
                }
                !is_back
            });
            anyhow::ensure!(
                since.elapsed() < bound,
                "{} of {} agents are not back after {} s",
                away.len(),
                self.agents.len(),
                bound.as_secs()
            );
            std::thread::sleep(LOOK);
        }
        Ok(times)
    }

    /// Ends every line in order; stores and workers stay.
    pub(crate) fn hang_up(&mut self) {
        let lines: Vec<_> = self
            .agents
            .iter_mut()
            .filter_map(|agent| agent.uplink.take())
            .collect();
        for (cancel, _) in &lines {
            cancel.cancel();
        }
        self.runtime.block_on(async {
            for (_, task) in lines {
                // An uplink that panicked has nothing left to hang up.
                task.await.ok();
            }
        });
    }

    fn start(&mut self, index: usize, line: Line) {
        let stored = Arc::clone(&self.stored);
        let hub = self.hub.clone();
        let Some(agent) = self.agents.get_mut(index) else {
            return;
        };
        let (link, seen) = watch::channel(Link::default());
        let options = uplink::Options {
            hub,
            token_file: Some(agent.dir.join("token")),
            identity: agent.dir.join("identity"),
            name: agent.spec.name.clone(),
            line,
            build: "bench".to_owned(),
        };
        let signs = Signs {
            store: agent.site.store.clone(),
            netboot: netboot::Handle::disabled(),
            link: seen.clone(),
            data_dir: agent.dir.clone(),
            started: Instant::now(),
        };
        let ports = uplink::Ports {
            intake: Arc::new(Watched {
                site: agent.site.clone(),
                stored,
            }),
            outbox: Arc::new(agent.site.clone()),
            vitals: Arc::new(signs),
        };
        let cancel = CancellationToken::new();
        let task = self
            .runtime
            .spawn(uplink::run(options, ports, link, cancel.clone()));
        agent.link = seen;
        agent.uplink = Some((cancel, task));
    }

    fn is_up(&self, index: usize) -> bool {
        self.agents.get(index).is_some_and(Agent::is_up)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.hang_up();
        self.work.cancel();
    }
}

impl Agent {
    fn is_up(&self) -> bool {
        matches!(*self.link.borrow(), Link::Up { .. })
    }

    fn epoch(&self) -> HubEpoch {
        self.site.store.position().epoch
    }
}

async fn open_all(
    dir: &Path,
    specs: Vec<Spec>,
    work: &CancellationToken,
) -> anyhow::Result<Vec<Agent>> {
    let mut opening = JoinSet::new();
    let mut agents = Vec::with_capacity(specs.len());
    for spec in specs {
        if opening.len() >= OPENING
            && let Some(opened) = opening.join_next().await
        {
            agents.push(opened??);
        }
        let (dir, work) = (dir.join(&spec.name), work.clone());
        opening.spawn(open(dir, spec, work));
    }
    while let Some(opened) = opening.join_next().await {
        agents.push(opened??);
    }
    Ok(agents)
}

async fn open(dir: PathBuf, spec: Spec, work: CancellationToken) -> anyhow::Result<Agent> {
    let settings = Settings {
        dir: dir.join("store"),
        key_file: dir.join("store.key"),
        quota_bytes: 64 << 20,
        // A thousand times 4 MiB would only fill the disk.
        ballast_bytes: 64 << 10,
    };
    let (place, token) = (dir.clone(), spec.token.clone());
    let opened = tokio::task::spawn_blocking(move || {
        std::fs::create_dir_all(&place)?;
        std::fs::write(place.join("token"), token)?;
        store::open(&settings).map_err(anyhow::Error::from)
    })
    .await?
    .with_context(|| format!("agent {} has no store", spec.name))?;
    let store: Store = opened.store;
    let executor = executor::Handle::default();
    let (phone, phoned_home) = mpsc::channel(1);
    let service = executor::Service {
        store: store.clone(),
        drivers: Drivers {
            machine: Arc::new(instant::Machines),
            host: Arc::new(instant::Hosts),
        },
        handle: executor.clone(),
        phoned_home,
        jitter: || 0.5,
    };
    let disk = opened.service;
    // Both end with the runtime at the latest; what they would still have to say nobody asks.
    let runtime = tokio::runtime::Handle::current();
    drop(runtime.spawn(async move { disk.run().await }));
    drop(runtime.spawn(async move { service.run(work).await }));
    let (_, link) = watch::channel(Link::default());
    Ok(Agent {
        spec,
        dir,
        site: Site { store, executor },
        link,
        uplink: None,
        _phone: phone,
    })
}
