use serde_json::json;

use super::{inward, outward};
use crate::resource::Registry;

#[test]
fn an_event_keeps_its_content_through_both_forms() {
    let registry = Registry::new(Vec::new());
    let view = registry.find("events.k8s.io", "v1", "events").unwrap();
    let sent = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": { "name": "e" },
        "regarding": { "name": "m" }, "note": "text", "reportingController": "hub",
        "eventTime": "2026-01-01T00:00:00.000000Z", "type": "Normal", "reason": "Created",
    });
    let stored = inward(view, sent.clone());
    assert_eq!(stored["apiVersion"], "v1");
    assert_eq!(stored["involvedObject"]["name"], "m");
    assert_eq!(stored["message"], "text");
    assert_eq!(stored["reportingComponent"], "hub");
    assert_eq!(outward(view, stored), sent);
}

#[test]
fn other_kinds_have_one_form() {
    let registry = Registry::new(Vec::new());
    let secrets = registry.find("", "v1", "secrets").unwrap();
    let secret = json!({ "message": "x" });
    assert_eq!(inward(secrets, secret.clone()), secret);
    assert_eq!(outward(secrets, secret.clone()), secret);
}
