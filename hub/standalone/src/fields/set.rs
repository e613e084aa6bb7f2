//! Sets of field paths, and their form in `fieldsV1`.
//!
//! In `fieldsV1` a path is a nest of keys: `f:` a field, `k:` an item of a keyed list, `v:` an item of a set, `i:` a
//! position. The key `.` in a nest says that the path so far is itself in the set; an empty nest says the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::{Map, Value};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Element {
    /// A field of an object, or a key of a map.
    Field(String),
    /// An item of a keyed list: its keys with their values as JSON.
    Key(BTreeMap<String, String>),
    /// An item of a set, as JSON.
    Value(String),
    /// A position in a list.
    Index(usize),
}

/// Paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Set {
    /// Steps that are paths of the set by themselves.
    pub(super) members: BTreeSet<Element>,
    /// Longer paths by their first step; no nest is empty.
    pub(super) children: BTreeMap<Element, Self>,
}

impl Element {
    /// The field `name`.
    pub(crate) fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => {
                let inner: Vec<String> = keys
                    .iter()
                    .map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())))
                    .collect();
                format!("k:{{{}}}", inner.join(","))
            }
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        match kind {
            "f" => Some(Self::field(rest)),
            "k" => {
                let keys: Map<String, Value> = serde_json::from_str(rest).ok()?;
                Some(Self::Key(
                    keys.into_iter()
                        .map(|(key, value)| (key, value.to_string()))
                        .collect(),
                ))
            }
            "v" => {
                let value: Value = serde_json::from_str(rest).ok()?;
                Some(Self::Value(value.to_string()))
            }
            "i" => rest.parse().ok().map(Self::Index),
            _ => None,
        }
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(keys) => {
                let inner: Vec<String> = keys
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                write!(f, "[{}]", inner.join(","))
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

impl Set {
    /// Whether there is no path.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    /// Adds a path; the empty one says nothing.
    pub(crate) fn insert(&mut self, path: &[Element]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Paths of either.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.members.extend(other.members.iter().cloned());
        for (step, nest) in &other.children {
            let slot = all.children.entry(step.clone()).or_default();
            *slot = slot.union(nest);
        }
        all
    }

    /// Paths of both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let members = self.members.intersection(&other.members).cloned().collect();
        let children = self.children.iter().filter_map(|(step, nest)| {
            let common = nest.intersection(other.children.get(step)?);
            (!common.is_empty()).then(|| (step.clone(), common))
        });
        Self {
            members,
            children: children.collect(),
        }
    }

    /// Paths that `other` does not have.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        self.without(other, false)
    }

    /// Paths that neither stand in `other` nor lie below a path that does.
    pub(crate) fn outside(&self, other: &Self) -> Self {
        self.without(other, true)
    }

    fn without(&self, other: &Self, below: bool) -> Self {
        let members = self.members.difference(&other.members).cloned().collect();
        let children = self.children.iter().filter_map(|(step, nest)| {
            if below && other.members.contains(step) {
                return None;
            }
            let rest = match other.children.get(step) {
                Some(gone) => nest.without(gone, below),
                None => nest.clone(),
            };
            (!rest.is_empty()).then(|| (step.clone(), rest))
        });
        Self {
            members,
            children: children.collect(),
        }
    }

    /// Every path, as it is written in a message.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect("", &mut found);
        found
    }

    fn collect(&self, prefix: &str, found: &mut Vec<String>) {
        for step in &self.members {
            found.push(format!("{prefix}{step}"));
        }
        for (step, nest) in &self.children {
            nest.collect(&format!("{prefix}{step}"), found);
        }
    }

    /// The form in `fieldsV1`.
    pub(crate) fn encode(&self) -> Value {
        let mut map = Map::new();
        for step in &self.members {
            map.insert(step.encode(), Value::Object(Map::new()));
        }
        for (step, nest) in self.children.iter().filter(|(_, nest)| !nest.is_empty()) {
            let mut inner = nest.encode();
            if let (true, Some(inner)) = (self.members.contains(step), inner.as_object_mut()) {
                inner.insert(".".to_owned(), Value::Object(Map::new()));
            }
            map.insert(step.encode(), inner);
        }
        Value::Object(map)
    }

    /// Reads `fieldsV1`; none where it is not that.
    pub(crate) fn decode(value: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (key, inner) in value.as_object()? {
            if key == "." {
                continue;
            }
            let step = Element::decode(key)?;
            let nest = inner.as_object()?;
            if nest.is_empty() || nest.contains_key(".") {
                set.members.insert(step.clone());
            }
            let below = Self::decode(inner)?;
            if !below.is_empty() {
                set.children.insert(step, below);
            }
        }
        Some(set)
    }
}
