//! What labels, annotations and owners may be named.

use serde_json::Value;

use super::{is_label_of, object};
use crate::failure::Cause;

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
