use vitistack_protocol::ids::{Fence, Generation, HubEpoch, ObjectRef, Revision, Uid};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::numbered::BodyKind;

use super::*;

fn report(sequence: u64, bytes: usize) -> Report {
    Report {
        sequence: Sequence(sequence),
        object: ObjectRef {
            uid: Uid([1; 16]),
            namespace: String::new(),
            name: String::new(),
        },
        fence: Fence {
            epoch: HubEpoch(1),
            revision: Revision(1),
        },
        generation: Generation(1),
        kind: BodyKind::Machine,
        body: vec![0; bytes],
        gone: false,
        extensions: Extensions::default(),
    }
}

fn sizes(bodies: &[usize]) -> Vec<Vec<u64>> {
    let waiting = (1..).zip(bodies).map(|(n, bytes)| report(n, *bytes));
    batches(waiting.collect())
        .iter()
        .map(|batch| batch.iter().map(|report| report.sequence.0).collect())
        .collect()
}

#[test]
fn reports_are_split_by_size_and_keep_their_order() {
    let half = BATCH_BYTES / 2;
    assert!(sizes(&[]).is_empty());
    assert_eq!(sizes(&[10, 10, 10]), [vec![1, 2, 3]]);
    assert_eq!(sizes(&[half, half, 10]), [vec![1], vec![2, 3]]);
    assert_eq!(
        sizes(&[10, BATCH_BYTES * 2, 10]),
        [vec![1], vec![2], vec![3]]
    );
}
