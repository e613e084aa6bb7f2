//! How ownership moves: by an update, by an apply.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Value, json};

use super::managed::{Entry, Managed, Operation, Writer};
use super::set::{Element, Set};
use super::shape::Node;
use super::walk;
use crate::object;

/// The manager of everything that was there before anybody applied.
const BEFORE: &str = "before-first-apply";
/// Where kubectl keeps what it applied on its own side.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Parts of the metadata that nobody owns.
const NOBODYS: [&str; 9] = [
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// A field that somebody else owns and has otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Conflict {
    /// Who, in words.
    pub(crate) manager: String,
    /// Which field.
    pub(crate) path: String,
}

/// Why an apply is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Others own what it states.
    Conflicts(Vec<Conflict>),
    /// What it states is not what the schema knows; each finding with its path.
    Untyped(Vec<String>),
}

/// Entries after a write that is no apply: `new` takes the place of `old`, null where there was nothing.
pub(crate) fn update(
    schema: &JSONSchemaProps,
    old: &Value,
    new: &Value,
    managed: Managed,
    writer: &Writer,
    ignored: &Set,
) -> Managed {
    // Nobody is known to own anything: it was let go of on purpose, or is from a time without this bookkeeping.
    if managed.is_empty() && !object::uid(new).is_empty() {
        return managed;
    }
    took(schema, old, new, managed, writer, ignored).capped()
}

fn took(
    schema: &JSONSchemaProps,
    old: &Value,
    new: &Value,
    managed: Managed,
    writer: &Writer,
    ignored: &Set,
) -> Managed {
    let node = Node(Some(schema));
    let compared = walk::compare(node, &bare(old), &bare(new)).outside(ignored);
    let changed = compared.modified.union(&compared.added);
    let lost = changed.union(&compared.removed);
    let mut entries: Vec<Entry> = managed
        .0
        .into_iter()
        .map(|mut entry| {
            if entry.api_version == writer.api_version {
                entry.fields = entry.fields.difference(&lost);
            }
            entry
        })
        .collect();
    let taken = changed.difference(&nobodys());
    if !taken.is_empty() {
        let mut own = writer.entry(Operation::Update, taken);
        if let Some(at) = entries.iter().position(|entry| entry.is_same_manager(&own)) {
            own.fields = own.fields.union(&entries.swap_remove(at).fields);
        }
        entries.push(own);
    }
    entries.retain(|entry| !entry.fields.is_empty());
    Managed(entries)
}

/// `live` with what `applied` states, and the entries after that. None for the object says that nothing differs.
pub(crate) fn apply(
    schema: &JSONSchemaProps,
    live: &Value,
    applied: &Value,
    managed: Managed,
    writer: &Writer,
    force: bool,
    ignored: &Set,
) -> Result<(Option<Value>, Managed), Refusal> {
    let managed = if managed.is_empty() && !object::uid(live).is_empty() {
        let before = Writer {
            name: BEFORE.to_owned(),
            subresource: String::new(),
            ..writer.clone()
        };
        let nothing = json!({ "apiVersion": live.get("apiVersion"), "kind": live.get("kind") });
        took(
            schema,
            &nothing,
            live,
            Managed::default(),
            &before,
            &Set::default(),
        )
    } else {
        managed
    };
    let laid = lay(
        schema,
        live,
        applied,
        managed.clone(),
        writer,
        force,
        ignored,
    );
    let Err(Refusal::Conflicts(conflicts)) = laid else {
        return laid;
    };
    // What kubectl applied on its own side is its to change when it begins to apply here.
    let own = if writer.name == "kubectl" {
        last_applied(schema, live)
    } else {
        Vec::new()
    };
    let left: Vec<Conflict> = conflicts
        .into_iter()
        .filter(|one| !own.contains(&one.path))
        .collect();
    if left.is_empty() {
        return lay(schema, live, applied, managed, writer, true, ignored);
    }
    Err(Refusal::Conflicts(left))
}

