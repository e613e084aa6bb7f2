//! The two forms of an Event. Rows hold the core/v1 form; events.k8s.io/v1 is a view of it. For
//! every other kind both directions change nothing. Pure.

use serde_json::{Map, Value, json};

use crate::resource::{Family, Resource};

#[cfg(test)]
mod tests;

/// Names of the same field: in core/v1, in events.k8s.io/v1.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// The stored form of an object that came in as `resource` has it.
pub(crate) fn inward(resource: &Resource, object: Value) -> Value {
    convert(resource, object, "v1", |(core, event)| (event, core))
}

/// The form that `resource` shows of a stored object.
pub(crate) fn outward(resource: &Resource, object: Value) -> Value {
    convert(resource, object, "events.k8s.io/v1", |names| names)
}

fn convert(
    resource: &Resource,
    mut object: Value,
    api_version: &str,
    direction: fn((&'static str, &'static str)) -> (&'static str, &'static str),
) -> Value {
    if resource.family != Family::Event {
        return object;
    }
    if let Some(map) = object.as_object_mut() {
        for (from, to) in RENAMED.into_iter().map(direction) {
            rename(map, from, to);
        }
        map.insert("apiVersion".to_owned(), json!(api_version));
        // core/v1 has these empty where events.k8s.io/v1 has them not at all.
        for (core, newer) in [
            ("reportingComponent", "reportingController"),
            ("reportingInstance", "reportingInstance"),
        ] {
            if api_version == "v1" {
                map.entry(core).or_insert_with(|| json!(""));
            } else if map.get(newer).and_then(Value::as_str) == Some("") {
                map.remove(newer);
            }
        }
    }
    object
}

fn rename(map: &mut Map<String, Value>, from: &str, to: &str) {
    if let Some(value) = map.remove(from) {
        map.insert(to.to_owned(), value);
    }
}
