//! The operations behind the paths: they read a row, let the pure modules decide, and write.
//!
//! Owns the registry and the store handle. Reads and writes race freely: each write names the
//! version that it was decided on, and is decided anew when somebody was faster.

use std::sync::Arc;

use jiff::Timestamp;
use rand::Rng as _;
use serde_json::{Value, json};

use crate::admit;
use crate::failure::Failure;
use crate::lifecycle::{self, DeleteOptions, Outcome, Part, Stamp};
use crate::object;
use crate::patch;
use crate::query::FieldValidation;
use crate::resource::{Family, Registry, Resource};
use crate::store::{Expect, Handle, Key, Refused, Row, Write};
use crate::view;
use crate::warning::Warnings;

mod owned;

/// Attempts of a change that others overtake. Each loss means that another write went through.
const ATTEMPTS: usize = 16;
/// Letters of generated names, without vowels so that they spell nothing.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The operations.
#[derive(Debug)]
pub(crate) struct Engine {
    /// What is served.
    pub(crate) registry: Registry,
    /// The objects.
    pub(crate) store: Handle,
}

/// How a client wants a write to be treated.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Decide and validate, but write nothing.
    pub(crate) dry_run: bool,
    /// What to do with unknown fields.
    pub(crate) validation: FieldValidation,
    /// Who writes.
    pub(crate) manager: String,
    /// Whether an apply takes what others own.
    pub(crate) force: bool,
}

/// A change that a client sends.
#[derive(Debug)]
pub(crate) enum Change {
    /// The whole object.
    Replace(admit::Parsed),
    /// A patch of it.
    Patch(patch::Kind, hyper::body::Bytes),
}

/// The result of a write.
#[derive(Debug)]
pub(crate) struct Done {
    /// The object as the client's resource shows it.
    pub(crate) object: Value,
    /// Whether the object is new.
    pub(crate) created: bool,
}

/// The result of a deletion.
#[derive(Debug)]
pub(crate) enum Deleted {
    /// It is gone; this was its last state.
    Gone(Value),
    /// Something holds it; this is its state.
    Held(Value),
}

impl Engine {
    /// One object as `resource` shows it.
    pub(crate) fn get(&self, resource: &Resource, key: &Key) -> Result<Value, Failure> {
        self.row(resource, key)
            .map(|row| view::outward(resource, row.object()))
    }

    fn row(&self, resource: &Resource, key: &Key) -> Result<Arc<Row>, Failure> {
        self.store
            .row(key)
            .ok_or_else(|| Failure::not_found(resource, &key.name))
    }

    /// The rules under which rows of `resource` are stored.
    fn stored<'a>(&'a self, resource: &'a Resource) -> &'a Resource {
        self.registry
            .of_storage(&resource.storage)
            .map_or(resource, |found| found)
    }

    /// Creates an object.
    pub(crate) async fn create(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        body: admit::Parsed,
        ask: &Ask,
        told: &mut Warnings,
    ) -> Result<Done, Failure> {
        writable(resource)?;
        let mut sent = admit::decode(resource, body, ask.validation, told)?;
        if matches!(resource.family, Family::CoreEvent | Family::Event) {
            admit::new_event(resource, namespace, &sent)?;
        }
        owned::made(resource, &mut sent, ask);
        self.place(resource, namespace, sent, ask, told).await
    }

    /// Puts a new object into the store.
    async fn place(
        &self,
        resource: &Resource,
        namespace: Option<&str>,
        sent: Value,
        ask: &Ask,
        told: &mut Warnings,
    ) -> Result<Done, Failure> {
        let stored = self.stored(resource);
        let sent = view::inward(resource, sent);
        let generated = object::name(&sent).is_empty();
        let mut attempt = 0;
        loop {
            let object = lifecycle::create(stored, namespace, sent.clone(), &stamp())?;
            admit::check(stored, &object, None, Part::Main)?;
            told.add(admit::plain_finalizers(stored, &object, None));
            let key = self.key(stored, &object);
            let result = if ask.dry_run {
                self.could_create(stored, &key).map(|()| object)
            } else {
                let write = Write {
                    key: key.clone(),
                    expect: Expect::Absent,
                    object,
                    remove: false,
                };
                self.store.write(write).await.map(|row| row.object())
            };
            attempt += 1;
            match result {
                Ok(object) => {
                    let object = view::outward(resource, object);
                    return Ok(Done {
                        object,
                        created: true,
                    });
                }
                Err(Refused::Exists) if generated && attempt < ATTEMPTS => {}
                Err(refused) => return Err(refusal(resource, &key, &refused)),
            }
        }
    }

