//! What comes in: bytes to an object, unknown fields, defaults, and the rules of the kind. Pure.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};
use vitistack_api::schema::{self, FieldError};
use vitistack_api::validate;

use crate::builtin;
use crate::failure::{Cause, Failure};
use crate::lifecycle::{self, Part};
use crate::object;
use crate::query::FieldValidation;
use crate::resource::{Family, Resource};
use crate::warning::Warnings;

mod duplicates;
#[cfg(test)]
mod tests;

/// A body that is JSON.
#[derive(Debug, Clone)]
pub(crate) struct Parsed {
    /// The object as sent.
    pub(crate) object: Value,
    /// Paths of keys that appear twice.
    duplicates: Vec<String>,
}

impl Parsed {
    /// An object that was made here.
    pub(crate) fn whole(object: Value) -> Self {
        Self {
            object,
            duplicates: Vec::new(),
        }
    }
}

/// Reads a body.
pub(crate) fn parse(bytes: &[u8]) -> Result<Parsed, Failure> {
    let (object, duplicates) = duplicates::parse(bytes).map_err(|error| {
        Failure::bad_request(format!("the object provided is unrecognized: {error}"))
    })?;
    // Nothing at all is an object of which nothing is said.
    let object = if object.is_null() { json!({}) } else { object };
    if !object.is_object() {
        return Err(Failure::bad_request(
            "the object provided is unrecognized: not a JSON object",
        ));
    }
    Ok(Parsed { object, duplicates })
}

/// Drops or refuses what the schema of `resource` does not know, and fills in defaults.
pub(crate) fn decode(
    resource: &Resource,
    parsed: Parsed,
    validation: FieldValidation,
    told: &mut Warnings,
) -> Result<Value, Failure> {
    let Parsed {
        mut object,
        duplicates,
    } = parsed;
    right_kind(resource, &object)?;
    well_formed_metadata(resource, &object)?;
    let mut complaints: Vec<String> = duplicates
        .iter()
        .map(|path| format!("duplicate field \"{path}\""))
        .collect();
    let mut unknown = schema::unknown_fields(&resource.schema, &object);
    unknown.sort_by_key(|path| !path.starts_with("metadata."));
    complaints.extend(
        unknown
            .iter()
            .map(|path| format!("unknown field \"{path}\"")),
    );
    if validation == FieldValidation::Warn {
        told.add(complaints);
    } else if validation == FieldValidation::Strict && !complaints.is_empty() {
        let (kind, version) = (&resource.kind, &resource.version);
        return Err(Failure::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding \
             error: {}",
            complaints.join(", ")
        )));
    }
    if resource.family == Family::Namespace && !object::name(&object).is_empty() {
        let name = object::name(&object).to_owned();
        let labels = object::child_mut(object::metadata_mut(&mut object), "labels");
        labels.insert("kubernetes.io/metadata.name".to_owned(), json!(name));
    }
    schema::prune(&resource.schema, &mut object);
    prune_metadata(&mut object);
    schema::default_into(&resource.schema, &mut object);
    if matches!(resource.family, Family::CoreEvent | Family::Event) {
        complete_event(resource, &mut object);
    }
    if resource.family == Family::Secret {
        complete_secret(resource, &mut object)?;
    }
    lifecycle::tidy(&mut object);
    Ok(object)
}

fn right_kind(resource: &Resource, object: &Value) -> Result<(), Failure> {
    for key in ["kind", "apiVersion"] {
        let given = object.get(key);
        if given.is_some_and(|value| !value.is_string() && !value.is_null()) {
            return Err(Failure::bad_request(format!(
                "the object provided is unrecognized: {key} must be a string"
            )));
        }
    }
    let given = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (resource.api_version(), &resource.kind);
    if given("kind").is_empty() && resource.family == Family::Custom {
        return Err(Failure::bad_request("Object 'Kind' is missing"));
    }
    let may_lack = resource.family != Family::Custom;
    if !(may_lack && given("apiVersion").is_empty()) && given("apiVersion") != version {
        return Err(Failure::bad_request(format!(
            "the API version in the data ({}) does not match the expected API version ({version})",
            given("apiVersion")
        )));
    }
    if given("kind").is_empty() || given("kind") == kind {
        return Ok(());
    }
    if resource.family == Family::Custom {
        let message = format!("Invalid value: {:?}: must be {kind}", given("kind"));
        // The refusal names the kind that was sent.
        let mut named = resource.clone();
        given("kind").clone_into(&mut named.kind);
        return Err(Failure::invalid_field(
            &named,
            object::name(object),
            "FieldValueInvalid",
            "kind",
            &message,
        ));
    }
    Err(Failure::bad_request(format!(
        "the kind in the data ({}) does not match the expected kind ({kind})",
        given("kind")
    )))
}

