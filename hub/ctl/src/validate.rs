//! Manifests against our own definitions, without a cluster. Pure.
//!
//! What the API server would refuse (unknown fields, schema, CEL), what only `vitistack_api::validate` knows, and what
//! shows only with the objects of one file side by side: the image of a Machine on a bare-metal provider.

#[cfg(test)]
mod tests;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde_json::{Value, json};
use vitistack_api::machine::Machine;
use vitistack_api::machine_provider::{MachineProvider, ProviderType};
use vitistack_api::schema::{FieldError, FieldReason};
use vitistack_api::{crd, names, schema, validate};

/// What was checked, and what was found.
#[derive(Debug, Default)]
pub(crate) struct Checked {
    /// Objects of ours.
    pub(crate) documents: usize,
    /// Everything that is wrong.
    pub(crate) findings: Vec<Finding>,
}

/// Something that is wrong.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    /// The file.
    file: String,
    /// `Kind/name`; empty if it was not found out.
    object: String,
    /// The field.
    path: String,
    /// What stands there.
    value: Option<Value>,
    /// What is wrong with it, and what is allowed.
    allowed: String,
}

/// Checks every document of a YAML or JSON text. What is not of our group is passed over.
pub(crate) fn text(file: &str, text: &str) -> Checked {
    let mut checked = Checked::default();
    // One line a finding: the error names line and column, the text around it is in the file.
    let plain = serde_saphyr::options! { with_snippet: false };
    let documents: Vec<Value> = match serde_saphyr::from_multiple_with_options(text, plain) {
        Ok(documents) => documents,
        Err(error) => {
            checked.findings.push(Finding {
                file: file.to_owned(),
                object: String::new(),
                path: String::new(),
                value: None,
                allowed: format!("must be YAML: {error}"),
            });
            return checked;
        }
    };
    let objects: Vec<Value> = documents.into_iter().flat_map(items).collect();
    let definitions = crd::crds();
    let mut sound = Vec::new();
    for object in objects.into_iter().filter(is_ours) {
        checked.documents += 1;
        let label = format!(
            "{}/{}",
            word(&object["kind"]),
            word(&object["metadata"]["name"])
        );
        let (errors, object) = one(&definitions, object);
        if errors.is_empty() {
            sound.push(object);
        }
        checked.findings.extend(findings(file, &label, errors));
    }
    for (label, error) in side_by_side(&sound) {
        checked.findings.extend(findings(file, &label, vec![error]));
    }
    checked
}

/// The objects of a list, or the object itself.
fn items(mut document: Value) -> Vec<Value> {
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => vec![document],
    }
}

fn is_ours(object: &Value) -> bool {
    word(&object["apiVersion"])
        .split_once('/')
        .is_some_and(|(group, _)| group == names::GROUP)
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Findings of one object, and the object with its defaults.
fn one(definitions: &[CustomResourceDefinition], mut object: Value) -> (Vec<FieldError>, Value) {
    let error = |path: &str, reason, value: &Value, detail: String| {
        vec![FieldError::new(path, reason, Some(value), detail)]
    };
    if object["apiVersion"] != json!(format!("{}/{}", names::GROUP, names::VERSION)) {
        let detail = format!("supported values: \"{}/{}\"", names::GROUP, names::VERSION);
        let found = object["apiVersion"].clone();
        return (
            error("apiVersion", FieldReason::NotSupported, &found, detail),
            object,
        );
    }
    let kind = word(&object["kind"]).to_owned();
    let definition = definitions
        .iter()
        .find(|definition| definition.spec.names.kind == kind)
        .and_then(crd::schema_of);
    let Some(definition) = definition else {
        let kinds: Vec<String> = definitions
            .iter()
            .map(|definition| format!("{:?}", definition.spec.names.kind))
            .collect();
        let detail = format!("supported values: {}", kinds.join(", "));
        let found = object["kind"].clone();
        return (
            error("kind", FieldReason::NotSupported, &found, detail),
            object,
        );
    };
    let mut errors: Vec<FieldError> = schema::unknown_fields(definition, &object)
        .into_iter()
        .map(|path| unknown(definition, path))
        .collect();
    if !["name", "generateName"]
        .iter()
        .any(|key| object["metadata"][key].is_string())
    {
        let detail = "name or generateName is required";
        errors.push(FieldError::new(
            "metadata.name",
            FieldReason::Required,
            None,
            detail,
        ));
    }
    schema::prune(definition, &mut object);
    schema::default_into(definition, &mut object);
    let refused = schema::check(definition, &object, None);
    if refused.is_empty() {
        errors.extend(validate::object(&kind, &object));
    }
    errors.extend(refused);
    (errors, object)
}

/// The finding for a field that nobody knows, with those that its neighbours could be.
fn unknown(definition: &JSONSchemaProps, path: String) -> FieldError {
    let (parent, name) = path.rsplit_once('.').unwrap_or(("", &path));
    let known: Vec<&str> = neighbours(definition, parent);
    let near = known
        .iter()
        .find(|one| distance(one, name) <= 2)
        .map(|one| format!("did you mean {one}? "))
        .unwrap_or_default();
    let detail = if known.is_empty() {
        "unknown field".to_owned()
    } else {
        format!("unknown field; {near}allowed: {}", known.join(", "))
    };
    FieldError::new(path.as_str(), FieldReason::Forbidden, None, detail)
}

/// The fields that may stand in the object at `path`.
fn neighbours<'a>(definition: &'a JSONSchemaProps, path: &str) -> Vec<&'a str> {
    let found =
        path.split('.')
            .filter(|step| !step.is_empty())
            .try_fold(definition, |schema, step| {
                let name = step.split('[').next()?;
                let mut inner = schema.properties.as_ref()?.get(name)?;
                for _ in step.matches('[') {
                    let Some(JSONSchemaPropsOrArray::Schema(items)) = &inner.items else {
                        return None;
                    };
                    inner = items;
                }
                Some(inner)
            });
    found
        .and_then(|schema| schema.properties.as_ref())
        .map(|all| all.keys().map(String::as_str).collect())
        .unwrap_or_default()
}

