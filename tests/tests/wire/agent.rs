//! The agent's side: the real uplink, with a store in memory.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vitistack_agent::uplink::ports::{Intake, Outbox, Position, StoreError, Taken, Vitals};
use vitistack_agent::uplink::{self, Link, Options, Ports};
use vitistack_protocol::identity::key::{AgentKey, certificates_from_pem, certificates_to_pem};
use vitistack_protocol::identity::name::DEFAULT_TRUST_DOMAIN;
use vitistack_protocol::identity::{JoinToken, Leaf, tls};
use vitistack_protocol::ids::{Digest, HubEpoch, Sequence, Uid};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::control::{Goodbye, Health, Held, Hello, Join, Joined};
use vitistack_protocol::message::intent::{HeldSecret, Intent, SecretRow};
use vitistack_protocol::message::numbered::IntentOutcome;
use vitistack_protocol::message::report::Report;
use vitistack_protocol::transport::{Connection, Dialer, Ending, Error, Line, Priority};

use super::hub::{Hub, own};
use super::name;

const ENROLMENT: &str = "0123456789";

/// What a store would hold, in memory.
pub(crate) struct Store {
    kept: Mutex<Kept>,
    newest: watch::Sender<Sequence>,
}

#[derive(Default)]
struct Kept {
    epoch: HubEpoch,
    order: Vec<&'static str>,
    taken: Vec<Intent>,
    held: HashMap<Uid, Intent>,
    secrets: Vec<HeldSecret>,
    last: HashMap<Uid, Report>,
    outbox: Vec<Report>,
    acked: Sequence,
}

impl Store {
    fn new(epoch: HubEpoch) -> Arc<Self> {
        Arc::new(Self {
            kept: Mutex::new(Kept {
                epoch,
                ..Kept::default()
            }),
            newest: watch::Sender::new(Sequence(0)),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    pub(crate) fn order(&self) -> Vec<&'static str> {
        self.kept().order.clone()
    }

    /// Every intent that was taken, in order.
    pub(crate) fn intents(&self) -> Vec<Intent> {
        self.kept().taken.clone()
    }

    pub(crate) fn acked(&self) -> Sequence {
        self.kept().acked
    }

    pub(crate) fn add(&self, report: Report) {
        let sequence = report.sequence;
        let mut kept = self.kept();
        kept.last.insert(report.object.uid, report.clone());
        kept.outbox.push(report);
        drop(kept);
        self.newest.send_replace(sequence);
    }
}

impl Intake for Store {
    async fn position(&self) -> Result<Position, StoreError> {
        let kept = self.kept();
        let held = kept.held.values().map(|intent| Held {
            uid: intent.object.uid,
            fence: intent.fence,
            intent: intent.digest(),
            report: kept
                .last
                .get(&intent.object.uid)
                .map_or_else(Digest::default, Report::digest),
        });
        Ok(Position {
            store: [5; 16],
            epoch: kept.epoch,
            held: held.collect(),
            secrets: kept.secrets.clone(),
            outbox: (Sequence(0), Sequence(0)),
        })
    }

    async fn raise_epoch(&self, epoch: HubEpoch) -> Result<(), StoreError> {
        self.kept().epoch = epoch;
        Ok(())
    }

    async fn intent(&self, intent: Intent) -> Result<Taken, StoreError> {
        let mut kept = self.kept();
        let held = intent.fence;
        kept.order.push("intent");
        kept.taken.push(intent.clone());
        kept.held.insert(intent.object.uid, intent);
        Ok(Taken {
            outcome: IntentOutcome::Stored,
            held,
        })
    }

    async fn secret(&self, row: SecretRow) -> Result<(), StoreError> {
        let mut kept = self.kept();
        kept.order.push("secret");
        kept.secrets.retain(|held| held.name != row.name);
        kept.secrets.push(row.held());
        Ok(())
    }
}

impl Outbox for Store {
    async fn next(&self, after: Sequence, max: usize) -> Result<Vec<Report>, StoreError> {
        let kept = self.kept();
        let waiting = kept.outbox.iter().filter(|report| report.sequence > after);
        Ok(waiting.take(max).cloned().collect())
    }

    async fn acked(&self, through: Sequence) -> Result<(), StoreError> {
        let mut kept = self.kept();
        kept.acked = through;
        kept.outbox.retain(|report| report.sequence > through);
        Ok(())
    }

    fn changed(&self) -> watch::Receiver<Sequence> {
        self.newest.subscribe()
    }

    async fn resend(&self, objects: &[Uid], _received: Sequence) -> Result<(), StoreError> {
        for uid in objects {
            let last = self.kept().last.get(uid).cloned();
            if let Some(mut report) = last {
                report.sequence.0 += 1;
                self.add(report);
            }
        }
        Ok(())
    }
}

impl Vitals for Store {
    async fn health(&self) -> Health {
        health()
    }
}

/// Of an agent that has nothing to say.
pub(crate) fn health() -> Health {
    Health {
        uptime: 1,
        load_hundredths: 0,
        memory_used_mib: 0,
        memory_total_mib: 0,
        data_free_bytes: 0,
        objects: 0,
        outbox: 0,
        problems: Vec::new(),
    }
}

/// An agent that runs.
pub(crate) struct Site {
    pub(crate) store: Arc<Store>,
    link: watch::Receiver<Link>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
    place: TempDir,
}

impl Site {
    /// Joins by a token that ends at `expires`.
    pub(crate) async fn start(hub: &Hub, expires: jiff::Timestamp) -> Self {
        Self::start_at_epoch(hub, expires, HubEpoch(0)).await
    }

    pub(crate) async fn start_at_epoch(
        hub: &Hub,
        expires: jiff::Timestamp,
        epoch: HubEpoch,
    ) -> Self {
        let token = hub.token(expires).await;
        Self::start_with(hub, &token, epoch)
    }

    pub(crate) fn start_with(hub: &Hub, token: &JoinToken, epoch: HubEpoch) -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("token"), token.to_text().as_str()).unwrap();
        Self::run(hub, place, epoch)
    }

