//! Revisions: which number a compiled intent gets.
//!
//! The hub allots a new revision when the content of the compiled intent changes, and writes it into `status.intent`
//! before the intent leaves. So a hub that starts anew goes on with the number that the agent already holds. A hub that
//! was restored from a backup finds agents ahead of it; what then happens is a person's choice ([`Accept`]).

use vitistack_api::machine::IntentStatus;
use vitistack_protocol::ids::{Digest, Fence, HubEpoch, Revision};
use vitistack_protocol::message::intent::Intent;

use crate::dispatch::{Accept, Ahead};

#[cfg(test)]
mod tests;

/// An intent that may leave once `status` is written.
#[derive(Clone)]
pub(crate) struct Allotted {
    /// With its fence.
    pub(crate) intent: Intent,
    /// What `status.intent` has to say before.
    pub(crate) status: IntentStatus,
    /// What the agent may hold in its place under the same revision, because a person said so.
    pub(crate) stands: Option<Digest>,
}

/// Gives `intent` its fence. `held` is what `status.intent` says; `ahead` is set while the agent is ahead of it and a
/// person has chosen.
pub(crate) fn allot(
    held: Option<&IntentStatus>,
    epoch: HubEpoch,
    ahead: Option<&Ahead>,
    mut intent: Intent,
) -> Allotted {
    let digest = intent.digest().to_string();
    let known = held.map_or(0, |held| held.revision.max(0));
    let fresh = |revision: i64, accepted: Option<Digest>| IntentStatus {
        revision,
        epoch: i64::try_from(epoch.0).ok(),
        digest: digest.clone(),
        accepted: accepted.map(|accepted| accepted.to_string()),
    };
    let status = match (held, ahead.filter(|ahead| is_beyond(ahead, held))) {
        (_, Some(ahead)) => {
            let there = i64::try_from(ahead.revision.0).unwrap_or(i64::MAX);
            match ahead.accept {
                // Nothing differs but the number.
                _ if ahead.content.to_string() == digest => fresh(there, None),
                Accept::Agents => fresh(there, Some(ahead.content)),
                Accept::Hub => fresh(there.max(known).saturating_add(1), None),
            }
        }
        (Some(held), None) if held.digest == digest => held.clone(),
        (Some(_) | None, None) => fresh(known.saturating_add(1), None),
    };
    intent.fence = Fence {
        epoch,
        revision: Revision(status.revision.unsigned_abs()),
    };
    let stands = status
        .accepted
        .as_deref()
        .and_then(|accepted| accepted.parse().ok());
    Allotted {
        intent,
        status,
        stands,
    }
}

/// Whether what the agent holds is news to `status.intent`. It is none any more once the choice was written there.
fn is_beyond(ahead: &Ahead, held: Option<&IntentStatus>) -> bool {
    let Some(held) = held else {
        return true;
    };
    let known = Revision(held.revision.unsigned_abs());
    if ahead.revision != known {
        return ahead.revision > known;
    }
    let content = ahead.content.to_string();
    held.digest != content && held.accepted.as_ref() != Some(&content)
}
