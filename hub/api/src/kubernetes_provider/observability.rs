//! Logs, metrics and traces of a cluster.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Logs, metrics and traces.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observability {
    /// Logs.
    pub logging: Option<Logging>,
    /// Metrics.
    pub metrics: Option<Metrics>,
    /// Traces.
    pub tracing: Option<Tracing>,
}

/// Logs.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Logging {
    /// Wanted.
    pub enabled: bool,
    /// Where they go.
    pub backend: Option<String>,
    /// Days that they are kept.
    #[schemars(range(min = 1, max = 365))]
    pub retention_days: Option<i64>,
    /// Further settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// Metrics.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Wanted.
    pub enabled: bool,
    /// Where they go.
    pub backend: Option<String>,
    /// Days that they are kept.
    #[schemars(range(min = 1, max = 365))]
    pub retention_days: Option<i64>,
    /// Further settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// Traces.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tracing {
    /// Wanted.
    pub enabled: bool,
    /// Where they go.
    pub backend: Option<String>,
    /// Share that is kept, 0 to 1, a decimal number.
    #[schemars(regex(pattern = r"^(0(\.[0-9]+)?|1(\.0+)?)$"))]
    pub sampling_rate: Option<String>,
    /// Further settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}
