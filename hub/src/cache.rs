//! What the watches have seen: one map a kind, read by controllers without an API call.
//!
//! Owns the newest known state of each object. What this process has just written is put in at once, so that the next
//! reconcile does not act on the state before its own write; an event that is older than that is left out.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use kube::{Resource, ResourceExt as _};
use tokio::sync::watch;
use vitistack_protocol::ids::Uid;

#[cfg(test)]
mod tests;

/// Namespace and name.
pub(crate) type Name = (String, String);

/// What an event did to the cache.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen<K> {
    /// The object was not known.
    New,
    /// It was; this is how it was before.
    Changed(Arc<K>),
    /// Nothing new: the cache holds this state or a newer one.
    Stale,
}

/// The newest known state of the objects of one kind.
#[derive(Debug)]
pub(crate) struct Cache<K> {
    objects: RwLock<Objects<K>>,
    synced: watch::Sender<bool>,
}

#[derive(Debug)]
struct Objects<K> {
    by_name: BTreeMap<Name, Arc<K>>,
    by_uid: HashMap<Uid, Arc<K>>,
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self {
            objects: RwLock::new(Objects {
                by_name: BTreeMap::new(),
                by_uid: HashMap::new(),
            }),
            synced: watch::Sender::new(false),
        }
    }
}

/// The object's UID, if it has a well-formed one; each object of an API server has.
pub(crate) fn uid_of<K: Resource>(object: &K) -> Option<Uid> {
    object.meta().uid.as_deref()?.parse().ok()
}

fn name_of<K: Resource>(object: &K) -> Name {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// Whether `new` is older than or the same as `held`. Resource versions of one kind are ordered numbers in every
/// API server that we run against; where one is not a number, the newcomer wins.
fn stale<K: Resource>(held: &K, new: &K) -> bool {
    if held.meta().uid != new.meta().uid {
        return false;
    }
    let number = |object: &K| object.resource_version()?.parse::<u128>().ok();
    match (number(held), number(new)) {
        (Some(held), Some(new)) => new <= held,
        _ => false,
    }
}

impl<K: Resource> Cache<K> {
    /// Takes over a newer state of one object, without its `managedFields`: they are most of a small object's memory, and
    /// nobody here asks who set what.
    pub(crate) fn apply(&self, mut object: K) -> Seen<K> {
        object.meta_mut().managed_fields = None;
        let name = name_of(&object);
        let mut objects = self.write();
        if let Some(held) = objects.by_name.get(&name)
            && stale(held.as_ref(), &object)
        {
            return Seen::Stale;
        }
        let object = Arc::new(object);
        let before = objects.by_name.insert(name, Arc::clone(&object));
        if let Some(uid) = before.as_deref().and_then(uid_of) {
            objects.by_uid.remove(&uid);
        }
        if let Some(uid) = uid_of(object.as_ref()) {
            objects.by_uid.insert(uid, object);
        }
        match before {
            None => Seen::New,
            Some(before) => Seen::Changed(before),
        }
    }

    /// The object is gone. One that was made anew under the same name stays.
    pub(crate) fn remove(&self, object: &K) -> Option<Arc<K>> {
        let name = name_of(object);
        let mut objects = self.write();
        let held = objects.by_name.get(&name)?;
        if held.meta().uid != object.meta().uid {
            return None;
        }
        if let Some(uid) = uid_of(object) {
            objects.by_uid.remove(&uid);
        }
        objects.by_name.remove(&name)
    }

    /// After a complete list: forgets what is not in it, and counts as synced. Returns what was forgotten.
    pub(crate) fn retain(&self, listed: &[(Name, Option<String>)]) -> Vec<Arc<K>> {
        let listed: HashMap<&Name, &Option<String>> =
            listed.iter().map(|(name, uid)| (name, uid)).collect();
        let mut objects = self.write();
        let gone: Vec<Name> = objects
            .by_name
            .iter()
            .filter(|(name, object)| listed.get(name) != Some(&&object.meta().uid))
            .map(|(name, _)| name.clone())
            .collect();
        let mut forgotten = Vec::new();
        for name in gone {
            if let Some(object) = objects.by_name.remove(&name) {
                if let Some(uid) = uid_of(object.as_ref()) {
                    objects.by_uid.remove(&uid);
                }
                forgotten.push(object);
            }
        }
        drop(objects);
        self.synced.send_replace(true);
        forgotten
    }

    /// The object of this name.
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<Arc<K>> {
        let name = (namespace.to_owned(), name.to_owned());
        self.read().by_name.get(&name).cloned()
    }

    /// The object of this UID.
    pub(crate) fn by_uid(&self, uid: Uid) -> Option<Arc<K>> {
        self.read().by_uid.get(&uid).cloned()
    }

    /// All objects, by namespace and name.
    pub(crate) fn all(&self) -> Vec<Arc<K>> {
        self.read().by_name.values().cloned().collect()
    }

    /// Those that `choose` takes, by namespace and name. It is called under the lock.
    pub(crate) fn select(&self, choose: impl Fn(&K) -> bool) -> Vec<Arc<K>> {
        let objects = self.read();
        let chosen = objects.by_name.values().filter(|object| choose(object));
        chosen.cloned().collect()
    }

    /// Whether a complete list was seen.
    pub(crate) fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Waits for the first complete list. Cancel-safe.
    pub(crate) async fn synced(&self) {
        let mut synced = self.synced.subscribe();
        // The sender lives in `self`, so the only way to end is the value that is waited for.
        drop(synced.wait_for(|done| *done).await);
    }

    fn read(&self) -> RwLockReadGuard<'_, Objects<K>> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects<K>> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}
