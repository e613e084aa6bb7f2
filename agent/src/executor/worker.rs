//! One object's worker: looks, decides, acts, sleeps; and hears its object while it does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use vitistack_drivers::driver::{Driver, Heard, Next, Outcome, Step};
use vitistack_drivers::journal::Journal;
use vitistack_fault as fault;
use vitistack_protocol::Chain;
use vitistack_protocol::ids::{OperationId, Uid};
use vitistack_protocol::message::intent::{HostIntent, Intent, MachineIntent};
use vitistack_protocol::message::numbered::BodyKind;

use super::backoff::{Backoff, Ear, Pause};
use super::marks;
use crate::store::{self, Facts, HeldSecrets, Loaded, Store};

/// Shortest wait between two looks, whatever a plan says: a worker must not spin.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
/// How often the same step may follow itself before the back-off takes over.
const SAME_STEP: u32 = 3;
/// Calls of one object that may wait.
const CALLS: usize = 4;

/// Why a worker is woken. The order is that of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wake {
    /// Something was seen.
    Event,
    /// The hub sent something.
    Hub,
}

/// What a guest said, and where the answer goes.
pub(crate) struct Call {
    pub(crate) heard: Heard,
    pub(crate) durable: oneshot::Sender<bool>,
}

/// Where a worker is reached.
pub(crate) struct Mailbox {
    wake: Mutex<Option<Wake>>,
    notify: Notify,
    calls: mpsc::Sender<Call>,
}

