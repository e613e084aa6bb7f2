//! The CEL rules of a schema.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use kube_cel::Validator;
use serde_json::Value;

use super::error::{FieldError, FieldReason};

/// Findings of all rules below `schema`. A rule that this evaluator cannot run is a finding too: it fails closed.
pub(super) fn check(
    schema: &JSONSchemaProps,
    value: &Value,
    old: Option<&Value>,
) -> Vec<FieldError> {
    if !has_rules(schema) {
        return Vec::new();
    }
    let schema = match serde_json::to_value(schema) {
        Ok(schema) => schema,
        Err(error) => {
            let detail = format!("the schema cannot be read: {error}");
            return vec![FieldError::new("", FieldReason::Invalid, None, detail)];
        }
    };
    let Err(errors) = Validator::new().validate(&schema, value, old) else {
        return Vec::new();
    };
    errors
        .into_vec()
        .into_iter()
        .filter(|error| error.rule.contains("oldSelf") || changed(&error.field_path, value, old))
        .map(|error| {
            let found = at(value, &error.field_path);
            let reason = match error.reason.as_deref() {
                Some("FieldValueRequired") => FieldReason::Required,
                Some("FieldValueForbidden") => FieldReason::Forbidden,
                Some("FieldValueDuplicate") => FieldReason::Duplicate,
                _ => FieldReason::Invalid,
            };
            // What is not a scalar is not shown; the rule's message says what it is about.
            let shown = found.filter(|found| !found.is_object() && !found.is_array());
            FieldError {
                path: error.field_path,
                reason,
                value: shown.cloned(),
                detail: error.message,
            }
        })
        .collect()
}

/// Whether any rule stands at or below `schema`.
#[must_use]
pub fn has_rules(schema: &JSONSchemaProps) -> bool {
    use super::shape::items;
    use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaPropsOrBool;
    schema
        .x_kubernetes_validations
        .as_ref()
        .is_some_and(|rules| !rules.is_empty())
        || schema
            .properties
            .iter()
            .flatten()
            .any(|(_, inner)| has_rules(inner))
        || items(schema).is_some_and(has_rules)
        || matches!(&schema.additional_properties, Some(JSONSchemaPropsOrBool::Schema(values)) if has_rules(values))
}

fn changed(path: &str, value: &Value, old: Option<&Value>) -> bool {
    old.is_none_or(|old| at(old, path) != at(value, path))
}

/// What stands at a path such as `spec.disks[0].name`.
fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split(['.', '['])
        .filter(|step| !step.is_empty())
        .try_fold(value, |value, step| {
            match step.strip_suffix(']').map(str::parse::<usize>) {
                Some(Ok(index)) => value.get(index),
                Some(Err(_)) => None,
                None => value.get(step),
            }
        })
}
