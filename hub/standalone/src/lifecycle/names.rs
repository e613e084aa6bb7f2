//! What labels, annotations and owners may be named.

use serde_json::Value;

use super::{is_label_of, object};
use crate::failure::Cause;
use crate::resource::{Family, Resource};

const NAME: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                    alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
                     must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', \
                     regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
/// The longest name, without its prefix, and the longest value of a label.
const LONGEST: usize = 63;

/// What is wrong with the metadata of `object`.
pub(super) fn causes(object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let invalid = |field: &str, value: &str, why: &str| {
        Cause::new(
            "FieldValueInvalid",
            field,
            format!("Invalid value: {value:?}: {why}"),
        )
    };
    let map = |key: &str| {
        let map = object::metadata(object).and_then(|meta| meta.get(key));
        map.and_then(Value::as_object).into_iter().flatten()
    };
    for (key, value) in map("labels") {
        causes.extend(key_fault(key).map(|why| invalid("metadata.labels", key, &why)));
        let value = value.as_str().unwrap_or_default();
        if !value.is_empty() && !is_word(value) {
            causes.push(invalid("metadata.labels", value, VALUE));
        } else if value.len() > LONGEST {
            let why = format!("must be no more than {LONGEST} bytes");
            causes.push(invalid("metadata.labels", value, &why));
        }
    }
    for (key, _) in map("annotations") {
        let lower = key.to_lowercase();
        causes.extend(key_fault(&lower).map(|why| invalid("metadata.annotations", key, &why)));
    }
    let owners = object::metadata(object).and_then(|meta| meta.get("ownerReferences"));
    for owner in owners.and_then(Value::as_array).into_iter().flatten() {
        for key in ["apiVersion", "kind", "name", "uid"] {
            let text = owner.get(key).and_then(Value::as_str).unwrap_or_default();
            if text.is_empty() {
                let field = if key == "apiVersion" { "version" } else { key };
                let field = format!("metadata.ownerReferences.{field}");
                causes.push(invalid(&field, "", "must not be empty"));
            }
        }
    }
    causes.extend(many_controllers(
        owners.and_then(Value::as_array).map_or(&[], Vec::as_slice),
    ));
    causes
}

/// Each controller but the first is one too many.
fn many_controllers(owners: &[Value]) -> Vec<Cause> {
    let name = |owner: &Value| {
        let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        format!("{}/{}", text("kind"), text("name"))
    };
    let mut controllers = owners
        .iter()
        .filter(|owner| owner.get("controller") == Some(&Value::Bool(true)));
    let Some(first) = controllers.next() else {
        return Vec::new();
    };
    controllers
        .map(|second| {
            let message = format!(
                "Invalid value: {}: Only one reference can have Controller set to true. Found \"true\" in references \
                 for {} and {}",
                written(owners),
                name(first),
                name(second)
            );
            Cause::new("FieldValueInvalid", "metadata.ownerReferences", message)
        })
        .collect()
}

/// Owners with their fields in the order of kube-apiserver's own type.
fn written(owners: &[Value]) -> String {
    const FIELDS: [&str; 6] = [
        "apiVersion",
        "kind",
        "name",
        "uid",
        "controller",
        "blockOwnerDeletion",
    ];
    let owners: Vec<String> = owners
        .iter()
        .map(|owner| {
            let fields: Vec<String> = FIELDS
                .iter()
                .filter_map(|field| Some(format!("{field:?}:{}", owner.get(field)?)))
                .collect();
            format!("{{{}}}", fields.join(","))
        })
        .collect();
    format!("[{}]", owners.join(","))
}

/// What is wrong with keys and numbers of the built-in kinds.
pub(super) fn of_kind(resource: &Resource, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut invalid = |field: &str, value: String, why: &str| {
        causes.push(Cause::new(
            "FieldValueInvalid",
            field,
            format!("Invalid value: {value}: {why}"),
        ));
    };
    if matches!(resource.family, Family::ConfigMap | Family::Secret) {
        let map = |name: &str| object.get(name).and_then(Value::as_object);
        for name in ["data", "binaryData"] {
            for (key, _) in map(name).into_iter().flatten() {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
                let field = format!("{name}[{key}]");
                if key.is_empty() || !key.chars().all(plain) {
                    invalid(
                        &field,
                        format!("{key:?}"),
                        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. \
                         'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
                    );
                }
                if name == "data" && map("binaryData").is_some_and(|other| other.contains_key(key))
                {
                    invalid(
                        &field,
                        format!("{key:?}"),
                        "duplicate of key present in binaryData",
                    );
                }
            }
        }
    }
    if resource.family == Family::Lease {
        let field = "spec.leaseDurationSeconds";
        let seconds = object
            .pointer("/spec/leaseDurationSeconds")
            .and_then(Value::as_i64);
        if let Some(seconds) = seconds.filter(|seconds| *seconds <= 0) {
            invalid(field, seconds.to_string(), "must be greater than 0");
        }
    }
    causes
}

/// What is wrong with `prefix/name`, or `name` alone.
pub(crate) fn key_fault(key: &str) -> Option<String> {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    if prefix.is_some_and(|prefix| {
        prefix.len() > 253 || !prefix.split('.').all(|part| is_label_of(part, LONGEST))
    }) {
        return Some(
            "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
             '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for \
             validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                .to_owned(),
        );
    }
    if name.is_empty() {
        return Some("name part must be non-empty".to_owned());
    }
    if name.len() > LONGEST {
        return Some(format!("name part must be no more than {LONGEST} bytes"));
    }
    (!is_word(name)).then(|| format!("name part {NAME}"))
}

fn is_word(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    text.chars().all(inner)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}
