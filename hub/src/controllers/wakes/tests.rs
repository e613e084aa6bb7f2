use serde_json::json;

use super::*;
use crate::kinds::fixtures;

#[test]
fn a_host_that_is_claimed_waits_for_more_urgent_work_and_one_that_is_released_does_not() {
    let free = fixtures::host("server-1", 1, json!({}));
    let claimed = fixtures::host(
        "server-1",
        1,
        json!({"spec": {"consumerRef": {"name": "node-1", "namespace": "team", "uid": fixtures::uid(2)}}}),
    );
    let deleted = fixtures::host(
        "server-1",
        1,
        json!({
            "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"consumerRef": {"name": "node-1", "namespace": "team", "uid": fixtures::uid(2)}},
        }),
    );
    let other = fixtures::host("server-1", 3, json!({}));
    for (what, before, after, urgency) in [
        ("new", None, &claimed, Priority::NewOrDeleted),
        ("claimed", Some(&free), &claimed, Priority::Account),
        ("told again", Some(&claimed), &claimed, Priority::Update),
        ("released", Some(&claimed), &free, Priority::Update),
        ("deleted", Some(&free), &deleted, Priority::NewOrDeleted),
        ("made anew", Some(&other), &claimed, Priority::NewOrDeleted),
    ] {
        let before = before.map(AsRef::as_ref);
        assert_eq!(host_urgency(after, before), urgency, "{what}");
    }
}
