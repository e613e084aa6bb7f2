//! Types, required fields, enumerations, patterns and bounds.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Number, Value};

use super::cel;
use super::error::{FieldError, FieldReason};
use super::shape::{Known, items, join, property};

/// Everything that `schema`, which is that of a root, forbids in `value`. CEL rules run only on what has the right
/// shape, as the API server does it: a wrong pattern or bound does not keep them from running.
///
/// With `old`, transition rules run too, and what did not change is not held against the object, so that a definition
/// that became stricter does not lock up what is stored.
#[must_use]
pub fn check(schema: &JSONSchemaProps, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut walk = Walk { found: Vec::new() };
    walk.node(schema, "", value, old);
    let shapeless = walk.found.iter().any(|finding| match finding.reason {
        FieldReason::Required
        | FieldReason::NotSupported
        | FieldReason::TypeInvalid
        | FieldReason::TooLong
        | FieldReason::TooMany => true,
        FieldReason::Invalid
        | FieldReason::Duplicate
        | FieldReason::Forbidden
        | FieldReason::NotFound => false,
    });
    if !shapeless {
        walk.found.extend(cel::check(schema, value, old));
    }
    walk.found
}

struct Walk {
    found: Vec<FieldError>,
}

impl Walk {
    fn report(
        &mut self,
        path: &str,
        reason: FieldReason,
        value: Option<&Value>,
        detail: impl Into<String>,
    ) {
        self.found
            .push(FieldError::new(path, reason, value, detail));
    }

    fn invalid(&mut self, path: &str, value: &Value, rule: &str) {
        self.report(
            path,
            FieldReason::Invalid,
            Some(value),
            format!("{path} in body {rule}"),
        );
    }

