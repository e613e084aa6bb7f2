//! Revisions: which number a compiled intent gets.
//!
//! The hub allots a new revision when the content of the compiled intent changes, and writes it into `status.intent`
//! before the intent leaves. So a hub that starts anew goes on with the number that the agent already holds.

use vitistack_api::machine::IntentStatus;
use vitistack_protocol::ids::{Fence, HubEpoch, Revision};
use vitistack_protocol::message::intent::Intent;

#[cfg(test)]
mod tests;

/// Gives `intent` its fence and returns what `status.intent` has to say before it may leave.
pub(crate) fn allot(
    held: Option<&IntentStatus>,
    epoch: HubEpoch,
    mut intent: Intent,
) -> (Intent, IntentStatus) {
    let digest = intent.digest().to_string();
    let status = match held {
        Some(held) if held.digest == digest => held.clone(),
        Some(_) | None => IntentStatus {
            revision: held
                .map_or(0, |held| held.revision.max(0))
                .saturating_add(1),
            epoch: i64::try_from(epoch.0).ok(),
            digest,
        },
    };
    intent.fence = Fence {
        epoch,
        revision: Revision(status.revision.unsigned_abs()),
    };
    (intent, status)
}
