//! The shell around `kinds`: watches fill the caches, changes wake keys, workers reconcile them.
//!
//! Tasks, all in the JoinSet of [`run`]: one watch a kind ([`watches`]), the Secret watches ([`secrets`]),
//! the ear at dispatch and the resync ([`wakes`]), the Event publisher ([`events`]), and [`WORKERS`] workers that take
//! keys from the one [`Queue`]. A reconcile takes a key and never an event, reads caches, plans in `kinds`, and is the
//! only writer of its object's status. It may be run again at any time.

mod agent;
mod datacenter;
pub(crate) mod events;
pub(crate) mod gauges;
mod host;
mod kubernetes_provider;
mod machine;
mod object;
mod provider;
mod reservations;
mod say;
pub(crate) mod secrets;
mod wakes;
mod watches;
mod write;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, debug, info_span, warn};
use vitistack_api::agent::Agent;
use vitistack_api::conditions;
use vitistack_api::datacenter::Datacenter;
use vitistack_api::host::BareMetalHost;
use vitistack_api::kubernetes_provider::KubernetesProvider;
use vitistack_api::machine::{IntentStatus, Machine};
use vitistack_api::machine_provider::MachineProvider;
use vitistack_protocol::Chain;
use vitistack_protocol::identity::AgentName;
use vitistack_protocol::ids::Uid;
use vitistack_protocol::message::intent::{Intent, SecretRow};
use vitistack_protocol::message::numbered::{BodyKind, Reason as Told};
use vitistack_protocol::message::report::{HostReport, MachineReport, Report};

use crate::cache::Cache;
use crate::kinds::placement::Field;
use crate::kinds::revision::{self, Allotted};
use crate::metrics::{Controller, Failure, Metrics, QueueName, Reconciled, Resource};
use crate::queue::{Key, Kind, Outcome, Queue};
use crate::{dispatch, enrolment};
use events::Events;
use reservations::Reservations;
use secrets::Secrets;

/// How many keys are worked on at once. A reconcile mostly waits for the API, so a few workers go a long way; with as
/// many writes side by side an API server on two cores is busy, and more of them would only wait there.
pub(crate) const WORKERS: usize = 16;
/// How long after its start a hub gives the agents that were connected before: a metered line finds out about a restart
/// after 25 s, and dials within a second.
const RETURN: Duration = Duration::from_secs(35);
/// Every object is looked at this often even if nothing changed.
const RESYNC: Duration = Duration::from_secs(600);

/// Everything that the watches have seen.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    pub(crate) datacenters: Cache<Datacenter>,
    pub(crate) providers: Cache<MachineProvider>,
    pub(crate) kubernetes_providers: Cache<KubernetesProvider>,
    pub(crate) machines: Cache<Machine>,
    pub(crate) hosts: Cache<BareMetalHost>,
    pub(crate) agents: Cache<Agent>,
}

/// What every reconcile shares.
pub(crate) struct Hub {
    pub(crate) client: Client,
    /// The hub's own namespace.
    pub(crate) namespace: String,
    pub(crate) caches: Caches,
    pub(crate) secrets: Secrets,
    pub(crate) dispatch: dispatch::Handle,
    pub(crate) queue: Queue,
    pub(crate) events: Events,
    pub(crate) metrics: Metrics,
    /// What placement has decided and no object says yet.
    pub(crate) reservations: Reservations,
    /// When this process began to lead.
    started: Instant,
    /// What this process last sent of each object, for tombstones after the objects that it was compiled from.
    sent: Mutex<HashMap<Uid, Intent>>,
}

/// What can go wrong in a reconcile.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The API did not take a write.
    #[error("cannot write the {what}")]
    Write {
        /// `status`, `finalizer`, `claim`.
        what: &'static str,
        /// Why.
        source: kube::Error,
    },
    /// The API did not answer in time.
    #[error("no answer in time to a write of the {what}")]
    Deadline {
        /// `status`, `finalizer`, `claim`.
        what: &'static str,
    },
    /// The epoch could not be raised.
    #[error("cannot raise the hub's epoch")]
    Epoch {
        /// Why.
        source: enrolment::Error,
    },
    /// A value could not be turned into JSON.
    #[error("cannot encode the {what}")]
    Encode {
        /// `status`.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
}

/// What follows from an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Try again with back-off.
    Retry,
    /// Somebody was faster: the watch brings the newer state.
    Conflict,
    /// The object is gone.
    Gone,
    /// It cannot succeed until something changes.
    Invalid,
}

impl Error {
    /// Decides how it goes on.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Write {
                source: kube::Error::Api(status),
                ..
            } => match status.code {
                404 => Class::Gone,
                409 => Class::Conflict,
                400 | 403 | 422 => Class::Invalid,
                _ => Class::Retry,
            },
            Self::Write { .. } | Self::Deadline { .. } | Self::Epoch { .. } => Class::Retry,
            Self::Encode { .. } => Class::Invalid,
        }
    }

    /// For metrics.
    fn label(&self) -> &'static str {
        match self.class() {
            Class::Retry => "retry",
            Class::Conflict => "conflict",
            Class::Gone => "gone",
            Class::Invalid => "invalid",
        }
    }
}

