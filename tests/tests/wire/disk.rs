//! An agent with the real uplink and the real store on disk. Nothing is executed: the test says what is reported.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vitistack_agent::executor;
use vitistack_agent::site::Site;
use vitistack_agent::store::{self, Facts, Settings, Store};
use vitistack_agent::uplink::ports::{Intake, Outbox, Position, StoreError, Taken, Vitals};
use vitistack_agent::uplink::{self, Link, Options, Ports};
use vitistack_protocol::ids::{Fence, HubEpoch, Sequence, Uid};
use vitistack_protocol::message::control::Health;
use vitistack_protocol::message::intent::{Intent, SecretRow};
use vitistack_protocol::message::numbered::IntentOutcome;
use vitistack_protocol::message::report::Report;
use vitistack_protocol::transport::Line;

use super::agent;
use super::hub::{self, Hub, own};

type Hook = Box<dyn FnOnce() + Send>;

/// The store with a look at what comes in, and a hook between "durable" and "acked".
#[derive(Clone)]
struct Watched {
    site: Site,
    seen: Arc<Mutex<Vec<(Uid, Fence, IntentOutcome)>>>,
    before_ack: Arc<Mutex<Option<Hook>>>,
}

impl Intake for Watched {
    async fn position(&self) -> Result<Position, StoreError> {
        self.site.position().await
    }

    async fn raise_epoch(&self, epoch: HubEpoch) -> Result<(), StoreError> {
        self.site.raise_epoch(epoch).await
    }

    async fn intent(&self, intent: Intent) -> Result<Taken, StoreError> {
        let (uid, fence) = (intent.object.uid, intent.fence);
        let taken = self.site.intent(intent).await?;
        self.seen.lock().unwrap().push((uid, fence, taken.outcome));
        let hook = self.before_ack.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        Ok(taken)
    }

    async fn secret(&self, row: SecretRow) -> Result<(), StoreError> {
        self.site.secret(row).await
    }
}

impl Outbox for Watched {
    async fn next(&self, after: Sequence, max: usize) -> Result<Vec<Report>, StoreError> {
        self.site.next(after, max).await
    }

    async fn acked(&self, through: Sequence) -> Result<(), StoreError> {
        self.site.acked(through).await
    }

    fn changed(&self) -> watch::Receiver<Sequence> {
        self.site.changed()
    }

    async fn resend(&self, objects: &[Uid], received: Sequence) -> Result<(), StoreError> {
        self.site.resend(objects, received).await
    }
}

impl Vitals for Watched {
    async fn health(&self) -> Health {
        agent::health()
    }
}

/// An agent that runs.
pub(crate) struct Agent {
    watched: Watched,
    cancel: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
    _place: TempDir,
}

impl Agent {
    /// Joins `hub` by way of `address`.
    pub(crate) async fn start(hub: &Hub, address: SocketAddr) -> Self {
        let place = tempfile::tempdir().unwrap();
        let token = hub.token(hub::token_in(Duration::from_secs(600))).await;
        std::fs::write(place.path().join("token"), token.to_text().as_str()).unwrap();
        let opened = store::open(&Settings {
            dir: place.path().join("store"),
            key_file: place.path().join("seal.key"),
            quota_bytes: 16 << 20,
            ballast_bytes: 64 * 1024,
        })
        .unwrap();
        let watched = Watched {
            site: Site {
                store: opened.store,
                executor: executor::Handle::default(),
            },
            seen: Arc::default(),
            before_ack: Arc::default(),
        };
        let cancel = CancellationToken::new();
        let ports = Arc::new(watched.clone());
        let ports = Ports {
            intake: Arc::clone(&ports),
            outbox: Arc::clone(&ports),
            vitals: ports,
        };
        let options = Options {
            hub: address.to_string(),
            token_file: Some(place.path().join("token")),
            identity: place.path().join("identity"),
            name: "edge-1".to_owned(),
            line: Line::Normal,
            build: "test".to_owned(),
        };
        let (link, _) = watch::channel(Link::default());
        let tasks = vec![
            own(async move { opened.service.run().await.unwrap() }),
            own(uplink::run(options, ports, link, cancel.clone())),
        ];
        Self {
            watched,
            cancel,
            tasks,
            _place: place,
        }
    }

    fn store(&self) -> &Store {
        &self.watched.site.store
    }

    /// Runs `hook` once, when the next intent is durable and before it is acked.
    pub(crate) fn before_next_ack(&self, hook: impl FnOnce() + Send + 'static) {
        *self.watched.before_ack.lock().unwrap() = Some(Box::new(hook));
    }

    /// Every intent that came in, and what became of it.
    pub(crate) fn seen(&self) -> Vec<(Uid, Fence, IntentOutcome)> {
        self.watched.seen.lock().unwrap().clone()
    }

    /// How often an intent was stored; more than once a fence is a repetition.
    pub(crate) fn stored(&self, uid: Uid, fence: Fence) -> usize {
        let wanted = (uid, fence, IntentOutcome::Stored);
        self.seen().iter().filter(|seen| **seen == wanted).count()
    }

    /// The fence of what is on disk.
    pub(crate) fn held(&self, uid: Uid) -> Option<Fence> {
        let position = self.store().position();
        let mut held = position.held.iter();
        held.find(|held| held.uid == uid).map(|held| held.fence)
    }

    /// Reports `body` of the object of `about`.
    pub(crate) async fn report(&self, about: &Intent, body: u8) {
        let facts = Facts {
            object: about.object.clone(),
            fence: about.fence,
            generation: about.generation,
            kind: about.kind,
            body: vec![body],
            gone: false,
        };
        assert!(self.store().report(facts).await.unwrap(), "it is news");
    }

    /// Reports that the hub has not acked.
    pub(crate) async fn waiting(&self) -> Vec<Report> {
        let all = self.store().waiting_reports(Sequence(0), 1000).await;
        all.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.cancel.cancel();
        drop(self.watched);
        for task in self.tasks.into_iter().rev() {
            task.abort();
            drop(task.await);
        }
    }
}
