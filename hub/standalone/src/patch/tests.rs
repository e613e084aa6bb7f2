use serde_json::{Value, json};

use super::{Kind, apply, kind};
use crate::resource::{Family, Registry, Resource};

fn check(kind: Kind, object: Value, patch: Value, expected: Value) {
    let body = serde_json::to_vec(&patch).unwrap();
    assert_eq!(apply(kind, &object, &body).unwrap(), expected, "{patch}");
}

fn custom() -> Resource {
    let registry = Registry::new(Vec::new());
    let mut resource = (**registry.find("", "v1", "secrets").unwrap()).clone();
    resource.family = Family::Custom;
    resource
}

#[test]
fn json_patch_changes_what_it_names() {
    let patch = json!([{ "op": "test", "path": "/a", "value": 1 },
                       { "op": "replace", "path": "/a", "value": 2 }]);
    check(
        Kind::Json,
        json!({ "a": 1, "b": 1 }),
        patch,
        json!({ "a": 2, "b": 1 }),
    );
}

#[test]
fn a_failed_json_patch_test_is_unprocessable() {
    let body = br#"[{"op":"test","path":"/a","value":2}]"#;
    assert_eq!(
        apply(Kind::Json, &json!({ "a": 1 }), body)
            .unwrap_err()
            .code,
        422
    );
    assert_eq!(apply(Kind::Json, &json!({}), b"{}").unwrap_err().code, 400);
}

#[test]
fn merge_patch_removes_by_null_and_replaces_lists() {
    check(
        Kind::Merge,
        json!({ "a": { "x": 1, "y": 2 }, "l": [1, 2] }),
        json!({ "a": { "x": null, "z": 3 }, "l": [3] }),
        json!({ "a": { "y": 2, "z": 3 }, "l": [3] }),
    );
    assert_eq!(
        apply(Kind::Merge, &json!({}), b"[1]").unwrap_err().code,
        400
    );
}

#[test]
fn strategic_merge_merges_finalizers_and_owners() {
    check(
        Kind::Strategic,
        json!({ "metadata": { "finalizers": ["a"], "ownerReferences": [{ "uid": "1" }, { "uid": "2" }] } }),
        json!({ "metadata": {
            "$setElementOrder/finalizers": ["b", "a"],
            "finalizers": ["b"],
            "ownerReferences": [{ "uid": "1", "$patch": "delete" }, { "uid": "2", "name": "n" }],
        } }),
        json!({ "metadata": { "finalizers": ["b", "a"],
                              "ownerReferences": [{ "uid": "2", "name": "n" }] } }),
    );
    check(
        Kind::Strategic,
        json!({ "metadata": { "finalizers": ["a", "b"] }, "data": { "x": "1", "y": "2" } }),
        json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["a"] },
                "data": { "x": null, "z": "3" } }),
        json!({ "metadata": { "finalizers": ["b"] }, "data": { "y": "2", "z": "3" } }),
    );
    check(
        Kind::Strategic,
        json!({ "data": { "x": "1" } }),
        json!({ "data": { "$patch": "replace", "z": "3" } }),
        json!({ "data": { "z": "3" } }),
    );
}

#[test]
fn each_kind_takes_its_own_patches() {
    let registry = Registry::new(Vec::new());
    let secrets = registry.find("", "v1", "secrets").unwrap();
    let strategic = "application/strategic-merge-patch+json";
    assert_eq!(kind(strategic, secrets).unwrap(), Kind::Strategic);
    assert_eq!(kind(strategic, &custom()).unwrap_err().code, 415);
    let merge = "application/merge-patch+json; charset=utf-8";
    assert_eq!(kind(merge, &custom()).unwrap(), Kind::Merge);
    let apply = "application/apply-patch+yaml";
    assert_eq!(kind(apply, secrets).unwrap(), Kind::Apply);
    assert_eq!(kind(apply, &custom()).unwrap(), Kind::Apply);
    assert_eq!(kind("text/plain", secrets).unwrap_err().code, 415);
}
