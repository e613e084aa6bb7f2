use serde_json::{Value, json};

use super::{
    DeleteOptions, FOREGROUND, Outcome, Part, Propagation, Stamp, breaches, create, delete, replace,
};
use crate::resource::{Family, Registry, Resource};

const NOW: &str = "2026-01-02T03:04:05Z";

fn stamp() -> Stamp {
    Stamp {
        now: NOW.to_owned(),
        uid: "u1".to_owned(),
        suffix: "abcde".to_owned(),
    }
}

fn custom() -> Resource {
    let mut resource = builtin("", "configmaps");
    resource.family = Family::Custom;
    resource.group = "vitistack.io".to_owned();
    resource.version = "v1alpha1".to_owned();
    resource.plural = "machines".to_owned();
    resource.kind = "Machine".to_owned();
    resource.has_status = true;
    resource
}

fn builtin(group: &str, plural: &str) -> Resource {
    (**Registry::new(Vec::new()).find(group, "v1", plural).unwrap()).clone()
}

fn made(metadata: Value) -> Value {
    let body = json!({ "metadata": metadata, "spec": { "a": 1 }, "status": { "x": 1 } });
    create(&custom(), Some("ns"), body, &stamp()).unwrap()
}

/// `made`, as it is after the store gave it a version.
fn stored(metadata: Value) -> Value {
    let mut object = made(metadata);
    object["metadata"]["resourceVersion"] = json!("5");
    object
}

fn changed(current: &Value, path: &str, value: Value) -> Value {
    let mut next = current.clone();
    *next.pointer_mut(path).unwrap() = value;
    next
}

#[test]
fn a_new_object_gets_identity_and_no_status() {
    let object = made(json!({ "name": "m", "uid": "mine", "generation": 9, "labels": {} }));
    let expected = json!({
        "apiVersion": "vitistack.io/v1alpha1", "kind": "Machine", "spec": { "a": 1 },
        "metadata": { "name": "m", "namespace": "ns", "uid": "u1", "generation": 1,
                      "creationTimestamp": NOW },
    });
    assert_eq!(object, expected);
}

#[test]
fn generate_name_adds_letters() {
    let object = made(json!({ "generateName": "m-" }));
    assert_eq!(object["metadata"]["name"], "m-abcde");
}

#[test]
fn a_create_in_another_namespace_or_with_a_version_is_refused() {
    let body = |metadata: Value| json!({ "metadata": metadata });
    // The codes are kube-apiserver's, which has no class for the second.
    for (metadata, code) in [
        (json!({ "name": "m", "namespace": "other" }), 400),
        (json!({ "name": "m", "resourceVersion": "1" }), 500),
    ] {
        let failure = create(&custom(), Some("ns"), body(metadata), &stamp()).unwrap_err();
        assert_eq!(failure.code, code, "{}", failure.message);
    }
}

#[test]
fn spec_changes_bump_the_generation_and_keep_the_status() {
    let mut current = stored(json!({ "name": "m" }));
    current["status"] = json!({ "phase": "Running" });
    let mut body = changed(&current, "/spec/a", json!(2));
    body["status"] = json!({ "phase": "Lie" });
    let Outcome::Store(next) = replace(&custom(), &current, body, Part::Main).unwrap() else {
        panic!("stored")
    };
    assert_eq!(next["metadata"]["generation"], 2);
    assert_eq!(next["status"]["phase"], "Running");
}

#[test]
fn labels_change_without_a_generation() {
    let current = stored(json!({ "name": "m" }));
    let mut body = current.clone();
    body["metadata"]["labels"] = json!({ "a": "b" });
    let Outcome::Store(next) = replace(&custom(), &current, body, Part::Main).unwrap() else {
        panic!("stored")
    };
    assert_eq!(next["metadata"]["generation"], 1);
}

#[test]
fn the_status_door_changes_the_status_only() {
    let current = stored(json!({ "name": "m" }));
    let mut body = changed(&current, "/spec/a", json!(2));
    body["metadata"]["labels"] = json!({ "a": "b" });
    body["status"] = json!({ "phase": "Running" });
    let Outcome::Store(next) = replace(&custom(), &current, body, Part::Status).unwrap() else {
        panic!("stored")
    };
    let mut expected = current.clone();
    expected["status"] = json!({ "phase": "Running" });
    assert_eq!(next, expected);
}

#[test]
fn what_changes_nothing_is_not_written() {
    let current = stored(json!({ "name": "m" }));
    let mut body = current.clone();
    body["status"] = json!({ "ignored": true });
    body["metadata"]["annotations"] = json!({});
    assert_eq!(
        replace(&custom(), &current, body, Part::Main).unwrap(),
        Outcome::Unchanged
    );
}

#[test]
fn fences_refuse_stale_and_foreign_writes() {
    let current = stored(json!({ "name": "m" }));
    let cases = [
        ("/metadata/resourceVersion", "4", 409),
        ("/metadata/uid", "u2", 409),
        ("/metadata/name", "n", 400),
    ];
    for (path, value, code) in cases {
        let body = changed(&current, path, json!(value));
        let failure = replace(&custom(), &current, body, Part::Main).unwrap_err();
        assert_eq!(failure.code, code, "{path}: {}", failure.message);
    }
}

