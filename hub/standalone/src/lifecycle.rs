//! What becomes of an object when it is created, changed or deleted. Pure and synchronous: time,
//! identity and random letters are handed in.
//!
//! Design note: the rules are those of kube-apiserver for custom resources: the server owns uid,
//! creation time, generation and deletion time; spec and status are written through different
//! doors; a deleted object stays while a finalizer holds it.

use serde_json::{Value, json};

use crate::failure::{Cause, Failure};
use crate::fields;
use crate::object;
use crate::resource::{Family, Resource};

pub(crate) mod names;
#[cfg(test)]
mod tests;

/// The finalizer by which an owner waits for its dependents.
pub(crate) const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer by which an owner lets go of its dependents before it leaves.
pub(crate) const ORPHAN: &str = "orphan";
/// Namespaces that the server itself or the hub lives in.
pub(crate) const SYSTEM_NAMESPACES: [&str; 3] = ["default", "kube-system", "vitistack-system"];
/// While this annotation says `true`, an object of ours is not deleted.
const PROTECT: &str = "vitistack.io/protect";

/// What only the shell can know at a create.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    /// Time in RFC 3339, whole seconds, UTC.
    pub(crate) now: String,
    /// Fresh UID.
    pub(crate) uid: String,
    /// Five random letters for `generateName`.
    pub(crate) suffix: String,
}

/// Which door a change comes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// The object itself: status stays as it is.
    Main,
    /// The status subresource: only the status changes.
    Status,
}

/// What a change leads to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// Nothing differs; nothing is written.
    Unchanged,
    /// The object is written so.
    Store(Value),
    /// The object goes; this is its last state.
    Remove(Value),
}

/// What a client wants of a deletion.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DeleteOptions {
    /// UID that the object must have.
    pub(crate) uid: Option<String>,
    /// Version that the object must have.
    pub(crate) version: Option<String>,
    /// What becomes of dependents.
    pub(crate) propagation: Propagation,
}

/// What becomes of the dependents of a deleted object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They are collected after it went.
    #[default]
    Background,
    /// It waits for them.
    Foreground,
    /// They stay, without the reference.
    Orphan,
}

