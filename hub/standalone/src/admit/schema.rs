//! Schema steps.
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::Value;
pub(super) fn prune(_: &JSONSchemaProps, _: &mut Value) {}
pub(super) fn default_into(_: &JSONSchemaProps, _: &mut Value) {}
pub(super) fn unknown_fields(_: &JSONSchemaProps, _: &Value) -> Vec<String> {
    Vec::new()
}
pub(super) fn check(
    _: &JSONSchemaProps,
    _: &Value,
    _: Option<&Value>,
) -> Vec<crate::failure::Cause> {
    Vec::new()
}
