use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Value, json};

use super::*;

fn schema(value: Value) -> JSONSchemaProps {
    serde_json::from_value(json!({
        "type": "object",
        "required": ["spec"],
        "properties": {"spec": value},
    }))
    .expect("a schema")
}

fn findings(spec: Value, value: Value) -> Vec<String> {
    check(&schema(spec), &json!({"spec": value}), None)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn unknown_fields_are_found_at_any_depth_and_pruned() {
    let schema = schema(json!({"type": "object", "properties": {
        "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
        "map": {"type": "object", "additionalProperties": {"type": "string"}},
    }}));
    let mut value = json!({
        "apiVersion": "x/v1", "kind": "X", "metadata": {"name": "n", "lables": {}},
        "spec": {"list": [{"a": "1"}, {"b": 1}], "map": {"any": "thing"}, "lisst": []},
        "more": 1,
    });
    let mut unknown = unknown_fields(&schema, &value);
    unknown.sort();
    assert_eq!(
        unknown,
        ["metadata.lables", "more", "spec.lisst", "spec.list[1].b"]
    );
    prune(&schema, &mut value);
    assert_eq!(
        value["spec"],
        json!({"list": [{"a": "1"}, {}], "map": {"any": "thing"}})
    );
    assert!(value.get("more").is_none());
}

#[test]
fn defaults_need_the_object_around_them_and_replace_null() {
    let schema = schema(json!({"type": "object", "properties": {
        "backup": {"type": "object", "properties": {
            "enabled": {"type": "boolean", "default": true},
            "keep": {"type": "object", "properties": {"daily": {"type": "integer", "default": 7}}},
        }},
        "name": {"type": "string"},
    }}));
    for (name, before, after) in [
        ("absent", json!({}), json!({})),
        ("null", json!({"backup": null, "name": null}), json!({})),
        (
            "empty",
            json!({"backup": {}}),
            json!({"backup": {"enabled": true}}),
        ),
        (
            "null inside",
            json!({"backup": {"enabled": null}}),
            json!({"backup": {"enabled": true}}),
        ),
        (
            "set",
            json!({"backup": {"enabled": false, "keep": {}}}),
            json!({"backup": {"enabled": false, "keep": {"daily": 7}}}),
        ),
    ] {
        let mut value = json!({"spec": before});
        default_into(&schema, &mut value);
        assert_eq!(value["spec"], after, "{name}");
    }
}

#[test]
fn findings_are_worded_as_the_api_server_words_them() {
    let string = |more: Value| {
        let mut field = json!({"type": "string"});
        field
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        json!({"type": "object", "properties": {"f": field}})
    };
    let integer = json!({"type": "object", "properties": {"f": {"type": "integer", "format": "int32", "minimum": 1, "maximum": 9}}});
    for (spec, value, expected) in [
        (
            json!({"type": "object", "required": ["f"]}),
            json!({}),
            "spec.f: Required value",
        ),
        (
            string(json!({})),
            json!({"f": 1}),
            r#"spec.f: Invalid value: "integer": spec.f in body must be of type string: "integer""#,
        ),
        (
            string(json!({"enum": ["a", "b"]})),
            json!({"f": "c"}),
            r#"spec.f: Unsupported value: "c": supported values: "a", "b""#,
        ),
        (
            string(json!({"pattern": "^x+$"})),
            json!({"f": "y"}),
            r#"spec.f: Invalid value: "y": spec.f in body should match '^x+$'"#,
        ),
        (
            string(json!({"minLength": 1})),
            json!({"f": ""}),
            r#"spec.f: Invalid value: "": spec.f in body should be at least 1 chars long"#,
        ),
        (
            string(json!({"maxLength": 2})),
            json!({"f": "abc"}),
            "spec.f: Too long: may not be more than 2 bytes",
        ),
        (
            string(json!({"format": "date-time"})),
            json!({"f": "noon"}),
            r#"spec.f: Invalid value: "noon": spec.f in body must be of type date-time: "noon""#,
        ),
        (
            integer.clone(),
            json!({"f": 0}),
            "spec.f: Invalid value: 0: spec.f in body should be greater than or equal to 1",
        ),
        (
            integer.clone(),
            json!({"f": 10}),
            "spec.f: Invalid value: 10: spec.f in body should be less than or equal to 9",
        ),
        (
            json!({"type": "array", "maxItems": 1}),
            json!([1, 2]),
            "spec: Too many: 2: must have at most 1 items",
        ),
        (
            json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
            json!([{"type": "A", "x": 1}, {"type": "A", "x": 2}]),
            r#"spec[1]: Duplicate value: {"type":"A"}"#,
        ),
        (
            json!({"type": "object", "x-kubernetes-validations": [{"rule": "self.a < self.b", "message": "a is below b"}],
                "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}),
            json!({"a": 2, "b": 1}),
            r#"spec: Invalid value: a is below b"#,
        ),
    ] {
        assert_eq!(findings(spec, value), [expected]);
    }
}

#[test]
fn one_wrong_value_is_told_by_each_rule_that_it_breaks() {
    let field = |field: Value| json!({"type": "object", "properties": {"f": field}});
    let range = |format: &str| {
        format!("Invalid value: \"\": Checked value must be of type integer {format} in spec.f")
    };
    let of_type = |wanted: &str, actual: &str| {
        format!(
            "spec.f: Invalid value: {actual:?}: spec.f in body must be of type {wanted}: {actual:?}"
        )
    };
    let small = field(json!({"type": "integer", "format": "int32", "maximum": 9}));
    let integer = field(json!({"type": "integer"}));
    for (spec, value, expected) in [
        (
            small.clone(),
            json!(4_294_967_296_i64),
            vec![
                format!("<nil>: {}", range("with format int32")),
                "spec.f: Invalid value: 4294967296: spec.f in body should be less than or equal to 9"
                    .to_owned(),
            ],
        ),
        (
            small.clone(),
            json!(1.5),
            vec![
                of_type("int32", "float64"),
                format!("<nil>: {}", range("with format int32")),
            ],
        ),
        (small, json!(true), vec![of_type("int32", "")]),
        (
            integer.clone(),
            json!(1e20),
            vec![
                of_type("integer", "number"),
                format!("<nil>: {}", range("(default format)")),
            ],
        ),
        (integer, json!(2.0), vec![]),
        (
            field(json!({"type": "string", "enum": ["a"]})),
            json!(5),
            vec![
                of_type("string", "integer"),
                "spec.f: Unsupported value: 5: supported values: \"a\"".to_owned(),
            ],
        ),
        (
            field(json!({"type": "string", "minLength": 2, "pattern": "^x+$"})),
            json!("y"),
            vec![
                "spec.f: Invalid value: \"y\": spec.f in body should be at least 2 chars long"
                    .to_owned(),
            ],
        ),
    ] {
        assert_eq!(findings(spec, json!({"f": value})), expected);
    }
}

#[test]
fn words_about_a_status_name_fields_from_there_on() {
    let schema = serde_json::from_value(json!({"type": "object", "properties": {
        "spec": {"type": "string"},
        "status": {"type": "object", "properties": {"seen": {"type": "integer"}}},
    }}))
    .expect("a schema");
    let value = json!({"spec": 1, "status": {"seen": "many"}});
    let found: Vec<String> = check_status(&schema, &value, None)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        found,
        [r#"status.seen: Invalid value: "string": seen in body must be of type integer: "string""#]
    );
}

#[test]
fn what_did_not_change_is_not_held_against_an_update() {
    let schema = schema(json!({"type": "object", "properties": {
        "f": {"type": "string", "pattern": "^x$"},
        "g": {"type": "string"},
    }, "x-kubernetes-validations": [{"rule": "!has(oldSelf.g) || self.g == oldSelf.g", "message": "g is immutable"}]}));
    let old = json!({"spec": {"f": "bad", "g": "1"}});
    assert_eq!(
        check(
            &schema,
            &json!({"spec": {"f": "bad", "g": "1", "h": 1}}),
            Some(&old)
        ),
        []
    );
    assert_eq!(
        check(
            &schema,
            &json!({"spec": {"f": "worse", "g": "1"}}),
            Some(&old)
        )
        .len(),
        1
    );
    let moved = check(
        &schema,
        &json!({"spec": {"f": "bad", "g": "2"}}),
        Some(&old),
    );
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].detail, "g is immutable");
}