/// The object as it is stored at first.
pub(crate) fn create(
    resource: &Resource,
    namespace: Option<&str>,
    mut body: Value,
    stamp: &Stamp,
) -> Result<Value, Failure> {
    place(resource, namespace, &mut body)?;
    if !object::text(&body, "resourceVersion").is_empty() {
        return Err(Failure::unclassed(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    let prefix = object::text(&body, "generateName").to_owned();
    let meta = object::metadata_mut(&mut body);
    if meta
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
        && !prefix.is_empty()
    {
        // 63 is the longest label; a name is cut so that the suffix fits.
        let cut: String = prefix.chars().take(58).collect();
        meta.insert("name".to_owned(), json!(format!("{cut}{}", stamp.suffix)));
    }
    for owned in ["resourceVersion", "selfLink", "generation"] {
        meta.remove(owned);
    }
    for owned in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
        meta.remove(owned);
    }
    meta.insert("uid".to_owned(), json!(stamp.uid));
    meta.insert("creationTimestamp".to_owned(), json!(stamp.now));
    if resource.family == Family::Custom {
        meta.insert("generation".to_owned(), json!(1));
    }
    if resource.has_status {
        object::root_mut(&mut body).remove("status");
    }
    if resource.family == Family::Namespace {
        open_namespace(&mut body);
    }
    tidy(&mut body);
    Ok(body)
}

fn open_namespace(body: &mut Value) {
    let name = object::name(body).to_owned();
    let meta = object::metadata_mut(body);
    object::child_mut(meta, "labels").insert("kubernetes.io/metadata.name".to_owned(), json!(name));
    let root = object::root_mut(body);
    root.insert("spec".to_owned(), json!({ "finalizers": ["kubernetes"] }));
    root.insert("status".to_owned(), json!({ "phase": "Active" }));
}

/// Kind and namespace as the path says; anything else in the body is a mistake.
fn place(resource: &Resource, namespace: Option<&str>, body: &mut Value) -> Result<(), Failure> {
    let root = object::root_mut(body);
    root.insert("apiVersion".to_owned(), json!(resource.api_version()));
    root.insert("kind".to_owned(), json!(resource.kind));
    let given = object::text(body, "namespace");
    let fits = given.is_empty() || !resource.namespaced || Some(given) == namespace;
    if !fits {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    let meta = object::metadata_mut(body);
    match namespace.filter(|_| resource.namespaced) {
        Some(namespace) => meta.insert("namespace".to_owned(), json!(namespace)),
        None => meta.remove("namespace"),
    };
    Ok(())
}

/// Empty lists and maps of the metadata are absent ones; so an object reads back as it was sent.
pub(crate) fn tidy(body: &mut Value) {
    let meta = object::metadata_mut(body);
    for key in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let empty = match meta.get(key) {
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(list)) => list.is_empty(),
            Some(Value::Null) => true,
            _ => false,
        };
        if empty {
            meta.remove(key);
        }
    }
}

/// What `body`, the whole object as a client wants it, makes of `current`.
pub(crate) fn replace(
    resource: &Resource,
    current: &Value,
    mut body: Value,
    part: Part,
) -> Result<Outcome, Failure> {
    let name = object::name(current).to_owned();
    let namespace = object::text(current, "namespace").to_owned();
    place(
        resource,
        Some(namespace.as_str()).filter(|n| !n.is_empty()),
        &mut body,
    )?;
    fences(resource, current, &body, &name)?;
    let next = match part {
        Part::Status => with_status(current, &body),
        Part::Main => with_main(resource, current, body)?,
    };
    if fields::same_but_for_times(&next, current) {
        return Ok(Outcome::Unchanged);
    }
    if object::is_deleting(&next) && !object::is_held(&next) {
        return Ok(Outcome::Remove(next));
    }
    Ok(Outcome::Store(next))
}

fn fences(resource: &Resource, current: &Value, body: &Value, name: &str) -> Result<(), Failure> {
    let given = object::name(body);
    if given.is_empty() {
        return Err(Failure::nameless(name));
    }
    if given != name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        )));
    }
    let (wanted, uid) = (object::uid(body), object::uid(current));
    if !wanted.is_empty() && wanted != uid {
        // The words are those of the storage behind kube-apiserver, with the object's key there.
        let mut place: Vec<&str> = vec!["/registry", &resource.plural, name];
        let namespace = object::text(current, "namespace");
        if resource.namespaced {
            place.insert(2, namespace);
        }
        if resource.family == Family::Custom {
            place.insert(1, &resource.group);
        }
        let why = format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, \
             AdditionalErrorMsg: Precondition failed: UID in precondition: {wanted}, UID in object \
             meta: {uid}",
            place.join("/")
        );
        return Err(Failure::conflict(resource, name, &why));
    }
    let version = object::text(body, "resourceVersion");
    if !version.is_empty() && version.parse::<u64>().is_err() {
        return Err(Failure::unclassed(format!(
            "strconv.ParseUint: parsing {version:?}: invalid syntax"
        )));
    }
    if !version.is_empty() && version != object::text(current, "resourceVersion") {
        return Err(Failure::modified(resource, name));
    }
    Ok(())
}

fn with_status(current: &Value, body: &Value) -> Value {
    let mut next = current.clone();
    object::carry(object::root_mut(&mut next), body.as_object(), "status");
    let meta = object::metadata_mut(&mut next);
    object::carry(meta, object::metadata(body), "managedFields");
    next
}