impl Mailbox {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Call>) {
        let (calls, receiver) = mpsc::channel(CALLS);
        let mailbox = Self {
            wake: Mutex::new(None),
            notify: Notify::new(),
            calls,
        };
        (mailbox, receiver)
    }

    pub(crate) fn put(&self, wake: Wake) {
        let mut pending = self.wake.lock().unwrap_or_else(PoisonError::into_inner);
        *pending = Some(pending.map_or(wake, |known| known.max(wake)));
        drop(pending);
        self.notify.notify_one();
    }

    pub(crate) fn take(&self) -> Option<Wake> {
        self.wake
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    fn peek(&self) -> Option<Wake> {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn call(&self, call: Call) {
        drop(self.calls.try_send(call));
    }
}

/// One object's worker.
pub(crate) struct Worker<D> {
    uid: Uid,
    store: Store,
    driver: Arc<D>,
    mailbox: Arc<Mailbox>,
    calls: mpsc::Receiver<Call>,
    cancel: CancellationToken,
    jitter: fn() -> f64,
    backoff: Backoff,
    journal: Journal,
    repeated: Repeated,
}

/// The step that was done last, and how often in a row.
#[derive(Default)]
struct Repeated {
    step: Option<u16>,
    times: u32,
}

/// How a look ended.
enum End {
    /// Look again at once.
    Again,
    /// Sleep.
    Sleep(Pause),
    /// Nothing is left of the object.
    Gone,
    /// The process stops.
    Cancelled,
}

/// How something that was waited for ended.
enum Attended<T> {
    Finished(T),
    /// A newer intent wants something else.
    Superseded,
    Cancelled,
    /// What the object said could not be written.
    Store(store::Error),
}

impl<D: Driver> Worker<D> {
    pub(crate) fn new(
        uid: Uid,
        store: Store,
        driver: Arc<D>,
        mailbox: Arc<Mailbox>,
        calls: mpsc::Receiver<Call>,
        cancel: CancellationToken,
        jitter: fn() -> f64,
    ) -> Self {
        Self {
            uid,
            store,
            driver,
            mailbox,
            calls,
            cancel,
            jitter,
            backoff: Backoff::default(),
            journal: Journal::default(),
            repeated: Repeated::default(),
        }
    }

    /// Runs until nothing is left of the object or the process stops. Returns whose worker this was.
    pub(crate) async fn run(mut self) -> Uid {
        loop {
            // Taken before the intent is read: what comes later wakes again.
            self.mailbox.take();
            let end = match self.store.load(self.uid).await {
                Ok(None) => return self.uid,
                Ok(Some(loaded)) => Box::pin(self.look(loaded)).await,
                Err(error) => self.store_failed(&error),
            };
            match end {
                End::Again => {}
                End::Gone | End::Cancelled => return self.uid,
                End::Sleep(pause) => {
                    if !self.sleep(pause).await {
                        return self.uid;
                    }
                }
            }
        }
    }

    /// Observe, plan, report, and one step.
    async fn look(&mut self, loaded: Loaded) -> End {
        let Loaded {
            intent,
            journal,
            secrets,
        } = loaded;
        self.journal = journal;
        let driver = Arc::clone(&self.driver);
        let before = self.journal.clone();
        let observed = match self
            .attend(&intent, driver.observe(&intent, &before, &secrets))
            .await
        {
            Attended::Finished(Ok(observed)) => observed,
            Attended::Finished(Err(error)) => return self.failed(&intent, None, &error).await,
            Attended::Superseded => return End::Again,
            Attended::Cancelled => return End::Cancelled,
            Attended::Store(error) => return self.store_failed(&error),
        };
        let next = driver.plan(&intent, &observed, &self.journal);
        if let Next::Do(step) = &next
            && let Some(operation) = step.operation()
            && let Err(error) = self.begin(step, operation).await
        {
            return self.store_failed(&error);
        }
        let gone = match self
            .report(&intent, Some(&observed), Outcome::Planned(&next))
            .await
        {
            Ok(gone) => gone,
            Err(error) => return self.store_failed(&error),
        };
        if gone && intent.absent {
            tracing::info!("nothing is left of the object");
            return End::Gone;
        }
        match next {
            Next::Do(step) => self.act(&intent, &observed, step, &secrets).await,
            Next::Wait { cause: _, after } => {
                self.settle();
                End::Sleep(Pause {
                    after: Some(after.max(SHORTEST_WAIT)),
                    ear: Ear::Open,
                })
            }
            Next::Done => {
                self.settle();
                End::Sleep(Pause {
                    after: Some(self.driver.resync().max(SHORTEST_WAIT)),
                    ear: Ear::Open,
                })
            }
            Next::Fail { cause: _ } => {
                self.settle();
                End::Sleep(Pause {
                    after: None,
                    ear: Ear::Hub,
                })
            }
        }
    }

    async fn act(
        &mut self,
        intent: &Intent,
        observed: &D::Observed,
        step: D::Step,
        secrets: &HeldSecrets,
    ) -> End {
        let driver = Arc::clone(&self.driver);
        tracing::info!(step = step.name(), attempt = self.journal.attempt, "acting");
        let note = match self
            .attend(intent, driver.act(intent, &step, secrets))
            .await
        {
            Attended::Finished(Ok(note)) => note,
            Attended::Finished(Err(error)) => {
                return self.failed(intent, Some(observed), &error).await;
            }
            Attended::Superseded => {
                tracing::info!(step = step.name(), "interrupted by a newer intent");
                return End::Again;
            }
            Attended::Cancelled => return End::Cancelled,
            Attended::Store(error) => return self.store_failed(&error),
        };
        if step.operation().is_some() {
            let journal = marks::done(&self.journal, step.number(), note);
            fault::before("agent.journal.done");
            if let Err(error) = self.write(journal).await {
                return self.store_failed(&error);
            }
            fault::after("agent.journal.done");
        }
        if self.repeated.is_spinning(step.number()) {
            let jitter = (self.jitter)();
            let class = vitistack_drivers::driver::Class::Retry;
            return End::Sleep(self.backoff.after(class, jitter));
        }
        self.backoff.reset();
        End::Again
    }

    /// Waits for `work` while hearing the object and watching for newer intents. Dropping `work` is a crash to it.
    async fn attend<T>(&mut self, intent: &Intent, work: impl Future<Output = T>) -> Attended<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                // `work` is pinned and goes on; the others are cancel-safe.
                biased;
                () = self.cancel.cancelled() => return Attended::Cancelled,
                outcome = &mut work => return Attended::Finished(outcome),
                Some(call) = self.calls.recv() => {
                    if let Err(error) = self.hear(intent, call).await {
                        return Attended::Store(error);
                    }
                }
                () = self.mailbox.notify.notified() => {
                    if self.mailbox.peek() == Some(Wake::Hub) && self.is_superseded(intent).await {
                        return Attended::Superseded;
                    }
                }
            }
        }
    }

    /// Whether the newest intent makes the work under way pointless.
    async fn is_superseded(&self, intent: &Intent) -> bool {
        match self.store.load(self.uid).await {
            Ok(Some(newest)) => {
                newest.intent.absent != intent.absent
                    || operation_of(&newest.intent) != operation_of(intent)
            }
            // The next look finds out.
            Ok(None) | Err(_) => true,
        }
    }

    /// Writes down what the object said, and answers it.
    async fn hear(&mut self, intent: &Intent, call: Call) -> Result<(), store::Error> {
        let Call { heard, durable } = call;
        let wanted = if self.journal.operation == Some(heard.operation) && !intent.absent {
            self.driver.heard(intent, &self.journal, &heard)
        } else {
            None
        };
        let Some((step, note)) = wanted else {
            durable.send(false).ok();
            return Ok(());
        };
        tracing::info!(address = %heard.address, "the guest phoned home");
        let journal = marks::done(&self.journal, step, note);
        fault::before("agent.journal.heard");
        self.write(journal).await?;
        fault::after("agent.journal.heard");
        // The guest may have hung up; it has called in any case.
        durable.send(true).ok();
        Ok(())
    }

    async fn begin(&mut self, step: &D::Step, operation: OperationId) -> Result<(), store::Error> {
        match marks::begun(&self.journal, step, operation) {
            Some(journal) => {
                fault::before("agent.journal.about-to");
                self.write(journal).await?;
                fault::after("agent.journal.about-to");
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn write(&mut self, journal: Journal) -> Result<(), store::Error> {
        if journal != self.journal {
            self.store.write_journal(self.uid, journal.clone()).await?;
            self.journal = journal;
        }
        Ok(())
    }

    async fn report(
        &self,
        intent: &Intent,
        observed: Option<&D::Observed>,
        outcome: Outcome<'_, D>,
    ) -> Result<bool, store::Error> {
        let report = self.driver.report(intent, observed, &self.journal, outcome);
        let gone = report.gone;
        let facts = Facts {
            object: intent.object.clone(),
            fence: intent.fence,
            generation: intent.generation,
            kind: intent.kind,
            body: report.body,
            gone,
        };
        fault::before("agent.report.store");
        self.store.report(facts).await?;
        fault::after("agent.report.store");
        Ok(gone)
    }

    async fn failed(
        &mut self,
        intent: &Intent,
        observed: Option<&D::Observed>,
        error: &D::Error,
    ) -> End {
        let class = self.driver.class(error);
        tracing::warn!(?class, error = %Chain(error), "failed");
        if let Err(error) = self.report(intent, observed, Outcome::Failed(error)).await {
            return self.store_failed(&error);
        }
        End::Sleep(self.backoff.after(class, (self.jitter)()))
    }

    /// Without the store nothing may be done: what was begun could not be found again.
    fn store_failed(&mut self, error: &store::Error) -> End {
        if error.class() == store::Class::Closed {
            return End::Cancelled;
        }
        tracing::error!(
            error = %Chain(error),
            "nothing is done while the store fails"
        );
        let class = vitistack_drivers::driver::Class::Retry;
        End::Sleep(self.backoff.after(class, (self.jitter)()))
    }

    fn settle(&mut self) {
        self.backoff.reset();
        self.repeated = Repeated::default();
    }

    /// Sleeps out `pause`. Returns `false` when the process stops.
    async fn sleep(&mut self, pause: Pause) -> bool {
        let timer = async {
            match pause.after {
                Some(after) => tokio::time::sleep(after).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(timer);
        loop {
            match (self.mailbox.peek(), pause.ear) {
                (Some(Wake::Hub), _) | (Some(Wake::Event), Ear::Open) => return true,
                (Some(Wake::Event), Ear::Hub) | (None, _) => {}
            }
            tokio::select! {
                // All cancel-safe: `notified` and `recv` lose nothing, the timer is pinned.
                () = self.cancel.cancelled() => return false,
                () = &mut timer => return true,
                () = self.mailbox.notify.notified() => {}
                Some(call) = self.calls.recv() => {
                    if self.hear_asleep(call).await {
                        return true;
                    }
                }
            }
        }
    }

    /// A call while nothing is under way. Returns whether it changed anything.
    async fn hear_asleep(&mut self, call: Call) -> bool {
        let loaded = match self.store.load(self.uid).await {
            Ok(Some(loaded)) => loaded,
            Ok(None) => {
                call.durable.send(false).ok();
                return true;
            }
            // Dropping the call tells the guest to try again.
            Err(_) => return false,
        };
        self.journal = loaded.journal;
        let before = self.journal.clone();
        match self.hear(&loaded.intent, call).await {
            Ok(()) => before != self.journal,
            Err(error) => {
                tracing::error!(
                    error = %Chain(&error),
                    "a guest's call could not be written down"
                );
                false
            }
        }
    }
}

/// The operation that an intent asks for. A new label, a new address or the proof that comes back do not change it.
fn operation_of(intent: &Intent) -> Option<OperationId> {
    match intent.kind {
        BodyKind::Machine => intent
            .read::<MachineIntent>()
            .ok()
            .map(|machine| machine.operation),
        BodyKind::Host => intent
            .read::<HostIntent>()
            .ok()
            .map(|host| host.inspection_operation),
    }
}

impl Repeated {
    fn is_spinning(&mut self, step: u16) -> bool {
        self.times = if self.step == Some(step) {
            self.times.saturating_add(1)
        } else {
            1
        };
        self.step = Some(step);
        self.times > SAME_STEP
    }
}
