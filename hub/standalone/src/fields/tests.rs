use serde_json::{Value, json};

use super::set::Set;
use super::{Refusal, Writer, apply, encode, schema_of, sent_or_held, update};

fn schema() -> k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps {
    let schema = json!({ "type": "object", "properties": { "spec": { "type": "object", "properties": {
        "size": { "type": "integer" },
        "order": { "type": "array", "items": { "type": "string" } },
        "colors": { "type": "array", "x-kubernetes-list-type": "set", "items": { "type": "string" } },
        "parts": { "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                   "items": { "type": "object", "properties": { "name": { "type": "string" }, "n": { "type": "integer" } } } },
    } } } });
    schema_of(&serde_json::from_value(schema).unwrap())
}

fn writer(name: &str) -> Writer {
    Writer {
        name: name.to_owned(),
        api_version: "x/v1".to_owned(),
        subresource: String::new(),
        now: "2026-01-01T00:00:00Z".to_owned(),
    }
}

fn object(spec: &Value) -> Value {
    json!({ "apiVersion": "x/v1", "kind": "X", "metadata": { "name": "a" }, "spec": spec })
}

/// `live` after `name` applied `spec`.
fn applied(live: &Value, name: &str, spec: &Value, force: bool) -> Result<Value, Refusal> {
    let managed = sent_or_held(live, &Value::Null, false);
    let (next, managed) = apply(
        &schema(),
        live,
        &object(spec),
        managed,
        &writer(name),
        force,
        &Set::default(),
    )?;
    let mut next = next.unwrap_or_else(|| live.clone());
    encode(&mut next, &managed);
    Ok(next)
}

fn nothing() -> Value {
    json!({ "apiVersion": "x/v1", "kind": "X" })
}

#[test]
fn a_set_reads_back_as_it_was_written() {
    let fields = json!({ "f:spec": { ".": {}, "f:size": {}, "f:colors": { "v:\"red\"": {} },
        "f:parts": { "k:{\"name\":\"p\"}": { ".": {}, "f:n": {} } } } });
    let set = Set::decode(&fields).unwrap();
    assert_eq!(set.encode(), fields);
    assert_eq!(
        set.paths(),
        [
            ".spec",
            ".spec.size",
            ".spec.colors[=\"red\"]",
            ".spec.parts[name=\"p\"]",
            ".spec.parts[name=\"p\"].n"
        ]
    );
    assert_eq!(Set::decode(&json!({ "x:spec": {} })), None);
}

#[test]
fn an_apply_conflicts_with_who_has_it_otherwise_unless_it_forces() {
    let live = applied(&nothing(), "one", &json!({ "size": 1 }), false).unwrap();
    let refused = applied(&live, "two", &json!({ "size": 2 }), false).unwrap_err();
    let Refusal::Conflicts(conflicts) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (conflicts[0].manager.as_str(), conflicts[0].path.as_str()),
        ("\"one\"", ".spec.size")
    );
    let taken = applied(&live, "two", &json!({ "size": 2 }), true).unwrap();
    assert_eq!(taken["spec"]["size"], 2);
    assert_eq!(
        taken["metadata"]["managedFields"].as_array().unwrap().len(),
        1
    );
}

#[test]
fn items_that_nobody_states_any_more_go_and_others_stay() {
    let live = applied(
        &nothing(),
        "one",
        &json!({ "colors": ["a", "b"], "parts": [{ "name": "x", "n": 1 }] }),
        false,
    )
    .unwrap();
    let live = applied(
        &live,
        "two",
        &json!({ "colors": ["b", "c"], "parts": [{ "name": "y" }] }),
        false,
    )
    .unwrap();
    assert_eq!(live["spec"]["parts"].as_array().unwrap().len(), 2);
    let live = applied(&live, "one", &json!({}), false).unwrap();
    let mut colors: Vec<&str> = live["spec"]["colors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    colors.sort_unstable();
    assert_eq!(colors, ["b", "c"]);
    assert_eq!(live["spec"]["parts"], json!([{ "name": "y" }]));
}

#[test]
fn an_update_takes_what_it_changes_from_who_had_it() {
    let live = applied(
        &nothing(),
        "one",
        &json!({ "size": 1, "order": ["a"] }),
        false,
    )
    .unwrap();
    let mut next = live.clone();
    next["spec"]["order"] = json!(["b"]);
    let managed = sent_or_held(&live, &next, true);
    let managed = update(
        &schema(),
        &live,
        &next,
        managed,
        &writer("two"),
        &Set::default(),
    );
    encode(&mut next, &managed);
    let fields = |at: usize| next["metadata"]["managedFields"][at]["fieldsV1"].clone();
    assert_eq!(fields(0), json!({ "f:spec": { "f:size": {} } }));
    assert_eq!(fields(1), json!({ "f:spec": { "f:order": {} } }));
}

#[test]
fn what_the_schema_does_not_know_is_refused_with_its_path() {
    let refused = applied(&nothing(), "one", &json!({ "siez": 1 }), false).unwrap_err();
    assert_eq!(
        refused,
        Refusal::Untyped(vec![".spec.siez: field not declared in schema".to_owned()])
    );
}
