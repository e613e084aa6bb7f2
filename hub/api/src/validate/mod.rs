//! What no schema and no CEL rule can say about a spec.
//!
//! The hub's controllers, the standalone API and `kubectl viti validate -f` run the same functions. Each finding names
//! the path of the field, the value, and what is allowed. Pure; whether a reference leads anywhere is not asked here.

mod cluster;
mod cron;
mod datacenter;
mod host;
mod image;
mod machine;
mod net;
mod provider;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::agent::Agent;
use crate::reference::SecretReference;
use crate::schema::{FieldError, FieldReason};

pub use self::cluster::kubernetes_provider;
pub use self::datacenter::datacenter;
pub use self::host::bare_metal_host;
pub use self::image::{BareMetalImage, bare_metal_image};
pub use self::machine::machine;
pub use self::provider::machine_provider;

/// Checks an object of one of our kinds; nothing for any other kind.
#[must_use]
pub fn object(kind: &str, object: &Value) -> Vec<FieldError> {
    fn through<T: DeserializeOwned>(
        object: &Value,
        check: fn(&T) -> Vec<FieldError>,
    ) -> Vec<FieldError> {
        match serde_json::from_value(object.clone()) {
            Ok(typed) => check(&typed),
            Err(error) => vec![FieldError {
                path: String::new(),
                reason: FieldReason::Invalid,
                value: None,
                detail: error.to_string(),
            }],
        }
    }
    match kind {
        "Agent" => through(object, agent),
        "BareMetalHost" => through(object, bare_metal_host),
        "Datacenter" => through(object, datacenter),
        "KubernetesProvider" => through(object, kubernetes_provider),
        "Machine" => through(object, machine),
        "MachineProvider" => through(object, machine_provider),
        _ => Vec::new(),
    }
}

/// Checks an Agent.
#[must_use]
pub fn agent(agent: &Agent) -> Vec<FieldError> {
    let mut findings = Findings::default();
    let names = agent.spec.served_namespaces.iter();
    findings.unique("spec.servedNamespaces", "", names.map(String::as_str));
    findings.found
}

/// Whether `text` is a DNS label, as a site must be.
#[must_use]
pub fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    text.len() <= 63
        && bytes.first().is_some_and(|byte| inner(*byte))
        && bytes.last().is_some_and(|byte| inner(*byte))
        && bytes.iter().all(|byte| inner(*byte) || *byte == b'-')
}

/// What is allowed where [`is_label_key`] says no.
const LABEL_KEY: &str = "must be a label's key: letters, digits, -, _ and ., at most 63 of them, after an optional \
                         prefix such as example.com/";

/// Whether `text` can be the key of a label.
fn is_label_key(text: &str) -> bool {
    let (prefix, name) = text
        .split_once('/')
        .map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let inner = |byte: u8| byte.is_ascii_alphanumeric();
    let bytes = name.as_bytes();
    name.len() <= 63
        && bytes.first().is_some_and(|byte| inner(*byte))
        && bytes.last().is_some_and(|byte| inner(*byte))
        && bytes
            .iter()
            .all(|byte| inner(*byte) || b"-_.".contains(byte))
        && prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_label))
}

/// Findings as they come up.
#[derive(Default)]
struct Findings {
    found: Vec<FieldError>,
}

impl Findings {
    fn invalid(&mut self, path: &str, value: impl Into<Value>, allowed: impl Into<String>) {
        self.found.push(FieldError {
            path: path.to_owned(),
            reason: FieldReason::Invalid,
            value: Some(value.into()),
            detail: allowed.into(),
        });
    }

    fn forbidden(&mut self, path: &str, value: impl Into<Value>, why: &str) {
        self.found.push(FieldError {
            path: path.to_owned(),
            reason: FieldReason::Forbidden,
            value: Some(value.into()),
            detail: why.to_owned(),
        });
    }

    /// Keys of labels.
    fn label_keys<'a>(&mut self, path: &str, keys: impl Iterator<Item = &'a String>) {
        for key in keys.filter(|key| !is_label_key(key)) {
            self.invalid(&format!("{path}[{key}]"), key.as_str(), LABEL_KEY);
        }
    }

    /// The namespaces that a grant lists.
    fn namespaces<'a>(&mut self, names: impl Iterator<Item = &'a str> + Clone) {
        let path = "spec.allowedNamespaces.names";
        for (index, name) in names.clone().enumerate() {
            if !is_label(name) {
                let place = format!("{path}[{index}]");
                self.invalid(&place, name, "must be the name of a namespace");
            }
        }
        self.unique(path, "", names);
    }

    fn required(&mut self, path: &str, why: &str) {
        self.found.push(FieldError {
            path: path.to_owned(),
            reason: FieldReason::Required,
            value: None,
            detail: why.to_owned(),
        });
    }

    /// Each of `names`, which stand at `path[n]` and there at `.field` unless that is empty, once.
    fn unique<'a>(&mut self, path: &str, field: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for (index, name) in names.enumerate() {
            if !seen.insert(name) {
                let dot = if field.is_empty() { "" } else { "." };
                self.found.push(FieldError {
                    path: format!("{path}[{index}]{dot}{field}"),
                    reason: FieldReason::Duplicate,
                    value: Some(Value::from(name)),
                    detail: String::new(),
                });
            }
        }
    }

    /// A cron line, if it is there.
    fn cron(&mut self, path: &str, line: Option<&str>) {
        if let Some(line) = line
            && let Err(why) = cron::check(line)
        {
            self.invalid(
                path,
                line,
                format!("must be a cron line of five fields, such as \"0 2 * * *\": {why}"),
            );
        }
    }

    /// A network, if it is one.
    fn cidr(&mut self, path: &str, text: &str) -> Option<net::Cidr> {
        let parsed = net::Cidr::parse(text);
        if parsed.is_none() {
            self.invalid(
                path,
                text,
                "must be an IPv4 or IPv6 network, such as 10.0.0.0/16",
            );
        }
        parsed
    }

    /// Both spellings of a Secret's name say the same.
    fn secret(&mut self, path: &str, reference: Option<&SecretReference>) {
        if let Some(Err(conflict)) = reference.map(SecretReference::resolve) {
            self.invalid(
                &format!("{path}.secretName"),
                conflict.secret_name,
                format!(
                    "name and secretName are two spellings of one field, and name is {:?}",
                    conflict.name
                ),
            );
        }
    }
}