fn with_main(resource: &Resource, current: &Value, mut next: Value) -> Result<Value, Failure> {
    if resource.has_status {
        object::carry(object::root_mut(&mut next), current.as_object(), "status");
    }
    if resource.family == Family::Namespace {
        object::carry(object::root_mut(&mut next), current.as_object(), "spec");
    }
    let owned = [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "generateName",
        "selfLink",
    ];
    let meta = object::metadata_mut(&mut next);
    for key in owned {
        object::carry(meta, object::metadata(current), key);
    }
    tidy(&mut next);
    if object::is_deleting(current) {
        no_new_finalizers(resource, current, &next)?;
    }
    if resource.family == Family::Custom && desire(resource, current) != desire(resource, &next) {
        bump_generation(&mut next);
    }
    Ok(next)
}

fn no_new_finalizers(resource: &Resource, current: &Value, next: &Value) -> Result<(), Failure> {
    let held = object::finalizers(current);
    let new: Vec<&str> = object::finalizers(next)
        .into_iter()
        .filter(|f| !held.contains(f))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let message = format!(
        "Forbidden: no new finalizers can be added if the object is being deleted, found new \
         finalizers []string{{{}}}",
        new.iter()
            .map(|one| format!("{one:?}"))
            .collect::<Vec<_>>()
            .join(", ")
    );
    let (name, field) = (object::name(current), "metadata.finalizers");
    // Two checks of kube-apiserver say so.
    let cause = Cause::new("FieldValueForbidden", field, message);
    Err(Failure::invalid(resource, name, &[cause.clone(), cause]))
}

/// Everything whose change is a new generation.
fn desire<'a>(resource: &Resource, object: &'a Value) -> Vec<(&'a String, &'a Value)> {
    let mut fields: Vec<_> = object.as_object().into_iter().flatten().collect();
    fields.retain(|(key, _)| *key != "metadata" && !(resource.has_status && *key == "status"));
    fields.sort_by_key(|(key, _)| *key);
    fields
}

fn bump_generation(object: &mut Value) {
    let meta = object::metadata_mut(object);
    if let Some(generation) = meta.get("generation").and_then(Value::as_i64) {
        meta.insert("generation".to_owned(), json!(generation.saturating_add(1)));
    }
}

/// What a deletion makes of `current`.
pub(crate) fn delete(
    resource: &Resource,
    current: &Value,
    options: &DeleteOptions,
    now: &str,
) -> Result<Outcome, Failure> {
    let name = object::name(current);
    preconditions(resource, current, options)?;
    refuse_protected(resource, current)?;
    let mut next = current.clone();
    if options.propagation == Propagation::Background && !object::is_held(current) {
        return Ok(Outcome::Remove(next));
    }
    if !object::is_deleting(current) {
        let meta = object::metadata_mut(&mut next);
        meta.insert("deletionTimestamp".to_owned(), json!(now));
        if resource.family != Family::Namespace {
            meta.insert("deletionGracePeriodSeconds".to_owned(), json!(0));
        }
        bump_generation(&mut next);
    }
    let wanted = match options.propagation {
        Propagation::Background => None,
        Propagation::Foreground => Some(FOREGROUND),
        Propagation::Orphan => Some(ORPHAN),
    };
    let owned: Vec<String> = object::finalizers(&next)
        .into_iter()
        .filter(|f| ![FOREGROUND, ORPHAN].contains(f) || object::is_deleting(current))
        .map(str::to_owned)
        .collect();
    let mut finalizers: Vec<&str> = owned.iter().map(String::as_str).collect();
    if let Some(wanted) = wanted.filter(|w| !finalizers.contains(w)) {
        finalizers.push(wanted);
    }
    object::write_finalizers(&mut next, &finalizers);
    if resource.family == Family::Namespace {
        let status = object::child_mut(object::root_mut(&mut next), "status");
        status.insert("phase".to_owned(), json!("Terminating"));
    }
    if !object::is_held(&next) {
        return Ok(Outcome::Remove(next));
    }
    if next == *current {
        tracing::debug!(name, "deletion was asked for before");
        return Ok(Outcome::Unchanged);
    }
    Ok(Outcome::Store(next))
}