    fn could_create(&self, stored: &Resource, key: &Key) -> Result<(), Refused> {
        if self.store.row(key).is_some() {
            return Err(Refused::Exists);
        }
        if !stored.namespaced {
            return Ok(());
        }
        match self.store.row(&namespace_key(&key.namespace)) {
            None => Err(Refused::NamespaceMissing),
            Some(row) if row.meta.deleting => Err(Refused::NamespaceTerminating),
            Some(_) => Ok(()),
        }
    }

    fn key(&self, stored: &Resource, object: &Value) -> Key {
        Key::new(
            stored.storage.clone(),
            object::text(object, "namespace"),
            object::name(object),
        )
    }

    /// Changes an object, through the door that `part` names.
    pub(crate) async fn change(
        &self,
        resource: &Resource,
        key: &Key,
        change: &Change,
        part: Part,
        ask: &Ask,
        told: &mut Warnings,
    ) -> Result<Done, Failure> {
        writable(resource)?;
        for _ in 0..ATTEMPTS {
            let row = self.row(resource, key)?;
            let shown = view::outward(resource, row.object());
            let body = match change {
                Change::Replace(parsed) => parsed.clone(),
                Change::Patch(kind, bytes) => {
                    let next = patch::apply(*kind, &shown, bytes)?;
                    owned::keep(resource, &shown, &next)?;
                    admit::Parsed::whole(next)
                }
            };
            let decoded = admit::decode(resource, body, ask.validation, told);
            let mut wanted = match change {
                Change::Replace(_) => decoded?,
                Change::Patch(..) => decoded.map_err(Failure::of_patch)?,
            };
            if resource.family == Family::Custom {
                must_name_version(resource, &key.name, &wanted)?;
            }
            owned::changed(resource, &shown, &mut wanted, part, ask);
            let put = self.put(resource, &row, wanted, part, ask, told);
            if let Some(done) = put.await? {
                return Ok(done);
            }
        }
        Err(Failure::modified(resource, &key.name))
    }

    /// Server-side apply: creates the object or lays what `applied` states over it.
    pub(crate) async fn apply(
        &self,
        resource: &Resource,
        key: &Key,
        applied: &Value,
        part: Part,
        ask: &Ask,
        told: &mut Warnings,
    ) -> Result<Done, Failure> {
        writable(resource)?;
        for _ in 0..ATTEMPTS {
            let row = self.store.row(key);
            let shown = row
                .as_ref()
                .map(|row| view::outward(resource, row.object()));
            let laid = match &shown {
                None if part == Part::Status => {
                    return Err(Failure::not_found(resource, &key.name));
                }
                None => owned::applied(resource, &owned::nothing(resource), applied, part, ask)?,
                Some(shown) => owned::applied(resource, shown, applied, part, ask)?,
            };
            if let Some(shown) = &shown {
                owned::keep(resource, shown, &laid)?;
            }
            let laid = admit::Parsed::whole(laid);
            let mut wanted = admit::decode(resource, laid, FieldValidation::Ignore, told)?;
            let Some(row) = row else {
                owned::as_new(resource, &key.name, &mut wanted)?;
                let namespace = Some(key.namespace.as_str()).filter(|name| !name.is_empty());
                match self.place(resource, namespace, wanted, ask, told).await {
                    // Somebody made it meanwhile: then this is a change of it.
                    Err(failure) if failure.reason == "AlreadyExists" => continue,
                    other => return other,
                }
            };
            let put = self.put(resource, &row, wanted, part, ask, told);
            if let Some(done) = put.await? {
                return Ok(done);
            }
        }
        Err(Failure::modified(resource, &key.name))
    }

