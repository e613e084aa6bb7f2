//! Takes out of answers what no two servers have in common (identities, versions, times), keeping what is equal to what:
//! the first uid of a case is `uid-1` on both sides, wherever it appears. Then compares.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::case::{Exchange, Step};

/// One field that differs.
#[derive(Debug)]
pub(crate) struct Finding {
    /// `code`, `header …`, or a JSON pointer into the body.
    pub(crate) path: String,
    /// What kube-apiserver answered.
    pub(crate) real: String,
    /// What the standalone API answered.
    pub(crate) ours: String,
}

/// Names given to what differs by nature.
#[derive(Default)]
struct Names {
    known: HashMap<String, String>,
    uids: usize,
    versions: HashMap<String, String>,
}

/// The answers of a case with names in place of identities.
pub(crate) fn of(exchanges: &[Exchange]) -> Vec<Exchange> {
    let mut names = Names::default();
    exchanges
        .iter()
        .map(|exchange| {
            let mut exchange = exchange.clone();
            names.value("", &mut exchange.body);
            for (_, text) in &mut exchange.headers {
                *text = names.text(text);
            }
            exchange
        })
        .collect()
}

impl Names {
    fn value(&mut self, key: &str, value: &mut Value) {
        match value {
            Value::Object(map) => self.object(key, map),
            Value::Array(list) => {
                for item in list.iter_mut() {
                    self.value(key, item);
                }
                // Their order is that of a hash map, or of the second in which they were written.
                if matches!(key, "managedFields" | "causes" | "resources") {
                    list.sort_by_key(|item| {
                        let mut item = item.clone();
                        let fields = item.as_object_mut().and_then(|map| map.remove("fieldsV1"));
                        (item.to_string(), fields.map(|fields| fields.to_string()))
                    });
                }
            }
            Value::String(text) => *text = self.scalar(key, text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn object(&mut self, key: &str, map: &mut Map<String, Value>) {
        in_order(map);
        let generated = text(map, "generateName").to_owned();
        let name = text(map, "name").to_owned();
        if key == "metadata" && !generated.is_empty() && name.len() > generated.len() {
            let count = self.known.len();
            self.known
                .entry(name)
                .or_insert_with(|| format!("{generated}<generated-{count}>"));
        }
        let of_object = key == "metadata" && (map.contains_key("uid") || map.contains_key("name"));
        for (key, value) in map.iter_mut() {
            match (key.as_str(), &*value) {
                ("resourceVersion", Value::String(version)) if of_object => {
                    let next = format!("version-{}", self.versions.len() + 1);
                    let name = self.versions.entry(version.clone()).or_insert(next);
                    *value = Value::String(name.clone());
                }
                ("resourceVersion", Value::String(version)) if !version.is_empty() => {
                    *value = Value::String("<version>".to_owned());
                }
                ("continue", Value::String(token)) if !token.is_empty() => {
                    *value = Value::String("<continue>".to_owned());
                }
                (key, _) => {
                    let key = key.to_owned();
                    self.value(&key, value);
                }
            }
        }
        // Fields of lists are named by their keys, and those of owners are uids.
        let named: Vec<String> = map
            .keys()
            .filter(|key| key.starts_with("k:"))
            .cloned()
            .collect();
        for key in named {
            if let Some(value) = map.remove(&key) {
                map.insert(self.text(&key), value);
            }
        }
    }

    fn scalar(&mut self, key: &str, text: &str) -> String {
        match key {
            "uid" if text.len() == 36 => {
                if !self.known.contains_key(text) {
                    self.uids += 1;
                    self.known
                        .insert(text.to_owned(), format!("<uid-{}>", self.uids));
                }
                self.text(text)
            }
            "creationTimestamp" | "deletionTimestamp" | "time" => "<time>".to_owned(),
            "cells" if text.ends_with('s') && text[..text.len() - 1].parse::<u64>().is_ok() => {
                "<age>".to_owned()
            }
            _ => self.text(text),
        }
    }

    fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut known: Vec<_> = self.known.iter().collect();
        known.sort_by_key(|(found, _)| std::cmp::Reverse(found.len()));
        for (found, name) in known {
            text = text.replace(found, name);
        }
        if !text.contains("esource version") && !text.contains("ResourceVersion") {
            return text;
        }
        let mut plain = String::new();
        for character in text.chars() {
            if !character.is_ascii_digit() {
                plain.push(character);
            } else if !plain.ends_with('#') {
                plain.push('#');
            }
        }
        plain
    }
}

/// The message of a refusal tells its causes in the order of a hash map; here in that of the alphabet. One that does not
/// tell exactly its causes is left alone.
fn in_order(status: &mut Map<String, Value>) {
    let causes = status
        .get("details")
        .and_then(|details| details.get("causes"));
    let mut told: Vec<String> = causes
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .map(|cause| format!("{}: {}", text(cause, "field"), text(cause, "message")))
        .collect();
    told.sort_unstable();
    told.dedup();
    let Some((start, list)) = text(status, "message").split_once(" is invalid: [") else {
        return;
    };
    let Some(list) = list.strip_suffix(']') else {
        return;
    };
    let length = told.iter().map(String::len).sum::<usize>() + 2 * told.len().saturating_sub(1);
    if list.len() == length && told.iter().all(|one| list.contains(one.as_str())) {
        let ordered = format!("{start} is invalid: [{}]", told.join(", "));
        status.insert("message".to_owned(), Value::String(ordered));
    }
}

fn text<'a>(map: &'a Map<String, Value>, key: &str) -> &'a str {
    map.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Every field in which two answers to `step` differ.
pub(crate) fn compare(real: &Exchange, ours: &Exchange, step: &Step) -> Vec<Finding> {
    let mut found = Vec::new();
    if step.quiet && (real.code >= 300) == (ours.code >= 300) {
        return found;
    }
    for (name, exchange) in [("kube-apiserver", real), ("standalone", ours)] {
        if !exchange.settled {
            found.push(Finding {
                path: format!("until {:?}: not on {name}", step.until),
                real: format!("{} {}", real.code, short(Some(&real.body))),
                ours: format!("{} {}", ours.code, short(Some(&ours.body))),
            });
        }
    }
    if !found.is_empty() {
        return found;
    }
    if real.code != ours.code {
        found.push(Finding {
            path: "code".to_owned(),
            real: format!("{} {}", real.code, short(Some(&real.body))),
            ours: format!("{} {}", ours.code, short(Some(&ours.body))),
        });
        return found;
    }
    for name in ["content-type", "warning", "retry-after"] {
        let of = |exchange: &Exchange| -> Vec<String> {
            let all = exchange.headers.iter().filter(|(header, _)| header == name);
            all.map(|(_, value)| value.clone()).collect()
        };
        let (real, ours) = (of(real), of(ours));
        if real != ours {
            found.push(Finding {
                path: format!("header {name}"),
                real: format!("{real:?}"),
                ours: format!("{ours:?}"),
            });
        }
    }
    if step.pick.is_empty() {
        differ("", Some(&real.body), Some(&ours.body), &mut found);
    }
    for pointer in &step.pick {
        let (real, ours) = (real.body.pointer(pointer), ours.body.pointer(pointer));
        assert!(real.is_some(), "kube-apiserver has nothing at {pointer}");
        differ(pointer, real, ours, &mut found);
    }
    found
}

fn differ(path: &str, real: Option<&Value>, ours: Option<&Value>, found: &mut Vec<Finding>) {
    match (real, ours) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let mut keys: Vec<&String> = a.keys().chain(b.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            for key in keys {
                let step = key.replace('~', "~0").replace('/', "~1");
                differ(&format!("{path}/{step}"), a.get(key), b.get(key), found);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for index in 0..a.len().max(b.len()) {
                differ(
                    &format!("{path}/{index}"),
                    a.get(index),
                    b.get(index),
                    found,
                );
            }
        }
        _ if real == ours => {}
        _ => found.push(Finding {
            path: path.to_owned(),
            real: short(real),
            ours: short(ours),
        }),
    }
}

fn short(value: Option<&Value>) -> String {
    let text = value.map_or_else(|| "nothing".to_owned(), Value::to_string);
    match text.char_indices().nth(600) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
