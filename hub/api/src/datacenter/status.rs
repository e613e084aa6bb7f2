//! What is known of a Datacenter.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::conditions::{self, Condition};

/// A Datacenter as it is.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DatacenterStatus {
    /// For people; derived from the conditions.
    pub phase: Option<DatacenterPhase>,
    /// What is true now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,
    /// The generation that this status is about.
    pub observed_generation: Option<i64>,
    /// MachineProviders that are enabled and there.
    pub machine_provider_count: Option<i32>,
    /// KubernetesProviders that are enabled and there.
    pub kubernetes_provider_count: Option<i32>,
    /// Machines that count in it.
    pub active_machines: Option<i32>,
    /// Clusters that count in it.
    pub active_clusters: Option<i32>,
    /// Its providers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provider_statuses: Vec<ProviderStatus>,
    /// How much of it is used.
    pub resource_usage: Option<ResourceUsage>,
    /// Known to upstream's readers; not written, since it would tick.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub last_reconcile_time: Option<Time>,
}

/// How far a Datacenter is, for people.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum DatacenterPhase {
    /// Not looked at yet.
    Initializing,
    /// Its providers are being waited for.
    Provisioning,
    /// Usable.
    Ready,
    /// Some of its providers are not.
    Degraded,
    /// Being removed.
    Deleting,
    /// Needs a change or a person.
    Failed,
}

/// A provider of a Datacenter.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderStatus {
    /// Name of the provider.
    pub name: String,
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: ProviderStatusType,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Usable.
    pub healthy: Option<bool>,
    /// The provider's own phase.
    pub phase: Option<String>,
    /// Why it is not usable, for people.
    pub message: Option<String>,
    /// What it carries.
    pub resources_managed: Option<i32>,
    /// Known to upstream's readers; not written, since it would tick.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub last_health_check: Option<Time>,
}

/// Kind of a provider.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ProviderStatusType {
    /// A MachineProvider.
    Machine,
    /// A KubernetesProvider.
    Kubernetes,
}

/// How much of a Datacenter is used.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceUsage {
    /// Cores in all.
    pub cpu_cores_total: Option<i32>,
    /// Cores in use.
    pub cpu_cores_used: Option<i32>,
    /// Memory in GB in all.
    #[serde(rename = "memoryGBTotal")]
    pub memory_gb_total: Option<i32>,
    /// Memory in GB in use.
    #[serde(rename = "memoryGBUsed")]
    pub memory_gb_used: Option<i32>,
    /// Storage in GB in all.
    #[serde(rename = "storageGBTotal")]
    pub storage_gb_total: Option<i32>,
    /// Storage in GB in use.
    #[serde(rename = "storageGBUsed")]
    pub storage_gb_used: Option<i32>,
    /// Network interfaces in all.
    pub network_interfaces_total: Option<i32>,
    /// Network interfaces in use.
    pub network_interfaces_used: Option<i32>,
}