    /// Writes what a change makes of `row`; none where somebody was faster.
    async fn put(
        &self,
        resource: &Resource,
        row: &Row,
        wanted: Value,
        part: Part,
        ask: &Ask,
        told: &mut Warnings,
    ) -> Result<Option<Done>, Failure> {
        let stored = self.stored(resource);
        let current = row.object();
        let wanted = view::inward(resource, wanted);
        let outcome = lifecycle::replace(stored, &current, wanted, part)?;
        let (object, remove) = match outcome {
            Outcome::Unchanged => (None, false),
            Outcome::Store(next) => (Some(next), false),
            Outcome::Remove(last) => (Some(last), true),
        };
        if let Some(next) = &object {
            admit::check(stored, next, Some(&current), part)?;
            told.add(admit::plain_finalizers(stored, next, Some(&current)));
        }
        match self.settle(row, object, remove, ask.dry_run).await {
            Ok(object) => Ok(Some(Done {
                object: view::outward(resource, object),
                created: false,
            })),
            Err(Refused::Changed) => Ok(None),
            Err(refused) => Err(refusal(resource, &row.key, &refused)),
        }
    }

    /// Writes what was decided on `row`; none writes nothing.
    async fn settle(
        &self,
        row: &Row,
        object: Option<Value>,
        remove: bool,
        dry_run: bool,
    ) -> Result<Value, Refused> {
        match object {
            None => Ok(row.object()),
            Some(object) if dry_run => Ok(object),
            Some(object) => {
                let expect = Expect::Version(row.version);
                // What goes is told as it was: the version of its end is that of the watch's event.
                let last = remove.then(|| object.clone());
                let write = Write {
                    key: row.key.clone(),
                    expect,
                    object,
                    remove,
                };
                let written = self.store.write(write).await?;
                Ok(last.unwrap_or_else(|| written.object()))
            }
        }
    }

    /// Deletes an object, or marks it for deletion while something holds it.
    pub(crate) async fn delete(
        &self,
        resource: &Resource,
        key: &Key,
        options: &DeleteOptions,
        dry_run: bool,
    ) -> Result<Deleted, Failure> {
        writable(resource)?;
        let stored = self.stored(resource);
        for _ in 0..ATTEMPTS {
            let row = self.row(resource, key)?;
            let outcome = lifecycle::delete(stored, &row.object(), options, &now())?;
            let (object, remove) = match outcome {
                Outcome::Unchanged => (None, false),
                Outcome::Store(next) => (Some(next), false),
                Outcome::Remove(last) => (Some(last), true),
            };
            match self.settle(&row, object, remove, dry_run).await {
                Ok(object) => {
                    let object = view::outward(resource, object);
                    return Ok(if remove {
                        Deleted::Gone(object)
                    } else {
                        Deleted::Held(object)
                    });
                }
                Err(Refused::Changed) => {}
                Err(refused) => return Err(refusal(resource, key, &refused)),
            }
        }
        Err(Failure::modified(resource, &key.name))
    }

    /// Changes bookkeeping of an object on the server's own account; `edit` says false to leave
    /// it as it is.
    pub(crate) async fn adjust(
        &self,
        resource: &Resource,
        key: &Key,
        edit: impl Fn(&mut Value) -> bool,
    ) -> Result<(), Failure> {
        for _ in 0..ATTEMPTS {
            let Some(row) = self.store.row(key) else {
                return Ok(());
            };
            let held = row.object();
            let mut next = held.clone();
            if !edit(&mut next) {
                return Ok(());
            }
            owned::changed(resource, &held, &mut next, Part::Main, &own_ask());
            let remove = object::is_deleting(&next) && !object::is_held(&next);
            match self.settle(&row, Some(next), remove, false).await {
                Ok(_) | Err(Refused::Missing) => return Ok(()),
                Err(Refused::Changed) => {}
                Err(refused) => return Err(refusal(resource, key, &refused)),
            }
        }
        Err(Failure::modified(resource, &key.name))
    }