#[test]
fn a_finalizer_holds_a_deleted_object_until_it_is_removed() {
    let current = stored(json!({ "name": "m", "finalizers": ["x/y"] }));
    let options = DeleteOptions::default();
    let Outcome::Store(deleting) = delete(&custom(), &current, &options, NOW).unwrap() else {
        panic!("held")
    };
    assert_eq!(deleting["metadata"]["deletionTimestamp"], NOW);
    assert_eq!(deleting["metadata"]["generation"], 2);
    let again = delete(&custom(), &deleting, &options, "2026-02-02T00:00:00Z").unwrap();
    assert_eq!(again, Outcome::Unchanged);

    let more = changed(&deleting, "/metadata/finalizers", json!(["x/y", "z"]));
    let refused = replace(&custom(), &deleting, more, Part::Main).unwrap_err();
    assert_eq!(refused.code, 422, "{}", refused.message);

    let free = changed(&deleting, "/metadata/finalizers", json!([]));
    let outcome = replace(&custom(), &deleting, free, Part::Main).unwrap();
    assert!(matches!(outcome, Outcome::Remove(_)), "{outcome:?}");
}

#[test]
fn without_finalizers_a_deletion_removes() {
    let current = stored(json!({ "name": "m" }));
    let outcome = delete(&custom(), &current, &DeleteOptions::default(), NOW).unwrap();
    assert!(matches!(outcome, Outcome::Remove(_)), "{outcome:?}");
    let options = DeleteOptions {
        propagation: Propagation::Foreground,
        ..DeleteOptions::default()
    };
    let Outcome::Store(waiting) = delete(&custom(), &current, &options, NOW).unwrap() else {
        panic!("waits for dependents")
    };
    assert_eq!(waiting["metadata"]["finalizers"], json!([FOREGROUND]));
}

#[test]
fn preconditions_of_a_deletion_hold() {
    let current = stored(json!({ "name": "m" }));
    let uid = DeleteOptions {
        uid: Some("u2".to_owned()),
        ..DeleteOptions::default()
    };
    let version = DeleteOptions {
        version: Some("4".to_owned()),
        ..DeleteOptions::default()
    };
    for options in [uid, version] {
        assert_eq!(
            delete(&custom(), &current, &options, NOW).unwrap_err().code,
            409
        );
    }
    let right = DeleteOptions {
        uid: Some("u1".to_owned()),
        version: Some("5".to_owned()),
        ..DeleteOptions::default()
    };
    assert!(delete(&custom(), &current, &right, NOW).is_ok());
}

#[test]
fn protected_objects_and_system_namespaces_are_not_deleted() {
    let protected =
        stored(json!({ "name": "m", "annotations": { "vitistack.io/protect": "true" } }));
    let failure = delete(&custom(), &protected, &DeleteOptions::default(), NOW).unwrap_err();
    assert_eq!(failure.code, 403);
    assert!(
        failure.message.contains("remove the annotation"),
        "{}",
        failure.message
    );
    let namespaces = builtin("", "namespaces");
    let body = json!({ "metadata": { "name": "kube-system" } });
    let namespace = create(&namespaces, None, body, &stamp()).unwrap();
    let failure = delete(&namespaces, &namespace, &DeleteOptions::default(), NOW).unwrap_err();
    assert_eq!(failure.code, 403);
}

#[test]
fn a_deleted_namespace_terminates_first() {
    let namespaces = builtin("", "namespaces");
    let body = json!({ "metadata": { "name": "prod" } });
    let namespace = create(&namespaces, None, body, &stamp()).unwrap();
    assert_eq!(namespace["status"]["phase"], "Active");
    let outcome = delete(&namespaces, &namespace, &DeleteOptions::default(), NOW).unwrap();
    let Outcome::Store(next) = outcome else {
        panic!("held by its spec's finalizer")
    };
    assert_eq!(next["status"]["phase"], "Terminating");
}

#[test]
fn names_and_immutability_are_checked() {
    let resource = custom();
    let check = |name: &str| breaches(&resource, &json!({ "metadata": { "name": name } }), None);
    for good in ["a", "a-b.c", "1.2.3"] {
        assert!(check(good).is_empty(), "{good}");
    }
    for bad in ["", "A", "a_b", "-a", "a.", "a..b"] {
        assert_eq!(check(bad).len(), 1, "{bad}");
    }
    let secrets = builtin("", "secrets");
    let secret = |data: &str, kind: &str| json!({ "metadata": { "name": "s" }, "immutable": true, "type": kind, "data": { "a": data } });
    let old = secret("eA==", "Opaque");
    assert!(breaches(&secrets, &old, Some(&old)).is_empty());
    assert_eq!(
        breaches(&secrets, &secret("eQ==", "Opaque"), Some(&old)).len(),
        1
    );
    assert_eq!(
        breaches(&secrets, &secret("eA==", "other"), Some(&old)).len(),
        1
    );
}
