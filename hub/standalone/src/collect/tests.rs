use std::sync::Arc;

use serde_json::{Value, json};

use super::{Step, plan, stale_events};
use crate::lifecycle::{FOREGROUND, ORPHAN, Propagation};
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
            Step::Delete {
                key, propagation, ..
            } => match propagation {
                Propagation::Background => format!("delete {}", key.name),
                Propagation::Foreground => format!("delete {} after what it owns", key.name),
                Propagation::Orphan => format!("delete {} alone", key.name),
            },
            Step::Finish { key } => format!("finish {}", key.name),
            Step::Release { key, .. } => format!("release {}", key.name),
            Step::Unblock { key } => format!("unblock {}", key.name),
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
fn an_owner_is_found_by_kind_namespace_name_and_uid() {
    let dependent = row("secrets", "ns", "d", owned_by(&["one"]));
    let check = |owner: Arc<Row>, expected: &[&str]| check(&[owner, dependent.clone()], expected);
    check(row("configmaps", "ns", "one", json!({})), &[]);
    check(row("secrets", "ns", "one", json!({})), &["delete d"]);
    check(row("configmaps", "far", "one", json!({})), &["delete d"]);
    let mut other = json!({ "metadata": { "uid": "uid-one" } });
    let key = |name| Key::new("configmaps".into(), "ns", name);
    let row = |name, object| Arc::new(Row::new(key(name), 1, object));
    check(row("other", other.clone()), &["delete d"]);
    other["metadata"]["uid"] = json!("uid-other");
    check(row("one", other), &["delete d"]);
}

#[test]
fn what_has_no_namespace_has_no_owner_in_one() {
    check(&[row("namespaces", "", "d", owned_by(&["one"]))], &[]);
}

#[test]
fn events_are_not_collected_with_owners() {
    let event = row("events", "ns", "e", owned_by(&["one"]));
    check(std::slice::from_ref(&event), &[]);
    let owner = row("configmaps", "ns", "one", deleting(FOREGROUND));
    check(&[owner, event.clone()], &["release one"]);
    let owner = row("configmaps", "ns", "one", deleting(ORPHAN));
    check(&[owner, event], &["release one"]);
}

#[test]
fn an_owner_that_waits_is_let_go_of_where_another_stays() {
    check(
        &[
            row("configmaps", "ns", "one", deleting(FOREGROUND)),
            row("configmaps", "ns", "two", json!({})),
            row("secrets", "ns", "d", owned_by(&["one", "two"])),
        ],
        &["disown d of uid-one"],
    );
}

#[test]
fn a_dependent_is_deleted_as_its_owner_and_its_finalizers_say() {
    let waiting = row("configmaps", "ns", "one", deleting(FOREGROUND));
    let middle = row("configmaps", "ns", "two", owned_by(&["one"]));
    let last = row("secrets", "ns", "d", owned_by(&["two"]));
    check(
        &[waiting, middle.clone(), last.clone()],
        &["delete two after what it owns"],
    );
    check(&[middle, last], &["delete two"]);
    for (finalizer, expected) in [
        (ORPHAN, "delete d alone"),
        (FOREGROUND, "delete d after what it owns"),
    ] {
        let mut metadata = owned_by(&["one"]);
        metadata["finalizers"] = json!([finalizer]);
        check(&[row("secrets", "ns", "d", metadata)], &[expected]);
    }
}

#[test]
fn a_circle_of_owners_is_cut() {
    let mut waiting = deleting(FOREGROUND);
    waiting["ownerReferences"] = owned_by(&["two"])["ownerReferences"].clone();
    let one = row("configmaps", "ns", "one", waiting);
    let mut free = owned_by(&["one"]);
    check(
        &[one.clone(), row("configmaps", "ns", "two", free.clone())],
        &["unblock two"],
    );
    free["ownerReferences"][0]["blockOwnerDeletion"] = json!(false);
    check(
        &[one, row("configmaps", "ns", "two", free)],
        &["delete two after what it owns", "release one"],
    );
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