    /// Puts an object of the server's own in place, status and all; writes only what differs.
    pub(crate) async fn ensure(&self, resource: &Resource, object: Value) -> Result<(), Failure> {
        let key = self.key(resource, &object);
        let current = self.store.row(&key);
        let mut next = lifecycle::create(resource, None, object.clone(), &stamp())?;
        if let Some(status) = object.get("status") {
            object::root_mut(&mut next).insert("status".to_owned(), status.clone());
        }
        let expect = match &current {
            None => Expect::Absent,
            Some(row) => {
                let held = row.object();
                let meta = object::metadata_mut(&mut next);
                for owned in ["uid", "creationTimestamp", "resourceVersion"] {
                    object::carry(meta, object::metadata(&held), owned);
                }
                if next == held {
                    return Ok(());
                }
                Expect::Version(row.version)
            }
        };
        let write = Write {
            key: key.clone(),
            expect,
            object: next,
            remove: false,
        };
        self.store
            .write(write)
            .await
            .map(drop)
            .map_err(|r| refusal(resource, &key, &r))
    }
}

/// How the server itself changes what clients made, under the name that a cluster's own collector has.
fn own_ask() -> Ask {
    Ask {
        dry_run: false,
        validation: FieldValidation::Ignore,
        manager: "kube-controller-manager".to_owned(),
        force: false,
    }
}

/// The key of a namespace.
pub(crate) fn namespace_key(name: &str) -> Key {
    Key::new("namespaces".into(), "", name)
}

fn writable(resource: &Resource) -> Result<(), Failure> {
    if resource.writable() {
        Ok(())
    } else {
        Err(Failure::method_not_allowed())
    }
}

/// A whole object without a version could undo what its sender never saw.
fn must_name_version(resource: &Resource, name: &str, body: &Value) -> Result<(), Failure> {
    if !object::text(body, "resourceVersion").is_empty() {
        return Ok(());
    }
    let field = "metadata.resourceVersion";
    let message = "Invalid value: 0: must be specified for an update";
    // This refusal names the resource, not the kind.
    let named = Resource {
        kind: resource.plural.clone(),
        ..resource.clone()
    };
    let mut failure = Failure::invalid_field(&named, name, "FieldValueInvalid", field, message);
    failure.message = format!(
        "{} \"{name}\" is invalid: {field}: {message}",
        resource.qualified()
    );
    Err(failure)
}

fn refusal(resource: &Resource, key: &Key, refused: &Refused) -> Failure {
    match refused {
        Refused::Exists => Failure::already_exists(resource, &key.name),
        Refused::Changed => Failure::modified(resource, &key.name),
        Refused::Missing => Failure::not_found(resource, &key.name),
        Refused::NamespaceMissing => Failure::namespace_missing(&key.namespace),
        Refused::NamespaceTerminating => {
            Failure::namespace_terminating(resource, &key.name, &key.namespace)
        }
        Refused::TooLarge(limit) => Failure::too_large(*limit),
        Refused::Full(free) => Failure::full(*free),
        Refused::Unwritable => Failure::unavailable(
            "the disk of the store cannot be written; see the log of the server",
        ),
        Refused::Closed => Failure::unavailable("the store takes no writes; the server is ending"),
    }
}

/// The present as objects write it.
fn now() -> String {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}

fn stamp() -> Stamp {
    let mut random = rand::rng();
    let suffix = (0..5)
        .filter_map(|_| LETTERS.get(random.random_range(0..LETTERS.len())))
        .map(|letter| char::from(*letter))
        .collect();
    Stamp {
        now: now(),
        uid: uuid::Uuid::new_v4().to_string(),
        suffix,
    }
}

/// The objects that the server itself puts in place at start.
pub(crate) async fn furnish(engine: &Engine, definitions: &[Value]) -> Result<(), Failure> {
    let find = |group: &str, plural: &str| {
        let missing = || Failure::internal("a built-in kind is not served");
        engine
            .registry
            .find(group, "v1", plural)
            .cloned()
            .ok_or_else(missing)
    };
    let namespaces = find("", "namespaces")?;
    for name in lifecycle::SYSTEM_NAMESPACES {
        if engine.store.row(&namespace_key(name)).is_none() {
            let object = json!({ "metadata": { "name": name } });
            engine.ensure(&namespaces, object).await?;
        }
    }
    let kind = find("apiextensions.k8s.io", "customresourcedefinitions")?;
    for definition in definitions {
        engine.ensure(&kind, definition.clone()).await?;
    }
    Ok(())
}
