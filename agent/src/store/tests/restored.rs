//! A store that was put back from a copy.

use super::*;

#[tokio::test]
async fn a_store_of_an_earlier_day_numbers_its_reports_behind_those_that_the_hub_has_had() {
    let dir = tempfile::tempdir().unwrap();
    let running = Running::start(dir.path());
    let store = &running.store;
    take(store, intent(1, fence(1, 1), 0, vec![])).await;
    let first = facts(1, fence(1, 1), b"a", false);
    assert!(store.report(first).await.unwrap());
    // Number 1 was another report in the life that this disk does not know, and the hub has acked up to 40.
    store
        .resend_reports(vec![uid(1)], Sequence(40))
        .await
        .unwrap();
    store.ack_reports(Sequence(40)).await.unwrap();
    let numbers = async || -> Vec<u64> {
        let waiting = store.waiting_reports(Sequence(0), 10).await.unwrap();
        waiting.iter().map(|report| report.sequence.0).collect()
    };
    assert_eq!(numbers().await, [41], "the hub's ack does not mean it");
    let second = facts(1, fence(1, 1), b"b", false);
    assert!(store.report(second).await.unwrap());
    assert_eq!(numbers().await, [42]);
    running.stop().await;
}
