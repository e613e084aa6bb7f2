//! What the uplink needs of the rest of the agent: a place to put intents, a place to take reports from.
//!
//! The store implements both. The uplink trusts one promise above all: when [`Intake::intent`] has returned an outcome
//! that `holds`, a power cut at that instant loses nothing. It acks on the strength of it.

use std::future::Future;

use tokio::sync::watch;
use vitistack_protocol::ids::{Fence, HubEpoch, Sequence, Uid};
use vitistack_protocol::message::control::{Health, Held};
use vitistack_protocol::message::intent::{HeldSecret, Intent, SecretRow};
use vitistack_protocol::message::numbered::IntentOutcome;
use vitistack_protocol::message::report::Report;

/// What a store holds, for the `Hello` of a new session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Random, made with the store.
    pub store: [u8; 16],
    /// Newest hub epoch that was ever accepted.
    pub epoch: HubEpoch,
    /// Every object held, tombstones whose `gone` was not acked yet included.
    pub held: Vec<Held>,
    /// Every secret row held.
    pub secrets: Vec<HeldSecret>,
    /// First and last report that waits; both 0 when none does.
    pub outbox: (Sequence, Sequence),
}

/// What became of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The decision; `Stored` and `AlreadyHeld` only when it is durable.
    pub outcome: IntentOutcome,
    /// What is held now, the newer one if the intent was refused; zero if nothing is.
    pub held: Fence,
}

/// The store could not answer. The session is given up and dialled again, so nothing is acked that is not safe.
#[derive(Debug, thiserror::Error)]
#[error("the store could not {operation}")]
pub struct StoreError {
    /// What was tried, as a verb phrase.
    pub operation: &'static str,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Takes what the hub sends. Every method returns only when its effect is durable.
pub trait Intake: Send + Sync + 'static {
    /// What is held, at the start of a session.
    fn position(&self) -> impl Future<Output = Result<Position, StoreError>> + Send;

    /// The hub speaks with this epoch, which is not older than any before: remember it.
    fn raise_epoch(&self, epoch: HubEpoch) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Decides by the fences and stores. A full store is an outcome, not an error. Wakes the executor itself.
    fn intent(&self, intent: Intent) -> impl Future<Output = Result<Taken, StoreError>> + Send;

    /// Stores a secret row (the uplink has checked its digest) in place of the one of its name, and wakes the workers
    /// of the objects that use it.
    fn secret(&self, row: SecretRow) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Gives reports in the order of their sequence numbers.
pub trait Outbox: Send + Sync + 'static {
    /// At most `max` reports with a sequence above `after`, ascending.
    fn next(
        &self,
        after: Sequence,
        max: usize,
    ) -> impl Future<Output = Result<Vec<Report>, StoreError>> + Send;

    /// The hub took over everything up to and including `through`: drop it from the outbox.
    fn acked(&self, through: Sequence) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Holds the newest sequence in the outbox and changes whenever a report was added.
    fn changed(&self) -> watch::Receiver<Sequence>;

    /// The hub does not know the last report of these objects: put it into the outbox again, under a new sequence.
    /// Objects without a report are passed over. From now on no sequence is given that is not above `received`, the
    /// highest that the hub has had of this store: a store that was put back to an earlier day counts on from there.
    fn resend(
        &self,
        objects: &[Uid],
        received: Sequence,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// How the agent and its machine are, for health frames.
pub trait Vitals: Send + Sync + 'static {
    /// A fresh reading. Called every ten seconds, every minute on a metered line.
    fn health(&self) -> impl Future<Output = Health> + Send;
}
