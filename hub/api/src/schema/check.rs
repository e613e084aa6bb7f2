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
    let mut walk = Walk::below("");
    walk.node(schema, "", value, old);
    walk.then_rules(schema, value, old)
}

/// The same for a change of the status alone, which the API server checks by itself: its words name fields from there on.
#[must_use]
pub fn check_status(
    schema: &JSONSchemaProps,
    value: &Value,
    old: Option<&Value>,
) -> Vec<FieldError> {
    let mut walk = Walk::below("status");
    if let (Known::As(known), Some(status)) = (property(schema, "status"), value.get("status")) {
        walk.node(known, "", status, old.and_then(|old| old.get("status")));
    }
    walk.then_rules(schema, value, old)
}

struct Walk {
    /// Where the walk begins, in the paths of findings but not in their words.
    root: &'static str,
    found: Vec<FieldError>,
}

impl Walk {
    fn below(root: &'static str) -> Self {
        Self {
            root,
            found: Vec::new(),
        }
    }

    fn then_rules(
        mut self,
        schema: &JSONSchemaProps,
        value: &Value,
        old: Option<&Value>,
    ) -> Vec<FieldError> {
        let shapeless = self.found.iter().any(|finding| match finding.reason {
            FieldReason::Required
            | FieldReason::NotSupported
            | FieldReason::TypeInvalid
            | FieldReason::TooLong
            | FieldReason::TooMany => true,
            FieldReason::Invalid
            | FieldReason::OutOfRange
            | FieldReason::Duplicate
            | FieldReason::Forbidden
            | FieldReason::NotFound => false,
        });
        if !shapeless {
            self.found.extend(cel::check(schema, value, old));
        }
        self.found
    }

    fn report(
        &mut self,
        path: &str,
        reason: FieldReason,
        value: Option<&Value>,
        detail: impl Into<String>,
    ) {
        let path = match (self.root, path) {
            (root, "") => root.to_owned(),
            (root, path) => join(root, path),
        };
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
        // What follows is checked also where the type is wrong, as far as it fits what is there.
        self.types(schema, path, value);
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

    fn types(&mut self, schema: &JSONSchemaProps, path: &str, value: &Value) {
        let actual = type_name(value);
        let fits = match schema.type_.as_deref() {
            None => {
                schema.x_kubernetes_int_or_string != Some(true)
                    || matches!(actual, "integer" | "string")
            }
            Some("number") => matches!(actual, "integer" | "number"),
            Some(wanted) => wanted == actual,
        };
        if fits {
            return;
        }
        let wanted = schema.type_.as_deref().unwrap_or("integer,string");
        // Of what is no text, no list and no null the API server compares formats before types.
        let (wanted, actual) = match (schema.format.as_deref(), value) {
            (Some(format), Value::Bool(_) | Value::Object(_)) => (format, ""),
            (Some(format), Value::Number(number)) if number.is_f64() => (format, "float64"),
            (Some(format), Value::Number(_)) => (format, "int64"),
            _ => (wanted, actual),
        };
        self.report(
            path,
            FieldReason::TypeInvalid,
            Some(&Value::String(actual.to_owned())),
            format!("{path} in body must be of type {wanted}: {actual:?}"),
        );
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
            let rule = format!("should have at least {least} properties");
            self.invalid(path, value, &rule);
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
        self.text(schema, path, value, text);
        if schema.format.as_deref() == Some("date-time") && text.parse::<Timestamp>().is_err() {
            self.invalid(path, value, &format!("must be of type date-time: {value}"));
        }
    }

    /// Lengths and pattern: the first that does not hold is told.
    fn text(&mut self, schema: &JSONSchemaProps, path: &str, value: &Value, text: &str) {
        let length = text.chars().count();
        if let Some(most) = schema.max_length
            && over(length, most)
        {
            let detail = format!("may not be more than {most} bytes");
            return self.report(path, FieldReason::TooLong, Some(value), detail);
        }
        if let Some(least) = schema.min_length
            && under(length, least)
        {
            let rule = format!("should be at least {least} chars long");
            return self.invalid(path, value, &rule);
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
    }

    fn number(&mut self, schema: &JSONSchemaProps, path: &str, value: &Value, number: &Number) {
        let format = schema.format.as_deref();
        if schema.type_.as_deref() == Some("integer") && !is_in_range(format, number) {
            let format = match format {
                Some(format) => format!("with format {format}"),
                None => "(default format)".to_owned(),
            };
            let detail = format!("Checked value must be of type integer {format} in {path}");
            self.report(path, FieldReason::OutOfRange, Some(value), detail);
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

/// Whether a number is a whole one that its format holds.
fn is_in_range(format: Option<&str>, number: &Number) -> bool {
    let float = number
        .as_f64()
        .filter(|float| number.is_f64() && float.fract() == 0.0);
    let Some(whole) = number
        .as_i64()
        .or_else(|| format!("{:.0}", float?).parse().ok())
    else {
        return false;
    };
    format != Some("int32") || i32::try_from(whole).is_ok()
}

/// Whether a number is an integer to the API server: `1.0` is, but nothing with a point that is larger than what a float
/// holds exactly.
fn is_integer(number: &Number) -> bool {
    const EXACT: f64 = 9_007_199_254_740_991.0;
    if !number.is_f64() {
        return number.is_i64();
    }
    let is_whole = |float: f64| float.fract() == 0.0 && float.abs() <= EXACT;
    number.as_f64().is_some_and(is_whole)
}

/// The type of a value as a schema names it.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) => {
            if is_integer(number) {
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
