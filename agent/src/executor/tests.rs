//! The executor with a driver whose provider is a counter in memory: crashes at every point, on a real store.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use vitistack_drivers::driver::{Class, Next, Outcome, ReportBody, Secrets, Step};
use vitistack_drivers::journal::{Journal, Stage};
use vitistack_protocol::ids::{
    Fence, Generation, HubEpoch, ObjectRef, OperationId, Revision, Sequence,
};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::body;
use vitistack_protocol::message::intent::{
    BmcTrust, Credentials, HostIntent, HostTarget, Intent, SecretName, SecretRow,
};
use vitistack_protocol::message::numbered::{BootMode, Inspection, Reason};
use vitistack_protocol::message::report::Cause;

use super::*;
use crate::site::Site;
use crate::store::{self, Settings};
use crate::uplink::ports::Intake as _;

const OBJECT: Uid = Uid([1; 16]);
const SECRET: Uid = Uid([2; 16]);
const CREATE: u16 = 1;
const START: u16 = 2;
const SPOKEN: u16 = 3;

/// The world that the driver acts on. It outlives crashes of the agent.
#[derive(Default)]
struct World {
    created: AtomicU32,
    started: AtomicU32,
    released: AtomicU32,
    creates_called: AtomicU32,
    observes: AtomicU32,
}

/// Where the process dies, or what the provider does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Before the effect of the step.
    HangBefore(u16),
    /// After the effect, before the step has returned.
    HangAfter(u16),
    /// The step fails with this class.
    Fail(u16, Class),
}

struct Fake {
    world: Arc<World>,
    fault: Mutex<Fault>,
    /// Raised whenever a hanging step was reached.
    hung: watch::Sender<u32>,
}

#[derive(Debug, thiserror::Error)]
#[error("fault")]
struct FakeError(Class);

#[derive(Debug)]
struct FakeStep {
    number: u16,
    operation: OperationId,
}

impl Step for FakeStep {
    fn number(&self) -> u16 {
        self.number
    }
    fn name(&self) -> &'static str {
        "fake"
    }
    fn operation(&self) -> Option<OperationId> {
        Some(self.operation)
    }
    fn begins_attempt(&self) -> bool {
        self.number == CREATE
    }
    fn note(&self) -> Vec<u8> {
        b"decided".to_vec()
    }
}

struct Seen {
    created: bool,
}

impl Driver for Fake {
    type Observed = Seen;
    type Step = FakeStep;
    type Error = FakeError;

    async fn observe(&self, _: &Intent, _: &Journal, _: &dyn Secrets) -> Result<Seen, FakeError> {
        self.world.observes.fetch_add(1, Ordering::SeqCst);
        Ok(Seen {
            created: self.world.created.load(Ordering::SeqCst) > 0,
        })
    }

    fn plan(&self, intent: &Intent, seen: &Seen, journal: &Journal) -> Next<FakeStep> {
        let operation = operation(intent);
        let step = |number| Next::Do(FakeStep { number, operation });
        let journal = if journal.operation == Some(operation) {
            journal.clone()
        } else {
            Journal::default()
        };
        if intent.absent {
            return if seen.created { step(9) } else { Next::Done };
        }
        if !journal.done(CREATE) {
            return step(CREATE);
        }
        if !journal.done(START) {
            return step(START);
        }
        if !journal.done(SPOKEN) {
            return Next::Wait {
                cause: cause(),
                after: Duration::from_secs(3600),
            };
        }
        Next::Done
    }

