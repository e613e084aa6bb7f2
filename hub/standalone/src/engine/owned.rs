//! Keeps the managers of fields up to date with each write: the glue between a request and [`crate::fields`].

use serde_json::{Value, json};

use super::{Ask, now};
use crate::failure::Failure;
use crate::fields::{self, Refusal, Writer};
use crate::lifecycle::Part;
use crate::object;
use crate::patch::Applied;
use crate::resource::Resource;

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
    json!({ "apiVersion": resource.api_version(), "kind": resource.kind, "metadata": {} })
}

/// Writes the managers of a new object into it.
pub(super) fn made(resource: &Resource, object: &mut Value, ask: &Ask) {
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
    applied: &Applied,
    part: Part,
    ask: &Ask,
) -> Result<Value, Failure> {
    let ignored = fields::ignored(part, resource.has_status);
    let managed = fields::sent_or_held(shown, &Value::Null, false);
    let writer = writer(resource, part, ask);
    let stated = &applied.object;
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

/// Names and versions of an object that an apply is to create.
pub(super) fn must_be_new(resource: &Resource, name: &str, object: &Value) -> Result<(), Failure> {
    if !object::text(object, "resourceVersion").is_empty() || !object::uid(object).is_empty() {
        return Err(Failure::not_found(resource, name));
    }
    Ok(())
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
    Failure::internal(&format!(
        "failed to create typed patch object ({place}; {kind}): {text}"
    ))
}
