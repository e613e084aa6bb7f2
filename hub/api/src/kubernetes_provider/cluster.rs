//! Control plane of a cluster.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// Control plane.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cluster {
    /// URL of a cluster that somebody else runs.
    pub endpoint: Option<String>,
    /// Nodes of the control plane.
    pub control_plane: Option<ControlPlane>,
    /// The API server.
    pub api_server: Option<ApiServer>,
    /// Its store.
    pub etcd: Option<Etcd>,
    /// Name resolution.
    pub dns: Option<ClusterDns>,
    /// Further arguments of the API server.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub api_server_extra_args: BTreeMap<String, String>,
    /// Further arguments of the controller manager.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub controller_manager_extra_args: BTreeMap<String, String>,
    /// Further arguments of the scheduler.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scheduler_extra_args: BTreeMap<String, String>,
    /// Feature gates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub feature_gates: BTreeMap<String, bool>,
}

/// Nodes of the control plane.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControlPlane {
    /// How many.
    #[schemars(range(min = 1, max = 10))]
    pub replicas: Option<i64>,
    /// Their size.
    pub instance_type: Option<String>,
    /// Their disk in GB.
    #[serde(rename = "diskSizeGB")]
    #[schemars(range(min = 20, max = 1000))]
    pub disk_size_gb: Option<i64>,
}

/// The API server.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiServer {
    /// Admission plug-ins to switch on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub admission_plugins: Vec<String>,
    /// Admission plug-ins to switch off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disable_admission_plugins: Vec<String>,
    /// Writes audit logs.
    pub audit_logging: Option<bool>,
    /// Days that they are kept.
    #[schemars(range(min = 1, max = 365))]
    pub audit_log_retention_days: Option<i64>,
    /// Secrets are stored encrypted.
    pub encryption_at_rest: Option<bool>,
}

/// The store.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Etcd {
    /// Version.
    pub version: Option<String>,
    /// Is encrypted.
    pub encryption: Option<bool>,
    /// Is backed up.
    pub backup_enabled: Option<bool>,
    /// When, as a cron line.
    pub backup_schedule: Option<String>,
    /// Days that backups are kept.
    #[schemars(range(min = 1, max = 365))]
    pub backup_retention_days: Option<i64>,
}

/// Name resolution in a cluster.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterDns {
    /// By what.
    pub provider: Option<String>,
    /// The cluster's domain.
    pub domain: Option<String>,
    /// Servers for everything else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstream_servers: Vec<String>,
}
