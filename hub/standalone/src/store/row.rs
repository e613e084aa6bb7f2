//! One stored object: its key, its text and the little of its metadata that is asked for often.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::Value;

use super::packed::Packed;
use crate::object;

/// Which object: resource, namespace, name. Orders as a list is ordered, which etcd's keys decide: `NAMESPACE/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// `plural.group` of the stored form.
    pub(crate) resource: Arc<str>,
    /// Empty for kinds without namespaces.
    pub(crate) namespace: String,
    /// The object's name.
    pub(crate) name: String,
}

impl Key {
    /// A key from its parts.
    pub(crate) fn new(resource: Arc<str>, namespace: &str, name: &str) -> Self {
        Self {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    /// Whether a list of `resource`, in one namespace or all, holds this key.
    pub(crate) fn is_in(&self, resource: &Arc<str>, namespace: Option<&str>) -> bool {
        self.resource == *resource && namespace.is_none_or(|n| n == self.namespace)
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        // So `a-b` comes before `a`, because `-` comes before the slash.
        let (own, others) = (self.namespace.bytes(), other.namespace.bytes());
        self.resource
            .cmp(&other.resource)
            .then_with(|| own.chain([b'/']).cmp(others.chain([b'/'])))
            .then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An owner that an object names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    /// UID of the owner.
    pub(crate) uid: String,
    /// Group and version of the owner.
    pub(crate) api_version: String,
    /// Kind of the owner.
    pub(crate) kind: String,
    /// Name of the owner, in the namespace of what it owns if it has one.
    pub(crate) name: String,
    /// Whether a foreground deletion of the owner waits for this object.
    pub(crate) blocks: bool,
}

/// Metadata kept apart from the text, so that sweeps need not parse it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Identity in time.
    pub(crate) uid: String,
    /// Whether deletion was asked for.
    pub(crate) deleting: bool,
    /// Who holds it.
    pub(crate) finalizers: Vec<String>,
    /// On whom it depends.
    pub(crate) owners: Vec<Owner>,
}

impl Meta {
    /// Reads the metadata of `object`.
    pub(crate) fn of(object: &Value) -> Self {
        let owners = object
            .pointer("/metadata/ownerReferences")
            .and_then(Value::as_array);
        let text = |owner: &Value, key: &str| {
            owner
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        Self {
            uid: object::uid(object).to_owned(),
            deleting: object::is_deleting(object),
            finalizers: object::finalizers(object)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            owners: owners
                .into_iter()
                .flatten()
                .map(|owner| Owner {
                    uid: text(owner, "uid"),
                    api_version: text(owner, "apiVersion"),
                    kind: text(owner, "kind"),
                    name: text(owner, "name"),
                    blocks: owner.get("blockOwnerDeletion").and_then(Value::as_bool) == Some(true),
                })
                .collect(),
        }
    }
}

/// One stored object.
#[derive(Debug)]
pub(crate) struct Row {
    /// Which object.
    pub(crate) key: Key,
    /// Its resource version.
    pub(crate) version: u64,
    /// The object as JSON text, the version in it.
    pub(super) packed: Packed,
    /// Bytes that its text takes at rest, at most.
    pub(super) at_rest: usize,
    /// What sweeps look at.
    pub(crate) meta: Meta,
}

impl Row {
    /// The row of `object`, which gets `version` written into it.
    pub(crate) fn new(key: Key, version: u64, mut object: Value) -> Self {
        object::metadata_mut(&mut object).insert(
            "resourceVersion".to_owned(),
            Value::String(version.to_string()),
        );
        let packed = Packed::of(object.to_string().as_bytes());
        Self {
            key,
            version,
            at_rest: packed.bytes().len(),
            packed,
            meta: Meta::of(&object),
        }
    }

    /// The object. Text that was checked when it was read from disk parses.
    pub(crate) fn object(&self) -> Value {
        serde_json::from_slice(&self.text()).unwrap_or_default()
    }

    /// The object as JSON text, the version in it.
    pub(crate) fn text(&self) -> Vec<u8> {
        self.packed.text().unwrap_or_default()
    }

    /// Bytes of [`Self::text`].
    pub(crate) fn length(&self) -> usize {
        self.packed.unpacked()
    }
}