    async fn act(
        &self,
        _: &Intent,
        step: &FakeStep,
        _: &dyn Secrets,
    ) -> Result<Vec<u8>, FakeError> {
        let fault = *self.fault.lock().unwrap();
        if step.number == CREATE {
            self.world.creates_called.fetch_add(1, Ordering::SeqCst);
        }
        if let Fault::Fail(number, class) = fault
            && number == step.number
        {
            return Err(FakeError(class));
        }
        if fault == Fault::HangBefore(step.number) {
            self.hung.send_modify(|hung| *hung += 1);
            std::future::pending::<()>().await;
        }
        match step.number {
            // Idempotent as the contract asks: what was made before the crash is found again.
            CREATE if self.world.created.load(Ordering::SeqCst) == 0 => {
                self.world.created.fetch_add(1, Ordering::SeqCst);
            }
            START => {
                self.world.started.fetch_add(1, Ordering::SeqCst);
            }
            9 => {
                self.world.created.store(0, Ordering::SeqCst);
                self.world.released.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
        if fault == Fault::HangAfter(step.number) {
            self.hung.send_modify(|hung| *hung += 1);
            std::future::pending::<()>().await;
        }
        Ok(b"result".to_vec())
    }

    fn report(
        &self,
        intent: &Intent,
        seen: Option<&Seen>,
        journal: &Journal,
        outcome: Outcome<'_, Self>,
    ) -> ReportBody {
        let stage = match outcome {
            Outcome::Planned(Next::Do(step)) => format!("do {}", step.number),
            Outcome::Planned(Next::Wait { .. }) => "wait".to_owned(),
            Outcome::Planned(Next::Done) => "done".to_owned(),
            Outcome::Planned(Next::Fail { .. }) => "fail".to_owned(),
            Outcome::Failed(_) => "failed".to_owned(),
        };
        ReportBody {
            body: format!("{stage} attempt {}", journal.attempt).into_bytes(),
            gone: intent.absent && seen.is_some_and(|seen| !seen.created),
        }
    }

    fn heard(&self, _: &Intent, journal: &Journal, heard: &Heard) -> Option<(u16, Vec<u8>)> {
        journal
            .done(START)
            .then(|| (SPOKEN, heard.instance_id.clone().into_bytes()))
    }

    fn class(&self, error: &FakeError) -> Class {
        error.0
    }

    fn resync(&self) -> Duration {
        Duration::from_secs(60)
    }
}

fn cause() -> Cause {
    Cause {
        reason: Reason::Progressing,
        message: String::new(),
    }
}

fn operation(intent: &Intent) -> OperationId {
    intent.read::<HostIntent>().unwrap().inspection_operation
}

fn intent(revision: u64, operation: u8, absent: bool) -> Intent {
    let object = ObjectRef {
        uid: OBJECT,
        namespace: "edge".into(),
        name: "host".into(),
    };
    let host = HostIntent {
        target: HostTarget {
            host: object.clone(),
            bmc_address: String::new(),
            credentials: Some(SECRET),
            trust: BmcTrust::default(),
            boot_mac: [2; 6],
            boot_mode: BootMode::ALL[0],
            maintenance: false,
        },
        inspection: Inspection::ALL[0],
        inspection_operation: OperationId([operation; 16]),
        claimed_by: None,
        provisioned: None,
        externally_provisioned: false,
        extensions: Extensions::default(),
    };
    Intent {
        fence: Fence {
            epoch: HubEpoch(1),
            revision: Revision(revision),
        },
        object,
        generation: Generation(1),
        kind: BodyKind::Host,
        body: body::encode(&host),
        absent,
        secrets: vec![SecretName::of_credentials(SECRET)],
        extensions: Extensions::default(),
    }
}

/// An agent without a network: store, executor, driver.
struct Agent {
    store: Store,
    handle: Handle,
    phone: mpsc::Sender<PhonedHome>,
    hung: watch::Receiver<u32>,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
}

impl Agent {
    fn start(dir: &Path, world: &Arc<World>, fault: Fault) -> Self {
        let settings = Settings {
            dir: dir.join("store"),
            key_file: dir.join("seal.key"),
            quota_bytes: 1 << 20,
            ballast_bytes: 4096,
        };
        // A crash takes the file lock with it; an aborted task leaves it to a commit that is still under way.
        let opened = (0..500)
            .find_map(|_| match store::open(&settings) {
                Ok(opened) => Some(opened),
                Err(_) => {
                    std::thread::sleep(Duration::from_millis(10));
                    None
                }
            })
            .expect("the store of the crashed agent opens");
        assert!(opened.lost.is_none());
        let (hung, hung_seen) = watch::channel(0);
        let driver = Arc::new(Fake {
            world: Arc::clone(world),
            fault: Mutex::new(fault),
            hung,
        });
        let (phone, phoned_home) = mpsc::channel(4);
        let handle = Handle::default();
        let cancel = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let commit = opened.service;
        tasks.spawn(async move { commit.run().await.unwrap() });
        let service = Service {
            store: opened.store.clone(),
            drivers: Drivers {
                machine: Arc::clone(&driver),
                host: driver,
            },
            handle: handle.clone(),
            phoned_home,
            jitter: || 0.5,
        };
        let token = cancel.clone();
        tasks.spawn(async move { service.run(token).await.unwrap() });
        Self {
            store: opened.store,
            handle,
            phone,
            hung: hung_seen,
            cancel,
            tasks,
        }
    }

    async fn want(&self, intent: Intent) {
        let uid = intent.object.uid;
        self.store.take_intent(intent).await.unwrap();
        self.handle.intent_stored(uid);
    }

    /// Ends every task where it stands, as a crash does, and waits until the files are free again.
    async fn crash(self) {
        let Self {
            store, mut tasks, ..
        } = self;
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
        drop(store);
    }

    async fn stop(self) {
        let Self {
            store,
            cancel,
            mut tasks,
            ..
        } = self;
        cancel.cancel();
        drop(store);
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
    }

    async fn journal(&self) -> Journal {
        self.store.load(OBJECT).await.unwrap().unwrap().journal
    }

    /// The body of the newest report, waited for until it is `wanted`.
    async fn reported(&self, wanted: &str) {
        let mut changed = self.store.outbox_changed();
        let wait = async {
            loop {
                let reports = self.store.waiting_reports(Sequence(0), 10).await.unwrap();
                let newest = reports.last().map(|report| report.body.clone());
                if newest.as_deref() == Some(wanted.as_bytes()) {
                    return;
                }
                changed.changed().await.unwrap();
            }
        };
        let bound = Duration::from_secs(600);
        tokio::time::timeout(bound, wait)
            .await
            .unwrap_or_else(|_| panic!("never {wanted:?}"));
    }

    async fn phone_home(&self, operation: u8) -> bool {
        let (durable, answer) = oneshot::channel();
        let call = PhonedHome {
            object: OBJECT,
            operation: OperationId([operation; 16]),
            address: std::net::Ipv4Addr::LOCALHOST,
            instance_id: OBJECT.to_string(),
            durable,
        };
        self.phone.send(call).await.unwrap();
        answer.await.unwrap()
    }
}

fn count(counter: &AtomicU32) -> u32 {
    counter.load(Ordering::SeqCst)
}

#[tokio::test(start_paused = true)]
async fn an_intent_is_carried_out_step_by_step_and_waits_for_its_guest() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::default());
    let agent = Agent::start(dir.path(), &world, Fault::None);
    agent.want(intent(1, 7, false)).await;
    agent.reported("wait attempt 1").await;
    let stages: Vec<_> = agent
        .journal()
        .await
        .marks
        .iter()
        .map(|mark| (mark.step, mark.stage))
        .collect();
    assert_eq!(
        stages,
        [
            (CREATE, Stage::AboutTo),
            (CREATE, Stage::Done),
            (START, Stage::AboutTo),
            (START, Stage::Done)
        ]
    );
    assert!(
        !agent.phone_home(8).await,
        "another operation is not wanted"
    );
    assert!(agent.phone_home(7).await);
    agent.reported("done attempt 1").await;
    assert!(agent.journal().await.done(SPOKEN));
    assert_eq!((count(&world.created), count(&world.started)), (1, 1));
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn killed_at_any_point_it_makes_exactly_one() {
    let points = [
        Fault::HangBefore(CREATE),
        Fault::HangAfter(CREATE),
        Fault::HangBefore(START),
    ];
    for point in points {
        let dir = tempfile::tempdir().unwrap();
        let world = Arc::new(World::default());
        let mut agent = Agent::start(dir.path(), &world, point);
        agent.want(intent(1, 7, false)).await;
        agent.hung.changed().await.unwrap();
        let before = agent.journal().await;
        let last = before.marks.last().unwrap();
        assert_eq!(
            last.stage,
            Stage::AboutTo,
            "{point:?}: marked before it acts"
        );
        assert_eq!(last.note, b"decided");
        agent.crash().await;

        let agent = Agent::start(dir.path(), &world, Fault::None);
        agent.reported("wait attempt 1").await;
        let journal = agent.journal().await;
        assert_eq!(journal.operation, Some(OperationId([7; 16])), "{point:?}");
        assert_eq!(journal.attempt, 1, "{point:?}: a crash is no attempt");
        assert_eq!(count(&world.created), 1, "{point:?}");
        assert_eq!(count(&world.started), 1, "{point:?}");
        agent.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_settled_object_is_not_acted_on_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::default());
    let agent = Agent::start(dir.path(), &world, Fault::None);
    agent.want(intent(1, 7, false)).await;
    agent.reported("wait attempt 1").await;
    assert!(agent.phone_home(7).await);
    agent.reported("done attempt 1").await;
    agent.crash().await;
    for _ in 0..3 {
        let seen = count(&world.observes);
        let agent = Agent::start(dir.path(), &world, Fault::None);
        while count(&world.observes) < seen + 2 {
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        agent.crash().await;
    }
    assert_eq!(count(&world.creates_called), 1);
    assert_eq!(count(&world.started), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tombstone_interrupts_the_work_and_ends_the_worker() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::default());
    let mut agent = Agent::start(dir.path(), &world, Fault::HangAfter(CREATE));
    agent.want(intent(1, 7, false)).await;
    agent.hung.changed().await.unwrap();
    agent.want(intent(2, 7, true)).await;
    let mut changed = agent.store.outbox_changed();
    loop {
        let reports = agent.store.waiting_reports(Sequence(0), 10).await.unwrap();
        if let Some(report) = reports.last().filter(|report| report.gone) {
            assert_eq!(report.fence.revision, Revision(2));
            agent.store.ack_reports(report.sequence).await.unwrap();
            break;
        }
        changed.changed().await.unwrap();
    }
    assert_eq!(count(&world.released), 1);
    assert_eq!(agent.store.position().held, []);
    assert!(!agent.phone_home(7).await, "nobody is there to hear it");
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_operation_starts_with_a_fresh_journal() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::default());
    let agent = Agent::start(dir.path(), &world, Fault::None);
    agent.want(intent(1, 7, false)).await;
    agent.reported("wait attempt 1").await;
    agent.want(intent(2, 8, false)).await;
    let mut seen = agent.store.outbox_changed();
    while count(&world.started) < 2 {
        seen.changed().await.unwrap();
    }
    agent.reported("wait attempt 1").await;
    let journal = agent.journal().await;
    assert_eq!(journal.operation, Some(OperationId([8; 16])));
    assert_eq!(journal.marks.len(), 4);
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_not_tried_again_because_of_events() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::default());
    let fault = Fault::Fail(CREATE, Class::Unauthenticated);
    let agent = Agent::start(dir.path(), &world, fault);
    agent.want(intent(1, 7, false)).await;
    agent.reported("failed attempt 1").await;
    for _ in 0..20 {
        agent.handle.wake(OBJECT);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(count(&world.creates_called), 1);
    agent.handle.secret_stored(OBJECT);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(
        count(&world.creates_called),
        2,
        "a new secret is worth a try"
    );
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_object_is_woken_by_the_credentials_that_it_uses_and_by_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::default());
    let fault = Fault::Fail(CREATE, Class::Unauthenticated);
    let agent = Agent::start(dir.path(), &world, fault);
    let site = Site {
        store: agent.store.clone(),
        executor: agent.handle.clone(),
    };
    let password = |secret: Uid, password: &str| {
        let credentials = Credentials {
            username: "admin".to_owned(),
            password: password.to_owned(),
        };
        SecretRow::of_credentials(secret, &credentials)
    };
    site.secret(password(SECRET, "wrong")).await.unwrap();
    agent.want(intent(1, 7, false)).await;
    agent.reported("failed attempt 1").await;
    for (row, tries) in [
        (password(Uid([9; 16]), "another one's"), 1),
        (SecretRow::new(SECRET, b"user data".to_vec()), 1),
        (password(SECRET, "right"), 2),
    ] {
        site.secret(row).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(count(&world.creates_called), tries);
    }
    assert_eq!(
        agent.journal().await.attempt,
        1,
        "a corrected password is no new attempt"
    );
    drop(site);
    agent.stop().await;
}

#[tokio::test(start_paused = true)]
async fn failures_back_off_and_reports_do_not_repeat() {
    let dir = tempfile::tempdir().unwrap();
    let world = Arc::new(World::default());
    let agent = Agent::start(dir.path(), &world, Fault::Fail(CREATE, Class::Retry));
    agent.want(intent(1, 7, false)).await;
    agent.reported("failed attempt 1").await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    let tries = count(&world.creates_called);
    assert!((10..40).contains(&tries), "{tries} tries in ten minutes");
    assert_eq!(agent.journal().await.attempt, 1, "a failed act is resumed");
    agent.stop().await;
}