/// Everything below relies on the types of the metadata.
fn well_formed_metadata(resource: &Resource, object: &Value) -> Result<(), Failure> {
    let Some(metadata) = object.get("metadata") else {
        return Ok(());
    };
    let wrong = |path: &str, wanted: &str| {
        let (kind, version) = (&resource.kind, &resource.version);
        Failure::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {path} must be {wanted}"
        ))
    };
    let metadata = metadata
        .as_object()
        .ok_or_else(|| wrong("metadata", "an object"))?;
    let properties = builtin::metadata_properties();
    for (key, value) in metadata {
        let kind = properties
            .get(key)
            .and_then(|p| p.get("type"))
            .and_then(Value::as_str);
        let path = format!("metadata.{key}");
        let (fits, wanted) = match kind {
            _ if value.is_null() => (true, ""),
            _ if key == "ownerReferences" => (are_owners(value), "a list of owners"),
            Some("string") => (value.is_string(), "a string"),
            Some("integer") => (value.is_i64(), "an integer"),
            Some("object") => (is_text_map(value), "a map of strings"),
            Some("array") if key == "finalizers" => (is_text_list(value), "a list of strings"),
            Some("array") => (is_object_list(value), "a list of objects"),
            _ => (true, ""),
        };
        if !fits {
            return Err(wrong(&path, wanted));
        }
    }
    Ok(())
}

fn is_text_map(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|map| map.values().all(Value::is_string))
}

fn is_text_list(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|list| list.iter().all(Value::is_string))
}

fn are_owners(value: &Value) -> bool {
    let is_owner = |owner: &Value| {
        let fields = owner.as_object().into_iter().flatten();
        let mut fits = fields.map(|(key, value)| match key.as_str() {
            "apiVersion" | "kind" | "name" | "uid" => value.is_string() || value.is_null(),
            "controller" | "blockOwnerDeletion" => value.is_boolean() || value.is_null(),
            _ => true,
        });
        owner.is_object() && fits.all(|fits| fits)
    };
    value
        .as_array()
        .is_some_and(|list| list.iter().all(is_owner))
}

fn is_object_list(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|list| list.iter().all(Value::is_object))
}

fn prune_metadata(object: &mut Value) {
    let properties = builtin::metadata_properties();
    let meta = object::metadata_mut(object);
    meta.retain(|key, value| properties.contains_key(key) && !value.is_null());
}

/// Advice about finalizers that name no domain and that the object `before` had not.
pub(crate) fn plain_finalizers(
    resource: &Resource,
    object: &Value,
    before: Option<&Value>,
) -> Vec<String> {
    if resource.family != Family::Custom {
        return Vec::new();
    }
    let held = before.map(object::finalizers).unwrap_or_default();
    let plain: BTreeSet<&str> = object::finalizers(object)
        .into_iter()
        .filter(|name| !name.contains('/') && !held.contains(name))
        .filter(|name| ![lifecycle::FOREGROUND, lifecycle::ORPHAN].contains(name))
        .collect();
    plain
        .into_iter()
        .map(|name| {
            format!(
                "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name to avoid \
                 accidental conflicts with other finalizer writers"
            )
        })
        .collect()
}

/// Fields that an Event always shows, as absent as they may be.
fn complete_event(resource: &Resource, object: &mut Value) {
    let (prefix, names) = match resource.family {
        Family::Event => ("deprecated", ["FirstTimestamp", "LastTimestamp"]),
        _ => ("", ["firstTimestamp", "lastTimestamp"]),
    };
    let source = if prefix.is_empty() {
        "source"
    } else {
        "deprecatedSource"
    };
    let root = object::root_mut(object);
    for name in names {
        root.entry(format!("{prefix}{name}")).or_insert(Value::Null);
    }
    root.entry("eventTime").or_insert(Value::Null);
    root.entry(source).or_insert_with(|| json!({}));
    if prefix.is_empty() {
        for name in ["reportingComponent", "reportingInstance"] {
            root.entry(name).or_insert_with(|| json!(""));
        }
    }
}

