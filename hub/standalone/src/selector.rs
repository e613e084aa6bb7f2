//! Label and field selectors: parse, and match against an object. Pure.

use serde_json::Value;

use crate::failure::Failure;
use crate::jsonpath;
use crate::resource::{Family, Resource};

mod labels;
#[cfg(test)]
mod tests;

/// A parsed `labelSelector`; empty matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Above(i64),
    Below(i64),
}

impl Labels {
    /// Reads `a=b,c!=d,e in (x,y),f notin (z),g,!h`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        labels::parse(text).map(Self)
    }

    /// Whether nothing is asked.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the labels of `object` fulfil each requirement.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        let labels = object.pointer("/metadata/labels");
        self.0.iter().all(|requirement| {
            let value = labels
                .and_then(|l| l.get(&requirement.key))
                .and_then(Value::as_str);
            match (&requirement.test, value) {
                (Test::In(values), Some(v)) => values.iter().any(|x| x == v),
                (Test::NotIn(values), Some(v)) => !values.iter().any(|x| x == v),
                (Test::Exists, Some(_)) | (Test::Absent | Test::NotIn(_), None) => true,
                (Test::Above(least), Some(v)) => v.parse::<i64>().is_ok_and(|v| v > *least),
                (Test::Below(most), Some(v)) => v.parse::<i64>().is_ok_and(|v| v < *most),
                (Test::Exists | Test::In(_) | Test::Above(_) | Test::Below(_), None)
                | (Test::Absent, Some(_)) => false,
            }
        })
    }
}

/// A parsed `fieldSelector`; empty matches all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<Field>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    name: String,
    value: String,
    equal: bool,
}

impl Fields {
    /// Reads `metadata.name=x,status.phase!=y` for fields that `resource` lets select.
    pub(crate) fn parse(text: &str, resource: &Resource) -> Result<Self, Failure> {
        let mut fields = Vec::new();
        for part in split_escaped(text).iter().filter(|part| !part.is_empty()) {
            let (name, value, equal) = if let Some((n, v)) = part.split_once("!=") {
                (n, v, false)
            } else if let Some((n, v)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (n, v, true)
            } else {
                return Err(Failure::bad_request(format!(
                    "invalid selector: '{part}'; can't understand '{part}'"
                )));
            };
            if !supported(name, resource) {
                return Err(Failure::bad_request(match resource.family {
                    Family::ConfigMap | Family::Lease => format!(
                        "{name:?} is not a known field selector: only \"metadata.name\", \
                         \"metadata.namespace\""
                    ),
                    _ => format!("field label not supported: {name}"),
                }));
            }
            let value = unescape(value);
            fields.push(Field {
                name: name.to_owned(),
                value,
                equal,
            });
        }
        Ok(Self(fields))
    }

    /// The one name that can match, if the selector says so.
    pub(crate) fn name(&self) -> Option<&str> {
        self.exact("metadata.name")
    }

    /// The one namespace that can match, if the selector says so.
    pub(crate) fn namespace(&self) -> Option<&str> {
        self.exact("metadata.namespace")
    }

    fn exact(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|f| f.equal && f.name == name)
            .map(|f| f.value.as_str())
    }

    /// Whether nothing is asked beyond name and namespace.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `object` fulfils each requirement; an absent field is the empty string.
    pub(crate) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|field| {
            let text = match jsonpath::first(object, alias(&field.name)) {
                Some(Value::String(s)) => s.clone(),
                Some(Value::Null) | None => String::new(),
                Some(other) => other.to_string(),
            };
            (text == field.value) == field.equal
        })
    }
}

fn supported(name: &str, resource: &Resource) -> bool {
    name == "metadata.name"
        || (name == "metadata.namespace" && resource.namespaced)
        || resource
            .selectable
            .iter()
            .any(|path| path.strip_prefix('.') == Some(name))
}

/// A core Event's `source` selects by the component in it.
fn alias(name: &str) -> &str {
    if name == "source" {
        "source.component"
    } else {
        name
    }
}

fn split_escaped(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut escaped) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            ',' if !escaped => parts.push(std::mem::take(&mut part)),
            _ => part.push(c),
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(part);
    parts
}

fn unescape(text: &str) -> String {
    let (mut out, mut escaped) = (String::new(), false);
    for c in text.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}
