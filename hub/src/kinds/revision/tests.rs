use vitistack_protocol::ids::{Generation, ObjectRef, Uid};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::numbered::BodyKind;

use super::*;

fn intent(body: &[u8]) -> Intent {
    Intent {
        fence: Fence {
            epoch: HubEpoch(0),
            revision: Revision(0),
        },
        object: ObjectRef {
            uid: Uid([1; 16]),
            namespace: "edge".into(),
            name: "node-1".into(),
        },
        generation: Generation(1),
        kind: BodyKind::Machine,
        body: body.to_vec(),
        absent: false,
        secrets: Vec::new(),
        extensions: Extensions::default(),
    }
}

fn fence(epoch: u64, revision: u64) -> Fence {
    Fence {
        epoch: HubEpoch(epoch),
        revision: Revision(revision),
    }
}

fn ahead(revision: u64, content: &Intent, accept: Accept) -> Ahead {
    Ahead {
        revision: Revision(revision),
        content: content.digest(),
        accept,
    }
}

#[test]
fn the_first_intent_is_revision_one() {
    let first = allot(None, HubEpoch(7), None, intent(b"a"));
    assert_eq!(first.intent.fence, fence(7, 1));
    assert_eq!((first.status.revision, first.status.epoch), (1, Some(7)));
}

#[test]
fn the_same_content_keeps_its_revision_across_hub_starts() {
    let first = allot(None, HubEpoch(7), None, intent(b"a"));
    let again = allot(Some(&first.status), HubEpoch(8), None, intent(b"a"));
    assert_eq!(
        again.status, first.status,
        "status.intent is not written again"
    );
    assert_eq!(again.intent.fence, fence(8, 1));
}

#[test]
fn other_content_and_a_tombstone_are_new_revisions() {
    let first = allot(None, HubEpoch(7), None, intent(b"a"));
    let second = allot(Some(&first.status), HubEpoch(7), None, intent(b"b"));
    assert_eq!(second.status.revision, 2);
    let mut tombstone = intent(b"b");
    tombstone.absent = true;
    let third = allot(Some(&second.status), HubEpoch(7), None, tombstone);
    assert_eq!(third.status.revision, 3);
}

#[test]
fn a_choice_between_hub_and_agent_is_written_once() {
    let restored = allot(None, HubEpoch(7), None, intent(b"yesterday")).status;
    let today = intent(b"today");
    for (name, accept, theirs, revision, stands) in [
        ("the hub", Accept::Hub, &today, 10, None),
        ("the agent", Accept::Agents, &today, 9, Some(today.digest())),
        (
            "the hub, nothing differs",
            Accept::Hub,
            &intent(b"yesterday"),
            9,
            None,
        ),
        (
            "the agent, nothing differs",
            Accept::Agents,
            &intent(b"yesterday"),
            9,
            None,
        ),
    ] {
        let ahead = ahead(9, theirs, accept);
        let chosen = allot(
            Some(&restored),
            HubEpoch(8),
            Some(&ahead),
            intent(b"yesterday"),
        );
        assert_eq!(chosen.intent.fence, fence(8, revision), "{name}");
        assert_eq!(chosen.stands, stands, "{name}");
        let again = allot(
            Some(&chosen.status),
            HubEpoch(8),
            Some(&ahead),
            intent(b"yesterday"),
        );
        assert_eq!(again.status, chosen.status, "{name}: asked again");
        let restarted = allot(
            Some(&chosen.status),
            HubEpoch(9),
            None,
            intent(b"yesterday"),
        );
        assert_eq!(restarted.status, chosen.status, "{name}: hub started anew");
        assert_eq!(restarted.stands, stands, "{name}: hub started anew");
    }
}

#[test]
fn what_stands_at_the_agent_stands_until_the_object_changes() {
    let restored = allot(None, HubEpoch(7), None, intent(b"yesterday")).status;
    let ahead = ahead(9, &intent(b"today"), Accept::Agents);
    let chosen = allot(
        Some(&restored),
        HubEpoch(8),
        Some(&ahead),
        intent(b"yesterday"),
    );
    let changed = allot(Some(&chosen.status), HubEpoch(8), None, intent(b"tomorrow"));
    assert_eq!(changed.intent.fence, fence(8, 10));
    assert_eq!(changed.stands, None);
}

#[test]
fn another_content_under_the_same_revision_is_settled_the_same_way() {
    let restored = allot(None, HubEpoch(7), None, intent(b"ours")).status;
    for (accept, revision, stands) in [
        (Accept::Hub, 2, None),
        (Accept::Agents, 1, Some(intent(b"theirs").digest())),
    ] {
        let ahead = ahead(1, &intent(b"theirs"), accept);
        let chosen = allot(Some(&restored), HubEpoch(8), Some(&ahead), intent(b"ours"));
        assert_eq!(chosen.intent.fence.revision, Revision(revision));
        assert_eq!(chosen.stands, stands);
    }
}