    fn node(&mut self, schema: &JSONSchemaProps, path: &str, value: &Value, old: Option<&Value>) {
        if old == Some(value) || (value.is_null() && schema.nullable == Some(true)) {
            return;
        }
        if !self.has_type(schema, path, value) {
            return;
        }
        if let Some(allowed) = &schema.enum_
            && !allowed.iter().any(|one| one.0 == *value)
        {
            let list: Vec<String> = allowed.iter().map(|one| one.0.to_string()).collect();
            let detail = format!("supported values: {}", list.join(", "));
            self.report(path, FieldReason::NotSupported, Some(value), detail);
        }
        match value {
            Value::Object(map) => self.object(schema, path, value, map, old),
            Value::Array(list) => self.array(schema, path, list, old),
            Value::String(text) => self.string(schema, path, value, text),
            Value::Number(number) => self.number(schema, path, value, number),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn has_type(&mut self, schema: &JSONSchemaProps, path: &str, value: &Value) -> bool {
        let actual = type_name(value);
        let fits = match schema.type_.as_deref() {
            None => {
                schema.x_kubernetes_int_or_string != Some(true)
                    || matches!(actual, "integer" | "string")
            }
            Some("number") => matches!(actual, "integer" | "number"),
            Some(wanted) => wanted == actual,
        };
        if !fits {
            let wanted = schema.type_.as_deref().unwrap_or("integer,string");
            let subject = if path.is_empty() { "<root>" } else { path };
            self.report(
                path,
                FieldReason::TypeInvalid,
                Some(&Value::String(actual.to_owned())),
                format!("{subject} in body must be of type {wanted}: {actual:?}"),
            );
        }
        fits
    }

    fn object(
        &mut self,
        schema: &JSONSchemaProps,
        path: &str,
        value: &Value,
        map: &Map<String, Value>,
        old: Option<&Value>,
    ) {
        for name in schema.required.iter().flatten() {
            if !map.contains_key(name) {
                self.report(&join(path, name), FieldReason::Required, None, "");
            }
        }
        if let Some(most) = schema.max_properties
            && over(map.len(), most)
        {
            let detail = format!("must have at most {most} items");
            let count = Value::from(map.len());
            self.report(path, FieldReason::TooMany, Some(&count), detail);
        }
        if let Some(least) = schema.min_properties
            && under(map.len(), least)
        {
            self.invalid(
                path,
                value,
                &format!("should have at least {least} properties"),
            );
        }
        for (name, inner) in map {
            if let Known::As(known) = property(schema, name) {
                let before = old.and_then(|old| old.get(name));
                self.node(known, &join(path, name), inner, before);
            }
        }
    }

    fn array(&mut self, schema: &JSONSchemaProps, path: &str, list: &[Value], old: Option<&Value>) {
        let count = Value::from(list.len());
        if let Some(most) = schema.max_items
            && over(list.len(), most)
        {
            let detail = format!("must have at most {most} items");
            self.report(path, FieldReason::TooMany, Some(&count), detail);
        }
        if let Some(least) = schema.min_items
            && under(list.len(), least)
        {
            self.invalid(path, &count, &format!("should have at least {least} items"));
        }
        self.duplicates(schema, path, list);
        let Some(known) = items(schema) else { return };
        let before = old.and_then(Value::as_array);
        for (index, inner) in list.iter().enumerate() {
            // An item that was anywhere in the list before is one that did not change.
            let same = before.and_then(|before| before.iter().find(|one| *one == inner));
            self.node(known, &format!("{path}[{index}]"), inner, same);
        }
    }

    fn duplicates(&mut self, schema: &JSONSchemaProps, path: &str, list: &[Value]) {
        let keys = schema.x_kubernetes_list_map_keys.as_deref().unwrap_or(&[]);
        let identity = |item: &Value| match schema.x_kubernetes_list_type.as_deref() {
            Some("set") => Some(item.clone()),
            Some("map") => Some(Value::Object(
                keys.iter()
                    .filter_map(|key| Some((key.clone(), item.get(key)?.clone())))
                    .collect(),
            )),
            _ => None,
        };
        let mut seen = BTreeSet::new();
        for (index, item) in list.iter().enumerate() {
            if let Some(identity) = identity(item)
                && !seen.insert(identity.to_string())
            {
                let place = format!("{path}[{index}]");
                self.report(&place, FieldReason::Duplicate, Some(&identity), "");
            }
        }
    }

    fn string(&mut self, schema: &JSONSchemaProps, path: &str, value: &Value, text: &str) {
        let length = text.chars().count();
        if let Some(most) = schema.max_length
            && over(length, most)
        {
            let detail = format!("may not be more than {most} bytes");
            self.report(path, FieldReason::TooLong, Some(value), detail);
        }
        if let Some(least) = schema.min_length
            && under(length, least)
        {
            self.invalid(
                path,
                value,
                &format!("should be at least {least} chars long"),
            );
        }
        if let Some(pattern) = &schema.pattern {
            match regex::Regex::new(pattern) {
                Ok(regex) if regex.is_match(text) => {}
                Ok(_) => self.invalid(path, value, &format!("should match '{pattern}'")),
                Err(error) => {
                    self.invalid(path, value, &format!("cannot be matched: {error}"));
                }
            }
        }
        if schema.format.as_deref() == Some("date-time") && text.parse::<Timestamp>().is_err() {
            self.invalid(path, value, &format!("must be of type date-time: {value}"));
        }
    }

    fn number(&mut self, schema: &JSONSchemaProps, path: &str, value: &Value, number: &Number) {
        let float = number
            .as_f64()
            .filter(|float| number.is_f64() && float.fract() == 0.0);
        let whole = number
            .as_i64()
            .or_else(|| format!("{:.0}", float?).parse().ok());
        let fits = match schema.format.as_deref() {
            Some("int32") => whole.is_some_and(|whole| i32::try_from(whole).is_ok()),
            Some("int64") => whole.is_some() || number.is_f64(),
            _ => true,
        };
        if !fits {
            let format = schema.format.as_deref().unwrap_or_default();
            let rule = format!("must be of type {format}: \"{number}\"");
            self.invalid(path, value, &rule);
        }
        let Some(size) = number.as_f64() else { return };
        if let Some(least) = schema.minimum {
            let exclusive = schema.exclusive_minimum == Some(true);
            if size < least || (exclusive && size <= least) {
                let or_equal = if exclusive { "" } else { " or equal to" };
                let rule = format!("should be greater than{or_equal} {least}");
                self.invalid(path, value, &rule);
            }
        }
        if let Some(most) = schema.maximum {
            let exclusive = schema.exclusive_maximum == Some(true);
            if size > most || (exclusive && size >= most) {
                let or_equal = if exclusive { "" } else { " or equal to" };
                let rule = format!("should be less than{or_equal} {most}");
                self.invalid(path, value, &rule);
            }
        }
    }
}

fn over(count: usize, most: i64) -> bool {
    i64::try_from(count).is_ok_and(|count| count > most)
}

fn under(count: usize, least: i64) -> bool {
    i64::try_from(count).is_ok_and(|count| count < least)
}

/// The type of a value as a schema names it; `1.0` is an integer to the API server.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) => {
            let whole = number.as_f64().is_some_and(|float| float.fract() == 0.0);
            if !number.is_f64() || whole {
                "integer"
            } else {
                "number"
            }
        }
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
