//! Unknown fields, pruning and defaults.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Map, Value};

/// What is known of the root beside its schema.
const ROOT: &[&str] = &["apiVersion", "kind", "metadata"];

/// Fields of `ObjectMeta`.
const METADATA: &[&str] = &[
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "labels",
    "managedFields",
    "name",
    "namespace",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// What a schema says about one key of an object.
pub(super) enum Known<'a> {
    /// It has this schema.
    As(&'a JSONSchemaProps),
    /// Anything may stand there.
    Anything,
    /// It must not be there.
    No,
}

/// What `schema` says about the key `name`.
pub(super) fn property<'a>(schema: &'a JSONSchemaProps, name: &str) -> Known<'a> {
    if let Some(found) = schema.properties.as_ref().and_then(|all| all.get(name)) {
        return Known::As(found);
    }
    match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(values)) => Known::As(values),
        Some(JSONSchemaPropsOrBool::Bool(true)) => Known::Anything,
        Some(JSONSchemaPropsOrBool::Bool(false)) | None => {
            if schema.x_kubernetes_preserve_unknown_fields == Some(true) {
                Known::Anything
            } else {
                Known::No
            }
        }
    }
}

/// The schema of a list's items, if there is one.
pub(super) fn items(schema: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items),
        Some(JSONSchemaPropsOrArray::Schemas(_)) | None => None,
    }
}

/// `path.name`, or `name` at the root.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// Paths of everything in `value` that `schema` does not know, in the order of the object. `schema` is that of a root.
#[must_use]
pub fn unknown_fields(schema: &JSONSchemaProps, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    if let Value::Object(root) = value {
        for (name, inner) in root {
            if name == "metadata" {
                unknown_metadata(inner, &mut found);
            } else if !ROOT.contains(&name.as_str()) {
                unknown_entry(schema, "", name, inner, &mut found);
            }
        }
    }
    found
}

fn unknown_metadata(metadata: &Value, found: &mut Vec<String>) {
    let names = metadata.as_object().into_iter().flat_map(Map::keys);
    found.extend(
        names
            .filter(|name| !METADATA.contains(&name.as_str()))
            .map(|name| format!("metadata.{name}")),
    );
}

fn unknown_entry(
    schema: &JSONSchemaProps,
    path: &str,
    name: &str,
    value: &Value,
    found: &mut Vec<String>,
) {
    match property(schema, name) {
        Known::As(inner) => unknown_in(inner, &join(path, name), value, found),
        Known::Anything => {}
        Known::No => found.push(join(path, name)),
    }
}

fn unknown_in(schema: &JSONSchemaProps, path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, inner) in map {
                unknown_entry(schema, path, name, inner, found);
            }
        }
        Value::Array(list) => {
            for (index, inner) in list.iter().enumerate() {
                if let Some(items) = items(schema) {
                    unknown_in(items, &format!("{path}[{index}]"), inner, found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Removes everything that `schema`, which is that of a root, does not know.
pub fn prune(schema: &JSONSchemaProps, value: &mut Value) {
    if let Value::Object(root) = value {
        root.retain(|name, inner| ROOT.contains(&name.as_str()) || keep(schema, name, inner));
    }
}

fn keep(schema: &JSONSchemaProps, name: &str, value: &mut Value) -> bool {
    match property(schema, name) {
        Known::As(inner) => {
            prune_in(inner, value);
            true
        }
        Known::Anything => true,
        Known::No => false,
    }
}

fn prune_in(schema: &JSONSchemaProps, value: &mut Value) {
    match value {
        Value::Object(map) => map.retain(|name, inner| keep(schema, name, inner)),
        Value::Array(list) => {
            if let Some(items) = items(schema) {
                for inner in list {
                    prune_in(items, inner);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Writes the defaults of `schema` into `value`, wherever the object around them is there. A `null` that the schema
/// does not allow gives way to the default, or disappears.
pub fn default_into(schema: &JSONSchemaProps, value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|name, inner| match property(schema, name) {
                Known::As(known) => {
                    !inner.is_null() || known.nullable == Some(true) || known.default.is_some()
                }
                Known::Anything | Known::No => true,
            });
            for (name, known) in schema.properties.iter().flatten() {
                if let Some(default) = &known.default {
                    let slot = map.entry(name.as_str()).or_insert(Value::Null);
                    if slot.is_null() && known.nullable != Some(true) {
                        *slot = default.0.clone();
                    }
                }
            }
            for (name, inner) in map {
                if let Known::As(known) = property(schema, name) {
                    default_into(known, inner);
                }
            }
        }
        Value::Array(list) => {
            if let Some(items) = items(schema) {
                for inner in list {
                    default_into(items, inner);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
