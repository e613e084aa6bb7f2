//! Which intents are taken over: the pure decision behind every ack.

use vitistack_protocol::ids::{Digest, Fence, HubEpoch};

/// What is known of an object before an intent for it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    /// Fence of the intent that is held, or of the tombstone that was carried out.
    pub(crate) fence: Fence,
    /// Its content.
    pub(crate) content: Digest,
}

/// What becomes of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// New: write it.
    Store,
    /// The same content and revision: nothing to write.
    Duplicate,
    /// The same content and revision from a later start of the hub: only the fence moves.
    Refence,
    /// A hub that was replaced.
    OlderEpoch,
    /// The past.
    OlderRevision,
    /// The same revision with other content: two hubs allot revisions, or one was restored from a backup.
    Conflict,
}

/// Decides for one intent. `epoch` is the newest one that this agent has accepted from any hub.
pub(crate) fn decide(
    epoch: HubEpoch,
    known: Option<Known>,
    fence: Fence,
    content: Digest,
) -> Verdict {
    if fence.epoch < epoch {
        return Verdict::OlderEpoch;
    }
    let Some(known) = known else {
        return Verdict::Store;
    };
    if fence.revision < known.fence.revision {
        return Verdict::OlderRevision;
    }
    if fence.revision > known.fence.revision {
        return Verdict::Store;
    }
    match (content == known.content, fence.epoch > known.fence.epoch) {
        (true, true) => Verdict::Refence,
        (true, false) => Verdict::Duplicate,
        (false, _) => Verdict::Conflict,
    }
}

#[cfg(test)]
mod tests {
    use vitistack_protocol::ids::Revision;

    use super::*;

    fn fence(epoch: u64, revision: u64) -> Fence {
        Fence {
            epoch: HubEpoch(epoch),
            revision: Revision(revision),
        }
    }

    #[test]
    fn an_intent_is_taken_over_only_when_it_is_newer() {
        let old = Digest::of(b"old");
        let new = Digest::of(b"new");
        let known = Some(Known {
            fence: fence(2, 5),
            content: old,
        });
        let cases = [
            ("first", None, fence(2, 1), new, Verdict::Store),
            (
                "first, old hub",
                None,
                fence(1, 9),
                new,
                Verdict::OlderEpoch,
            ),
            ("newer", known, fence(2, 6), new, Verdict::Store),
            ("again", known, fence(2, 5), old, Verdict::Duplicate),
            ("hub restarted", known, fence(3, 5), old, Verdict::Refence),
            ("past", known, fence(2, 4), old, Verdict::OlderRevision),
            (
                "restored hub",
                known,
                fence(3, 4),
                new,
                Verdict::OlderRevision,
            ),
            ("other content", known, fence(2, 5), new, Verdict::Conflict),
            (
                "other content, later hub",
                known,
                fence(3, 5),
                new,
                Verdict::Conflict,
            ),
            (
                "old hub, high revision",
                known,
                fence(1, 9),
                new,
                Verdict::OlderEpoch,
            ),
        ];
        for (name, known, fence, content, expected) in cases {
            assert_eq!(
                decide(HubEpoch(2), known, fence, content),
                expected,
                "{name}"
            );
        }
    }
}