fn lay(
    schema: &JSONSchemaProps,
    live: &Value,
    applied: &Value,
    managed: Managed,
    writer: &Writer,
    force: bool,
    ignored: &Set,
) -> Result<(Option<Value>, Managed), Refusal> {
    let node = Node(Some(schema));
    let (live, applied) = (bare(live), bare(applied));
    let stated = walk::stated(node, &applied)
        .map_err(Refusal::Untyped)?
        .outside(ignored);
    let own = writer.entry(Operation::Apply, stated);
    let Managed(mut others) = managed;
    let held = others
        .iter()
        .position(|entry| entry.is_same_manager(&own))
        .map(|at| others.swap_remove(at));
    let merged = walk::merge(node, Some(&live), Some(&applied)).unwrap_or_else(|| live.clone());
    let mut all = others.clone();
    all.push(own.clone());
    let next = match &held {
        Some(held) if !held.fields.is_empty() => pruned(node, &merged, &all, &held.fields),
        _ => merged,
    };
    let compared = walk::compare(node, &live, &next).outside(ignored);
    let changed = compared.modified.union(&compared.added);
    let clash = |entry: &Entry| {
        if entry.api_version == writer.api_version {
            entry.fields.intersection(&changed)
        } else {
            Set::default()
        }
    };
    if !force {
        let conflicts: Vec<Conflict> = others
            .iter()
            .flat_map(|entry| {
                let manager = entry.spoken();
                let paths = clash(entry).paths();
                paths.into_iter().map(move |path| Conflict {
                    manager: manager.clone(),
                    path,
                })
            })
            .collect();
        if !conflicts.is_empty() {
            return Err(Refusal::Conflicts(conflicts));
        }
    }
    for entry in others
        .iter_mut()
        .filter(|entry| entry.api_version == writer.api_version)
    {
        entry.fields = entry
            .fields
            .difference(&changed)
            .difference(&compared.removed);
    }
    let mut own = own;
    own.fields = own.fields.difference(&nobodys());
    let same = compared.is_same();
    if same {
        own.time = match held {
            Some(held) => held.time,
            None => None,
        };
    }
    others.push(own);
    others.retain(|entry| !entry.fields.is_empty());
    Ok(((!same).then_some(next), Managed(others)))
}

/// `merged` without what its manager stated before (`last`), states no more, and nobody else owns.
fn pruned(node: Node<'_>, merged: &Value, all: &[Entry], last: &Set) -> Value {
    let nothing = || json!({});
    let stated =
        |value: &Value| walk::with_parents(node, &walk::stated(node, value).unwrap_or_default());
    let last = walk::with_parents(node, last);
    let mut left = walk::without(node, merged, &last).unwrap_or_else(nothing);
    let owned = all
        .iter()
        .fold(Set::default(), |owned, entry| owned.union(&entry.fields));
    let owned = walk::with_parents(node, &owned);
    // What somebody owns comes back.
    let gone = stated(merged).difference(&stated(&left).union(&owned));
    left = walk::without(node, merged, &gone).unwrap_or_else(nothing);
    // And so does what only went along with what was taken out above it.
    let gone = stated(merged)
        .difference(&stated(&left))
        .intersection(&last);
    walk::without(node, merged, &gone).unwrap_or_else(nothing)
}

/// Paths that kubectl applied on its own side and that still are as it applied them.
fn last_applied(schema: &JSONSchemaProps, live: &Value) -> Vec<String> {
    let node = Node(Some(schema));
    let text = object::annotation(live, LAST_APPLIED).unwrap_or_default();
    let Ok(applied) = serde_json::from_str::<Value>(text) else {
        return Vec::new();
    };
    let Ok(stated) = walk::stated(node, &applied) else {
        return Vec::new();
    };
    let compared = walk::compare(node, &applied, &bare(live));
    let differs = compared
        .modified
        .union(&compared.added)
        .union(&compared.removed);
    stated.difference(&differs).paths()
}

/// The object without its entries, which are nobody's field.
fn bare(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("managedFields");
    }
    object
}

fn nobodys() -> Set {
    let mut set = Set::default();
    for name in ["apiVersion", "kind", "metadata"] {
        set.insert(&[Element::field(name)]);
    }
    for name in NOBODYS {
        set.insert(&[Element::field("metadata"), Element::field(name)]);
    }
    set
}
