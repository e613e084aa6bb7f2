use serde_json::json;

use super::*;

#[test]
fn the_patch_holds_only_what_differs() {
    let cases = [
        (
            "equal",
            json!({"a": 1, "b": {"c": [1]}}),
            json!({"a": 1, "b": {"c": [1]}}),
            None,
        ),
        ("null is missing", json!({"a": null}), json!({}), None),
        ("missing is null", json!({}), json!({"a": null}), None),
        (
            "changed",
            json!({"a": 1, "b": 2}),
            json!({"a": 1, "b": 3}),
            Some(json!({"b": 3})),
        ),
        (
            "removed",
            json!({"a": 1, "b": 2}),
            json!({"a": 1}),
            Some(json!({"b": null})),
        ),
        (
            "nested",
            json!({"a": {"b": 1, "c": 2}}),
            json!({"a": {"b": 1}}),
            Some(json!({"a": {"c": null}})),
        ),
        (
            "lists are atomic",
            json!({"a": [1, 2]}),
            json!({"a": [1]}),
            Some(json!({"a": [1]})),
        ),
        (
            "new object",
            json!({}),
            json!({"a": {"b": null, "c": 1}}),
            Some(json!({"a": {"c": 1}})),
        ),
        (
            "new empty object",
            json!({}),
            json!({"a": {}}),
            Some(json!({"a": {}})),
        ),
    ];
    for (name, from, to, expected) in cases {
        assert_eq!(diff(&from, &to), expected, "{name}");
    }
}

#[test]
fn applying_the_patch_gives_the_wanted_object() {
    let from = json!({"phase": "Pending", "placement": {"host": {"name": "a"}}, "gone": [1]});
    let to = json!({"phase": "Running", "placement": {"host": {"name": "b", "uid": "u"}}});
    let mut patched = from.clone();
    let patch = diff(&from, &to).expect("they differ");
    apply(&mut patched, &patch);
    assert_eq!(patched, to);
}

/// RFC 7396, section 2, for the test only.
fn apply(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let fields = target.as_object_mut().expect("made an object above");
    for (name, change) in changes {
        if change.is_null() {
            fields.remove(name);
        } else {
            apply(fields.entry(name.clone()).or_insert(Value::Null), change);
        }
    }
}