/// What is wrong with a new Event.
pub(crate) fn new_event(
    resource: &Resource,
    namespace: Option<&str>,
    object: &Value,
) -> Result<(), Failure> {
    let mut causes = Vec::new();
    let text = |pointer: &str| {
        object
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let mut invalid = |field: &str, value: &str, why: &str| {
        let message = format!("Invalid value: {value:?}: {why}");
        causes.push(Cause::new("FieldValueInvalid", field, message));
    };
    let newer = resource.family == Family::Event;
    let about = text(if newer {
        "/regarding/namespace"
    } else {
        "/involvedObject/namespace"
    });
    let at_home = if about.is_empty() {
        namespace == Some("default")
    } else {
        namespace == Some(about)
    };
    if !at_home {
        // A kind without namespaces has its Events in `default`.
        invalid(
            "involvedObject.namespace",
            about,
            "does not match event.namespace",
        );
    }
    if newer {
        if text("/eventTime").is_empty() {
            let message = "Required value".to_owned();
            causes.push(Cause::new("FieldValueRequired", "eventTime", message));
        }
        let kind = text("/type");
        if !["Normal", "Warning"].contains(&kind) {
            let message = format!("Invalid value: {kind:?}: has invalid value: {kind}");
            causes.push(Cause::new("FieldValueInvalid", "type", message));
        }
    }
    if causes.is_empty() {
        return Ok(());
    }
    let named = Resource {
        group: String::new(),
        ..resource.clone()
    };
    Err(Failure::invalid(&named, object::name(object), &causes))
}

/// Text values move into `data`; what stands there must be base64.
fn complete_secret(resource: &Resource, object: &mut Value) -> Result<(), Failure> {
    let name = object::name(object).to_owned();
    let root = object::root_mut(object);
    if let Some(Value::Object(texts)) = root.remove("stringData") {
        let data = object::child_mut(root, "data");
        for (key, value) in texts {
            let bytes = value.as_str().unwrap_or_default();
            data.insert(key, json!(BASE64_STANDARD.encode(bytes)));
        }
    }
    if root
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
    {
        root.insert("type".to_owned(), json!("Opaque"));
    }
    let data: Map<String, Value> = root
        .get("data")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let broken = |value: &Value| match value.as_str() {
        Some(text) => BASE64_STANDARD.decode(text).is_err(),
        None => true,
    };
    match data.iter().find(|(_, value)| broken(value)) {
        None => Ok(()),
        Some((key, _)) => Err(Failure::bad_request(format!(
            "Secret in version \"{}\" cannot be handled as a Secret: data[{key}] of {name:?} is \
             not base64",
            resource.version
        ))),
    }
}

/// Checks the rules of the kind: schema, CEL, names, immutability. The object comes through the door that `part` names.
pub(crate) fn check(
    resource: &Resource,
    object: &Value,
    current: Option<&Value>,
    part: Part,
) -> Result<(), Failure> {
    let mut causes = lifecycle::breaches(resource, object, current);
    let by_schema = match part {
        Part::Main => schema::check,
        Part::Status => schema::check_status,
    };
    let findings = by_schema(&resource.schema, object, current);
    causes.extend(findings.iter().map(cause));
    let desired = |object: &Value| object.get("spec").cloned();
    let same = current.is_some_and(|current| desired(current) == desired(object));
    // What was let in once is not held against a finalizer, a label or a status.
    if causes.is_empty() && resource.group == "vitistack.io" && !same {
        causes.extend(validate::object(&resource.kind, object).iter().map(cause));
    }
    let mistyped = causes
        .iter()
        .find(|cause| cause.reason == "FieldValueTypeInvalid");
    if let (Some(cause), false) = (mistyped, resource.family == Family::Custom) {
        let (kind, version) = (&resource.kind, &resource.version);
        return Err(Failure::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {}: {}",
            cause.field, cause.message
        )));
    }
    let blocks = |cause: &Cause| {
        let kinds = [
            "NotSupported",
            "Required",
            "TooLong",
            "TooMany",
            "TypeInvalid",
        ];
        let kind = cause.reason.strip_prefix("FieldValue").unwrap_or_default();
        kinds.contains(&kind)
    };
    if resource.family == Family::Custom
        && causes.iter().any(blocks)
        && schema::has_rules(&resource.schema)
    {
        let message = "Invalid value: null: some validation rules were not checked because the object \
                       was invalid; correct the existing errors to complete validation";
        causes.push(Cause::new("FieldValueInvalid", "<nil>", message.to_owned()));
    }
    if causes.is_empty() {
        return Ok(());
    }
    Err(Failure::invalid(resource, object::name(object), &causes))
}

fn cause(error: &FieldError) -> Cause {
    Cause::new(error.reason.as_str(), error.place(), error.message())
}
