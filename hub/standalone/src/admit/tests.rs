use serde_json::{Value, json};

use super::{Parsed, parse};
use crate::failure::Failure;
use crate::query::FieldValidation;
use crate::resource::{Registry, Resource};
use crate::warning::Warnings;

#[derive(Debug)]
struct Decoded {
    object: Value,
    warnings: Warnings,
}

fn decode(
    resource: &Resource,
    sent: Parsed,
    validation: FieldValidation,
) -> Result<Decoded, Failure> {
    let mut warnings = Warnings::default();
    let object = super::decode(resource, sent, validation, &mut warnings)?;
    Ok(Decoded { object, warnings })
}

fn resource(plural: &str) -> Resource {
    (**Registry::new(Vec::new()).find("", "v1", plural).unwrap()).clone()
}

#[test]
fn bodies_that_are_not_objects_are_refused() {
    for body in ["", "[]", "1", "{", "{} {}"] {
        assert_eq!(parse(body.as_bytes()).unwrap_err().code, 400, "{body}");
    }
}

#[test]
fn nothing_is_an_object_of_which_nothing_is_said() {
    assert_eq!(parse(b"null").unwrap().object, json!({}));
}

#[test]
fn a_kind_is_text_and_that_of_the_path() {
    let maps = resource("configmaps");
    for kind in [json!([]), json!(7), json!("Secret")] {
        let sent = Parsed::whole(json!({ "kind": kind, "metadata": { "name": "a" } }));
        let refused = decode(&maps, sent, FieldValidation::Warn).unwrap_err();
        assert_eq!(
            (refused.code, refused.reason),
            (400, "BadRequest"),
            "{kind}"
        );
    }
}

#[test]
fn keys_given_twice_are_refused_or_mentioned() {
    let body = br#"{"metadata":{"name":"a"},"data":{"x":"1","x":"2"}}"#;
    let maps = resource("configmaps");
    let strict = decode(&maps, parse(body).unwrap(), FieldValidation::Strict).unwrap_err();
    assert!(
        strict.message.contains("duplicate field \"data.x\""),
        "{}",
        strict.message
    );
    let warned = decode(&maps, parse(body).unwrap(), FieldValidation::Warn).unwrap();
    let told: Vec<_> = warned.warnings.headers().collect();
    assert_eq!(told, [r#"299 - "duplicate field \"data.x\"""#]);
    assert_eq!(warned.object["data"]["x"], "2");
}

#[test]
fn unknown_metadata_is_dropped_and_mentioned() {
    let sent = json!({ "metadata": { "name": "a", "naem": "b" } });
    let maps = resource("configmaps");
    let strict = decode(&maps, Parsed::whole(sent.clone()), FieldValidation::Strict).unwrap_err();
    assert!(
        strict.message.contains("unknown field \"metadata.naem\""),
        "{}",
        strict.message
    );
    let quiet = decode(&maps, Parsed::whole(sent), FieldValidation::Ignore).unwrap();
    assert_eq!(quiet.warnings.headers().count(), 0);
    assert_eq!(quiet.object["metadata"], json!({ "name": "a" }));
}

#[test]
fn metadata_of_a_wrong_type_is_refused() {
    let cases = [
        json!("x"),
        json!({ "name": 1 }),
        json!({ "labels": { "a": 1 } }),
        json!({ "labels": [] }),
        json!({ "finalizers": [1] }),
        json!({ "ownerReferences": ["x"] }),
    ];
    for metadata in cases {
        let parsed = Parsed::whole(json!({ "metadata": metadata }));
        let result = decode(&resource("configmaps"), parsed, FieldValidation::Warn);
        assert_eq!(result.unwrap_err().code, 400, "{metadata}");
    }
}

#[test]
fn another_kind_or_version_is_refused() {
    for body in [json!({ "kind": "Secret" }), json!({ "apiVersion": "v2" })] {
        let result = decode(
            &resource("configmaps"),
            Parsed::whole(body),
            FieldValidation::Warn,
        );
        assert_eq!(result.unwrap_err().code, 400);
    }
}

#[test]
fn texts_of_a_secret_become_data() {
    let check = |sent: Value| {
        decode(
            &resource("secrets"),
            Parsed::whole(sent),
            FieldValidation::Strict,
        )
        .map(|decoded| decoded.object)
    };
    let made = check(json!({ "data": { "a": "eA==" }, "stringData": { "b": "y" } })).unwrap();
    assert_eq!(made["data"], json!({ "a": "eA==", "b": "eQ==" }));
    assert_eq!(made["type"], "Opaque");
    assert_eq!(made.get("stringData"), None);
    assert_eq!(
        check(json!({ "data": { "a": "?" } })).unwrap_err().code,
        400
    );
}
