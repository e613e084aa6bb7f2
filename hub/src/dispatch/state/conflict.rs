//! A hub that is behind its agents: what shows it, and what a person may decide.
//!
//! The hub writes a revision into the API before it sends it, so an agent can be ahead only after the hub's data was
//! restored from a backup. From then on nothing is dispatched to that agent until somebody has chosen a side.

use vitistack_protocol::ids::{Digest, Fence, HubEpoch, Revision, Uid};
use vitistack_protocol::message::control::Held;

use super::Desired;

/// The hub is behind an agent: it was restored from a backup. Nothing is dispatched until a person has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The object that shows it; `None` if the epoch itself does.
    pub object: Option<Uid>,
    /// The hub's position.
    pub hub: Fence,
    /// The agent's position.
    pub agent: Fence,
}

/// Whose state counts where hub and agent disagree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// What an agent holds stands until its object changes.
    Agents,
    /// What the hub wants is carried out, as if it had been changed now.
    Hub,
}

/// What an agent holds of an object beyond this hub, and what a person decided about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// The agent's revision.
    pub revision: Revision,
    /// The digest of what it holds.
    pub content: Digest,
    /// The choice.
    pub accept: Accept,
}

/// An epoch as a position, for a conflict that no single object shows.
pub(super) fn position(epoch: HubEpoch) -> Fence {
    Fence {
        epoch,
        revision: Revision(0),
    }
}

impl Desired {
    /// The same revision with the same content is the same intent, whichever start of the hub sent it. So is what a
    /// person let stand in its place.
    pub(super) fn is_held(&self, held: &Held) -> bool {
        held.fence.revision == self.intent.fence.revision
            && (held.intent == self.digest || Some(held.intent) == self.stands)
    }

    /// Whether the agent is where this hub has never been: at a later revision, or at this one with another content.
    pub(super) fn is_behind(&self, held: &Held) -> bool {
        let revision = self.intent.fence.revision;
        held.fence.revision > revision || held.fence.revision == revision && !self.is_held(held)
    }
}