impl Hub {
    /// Puts a hub together. Nothing runs yet.
    pub(crate) fn new(
        client: Client,
        namespace: String,
        dispatch: dispatch::Handle,
        events: Events,
        metrics: Metrics,
    ) -> Self {
        Self {
            client,
            namespace,
            caches: Caches::default(),
            secrets: Secrets::default(),
            dispatch,
            queue: Queue::default(),
            events,
            metrics,
            reservations: Reservations::default(),
            started: Instant::now(),
            sent: Mutex::new(HashMap::new()),
        }
    }

    /// Whether the agent is connected, as far as anybody is told: a session of it is open, or was when the hub before
    /// this one ended and may be expected back. Else every restart of a hub would write off every agent, only to take
    /// that back seconds later.
    pub(crate) fn is_connected(&self, agent: &AgentName) -> bool {
        if self.dispatch.is_connected(agent) {
            return true;
        }
        let was = || {
            let known = self.caches.agents.find(&self.namespace, &agent.name)?;
            let conditions = &known.status.as_ref()?.conditions;
            Some(conditions::is_true(
                conditions,
                conditions::types::CONNECTED,
            ))
        };
        self.is_awaiting() && was() == Some(true)
    }

    /// Whether this hub is so young that its agents may still be on their way back.
    fn is_awaiting(&self) -> bool {
        self.started.elapsed() < RETURN
    }

    /// What placement looks at, as of now.
    fn field(&self) -> Field {
        Field {
            datacenters: self.caches.datacenters.all(),
            providers: self.caches.providers.all(),
            hosts: self.caches.hosts.all(),
            machines: self.caches.machines.all(),
        }
    }

    /// Gives an intent its fence: by what `status.intent` says, and by what a person chose where the agent is ahead.
    fn allot(&self, held: Option<&IntentStatus>, intent: Intent) -> Allotted {
        let ahead = self.dispatch.ahead(intent.object.uid);
        revision::allot(held, self.dispatch.epoch(), ahead.as_ref(), intent)
    }

    /// Sends an intent whose revision stands in status, with the secret rows that it names as they are now.
    fn send(
        &self,
        agent: &AgentName,
        allotted: Allotted,
        rows: impl IntoIterator<Item = SecretRow>,
    ) {
        let Allotted { intent, stands, .. } = allotted;
        for row in rows {
            self.dispatch.secret(agent, row);
        }
        let uid = intent.object.uid;
        let said = self.dispatch.report(uid);
        if said.is_some_and(|received| lacks_secrets(&received.report)) {
            self.dispatch.missing(uid);
        }
        self.sent().insert(intent.object.uid, intent.clone());
        self.dispatch.desire(agent, intent, stands);
    }

    /// What was last sent of an object by this process.
    fn last_sent(&self, uid: Uid) -> Option<Intent> {
        self.sent().get(&uid).cloned()
    }

    /// The Secret in which an agent was last told to find the credentials of a host's BMC. After a restart of the hub
    /// with the Secret gone nobody knows it: the agent then uses what it used before.
    fn last_credentials(&self, host: Uid) -> Option<Uid> {
        let last = self.last_sent(host)?;
        let mut names = last.secrets.iter();
        let name = names.find(|name| name.content.is_none())?;
        Some(name.uid)
    }

    /// Nothing of the object is left anywhere.
    fn forget(&self, uid: Uid) {
        self.sent().remove(&uid);
        self.dispatch.forget(uid);
    }

    fn sent(&self) -> std::sync::MutexGuard<'_, HashMap<Uid, Intent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the agent reported that it does not hold a secret that it needs.
fn lacks_secrets(report: &Report) -> bool {
    let cause = match report.kind {
        BodyKind::Machine => report.read::<MachineReport>().map(|report| report.cause),
        BodyKind::Host => report.read::<HostReport>().map(|report| report.cause),
    };
    cause.is_ok_and(|cause| cause.reason == Told::CredentialsMissing)
}

/// Runs all controllers until `cancel`. `on_synced` is called once every cache has seen a complete list.
///
/// # Errors
///
/// When a task ends before it was asked to: the process must not go on with half of its controllers.
pub(crate) async fn run(
    hub: Arc<Hub>,
    publisher: events::Publisher,
    on_synced: impl FnOnce() + Send + 'static,
    cancel: CancellationToken,
) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    let stop = cancel.child_token();
    watches::start(&mut tasks, &hub, &stop);
    tasks.spawn(secrets::run(hub.clone(), stop.clone()));
    tasks.spawn(publisher.run(stop.clone()));
    tasks.spawn({
        let (hub, stop) = (hub.clone(), stop.clone());
        async move {
            if synced(&hub, &stop).await {
                on_synced();
                work(hub, stop).await;
            }
        }
    });
    let mut early = None;
    while let Some(ended) = tasks.join_next().await {
        if !cancel.is_cancelled() && early.is_none() {
            early = Some(match ended {
                Ok(()) => anyhow::anyhow!("a controller task ended early"),
                Err(error) => anyhow::Error::new(error).context("a controller task panicked"),
            });
            stop.cancel();
        }
    }
    early.map_or(Ok(()), Err)
}

