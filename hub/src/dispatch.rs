//! Sessions with agents, and the desired state that they are to hold.
//!
//! Owns, in memory: one desired intent an object, the newest report an object, the secret rows that intents name, and
//! one session an agent. Nothing here is written to the API: controllers put desire in and take reports out, and a hub
//! that starts anew is filled by them and by what agents say they hold.
//!
//! [`state`] decides (pure, time passed in); [`Handle`] is its cheap-clone face; [`Server`] owns the endpoint, one task a
//! connection and, inside it, one for each intent or secret under way (see `session`).

#[cfg(test)]
pub(crate) mod fake;
mod join;
mod server;
mod session;
mod state;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::broadcast;
pub use vitistack_protocol::identity::AgentName;
use vitistack_protocol::ids::{Digest, Fence, HubEpoch, Sequence, Uid};
use vitistack_protocol::message::control::{Health, Hello, IntentAck};
use vitistack_protocol::message::intent::{HeldSecret, Intent, SecretRow};
use vitistack_protocol::message::numbered::IntentOutcome;
use vitistack_protocol::message::report::Report;

pub use server::{Error, Server};
pub use state::{Accept, Ahead, Conflict, Received, SessionInfo};
use state::{Opened, Standing, State, Work};

/// How many changes a slow reader may lag before it loses some; controllers heal by their resync.
const CHANGES: usize = 4096;

/// Something that a controller may want to look at. It says where to look, never what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new report of this object can be read.
    Report(Uid),
    /// A session of this agent began, ended or changed its conflict.
    Session(AgentName),
    /// The agent answered the intent with this fence.
    Acked(Uid, Fence, IntentOutcome),
    /// The agent is ahead at this object and a person has chosen: the object needs another revision.
    Ahead(Uid),
}

/// The dispatch as controllers see it. Cheap to clone; every method returns at once.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
}

impl Handle {
    /// An empty dispatch of a hub that speaks with `epoch`.
    #[must_use]
    pub fn new(epoch: HubEpoch) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State::new(epoch)),
                changes: broadcast::Sender::new(CHANGES),
            }),
        }
    }

    /// The epoch that every fence of this hub carries.
    #[must_use]
    pub fn epoch(&self) -> HubEpoch {
        self.state().epoch()
    }

    /// Wants `agent` to hold `intent`, or under its revision the content `stands`. The newest fence of an object wins;
    /// the same one again changes nothing.
    pub fn desire(&self, agent: &AgentName, intent: Intent, stands: Option<Digest>) {
        let changes = self.state().desire_or(agent, intent, stands);
        self.announce(changes);
    }

    /// A person has chosen whose state counts where `agent` is ahead of this hub, which speaks with `epoch` from now on.
    /// The session ends, the agent dials again, and every object where it is ahead is announced as [`Change::Ahead`].
    pub fn resume(&self, agent: &AgentName, accept: Accept, epoch: HubEpoch) {
        let changes = self.state().resume(agent, accept, epoch);
        self.announce(changes);
    }

    /// Keeps a choice in force, as after a restart of the hub, or ends it.
    pub fn accept(&self, agent: &AgentName, accept: Option<Accept>) {
        self.state().accept(agent, accept);
    }

    /// Where the agent is ahead of what is desired of an object; `None` until a person has chosen.
    #[must_use]
    pub fn ahead(&self, uid: Uid) -> Option<Ahead> {
        self.state().ahead(uid)
    }

    /// What the connected agent holds and this hub does not desire there, or is still behind at.
    #[must_use]
    pub fn unsettled(&self, agent: &AgentName) -> Vec<Uid> {
        self.state().unsettled(agent)
    }

    /// Hands over a secret row that intents for `agent` name, in place of the one of that name. Sent before such an
    /// intent; a row that changes is sent by itself.
    pub fn secret(&self, agent: &AgentName, row: SecretRow) {
        self.state().secret(agent, row);
    }

    /// The agent says that it lacks what the object's intent names: the rows are sent to it again.
    pub fn missing(&self, uid: Uid) {
        self.state().missing(uid);
    }

    /// Drops everything about an object. For when the report of its tombstone was accepted, or it left this hub.
    pub fn forget(&self, uid: Uid) {
        self.state().forget(uid);
    }

    /// The newest report of an object, if it came from the agent that the object is desired at.
    #[must_use]
    pub fn report(&self, uid: Uid) -> Option<Received> {
        self.state().report(uid)
    }

    /// What the connected agent is known to hold of an object; `None` without a session or an ack.
    #[must_use]
    pub fn held(&self, uid: Uid) -> Option<Fence> {
        self.state().held(uid)
    }

    /// The status patch that carries this report was accepted by the API, so the agent may drop it.
    pub fn accepted(&self, uid: Uid, sequence: Sequence) {
        self.state().accepted(uid, sequence);
    }

    /// Every live session, ordered by agent.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionInfo> {
        self.state().sessions()
    }

    /// The live session of an agent.
    #[must_use]
    pub fn session(&self, agent: &AgentName) -> Option<SessionInfo> {
        self.state().session(agent)
    }

    /// Whether an agent has a live session.
    #[must_use]
    pub fn is_connected(&self, agent: &AgentName) -> bool {
        self.state().is_connected(agent)
    }

    /// Changes from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.changes.subscribe()
    }

    fn open(&self, hello: &Hello, info: SessionInfo, standing: Standing) -> Opened {
        let (opened, changes) = self.state().open(hello, info, standing);
        self.announce(changes);
        opened
    }

    fn close(&self, agent: &AgentName, session: u64) {
        let changes = self.state().close(agent, session);
        self.announce(changes);
    }

    fn next(&self, agent: &AgentName, session: u64) -> Vec<Work> {
        self.state().next(agent, session)
    }

    fn ack_due(&self, agent: &AgentName, session: u64) -> Option<Sequence> {
        self.state().ack_due(agent, session)
    }

    fn secret_acked(&self, agent: &AgentName, session: u64, held: HeldSecret) {
        self.state().secret_acked(agent, session, held);
    }

    fn intent_acked(&self, agent: &AgentName, session: u64, sent: &Intent, ack: IntentAck) {
        let changes = self
            .state()
            .intent_acked(agent, session, sent, ack, Instant::now());
        self.announce(changes);
    }

    fn reports(&self, agent: &AgentName, session: u64, reports: Vec<Report>, now: Instant) {
        let changes = self.state().reports(agent, session, reports, now);
        self.announce(changes);
    }

    fn health(&self, agent: &AgentName, session: u64, health: Health) {
        self.state().health(agent, session, health);
    }

    fn certificate(&self, agent: &AgentName, session: u64, until: Timestamp) {
        self.state().certificate(agent, session, until);
    }

    /// Lets reports go that nobody has claimed for a while. Called by the server's clock.
    fn sweep(&self, now: Instant) {
        self.state().sweep(now);
    }

    fn announce(&self, changes: Vec<Change>) {
        for change in changes {
            // Nobody listening is no fault: a controller reads the state itself when it starts.
            drop(self.shared.changes.send(change));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No method of `State` leaves it half changed, so what a panicking holder left is still whole.
        self.shared
            .state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
