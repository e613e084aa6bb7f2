//! Reads and writes the metadata of objects held as JSON. Pure; knows no rules.

use serde_json::{Map, Value};

/// The metadata, or nothing where an object has none.
pub(crate) fn metadata(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata")?.as_object()
}

/// The metadata, made where it is missing.
pub(crate) fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    child_mut(root_mut(object), "metadata")
}

/// The object as a map; anything else becomes an empty one.
pub(crate) fn root_mut(object: &mut Value) -> &mut Map<String, Value> {
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    object.as_object_mut().expect("it was made an object above")
}

/// A map inside a map; anything else there becomes an empty one.
pub(crate) fn child_mut<'a>(
    parent: &'a mut Map<String, Value>,
    key: &str,
) -> &'a mut Map<String, Value> {
    let child = parent
        .entry(key)
        .or_insert_with(|| Value::Object(Map::new()));
    root_mut(child)
}

/// A text of the metadata; empty where it is absent.
pub(crate) fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    metadata(object)
        .and_then(|m| m.get(key))
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// `metadata.name`.
pub(crate) fn name(object: &Value) -> &str {
    text(object, "name")
}

/// `metadata.uid`.
pub(crate) fn uid(object: &Value) -> &str {
    text(object, "uid")
}

/// Whether deletion was asked for.
pub(crate) fn is_deleting(object: &Value) -> bool {
    !text(object, "deletionTimestamp").is_empty()
}

/// `metadata.finalizers`.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    metadata(object)
        .and_then(|m| m.get("finalizers"))
        .and_then(Value::as_array)
        .map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// Writes the finalizers; none removes the field.
pub(crate) fn write_finalizers(object: &mut Value, finalizers: &[&str]) {
    let meta = metadata_mut(object);
    if finalizers.is_empty() {
        meta.remove("finalizers");
    } else {
        let list = finalizers
            .iter()
            .map(|f| Value::String((*f).to_owned()))
            .collect();
        meta.insert("finalizers".to_owned(), Value::Array(list));
    }
}

/// What still holds a deleted object: its finalizers, and for a namespace those of its spec.
pub(crate) fn is_held(object: &Value) -> bool {
    let spec = object.pointer("/spec/finalizers").and_then(Value::as_array);
    let namespace = object.get("kind").and_then(Value::as_str) == Some("Namespace");
    !finalizers(object).is_empty() || (namespace && spec.is_some_and(|f| !f.is_empty()))
}

/// An annotation.
pub(crate) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    metadata(object)?.get("annotations")?.get(key)?.as_str()
}

/// Copies `key` from `from`'s map to `to`'s, or removes it there where it is absent.
pub(crate) fn carry(to: &mut Map<String, Value>, from: Option<&Map<String, Value>>, key: &str) {
    match from.and_then(|f| f.get(key)) {
        Some(value) => to.insert(key.to_owned(), value.clone()),
        None => to.remove(key),
    };
}
