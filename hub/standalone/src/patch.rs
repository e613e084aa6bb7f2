//! Applies the patches that clients send: JSON patch, JSON merge patch, and strategic merge patch
//! for the built-in kinds. Pure.
//!
//! Design note: of strategic merge the directives `$patch`, `$setElementOrder`, `$retainKeys` and
//! `$deleteFromPrimitiveList` are understood, and of merge keys the two that the built-in kinds
//! here have: finalizers merge as a set, owner references by uid. Every other list is replaced.

use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::query::FieldValidation;
use crate::resource::{Family, Resource};
use crate::warning::Warnings;

#[cfg(test)]
mod tests;

/// The kind of a patch, read from its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own, for built-in kinds.
    Strategic,
    /// Server-side apply, in YAML.
    Apply,
}

/// The patch kind of a content type, if `resource` takes it.
pub(crate) fn kind(content_type: &str, resource: &Resource) -> Result<Kind, Failure> {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    let custom = resource.family == Family::Custom;
    match media {
        "application/json-patch+json" => Ok(Kind::Json),
        "application/merge-patch+json" => Ok(Kind::Merge),
        "application/strategic-merge-patch+json" if !custom => Ok(Kind::Strategic),
        "application/apply-patch+yaml" => Ok(Kind::Apply),
        _ => {
            let more = if custom {
                ""
            } else {
                ", application/strategic-merge-patch+json"
            };
            Err(Failure::unsupported_media_type(&format!(
                "the body of the request was in an unknown format - accepted media types \
                 include: application/json-patch+json, application/merge-patch+json{more}, \
                 application/apply-patch+yaml"
            )))
        }
    }
}

/// Reads the body of a server-side apply: the object as far as its manager states it.
pub(crate) fn applied(
    body: &[u8],
    validation: FieldValidation,
    told: &mut Warnings,
) -> Result<Value, Failure> {
    let wrong = |why: String| Failure::bad_request(format!("error decoding YAML: {why}"));
    let text = std::str::from_utf8(body).map_err(|error| wrong(error.to_string()))?;
    let parse = |duplicates| {
        let options = serde_saphyr::options! { with_snippet: false, duplicate_keys: duplicates };
        serde_saphyr::from_str_with_options::<Value>(text, options)
    };
    let object = parse(serde_saphyr::options::DuplicateKeyPolicy::LastWins)
        .map_err(|error| wrong(error.to_string()))?;
    if !object.is_object() {
        return Err(wrong("a server-side apply is a YAML object".to_owned()));
    }
    if validation != FieldValidation::Ignore
        && let Err(error) = parse(serde_saphyr::options::DuplicateKeyPolicy::Error)
    {
        if validation == FieldValidation::Strict {
            return Err(Failure::bad_request(format!(
                "error strict decoding YAML: {error}"
            )));
        }
        told.add([error.to_string()]);
    }
    Ok(object)
}

/// `object` with the patch in `body` applied.
pub(crate) fn apply(kind: Kind, object: &Value, body: &[u8]) -> Result<Value, Failure> {
    let wrong =
        |error: serde_json::Error| Failure::bad_request(format!("error decoding patch: {error}"));
    let mut next = object.clone();
    match kind {
        Kind::Json => {
            let patch: json_patch::Patch = serde_json::from_slice(body).map_err(wrong)?;
            json_patch::patch(&mut next, &patch).map_err(|_| Failure::unprocessable())?;
        }
        Kind::Merge => {
            let patch: Value = serde_json::from_slice(body).map_err(wrong)?;
            must_be_map(&patch)?;
            json_patch::merge(&mut next, &patch);
        }
        Kind::Strategic => {
            let patch: Value = serde_json::from_slice(body).map_err(wrong)?;
            must_be_map(&patch)?;
            strategic(&mut next, patch);
        }
        // An apply is no edit of the object; it has a road of its own.
        Kind::Apply => return Err(Failure::internal("an apply came as a patch")),
    }
    Ok(next)
}

fn must_be_map(patch: &Value) -> Result<(), Failure> {
    if patch.is_object() {
        return Ok(());
    }
    Err(Failure::bad_request(
        "error decoding patch: a merge patch is a JSON object",
    ))
}

fn strategic(target: &mut Value, patch: Value) {
    let Value::Object(mut patch) = patch else {
        *target = patch;
        return;
    };
    match patch.remove("$patch").as_ref().and_then(Value::as_str) {
        Some("replace") => {
            *target = Value::Object(patch);
            return;
        }
        Some("delete") => {
            *target = Value::Object(Map::new());
            return;
        }
        _ => {}
    }
    let retained = patch.remove("$retainKeys");
    let map = crate::object::root_mut(target);
    if let Some(keys) = retained.as_ref().and_then(Value::as_array) {
        map.retain(|key, _| keys.iter().any(|k| k.as_str() == Some(key)));
    }
    for (key, value) in patch {
        if key.starts_with("$setElementOrder/") {
            continue;
        }
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            drop_items(map, list, &value);
            continue;
        }
        match (key.as_str(), value) {
            (_, Value::Null) => {
                map.remove(&key);
            }
            ("finalizers", Value::Array(items)) => merge_set(map, &key, items),
            ("ownerReferences", Value::Array(items)) => merge_by_uid(map, &key, items),
            (_, value @ Value::Object(_)) => {
                strategic(map.entry(key).or_insert(Value::Null), value);
            }
            (_, value) => {
                map.insert(key, value);
            }
        }
    }
}

fn list_mut<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    let slot = map.entry(key).or_insert(Value::Null);
    if !slot.is_array() {
        *slot = Value::Array(Vec::new());
    }
    slot.as_array_mut().expect("it was made a list above")
}

fn drop_items(map: &mut Map<String, Value>, key: &str, gone: &Value) {
    let gone = gone.as_array().map(Vec::as_slice).unwrap_or_default();
    list_mut(map, key).retain(|item| !gone.contains(item));
}

fn merge_set(map: &mut Map<String, Value>, key: &str, items: Vec<Value>) {
    // What the patch says comes first, in its order.
    let list = list_mut(map, key);
    let held = std::mem::take(list);
    for item in items.into_iter().chain(held) {
        if !list.contains(&item) {
            list.push(item);
        }
    }
}

fn merge_by_uid(map: &mut Map<String, Value>, key: &str, items: Vec<Value>) {
    let list = list_mut(map, key);
    for item in items {
        let uid = item.get("uid").cloned();
        let delete = item.get("$patch").and_then(Value::as_str) == Some("delete");
        let at = list.iter().position(|held| held.get("uid") == uid.as_ref());
        match at.and_then(|at| list.get_mut(at).map(|held| (at, held))) {
            Some((at, _)) if delete => {
                list.remove(at);
            }
            Some((_, held)) => strategic(held, item),
            None if delete => {}
            None => list.push(item),
        }
    }
}