    /// Has a certificate already, signed at `signed`.
    pub(crate) async fn start_enrolled(hub: &Hub, signed: SystemTime) -> Self {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("identity");
        std::fs::create_dir(&folder).unwrap();
        let key = AgentKey::generate().unwrap();
        let signer = hub.authority.signer();
        let chain = signer
            .sign_agent(&key.request().unwrap(), &name(), ENROLMENT, [1; 16], signed)
            .unwrap();
        for (file, content) in [
            ("agent.key", key.to_pem().to_string()),
            ("roots.crt", signer.certificate_pem()),
            ("agent.crt", certificates_to_pem(&chain)),
        ] {
            std::fs::write(folder.join(file), content).unwrap();
        }
        hub.enrol(ENROLMENT).await;
        Self::run(hub, place, HubEpoch(0))
    }

    fn run(hub: &Hub, place: TempDir, epoch: HubEpoch) -> Self {
        let store = Store::new(epoch);
        let (sender, link) = watch::channel(Link::default());
        let cancel = CancellationToken::new();
        let options = Options {
            hub: hub.address.to_string(),
            token_file: Some(place.path().join("token")),
            identity: place.path().join("identity"),
            name: "edge-1".to_owned(),
            line: Line::Normal,
            build: "test".to_owned(),
        };
        let ports = Ports {
            intake: Arc::clone(&store),
            outbox: Arc::clone(&store),
            vitals: Arc::clone(&store),
        };
        let task = own(uplink::run(options, ports, sender, cancel.clone()));
        Self {
            store,
            link,
            cancel,
            task,
            place,
        }
    }

    pub(crate) fn link(&self) -> Link {
        self.link.borrow().clone()
    }

