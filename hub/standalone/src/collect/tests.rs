use std::sync::Arc;

use serde_json::{Value, json};

use super::{Step, plan, stale_events};
use crate::lifecycle::{FOREGROUND, ORPHAN};
use crate::resource::Registry;
use crate::store::{Key, Row};

fn row(resource: &str, namespace: &str, name: &str, metadata: Value) -> Arc<Row> {
    let mut metadata = metadata;
    metadata["uid"] = json!(format!("uid-{name}"));
    let key = Key::new(resource.into(), namespace, name);
    Arc::new(Row::new(key, 1, json!({ "metadata": metadata })))
}

fn owned_by(names: &[&str]) -> Value {
    let owners: Vec<Value> = names
        .iter()
        .map(|name| {
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": name,
                    "uid": format!("uid-{name}"), "blockOwnerDeletion": true })
        })
        .collect();
    json!({ "ownerReferences": owners })
}

fn deleting(finalizer: &str) -> Value {
    json!({ "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [finalizer] })
}

/// The steps as words: what, and to whom.
fn check(rows: &[Arc<Row>], expected: &[&str]) {
    let registry = Registry::new(Vec::new());
    let mut steps: Vec<String> = plan(&registry, rows)
        .into_iter()
        .map(|step| match step {
            Step::Delete { key, .. } => format!("delete {}", key.name),
            Step::Finish { key } => format!("finish {}", key.name),
            Step::Release { key, .. } => format!("release {}", key.name),
            Step::Disown { key, owners } => format!("disown {} of {}", key.name, owners.join(",")),
        })
        .collect();
    steps.sort();
    assert_eq!(steps, expected);
}

#[test]
fn nothing_is_done_about_what_is_well() {
    check(
        &[
            row("namespaces", "", "ns", json!({})),
            row("configmaps", "ns", "owner", json!({})),
            row("secrets", "ns", "dependent", owned_by(&["owner"])),
        ],
        &[],
    );
}

#[test]
fn a_namespace_is_emptied_and_then_goes() {
    let namespace = row("namespaces", "", "ns", deleting("x"));
    let content = row("secrets", "ns", "a", json!({}));
    let held = row("secrets", "ns", "b", deleting("x/y"));
    check(&[namespace.clone(), content, held.clone()], &["delete a"]);
    check(&[namespace.clone(), held], &[]);
    check(
        &[namespace, row("secrets", "other", "c", json!({}))],
        &["finish ns"],
    );
}

#[test]
fn dependents_follow_the_last_owner() {
    let owner = row("configmaps", "ns", "one", json!({}));
    check(
        &[row("secrets", "ns", "d", owned_by(&["one"]))],
        &["delete d"],
    );
    check(
        &[owner, row("secrets", "ns", "d", owned_by(&["one", "two"]))],
        &["disown d of uid-two"],
    );
}

#[test]
fn dependents_of_kinds_that_live_elsewhere_stay() {
    let mut metadata = owned_by(&["pod"]);
    metadata["ownerReferences"][0]["kind"] = json!("Pod");
    check(&[row("secrets", "ns", "d", metadata)], &[]);
}

#[test]
fn a_foreground_deletion_waits_for_dependents() {
    let owner = row("configmaps", "ns", "one", deleting(FOREGROUND));
    let dependent = row("secrets", "ns", "d", owned_by(&["one"]));
    check(&[owner.clone(), dependent], &["delete d"]);
    check(&[owner], &["release one"]);
}

#[test]
fn an_orphaning_deletion_lets_go_first() {
    let owner = row("configmaps", "ns", "one", deleting(ORPHAN));
    let dependent = row("secrets", "ns", "d", owned_by(&["one"]));
    check(&[owner.clone(), dependent], &["disown d of uid-one"]);
    check(&[owner], &["release one"]);
}

#[test]
fn events_age() {
    let event = |name: &str, time: &str| {
        let key = Key::new("events".into(), "ns", name);
        Arc::new(Row::new(
            key,
            1,
            json!({ "metadata": {}, "lastTimestamp": time }),
        ))
    };
    let rows = [
        event("old", "2026-01-01T00:00:00Z"),
        event("new", "2026-01-01T02:00:00Z"),
    ];
    let steps = stale_events(&rows, "2026-01-01T02:30:00Z".parse().unwrap());
    assert!(
        matches!(&steps[..], [Step::Delete { key, .. }] if key.name == "old"),
        "{steps:?}"
    );
}
