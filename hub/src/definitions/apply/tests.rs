//! What stands in the way of a definition, and when one is served.

use serde_json::{Value, json};

use super::standing as served_as;
use super::*;

/// The first of ours, as an API would hold it, with `changes` merged in.
fn held(changes: Value) -> BTreeMap<String, CustomResourceDefinition> {
    fn merge(into: &mut Value, from: Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                for (key, value) in from {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (into, from) => *into = from,
        }
    }
    let first = crds().remove(0);
    let name = first.name_any();
    let mut value = serde_json::to_value(first).unwrap();
    merge(&mut value, changes);
    BTreeMap::from([(name, serde_json::from_value(value).unwrap())])
}

#[test]
fn our_own_definitions_are_no_obstacle() {
    assert_eq!(obstacles(&crds(), &BTreeMap::new()), []);
    let stored = json!({"status": {"storedVersions": ["v1alpha1"]}});
    assert_eq!(obstacles(&crds(), &held(stored)), []);
}

#[test]
fn another_scope_is_refused_with_the_steps_to_migrate() {
    let obstacles = obstacles(&crds(), &held(json!({"spec": {"scope": "Cluster"}})));
    let text = refusal(&obstacles);
    for part in [
        "nothing was written",
        "datacenters.vitistack.io: its scope is Cluster, ours is Namespaced",
        "kubectl get datacenters.vitistack.io -o yaml",
        "kubectl delete crd datacenters.vitistack.io",
        "vitistack-hub crd apply",
        "metadata.namespace",
    ] {
        assert!(text.contains(part), "{part:?} is missing in {text}");
    }
}

#[test]
fn a_version_that_we_do_not_know_is_refused_wherever_it_stands() {
    let stored = json!({"status": {"storedVersions": ["v1alpha1", "v1"]}});
    let served = json!({"spec": {"versions": [
        {"name": "v1alpha1", "served": true, "storage": true},
        {"name": "v1", "served": true, "storage": false},
    ]}});
    for newer in [stored, served] {
        let obstacles = obstacles(&crds(), &held(newer));
        let text = refusal(&obstacles);
        assert!(
            text.contains("datacenters.vitistack.io: it has v1,"),
            "{text}"
        );
        assert!(!text.contains("kubectl delete"), "{text}");
    }
}

#[test]
fn a_definition_is_served_when_it_is_established_and_refused_when_its_names_are_taken() {
    let standing = |conditions: Value| {
        let status = json!({"status": {"conditions": conditions}});
        let definition = held(status).into_values().next().unwrap();
        served_as(&definition)
    };
    assert!(matches!(standing(json!([])), Standing::Waiting(_)));
    let established = json!([{"type": "Established", "status": "True"}]);
    assert_eq!(standing(established), Standing::Served);
    let taken = json!([
        {"type": "NamesAccepted", "status": "False", "message": "\"dc\" is already in use"},
        {"type": "Established", "status": "True"},
    ]);
    assert_eq!(
        standing(taken),
        Standing::Refused("\"dc\" is already in use".to_owned())
    );
}

#[test]
fn the_outcome_is_of_what_was_asked_for_and_not_of_who_asked() {
    let after = crds().remove(0);
    assert_eq!(outcome(None, &after), "created");
    let same =
        json!({"metadata": {"resourceVersion": "7", "managedFields": [{"manager": "kubectl"}]}});
    let before = held(same).into_values().next();
    assert_eq!(outcome(before.as_ref(), &after), "unchanged");
    for change in [
        json!({"spec": {"names": {"shortNames": ["x"]}}}),
        json!({"metadata": {"labels": {"a": "b"}}}),
    ] {
        let before = held(change).into_values().next();
        assert_eq!(outcome(before.as_ref(), &after), "configured");
    }
}
