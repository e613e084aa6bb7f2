//! Add-ons of a cluster.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Add-ons.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Addons {
    /// Ingress.
    pub ingress_controller: Option<IngressController>,
    /// Storage classes.
    pub storage: Option<StorageAddon>,
    /// Monitoring.
    pub monitoring: Option<MonitoringAddon>,
    /// Service mesh.
    pub service_mesh: Option<ServiceMesh>,
    /// Others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub additional: Vec<Addon>,
}

/// Ingress.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IngressController {
    /// Wanted.
    pub enabled: bool,
    /// By what.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its own settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// Storage classes.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageAddon {
    /// Class for volumes that name none.
    pub default_class: Option<String>,
    /// Classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<AddonClass>,
}

/// A storage class.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AddonClass {
    /// Its name.
    pub name: String,
    /// Driver.
    pub provisioner: String,
    /// Settings of the driver.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// Taken where none is named.
    pub default: Option<bool>,
}

/// Monitoring.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MonitoringAddon {
    /// Prometheus.
    pub prometheus: Option<bool>,
    /// Grafana.
    pub grafana: Option<bool>,
    /// Alertmanager.
    pub alert_manager: Option<bool>,
    /// Further settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// Service mesh.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMesh {
    /// Wanted.
    pub enabled: bool,
    /// By what.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Its own settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// Another add-on.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Addon {
    /// Its name.
    pub name: String,
    /// Wanted.
    pub enabled: bool,
    /// Version.
    pub version: Option<String>,
    /// Its own settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}