/// Waits for every cache. Says whether that came before the end.
async fn synced(hub: &Hub, stop: &CancellationToken) -> bool {
    let caches = &hub.caches;
    let all = async {
        caches.datacenters.synced().await;
        caches.providers.synced().await;
        caches.kubernetes_providers.synced().await;
        caches.machines.synced().await;
        caches.hosts.synced().await;
        caches.agents.synced().await;
    };
    tokio::select! {
        // Both arms are cancel-safe: one only waits, the other only watches.
        () = stop.cancelled() => false,
        () = all => true,
    }
}

async fn work(hub: Arc<Hub>, stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    tasks.spawn(wakes::run(hub.clone(), stop.clone()));
    for _ in 0..WORKERS {
        tasks.spawn(worker(hub.clone(), stop.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            // A panic in one reconcile must end the process and not only its worker.
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

async fn worker(hub: Arc<Hub>, stop: CancellationToken) {
    loop {
        let job = tokio::select! {
            // Both arms are cancel-safe, see `Queue::next`. A reconcile that has begun is finished.
            () = stop.cancelled() => return,
            job = hub.queue.next() => job,
        };
        let name = job.key.kind.controller();
        let queue = QueueName { name };
        hub.metrics.queue_adds.get_or_create(&queue).inc();
        hub.metrics
            .queue_seconds
            .get_or_create(&queue)
            .observe(job.waited.as_secs_f64());
        let active = hub
            .metrics
            .active_workers
            .get_or_create_owned(&Controller { controller: name });
        active.inc();
        let begun = Instant::now();
        let span = info_span!("reconcile", key = %job.key);
        let outcome = reconcile(&hub, &job.key).instrument(span).await;
        active.dec();
        let seconds = begun.elapsed().as_secs_f64();
        hub.metrics
            .work_seconds
            .get_or_create(&queue)
            .observe(seconds);
        record(&hub, &job.key, outcome, seconds);
        hub.queue.finish(&job.key, outcome);
    }
}

fn record(hub: &Hub, key: &Key, outcome: Outcome, seconds: f64) {
    let controller = key.kind.controller();
    let result = match outcome {
        Outcome::Done => "success",
        Outcome::After(_) => "requeue_after",
        Outcome::Retry => "error",
    };
    let metrics = &hub.metrics;
    metrics
        .reconciles
        .get_or_create(&Reconciled { controller, result })
        .inc();
    metrics
        .reconcile_seconds
        .get_or_create(&Controller { controller })
        .observe(seconds);
    let resource = Resource {
        resource_type: controller,
        namespace: key.namespace.clone(),
    };
    metrics
        .resource_seconds
        .get_or_create(&resource)
        .observe(seconds);
    if outcome == Outcome::Retry {
        metrics
            .reconcile_errors
            .get_or_create(&Controller { controller })
            .inc();
        metrics
            .queue_retries
            .get_or_create(&QueueName { name: controller })
            .inc();
    }
}

async fn reconcile(hub: &Hub, key: &Key) -> Outcome {
    let done = match key.kind {
        Kind::Datacenter => datacenter::reconcile(hub, key).await,
        Kind::MachineProvider => provider::reconcile(hub, key).await,
        Kind::KubernetesProvider => kubernetes_provider::reconcile(hub, key).await,
        Kind::Machine => machine::reconcile(hub, key).await,
        Kind::BareMetalHost => host::reconcile(hub, key).await,
        Kind::Agent => agent::reconcile(hub, key).await,
    };
    let error = match done {
        Ok(outcome) => return outcome,
        Err(error) => error,
    };
    let failure = Failure {
        controller: key.kind.controller(),
        error: error.label(),
    };
    hub.metrics.errors_by_label.get_or_create(&failure).inc();
    match error.class() {
        Class::Gone => Outcome::Done,
        Class::Conflict => {
            debug!("somebody else was faster; the newer state is on its way");
            Outcome::Retry
        }
        Class::Retry => {
            warn!(
                error = %Chain(&error),
                "the reconcile failed and is tried again"
            );
            Outcome::Retry
        }
        Class::Invalid => {
            warn!(
                error = %Chain(&error),
                "the reconcile cannot succeed as things are"
            );
            Outcome::After(Duration::from_secs(60))
        }
    }
}
