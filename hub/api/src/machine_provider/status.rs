//! What is known of a provider.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::conditions::{self, Condition};

/// A provider as it is.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineProviderStatus {
    /// For people; derived from the conditions.
    pub phase: Option<ProviderPhase>,
    /// What is true now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,
    /// The generation that this status is about.
    pub observed_generation: Option<i64>,
    /// The site that it resolved to.
    pub site: Option<String>,
    /// Name of the Agent that drives it.
    pub agent: Option<String>,
    /// One sentence for people.
    pub message: Option<String>,
    /// Machines that it carries.
    pub active_machines: Option<i64>,
    /// What can be had of it.
    pub available_resources: Option<AvailableResources>,
    /// How it is.
    pub health: Option<ProviderHealth>,
    /// How much of it is used.
    pub quota: Option<ProviderQuota>,
    /// Its own facts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provider_status: BTreeMap<String, String>,
    /// Known to upstream's readers; not written, since it would tick.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub last_verified: Option<Time>,
}

/// How far a provider is, for people.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum ProviderPhase {
    /// Not known yet.
    Pending,
    /// Usable.
    Ready,
    /// Needs a change or a person.
    Failed,
    /// Its agent is away.
    Offline,
}

/// What can be had of a provider.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AvailableResources {
    /// Sizes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instance_types: Vec<String>,
    /// Kinds of storage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_types: Vec<String>,
    /// Zones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zones: Vec<String>,
    /// Images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<Image>,
    /// Limits.
    pub limits: Option<ResourceLimits>,
}

/// An image at a provider.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// The provider's id of it.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// `linux`, `windows`, …
    pub os_family: String,
    /// `debian`, `ubuntu`, …
    pub os_distribution: String,
    /// Version of the distribution.
    pub os_version: String,
    /// Instruction set.
    pub architecture: String,
    /// Everybody may use it.
    pub public: bool,
    /// When it was made.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub creation_date: Option<Time>,
}

/// Limits of a provider.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceLimits {
    /// Most Machines in a zone.
    pub max_machines_per_zone: Option<i64>,
    /// Most network interfaces of a Machine.
    pub max_network_interfaces: Option<i64>,
    /// Most storage of a Machine in GB.
    #[serde(rename = "maxStoragePerMachineGB")]
    pub max_storage_per_machine_gb: Option<i64>,
    /// Calls that its API takes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rate_limits: BTreeMap<String, String>,
}

/// How a provider is.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderHealth {
    /// `Healthy`, `Degraded` or `Unhealthy`.
    pub status: Option<String>,
    /// Whether its API answers.
    pub api_connectivity: Option<String>,
    /// Whether it takes our credentials.
    pub authentication: Option<String>,
    /// By service.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub service_availability: BTreeMap<String, String>,
    /// Known to upstream's readers; not written, since it would tick.
    pub response_time_ms: Option<i64>,
    /// Known to upstream's readers; not written, since it would tick.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub last_check: Option<Time>,
}

/// How much of a provider is used.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderQuota {
    /// Machines that may be.
    pub instance_quota: Option<i64>,
    /// Machines that are.
    pub instance_used: Option<i64>,
    /// Processors that may be.
    pub cpu_quota: Option<i64>,
    /// Processors that are.
    pub cpu_used: Option<i64>,
    /// Memory in GB that may be.
    #[serde(rename = "memoryQuotaGB")]
    pub memory_quota_gb: Option<i64>,
    /// Memory in GB that is.
    #[serde(rename = "memoryUsedGB")]
    pub memory_used_gb: Option<i64>,
    /// Storage in GB that may be.
    #[serde(rename = "storageQuotaGB")]
    pub storage_quota_gb: Option<i64>,
    /// Storage in GB that is.
    #[serde(rename = "storageUsedGB")]
    pub storage_used_gb: Option<i64>,
    /// Network resources that may be, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub network_quota: BTreeMap<String, i64>,
    /// Network resources that are, by kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub network_used: BTreeMap<String, i64>,
}
