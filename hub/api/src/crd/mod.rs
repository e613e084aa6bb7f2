//! The CustomResourceDefinitions, made from the types.
//!
//! The derive gives a schema that is nearly what we want. What is put right here, for every kind alike: an optional
//! field is absent or has a value, it is never `null` (the API server prunes nulls of fields that are not nullable, as
//! it does for upstream's); Rust's own integer formats are unknown to Kubernetes; a `metadata` schema is not ours.

#[cfg(test)]
mod tests;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::datacenter::Datacenter;
use crate::host::BareMetalHost;
use crate::kubernetes_provider::KubernetesProvider;
use crate::machine::Machine;
use crate::machine_provider::MachineProvider;

/// All kinds, in the order that `kubectl get` would list them to a newcomer.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    [
        Datacenter::crd(),
        MachineProvider::crd(),
        KubernetesProvider::crd(),
        Machine::crd(),
        BareMetalHost::crd(),
        Agent::crd(),
    ]
    .into_iter()
    .map(finished)
    .collect()
}

/// One definition as YAML.
#[must_use]
pub fn yaml(crd: &CustomResourceDefinition) -> String {
    serde_saphyr::to_string(crd).expect("a definition has only string keys and plain values")
}

/// File name and content of each definition, as `deploy/crds` holds them.
#[must_use]
pub fn files() -> Vec<(String, String)> {
    crds()
        .iter()
        .map(|crd| (format!("{}.yaml", crd.spec.names.plural), yaml(crd)))
        .collect()
}

/// All definitions as one YAML stream.
#[must_use]
pub fn crds_yaml() -> String {
    crds()
        .iter()
        .map(|crd| format!("---\n{}", yaml(crd)))
        .collect()
}

/// The schema of a kind's only version.
#[must_use]
pub fn schema_of(crd: &CustomResourceDefinition) -> Option<&JSONSchemaProps> {
    crd.spec
        .versions
        .first()?
        .schema
        .as_ref()?
        .open_api_v3_schema
        .as_ref()
}

fn finished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        if let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|schema| schema.open_api_v3_schema.as_mut())
        {
            if let Some(status) = schema
                .properties
                .as_mut()
                .and_then(|all| all.get_mut("status"))
            {
                status.description = Some("What is known of it; written by the hub.".to_owned());
            }
            schema.title = None;
            tidy(schema);
        }
    }
    crd
}

/// Puts one schema and all below it right.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(format) = schema.format.as_deref()
        && !matches!(format, "int32" | "int64" | "date-time")
    {
        schema.format = None;
    }
    if let Some(description) = &mut schema.description {
        *description = description.replace('\n', " ");
    }
    for child in schema.properties.iter_mut().flatten() {
        tidy(child.1);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => tidy(items),
        Some(JSONSchemaPropsOrArray::Schemas(all)) => all.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}

/// Schema of a point in time.
pub(crate) fn date_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "format": "date-time" })
}

/// A CEL rule, for `x-kubernetes-validations`.
pub(crate) fn rule(rule: &str, message: &str) -> Value {
    json!({ "rule": rule, "message": message })
}
