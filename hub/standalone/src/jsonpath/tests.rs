use serde_json::json;

use super::{find, first};

#[test]
fn finds_fields_indices_wildcards_and_filters() {
    let object = json!({
        "metadata": { "name": "a", "labels": { "x.io/y": "z" } },
        "spec": { "disks": [{ "size": 1 }, { "size": 2 }] },
        "status": { "conditions": [
            { "type": "Healthy", "status": "False" },
            { "type": "Ready", "status": "True" },
        ] },
    });
    let cases = [
        (".metadata.name", json!(["a"])),
        ("metadata.name", json!(["a"])),
        ("$.metadata.name", json!(["a"])),
        (".metadata.labels['x.io/y']", json!(["z"])),
        (".spec.disks[1].size", json!([2])),
        (".spec.disks[*].size", json!([1, 2])),
        (
            ".status.conditions[?(@.type==\"Ready\")].status",
            json!(["True"]),
        ),
        (
            ".status.conditions[?(@.type=='Ready')].status",
            json!(["True"]),
        ),
        (
            ".status.conditions[?(@.type!='Ready')].status",
            json!(["False"]),
        ),
        (".status.conditions[?(@.type=='None')].status", json!([])),
        (".spec.absent.more", json!([])),
        (".spec.disks[9]", json!([])),
        (".spec[", json!([])),
        ("..x", json!([])),
    ];
    for (path, expected) in cases {
        assert_eq!(json!(find(&object, path)), expected, "{path}");
    }
}

#[test]
fn first_takes_the_first() {
    let object = json!({ "a": [3, 4] });
    assert_eq!(first(&object, ".a[*]"), Some(&json!(3)));
    assert_eq!(first(&object, ".b"), None);
}