/// How many letters have to be changed, added or removed.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.to_lowercase().chars().enumerate() {
        let mut corner = line;
        let mut left = line + 1;
        for (cell, known) in row.iter_mut().skip(1).zip(&other) {
            let changed = corner + usize::from(*known != letter);
            corner = *cell;
            left = changed.min(left + 1).min(corner + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// What shows only between objects: Machines on a bare-metal provider of the same text.
fn side_by_side(objects: &[Value]) -> Vec<(String, FieldError)> {
    let of_kind = |kind: &'static str| objects.iter().filter(move |object| object["kind"] == kind);
    let providers: Vec<MachineProvider> = of_kind("MachineProvider")
        .filter_map(|object| serde_json::from_value(object.clone()).ok())
        .filter(|provider: &MachineProvider| provider.spec.provider_type == ProviderType::Baremetal)
        .collect();
    of_kind("Machine")
        .filter_map(|object| serde_json::from_value::<Machine>(object.clone()).ok())
        .filter_map(|machine| {
            let provider = provider_of(&machine, &providers)?;
            let offers = provider.spec.capabilities.as_ref();
            let offers = offers.map_or(&[][..], |offers| &offers.operating_systems);
            let error = validate::bare_metal_image(machine.spec.os.as_ref(), offers).err()?;
            let name = machine.metadata.name.unwrap_or_default();
            Some((format!("Machine/{name}"), error))
        })
        .collect()
}

/// The provider that a Machine names, among these.
fn provider_of<'a>(
    machine: &Machine,
    providers: &'a [MachineProvider],
) -> Option<&'a MachineProvider> {
    let own = machine.metadata.namespace.as_deref().unwrap_or("default");
    let (name, namespace) = match &machine.spec.machine_provider_ref {
        Some(reference) => (reference.name.as_str(), reference.namespace_or(own)),
        None => (machine.spec.provider_config.as_ref()?.name.as_deref()?, own),
    };
    providers.iter().find(|provider| {
        provider.metadata.name.as_deref() == Some(name)
            && provider.metadata.namespace.as_deref().unwrap_or("default") == namespace
    })
}

fn findings(file: &str, object: &str, errors: Vec<FieldError>) -> Vec<Finding> {
    errors
        .into_iter()
        .map(|error| Finding {
            file: file.to_owned(),
            object: object.to_owned(),
            allowed: match error.reason {
                FieldReason::Required if error.detail.is_empty() => "required".to_owned(),
                FieldReason::Required => format!("required: {}", error.detail),
                FieldReason::Duplicate => "must not occur twice".to_owned(),
                _ => error.detail,
            },
            path: error.path,
            value: error.value,
        })
        .collect()
}

/// One line a finding: where, what, what is allowed.
pub(crate) fn to_text(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|finding| {
            let parts = [
                Some(finding.file.clone()),
                Some(finding.object.clone()),
                Some(finding.path.clone()),
                finding.value.as_ref().map(Value::to_string),
                Some(finding.allowed.clone()),
            ];
            let line: Vec<String> = parts
                .into_iter()
                .flatten()
                .filter(|part| !part.is_empty())
                .collect();
            format!("{}\n", line.join(": "))
        })
        .collect()
}

/// For programs.
pub(crate) fn to_json(findings: &[Finding]) -> Value {
    let items: Vec<Value> = findings
        .iter()
        .map(|finding| {
            let Finding {
                file,
                object,
                path,
                value,
                allowed,
            } = finding;
            json!({"file": file, "object": object, "path": path, "value": value, "allowed": allowed})
        })
        .collect();
    json!({ "findings": items })
}
