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

#[test]
fn the_first_intent_is_revision_one() {
    let (sent, status) = allot(None, HubEpoch(7), intent(b"a"));
    assert_eq!(sent.fence.revision, Revision(1));
    assert_eq!(sent.fence.epoch, HubEpoch(7));
    assert_eq!((status.revision, status.epoch), (1, Some(7)));
}

#[test]
fn the_same_content_keeps_its_revision_across_hub_starts() {
    let (_, status) = allot(None, HubEpoch(7), intent(b"a"));
    let (sent, again) = allot(Some(&status), HubEpoch(8), intent(b"a"));
    assert_eq!(again, status, "status.intent is not written again");
    assert_eq!(
        sent.fence,
        Fence {
            epoch: HubEpoch(8),
            revision: Revision(1)
        }
    );
}

#[test]
fn other_content_and_a_tombstone_are_new_revisions() {
    let (_, first) = allot(None, HubEpoch(7), intent(b"a"));
    let (_, second) = allot(Some(&first), HubEpoch(7), intent(b"b"));
    assert_eq!(second.revision, 2);
    let mut tombstone = intent(b"b");
    tombstone.absent = true;
    let (_, third) = allot(Some(&second), HubEpoch(7), tombstone);
    assert_eq!(third.revision, 3);
}