    pub(crate) fn put_token(&self, token: &JoinToken) {
        std::fs::write(self.place.path().join("token"), token.to_text().as_str()).unwrap();
    }

    fn file(&self, name: &str) -> PathBuf {
        self.place.path().join("identity").join(name)
    }

    fn chain(&self) -> Vec<Vec<u8>> {
        let pem = std::fs::read_to_string(self.file("agent.crt")).unwrap();
        certificates_from_pem(&pem).unwrap()
    }

    /// When the certificate on disk ends.
    pub(crate) fn certificate_end(&self) -> SystemTime {
        Leaf::parse(&self.chain()[0], DEFAULT_TRUST_DOMAIN)
            .unwrap()
            .not_after
    }

    /// Dials once beside the uplink, with the identity on disk, and says how that ends.
    pub(crate) async fn dial_once(&self, hub: &Hub) -> Ending {
        let key = AgentKey::from_pem(&std::fs::read_to_string(self.file("agent.key")).unwrap());
        let roots = std::fs::read_to_string(self.file("roots.crt")).unwrap();
        let roots = certificates_from_pem(&roots).unwrap();
        let config = tls::session(&roots, &self.chain(), &key.unwrap()).unwrap();
        match dial(hub, config).await {
            Ok(connection) => tokio::time::timeout(Duration::from_secs(10), connection.closed())
                .await
                .expect("the hub says no"),
            Err(error) => error.ending().cloned().expect("the hub says no"),
        }
    }

    pub(crate) async fn stop(self) {
        self.cancel.cancel();
        self.task.await.unwrap();
    }
}

/// Shows `token` once; the refusal in the hub's words.
pub(crate) async fn join_once(hub: &Hub, token: &JoinToken) -> Result<Joined, String> {
    join_with(hub, token, &AgentKey::generate().unwrap(), "edge-1").await
}

/// The same with a key of one's own and a name to wish for.
pub(crate) async fn join_with(
    hub: &Hub,
    token: &JoinToken,
    key: &AgentKey,
    wish: &str,
) -> Result<Joined, String> {
    let config = tls::join(token).unwrap();
    let connection = dial(hub, config).await.unwrap();
    let (mut send, mut receive) = connection.open(Priority::Control).await.unwrap();
    send.send(&Join {
        token: token.to_text().to_string(),
        name: wish.to_owned(),
        csr: key.request().unwrap(),
    })
    .await
    .unwrap();
    let frame = receive.frame().await.unwrap().expect("an answer");
    if frame.is::<Goodbye>() {
        return Err(frame.decode::<Goodbye>().unwrap().message);
    }
    Ok(frame.decode().unwrap())
}

/// A connection of an enrolled agent, with nothing said yet.
pub(crate) async fn enrolled_connection(hub: &Hub) -> Connection {
    let key = AgentKey::generate().unwrap();
    let signer = hub.authority.signer();
    let chain = signer
        .sign_agent(
            &key.request().unwrap(),
            &name(),
            ENROLMENT,
            [1; 16],
            SystemTime::now(),
        )
        .unwrap();
    hub.enrol(ENROLMENT).await;
    let config = tls::session(&signer.roots(), &chain, &key).unwrap();
    dial(hub, config).await.unwrap()
}

async fn dial(hub: &Hub, config: rustls::ClientConfig) -> Result<Connection, Error> {
    Dialer::default()
        .dial(hub.address, "hub.vitistack", config, Line::Normal, 0.5)
        .await
}

/// The Hello of an agent that holds nothing.
pub(crate) fn hello() -> Hello {
    Hello {
        min_version: 1,
        max_version: 1,
        build: "test".to_owned(),
        capabilities: 0,
        boot: [1; 16],
        store: [5; 16],
        epoch: HubEpoch(0),
        held: Vec::new(),
        outbox: (Sequence(0), Sequence(0)),
        extensions: Extensions::default(),
    }
}