fn preconditions(
    resource: &Resource,
    current: &Value,
    options: &DeleteOptions,
) -> Result<(), Failure> {
    let name = object::name(current);
    let checks = [
        ("UID", options.uid.as_deref(), object::uid(current)),
        (
            "ResourceVersion",
            options.version.as_deref(),
            object::text(current, "resourceVersion"),
        ),
    ];
    for (what, wanted, is) in checks {
        if let Some(wanted) = wanted.filter(|w| *w != is) {
            let what_then = match what {
                "UID" => "deleted and then recreated",
                _ => "modified",
            };
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record \
                 ({is}). The object might have been {what_then}"
            );
            return Err(Failure::deletion_conflict(resource, name, &why));
        }
    }
    Ok(())
}

fn refuse_protected(resource: &Resource, current: &Value) -> Result<(), Failure> {
    let name = object::name(current);
    if resource.family == Family::Namespace && SYSTEM_NAMESPACES.contains(&name) {
        return Err(Failure::forbidden(
            resource,
            name,
            "this namespace may not be deleted",
        ));
    }
    let protected = object::annotation(current, PROTECT) == Some("true");
    if resource.family == Family::Custom && protected && !object::is_deleting(current) {
        let why = format!(
            "the annotation {PROTECT} refuses its deletion; remove the annotation, then delete"
        );
        return Err(Failure::forbidden(resource, name, &why));
    }
    Ok(())
}

/// What a change breaks of the rules that no schema says.
pub(crate) fn breaches(resource: &Resource, next: &Value, current: Option<&Value>) -> Vec<Cause> {
    let mut causes = name_causes(resource, next);
    // A change passes several checks of kube-apiserver that each look at the metadata, and each finding is told as often.
    let times = match (current, resource.family) {
        (None, _) => 1,
        (Some(_), Family::ConfigMap | Family::Secret) => 4,
        (Some(_), _) => 3,
    };
    let metadata = names::causes(next);
    causes.extend(std::iter::repeat_n(metadata, times).flatten());
    causes.extend(names::of_kind(resource, next));
    if let Some(current) = current {
        let fixed = current.get("immutable").and_then(Value::as_bool) == Some(true);
        if fixed {
            for key in ["data", "binaryData", "immutable"] {
                if current.get(key) != next.get(key) {
                    let message = "Forbidden: field is immutable when `immutable` is set";
                    causes.push(Cause::new("FieldValueForbidden", key, message.to_owned()));
                }
            }
        }
        if resource.family == Family::Secret && current.get("type") != next.get("type") {
            let given = next.get("type").and_then(Value::as_str).unwrap_or_default();
            let message = format!("Invalid value: \"{given}\": field is immutable");
            causes.push(Cause::new("FieldValueInvalid", "type", message));
        }
    }
    causes
}

fn name_causes(resource: &Resource, next: &Value) -> Vec<Cause> {
    let name = object::name(next);
    let field = "metadata.name";
    if name.is_empty() {
        let message = "Required value: name or generateName is required";
        return vec![Cause::new("FieldValueRequired", field, message.to_owned())];
    }
    let (valid, rule) = if resource.family == Family::Namespace {
        (
            is_label(name),
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or \
             '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or \
             '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
        )
    } else {
        (
            name.len() <= 253 && name.split('.').all(|part| is_label_of(part, 253)),
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
             '-' or '.', and must start and end with an alphanumeric character (e.g. \
             'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
        )
    };
    if valid {
        return Vec::new();
    }
    let message = format!("Invalid value: \"{name}\": {rule}");
    vec![Cause::new("FieldValueInvalid", field, message)]
}

fn is_label(text: &str) -> bool {
    is_label_of(text, 63)
}

fn is_label_of(text: &str, longest: usize) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    !text.is_empty()
        && text.len() <= longest
        && text.chars().all(|c| plain(c) || c == '-')
        && text.starts_with(plain)
        && text.ends_with(plain)
}
