//! Renders objects as the tables and metadata-only forms that kubectl and caches ask for. Pure;
//! the time is handed in.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::jsonpath;
use crate::object;
use crate::resource::{Column, Family, Resource};

#[cfg(test)]
mod tests;

/// What a table row carries beside its cells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Include {
    /// Nothing.
    None,
    /// The metadata.
    #[default]
    Metadata,
    /// The whole object.
    Object,
    /// Something that is none of these.
    Wrong(String),
}

/// A table of `objects`, with `metadata` of the list.
pub(crate) fn render(
    resource: &Resource,
    objects: Vec<Value>,
    metadata: Value,
    include: Include,
    now: Timestamp,
) -> Value {
    let name = json!({
        "name": "Name", "type": "string", "format": "name", "priority": 0,
        "description": "Name of the object, unique in its namespace",
    });
    let columns = resource.columns.iter().map(|c| {
        let custom = resource.family == Family::Custom;
        let described = if c.description.is_empty() && custom {
            format!(
                "Custom resource definition column (in JSONPath format): {}",
                c.path
            )
        } else {
            c.description.clone()
        };
        let kind = if custom {
            c.kind.as_str()
        } else {
            shown_type(&c.kind)
        };
        json!({ "name": c.name, "type": kind, "format": c.format,
                "priority": c.priority, "description": described })
    });
    let named = (!is_event(resource)).then_some(name);
    let definitions: Vec<Value> = named.into_iter().chain(columns).collect();
    let rows: Vec<Value> = objects
        .into_iter()
        .map(|object| row(resource, object, &include, now))
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn is_event(resource: &Resource) -> bool {
    matches!(resource.family, Family::CoreEvent | Family::Event)
}

/// Computed columns are shown as text; an age is text already.
fn shown_type(kind: &str) -> &str {
    match kind {
        "date" | "count" => "string",
        other => other,
    }
}

fn row(resource: &Resource, object: Value, include: &Include, now: Timestamp) -> Value {
    // The table of Events begins with when, and ends with the name.
    let named = (!is_event(resource)).then(|| json!(object::name(&object)));
    let cells: Vec<Value> = named
        .into_iter()
        .chain(
            resource
                .columns
                .iter()
                .map(|column| cell(&object, column, now)),
        )
        .collect();
    match include {
        Include::None => json!({ "cells": cells, "object": null }),
        Include::Metadata | Include::Wrong(_) => {
            json!({ "cells": cells, "object": only_metadata(&object) })
        }
        Include::Object => json!({ "cells": cells, "object": object }),
    }
}

/// The metadata of an object as an object of its own.
pub(crate) fn only_metadata(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_default(),
    })
}

fn cell(object: &Value, column: &Column, now: Timestamp) -> Value {
    if let Some(computed) = column.path.strip_prefix("event:") {
        return event_cell(object, computed, now);
    }
    let found = jsonpath::find(object, &column.path);
    match (column.kind.as_str(), found.as_slice()) {
        ("count", found) => {
            let count = found
                .first()
                .and_then(|v| v.as_object())
                .map_or(0, serde_json::Map::len);
            json!(count)
        }
        (_, []) => Value::Null,
        ("date", [value, ..]) => age(value, now),
        ("integer", [value, ..]) => match value {
            Value::Number(number) if number.is_f64() => json!(number.as_f64().map(f64::round)),
            Value::Number(_) => (*value).clone(),
            _ => Value::Null,
        },
        ("number", [value, ..]) => {
            if value.is_number() {
                (*value).clone()
            } else {
                Value::Null
            }
        }
        ("boolean", [value, ..]) => {
            if value.is_boolean() {
                (*value).clone()
            } else {
                Value::Null
            }
        }
        (_, [value]) => text(value),
        (_, many) => {
            let parts: Vec<String> = many.iter().map(|v| plain(v)).collect();
            json!(parts.join(","))
        }
    }
}

fn text(value: &Value) -> Value {
    if value.is_null() {
        Value::Null
    } else {
        json!(plain(value))
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn event_cell(object: &Value, what: &str, now: Timestamp) -> Value {
    let at = |paths: &[&str]| {
        paths
            .iter()
            .find_map(|p| jsonpath::first(object, p).filter(|v| v.is_string()))
            .map_or_else(|| json!("<unknown>"), |time| age(time, now))
    };
    let word = |paths: &[&str]| {
        paths
            .iter()
            .find_map(|p| jsonpath::first(object, p).and_then(Value::as_str))
            .unwrap_or_default()
    };
    match what {
        "last" => at(&[
            ".series.lastObservedTime",
            ".lastTimestamp",
            ".eventTime",
            ".deprecatedLastTimestamp",
        ]),
        "first" => at(&[".firstTimestamp", ".deprecatedFirstTimestamp", ".eventTime"]),
        "object" => {
            let kind = word(&[".involvedObject.kind", ".regarding.kind"]).to_lowercase();
            json!(format!(
                "{kind}/{}",
                word(&[".involvedObject.name", ".regarding.name"])
            ))
        }
        "subobject" => json!(word(&[".involvedObject.fieldPath", ".regarding.fieldPath"])),
        "source" => json!(word(&[
            ".source.component",
            ".reportingComponent",
            ".reportingController",
            ".deprecatedSource.component",
        ])),
        "count" => {
            let paths = [".series.count", ".count", ".deprecatedCount"];
            let count = paths
                .iter()
                .find_map(|p| jsonpath::first(object, p)?.as_i64());
            json!(count.unwrap_or(1))
        }
        _ => Value::Null,
    }
}

fn age(time: &Value, now: Timestamp) -> Value {
    match time.as_str().map(str::parse::<Timestamp>) {
        Some(Ok(then)) => json!(human(now.as_second().saturating_sub(then.as_second()))),
        Some(Err(_)) => json!("<invalid>"),
        None => json!("<unknown>"),
    }
}

/// Seconds as kubectl writes an age: two units while that says more than one.
fn human(seconds: i64) -> String {
    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;
    const DAY: i64 = 24 * HOUR;
    const YEAR: i64 = 365 * DAY;
    let two = |whole: i64, big: &str, rest: i64, small: &str| {
        if rest == 0 {
            format!("{whole}{big}")
        } else {
            format!("{whole}{big}{rest}{small}")
        }
    };
    match seconds {
        i64::MIN..=-2 => "<invalid>".to_owned(),
        -1..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(seconds / MINUTE, "m", seconds % MINUTE, "s"),
        600..10_800 => format!("{}m", seconds / MINUTE),
        10_800..28_800 => two(seconds / HOUR, "h", seconds % HOUR / MINUTE, "m"),
        28_800..172_800 => format!("{}h", seconds / HOUR),
        172_800..691_200 => two(seconds / DAY, "d", seconds % DAY / HOUR, "h"),
        691_200..63_072_000 => format!("{}d", seconds / DAY),
        63_072_000..252_288_000 => two(seconds / YEAR, "y", seconds % YEAR / DAY, "d"),
        _ => format!("{}y", seconds / YEAR),
    }
}
