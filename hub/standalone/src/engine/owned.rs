//! Keeps the managers of fields up to date with each write: the glue between a request and [`crate::fields`].

use serde_json::{Value, json};

use super::{Ask, now};
use crate::failure::{Cause, Failure};
use crate::fields::{self, Refusal, Writer};
use crate::lifecycle::Part;
use crate::object;
use crate::resource::{Family, Resource};

/// The annotation in which kubectl keeps what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn writer(resource: &Resource, part: Part, ask: &Ask) -> Writer {
    Writer {
        name: ask.manager.clone(),
        api_version: resource.api_version(),
        subresource: match part {
            Part::Main => String::new(),
            Part::Status => "status".to_owned(),
        },
        now: now(),
    }
}

/// An object that is not there yet.
pub(super) fn nothing(resource: &Resource) -> Value {
    let mut object = json!({ "apiVersion": resource.api_version(), "kind": resource.kind,
                             "metadata": {} });
    // Parts that built-in kinds have from the beginning are not what a client added.
    let parts: &[&str] = match resource.family {
        Family::Lease => &["spec"],
        Family::Namespace => &["spec", "status"],
        Family::CoreEvent => &["source"],
        Family::Event => &["deprecatedSource"],
        Family::Custom | Family::Secret | Family::ConfigMap | Family::Definition => &[],
    };
    for part in parts {
        object::root_mut(&mut object).insert((*part).to_owned(), json!({}));
    }
    let unset: &[(&str, Value)] = match resource.family {
        Family::CoreEvent => &[
            ("eventTime", Value::Null),
            ("firstTimestamp", Value::Null),
            ("lastTimestamp", Value::Null),
            ("reportingComponent", Value::String(String::new())),
            ("reportingInstance", Value::String(String::new())),
        ],
        Family::Event => &[
            ("eventTime", Value::Null),
            ("deprecatedFirstTimestamp", Value::Null),
            ("deprecatedLastTimestamp", Value::Null),
        ],
        _ => &[],
    };
    for (field, value) in unset {
        object::root_mut(&mut object).insert((*field).to_owned(), value.clone());
    }
    object
}

/// Writes the managers of a new object into it.
pub(super) fn made(resource: &Resource, object: &mut Value, ask: &Ask) {
    // A uid marks what exists, and a deletion time what goes; a new object gets its own, and none.
    for owned in ["uid", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        object::metadata_mut(object).remove(owned);
    }
    changed(resource, &nothing(resource), object, Part::Main, ask);
}

/// Writes the managers into `next`, which takes the place of `shown`.
pub(super) fn changed(resource: &Resource, shown: &Value, next: &mut Value, part: Part, ask: &Ask) {
    let ignored = fields::ignored(part, resource.has_status);
    let managed = fields::sent_or_held(shown, next, part == Part::Main);
    let writer = writer(resource, part, ask);
    let managed = fields::update(&resource.owned, shown, next, managed, &writer, &ignored);
    fields::encode(next, &managed);
}

/// What an apply makes of `shown`.
pub(super) fn applied(
    resource: &Resource,
    shown: &Value,
    stated: &Value,
    part: Part,
    ask: &Ask,
) -> Result<Value, Failure> {
    let ignored = fields::ignored(part, resource.has_status);
    let managed = fields::sent_or_held(shown, &Value::Null, false);
    let writer = writer(resource, part, ask);
    let text = |key: &str| stated.get(key).and_then(Value::as_str).unwrap_or_default();
    if (text("apiVersion"), text("kind"))
        != (resource.api_version().as_str(), resource.kind.as_str())
    {
        let version = if text("apiVersion").is_empty() {
            "/"
        } else {
            text("apiVersion")
        };
        return Err(Failure::bad_request(format!(
            "invalid object type: {version}, Kind={}",
            text("kind")
        )));
    }
    if object::metadata(stated).is_some_and(|meta| meta.contains_key("managedFields")) {
        return Err(Failure::bad_request("metadata.managedFields must be nil"));
    }
    let result = fields::apply(
        &resource.owned,
        shown,
        stated,
        managed,
        &writer,
        ask.force,
        &ignored,
    );
    let (laid, managed) = result.map_err(|refusal| match refusal {
        Refusal::Conflicts(conflicts) => Failure::apply_conflict(&conflicts),
        Refusal::Untyped(wrong) => untyped(resource, stated, &wrong),
    })?;
    let mut next = laid.unwrap_or_else(|| shown.clone());
    if ask.manager == "kubectl" && object::annotation(&next, LAST_APPLIED).is_some() {
        let annotations = object::child_mut(object::metadata_mut(&mut next), "annotations");
        annotations.insert(LAST_APPLIED.to_owned(), json!(format!("{}\n", stated)));
    }
    fields::encode(&mut next, &managed);
    Ok(next)
}

/// Makes an object that was applied one that can be created under `name`.
pub(super) fn as_new(resource: &Resource, name: &str, object: &mut Value) -> Result<(), Failure> {
    let given = object::name(object);
    if given.is_empty() {
        return Err(Failure::nameless(name));
    }
    if given != name {
        return Err(Failure::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({name})"
        )));
    }
    let uid = object::uid(object).to_owned();
    if !uid.is_empty() {
        let message = format!("Invalid value: {uid:?}: field is immutable");
        return Err(Failure::invalid_field(
            resource,
            name,
            "FieldValueInvalid",
            "metadata.uid",
            &message,
        ));
    }
    // A version that something had which is no more.
    object::metadata_mut(object).remove("resourceVersion");
    Ok(())
}

/// Refuses a patch of what only the server changes.
pub(super) fn keep(resource: &Resource, shown: &Value, next: &Value) -> Result<(), Failure> {
    let mut causes = Vec::new();
    for (key, wanted) in [
        ("kind", &resource.kind),
        ("apiVersion", &resource.api_version()),
    ] {
        let given = next.get(key).and_then(Value::as_str).unwrap_or_default();
        if given != wanted {
            let message = format!("Invalid value: {given:?}: must be {wanted}");
            causes.push(Cause::new("FieldValueInvalid", key, message));
        }
    }
    for key in ["uid", "deletionTimestamp"] {
        let (held, given) = (object::text(shown, key), object::text(next, key));
        if !given.is_empty() && held != given {
            let message = format!("Invalid value: {given:?}: field is immutable");
            let cause = Cause::new("FieldValueInvalid", &format!("metadata.{key}"), message);
            // Two checks of kube-apiserver say so.
            causes.extend([cause.clone(), cause]);
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    // The refusal names the kind that the patch made of it.
    let mut named = resource.clone();
    if let Some(kind) = next.get("kind").and_then(Value::as_str) {
        kind.clone_into(&mut named.kind);
    }
    Err(Failure::invalid(&named, object::name(shown), &causes))
}

fn untyped(resource: &Resource, stated: &Value, wrong: &[String]) -> Failure {
    let place = format!(
        "{}/{}",
        object::text(stated, "namespace"),
        object::name(stated)
    );
    let kind = format!("{}, Kind={}", resource.api_version(), resource.kind);
    let text = match wrong {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    Failure::unclassed(format!(
        "failed to create typed patch object ({place}; {kind}): {text}"
    ))
}
