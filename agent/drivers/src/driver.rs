//! What the executor asks of every driver: observe, plan, act.

use std::time::Duration;

use vitistack_protocol::ids::{OperationId, Uid};
use vitistack_protocol::message::intent::{Intent, SecretKey};
use vitistack_protocol::message::report::Cause;

use crate::journal::Journal;

/// What went wrong, as far as it decides what happens next. The text of an error never decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The peer was not there or did not answer in time: try again with back-off.
    Retry,
    /// The peer asked for patience.
    Throttled {
        /// How much of it.
        after: Duration,
    },
    /// The peer refused the credentials: wait for other ones, do not knock again and lock the account.
    Unauthenticated,
    /// The object of the call does not exist.
    NotFound,
    /// Somebody else changed it in between: observe again.
    Conflict,
    /// The request can never succeed as it is: wait for a change of the intent.
    Invalid,
    /// A limit was reached (space, attempts): wait for a change or a person.
    Exhausted,
}

/// What the pure plan says to do next.
#[derive(Debug)]
pub enum Next<S> {
    /// Journal the step, act, journal the outcome, observe again.
    Do(S),
    /// Nothing to do until something changes, or for this long. `cause` is reported.
    Wait {
        /// Why, for the report.
        cause: Cause,
        /// Observe again after this long even if nothing woke the worker.
        after: Duration,
    },
    /// As desired. Observed again at the driver's own pace.
    Done,
    /// Stopped until the intent changes. `cause` is reported.
    Fail {
        /// Why, for the report.
        cause: Cause,
    },
}

/// One step of a plan.
pub trait Step: std::fmt::Debug + Send + Sync {
    /// The number that the journal knows it by; never reused for another meaning.
    fn number(&self) -> u16;
    /// Name for logs and reports, kebab-case.
    fn name(&self) -> &'static str;
    /// The operation that it belongs to; `None` for steps that are idempotent by nature and are not journalled.
    fn operation(&self) -> Option<OperationId>;
    /// This step begins a new attempt of its operation.
    fn begins_attempt(&self) -> bool;
    /// What must be found again after a crash, written with the `AboutTo` mark. At most 1 KiB.
    fn note(&self) -> Vec<u8>;
}

/// Secrets that have arrived at this agent.
pub trait Secrets: Send + Sync {
    /// The value of `key`, if it has arrived. The bytes are wiped when the guard is dropped.
    fn secret(&self, key: &SecretKey) -> Option<zeroize::Zeroizing<Vec<u8>>>;

    /// The credentials in the Secret `uid` as they arrived last, and the key that tells them from earlier ones. For a
    /// tombstone without them, what its object used until then.
    fn credentials(&self, uid: Option<Uid>) -> Option<(SecretKey, zeroize::Zeroizing<Vec<u8>>)>;
}

/// A provider. `plan` and `report` are pure: same arguments, same answer; time and randomness come in by `Observed`.
pub trait Driver: Send + Sync + 'static {
    /// What was seen.
    type Observed: Send + Sync;
    /// What can be done.
    type Step: Step;
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Asks the provider. Never changes anything. Not being able to see is an observation, not an error, wherever the
    /// plan can be right about it; the error is for what the plan cannot judge.
    fn observe(
        &self,
        intent: &Intent,
        journal: &Journal,
        secrets: &dyn Secrets,
    ) -> impl Future<Output = Result<Self::Observed, Self::Error>> + Send;

    /// The next step from what is wanted, what was seen and what was begun.
    fn plan(
        &self,
        intent: &Intent,
        observed: &Self::Observed,
        journal: &Journal,
    ) -> Next<Self::Step>;

    /// Does one step and reads back that it holds. Idempotent: called again after a crash with the same step.
    /// Returns the note of the `Done` mark.
    fn act(
        &self,
        intent: &Intent,
        step: &Self::Step,
        secrets: &dyn Secrets,
    ) -> impl Future<Output = Result<Vec<u8>, Self::Error>> + Send;

    /// The body of the report (postcard of `MachineReport` or `HostReport`) and whether the object is gone from the
    /// site. `next` is what `plan` said, or `None` with `error` when observing or acting failed.
    fn report(
        &self,
        intent: &Intent,
        observed: Option<&Self::Observed>,
        journal: &Journal,
        outcome: Outcome<'_, Self>,
    ) -> ReportBody;

    /// The object itself spoke up (a guest that phoned home). The step that this completes and the note of its `Done`
    /// mark, which the executor makes durable before the speaker is answered; `None` if it is not wanted. The executor
    /// has checked that `heard.operation` is the journal's.
    fn heard(&self, intent: &Intent, journal: &Journal, heard: &Heard) -> Option<(u16, Vec<u8>)>;

    /// How the executor goes on after `error`.
    fn class(&self, error: &Self::Error) -> Class;

    /// How long to leave an object alone that is as desired.
    fn resync(&self) -> Duration;
}

/// What an object said of itself, unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The operation whose URL was used.
    pub operation: OperationId,
    /// Address that it came from.
    pub address: std::net::IpAddr,
    /// Who the speaker says that it is: the Machine's UID, from its own NoCloud data.
    pub instance_id: String,
}

/// What a report is made from, beside intent, observation and journal.
#[derive(Debug)]
pub enum Outcome<'a, D: Driver + ?Sized> {
    /// The plan said this.
    Planned(&'a Next<D::Step>),
    /// Observing or acting failed.
    Failed(&'a D::Error),
}

/// A report without what the executor adds to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportBody {
    /// Postcard bytes of `MachineReport` or `HostReport`.
    pub body: Vec<u8>,
    /// Nothing of the object is left at the site.
    pub gone: bool,
}
