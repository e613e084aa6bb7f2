//! `metadata.managedFields`: its entries, read and written.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::set::Set;
use crate::object;

/// Managers of updates that an object remembers; the oldest beyond become one.
const MOST_UPDATERS: usize = 10;
/// The one that they become.
const ANCIENT: &str = "ancient-changes";

/// How a manager writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

/// Who writes, and through which door.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    /// Name of the manager.
    pub(crate) name: String,
    /// `group/version` of the object as the client sent it.
    pub(crate) api_version: String,
    /// The subresource; empty for the object itself.
    pub(crate) subresource: String,
    /// The present, as objects write it.
    pub(crate) now: String,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    pub(super) subresource: String,
    pub(super) time: Option<String>,
    pub(super) fields: Set,
}

/// All entries of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Managed(pub(super) Vec<Entry>);

impl Writer {
    /// An entry of this writer.
    pub(super) fn entry(&self, operation: Operation, fields: Set) -> Entry {
        Entry {
            name: self.name.clone(),
            operation,
            api_version: self.api_version.clone(),
            subresource: self.subresource.clone(),
            time: Some(self.now.clone()),
            fields,
        }
    }
}

impl Entry {
    /// Whether both are entries of one manager. One that applies may change the version.
    pub(super) fn is_same_manager(&self, other: &Self) -> bool {
        self.name == other.name
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    /// The manager as a conflict names it.
    pub(super) fn spoken(&self) -> String {
        let mut text = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            text.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if self.operation == Operation::Update {
            text.push_str(&format!(" using {}", self.api_version));
        }
        text
    }

    fn decode(value: &Value) -> Option<Self> {
        let text = |key: &str| {
            value
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let operation = match text("operation").as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        Some(Self {
            name: text("manager"),
            operation,
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: Some(text("time")).filter(|time| !time.is_empty()),
            fields: match value.get("fieldsV1") {
                None | Some(Value::Null) => Set::default(),
                Some(fields) => Set::decode(fields)?,
            },
        })
    }

    fn encode(&self) -> Value {
        let operation = match self.operation {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        };
        let mut value = json!({
            "manager": self.name, "operation": operation, "apiVersion": self.api_version,
            "fieldsType": "FieldsV1", "fieldsV1": self.fields.encode(),
        });
        let map = object::root_mut(&mut value);
        if let Some(time) = &self.time {
            map.insert("time".to_owned(), json!(time));
        }
        if !self.subresource.is_empty() {
            map.insert("subresource".to_owned(), json!(self.subresource));
        }
        value
    }
}

impl Managed {
    /// Whether nobody is known to own anything.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn of(object: &Value) -> Option<Self> {
        let Some(list) = object::metadata(object).and_then(|meta| meta.get("managedFields")) else {
            return Some(Self::default());
        };
        let entries: Option<Vec<Entry>> = list.as_array()?.iter().map(Entry::decode).collect();
        entries.map(Self)
    }

    /// No more updaters than an object remembers.
    pub(super) fn capped(mut self) -> Self {
        let updaters = |all: &[Entry]| {
            all.iter()
                .filter(|one| one.operation == Operation::Update)
                .count()
        };
        let age = |entry: &Entry| {
            let time = entry
                .time
                .as_deref()
                .and_then(|time| time.parse::<Timestamp>().ok());
            (time, entry.name.clone())
        };
        while updaters(&self.0) > MOST_UPDATERS {
            let mut oldest: Vec<Entry> = self
                .0
                .iter()
                .filter(|one| one.operation == Operation::Update)
                .cloned()
                .collect();
            oldest.sort_by_key(age);
            // The oldest two of one version become one; where each is of another version, all stay.
            let pair = oldest.iter().enumerate().find_map(|(index, one)| {
                let later = oldest.get(index + 1..).unwrap_or_default();
                let partner = later
                    .iter()
                    .find(|other| other.api_version == one.api_version)?;
                Some((one.clone(), partner.clone()))
            });
            let Some((first, second)) = pair else { break };
            self.0.retain(|one| *one != first && *one != second);
            self.0.push(Entry {
                name: ANCIENT.to_owned(),
                operation: Operation::Update,
                api_version: second.api_version,
                subresource: String::new(),
                time: second.time,
                fields: first.fields.union(&second.fields),
            });
        }
        self
    }
}

/// The entries to go on from: those that the request carries where it goes through the main door and they can be read,
/// else those of the object. A request with one empty entry begins anew.
pub(crate) fn sent_or_held(held: &Value, sent: &Value, main: bool) -> Managed {
    let held = || Managed::of(held).unwrap_or_default();
    if !main {
        return held();
    }
    let list = object::metadata(sent)
        .and_then(|meta| meta.get("managedFields"))
        .and_then(Value::as_array);
    let reset = |one: &Value| one.as_object().is_some_and(serde_json::Map::is_empty);
    if let Some([only]) = list.map(Vec::as_slice)
        && reset(only)
    {
        return Managed::default();
    }
    match Managed::of(sent) {
        Some(managed) if !managed.is_empty() => managed,
        _ => held(),
    }
}

/// Writes the entries into `object`: those that apply first, then the older ones.
pub(crate) fn encode(object: &mut Value, managed: &Managed) {
    let mut entries: Vec<&Entry> = managed
        .0
        .iter()
        .filter(|entry| !entry.fields.is_empty())
        .collect();
    entries.sort_by(|a, b| {
        (
            a.operation,
            &a.time,
            &a.name,
            &a.api_version,
            &a.subresource,
        )
            .cmp(&(
                b.operation,
                &b.time,
                &b.name,
                &b.api_version,
                &b.subresource,
            ))
    });
    let list: Vec<Value> = entries.into_iter().map(Entry::encode).collect();
    let meta = object::metadata_mut(object);
    if list.is_empty() {
        meta.remove("managedFields");
    } else {
        meta.insert("managedFields".to_owned(), Value::Array(list));
    }
}

/// Whether two states of an object differ in nothing but the times of their entries.
pub(crate) fn same_but_for_times(one: &Value, other: &Value) -> bool {
    let timeless = |object: &Value| {
        let mut object = object.clone();
        let list = object::metadata_mut(&mut object)
            .get_mut("managedFields")
            .and_then(Value::as_array_mut);
        for entry in list.into_iter().flatten().filter_map(Value::as_object_mut) {
            entry.remove("time");
        }
        if let Some(list) = object::metadata_mut(&mut object)
            .get_mut("managedFields")
            .and_then(Value::as_array_mut)
        {
            list.sort_by_key(ToString::to_string);
        }
        object
    };
    one == other || timeless(one) == timeless(other)
}
