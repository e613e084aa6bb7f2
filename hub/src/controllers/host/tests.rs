use vitistack_protocol::ids::{Fence, Generation, HubEpoch, ObjectRef, Revision, Sequence};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::numbered::BodyKind;
use vitistack_protocol::message::report::Report;

use super::*;

fn said(agent: &str, sequence: u64) -> Received {
    Received {
        agent: AgentName::new("edge-west", agent).expect("a name"),
        report: Report {
            sequence: Sequence(sequence),
            object: ObjectRef {
                uid: Uid([1; 16]),
                namespace: "edge".to_owned(),
                name: "node-1".to_owned(),
            },
            fence: Fence {
                epoch: HubEpoch(1),
                revision: Revision(1),
            },
            generation: Generation(1),
            kind: BodyKind::Machine,
            body: Vec::new(),
            gone: false,
            extensions: Extensions::default(),
        },
    }
}

#[test]
fn only_the_words_of_one_agent_have_an_order() {
    let (first, second) = (said("edge-1", 4), said("edge-1", 5));
    let other = said("edge-2", 9);
    assert!(is_later(Some(&second), Some(&first)));
    assert!(!is_later(Some(&first), Some(&second)));
    assert!(!is_later(Some(&other), Some(&first)));
    assert!(!is_later(None, Some(&first)));
    assert!(!is_later(Some(&second), None));
}
