//! A Datacenter as somebody wants it.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::backup::Backup;
use super::networking::Networking;
use super::security::Security;
use super::status::DatacenterStatus;
use crate::reference::AllowedNamespaces;

/// A place with its providers and rules.
#[expect(
    clippy::duplicated_attributes,
    reason = "two columns may have the same type"
)]
#[skip_serializing_none]
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "vitistack.io",
    version = "v1alpha1",
    kind = "Datacenter",
    plural = "datacenters",
    shortname = "dc",
    namespaced,
    category = "vitistack",
    status = "DatacenterStatus",
    derive = "PartialEq",
    selectable = ".status.phase",
    doc = "A Datacenter is a place: the providers in it, their order, and the quotas and rules for what they make.",
    printcolumn(
        name = "Display Name",
        type_ = "string",
        json_path = ".spec.displayName"
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(name = "Region", type_ = "string", json_path = ".spec.region"),
    printcolumn(name = "Zone", type_ = "string", json_path = ".spec.zone"),
    printcolumn(
        name = "Machine Providers",
        type_ = "integer",
        json_path = ".status.machineProviderCount",
        priority = 10
    ),
    printcolumn(
        name = "K8s Providers",
        type_ = "integer",
        json_path = ".status.kubernetesProviderCount",
        priority = 10
    ),
    printcolumn(
        name = "Machines",
        type_ = "integer",
        json_path = ".status.activeMachines",
        priority = 10
    )
)]
#[serde(rename_all = "camelCase")]
pub struct DatacenterSpec {
    /// Name for people; the object's name if absent.
    pub display_name: Option<String>,
    /// What it is, for people.
    pub description: Option<String>,
    /// Region that it is in.
    pub region: String,
    /// Zone of the region.
    pub zone: Option<String>,
    /// Where it is.
    pub location: Option<Location>,
    /// MachineProviders that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machine_providers: Vec<ProviderReference>,
    /// KubernetesProviders that it has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kubernetes_providers: Vec<ProviderReference>,
    /// Namespaces whose objects may count in it, beside its own.
    pub allowed_namespaces: Option<AllowedNamespaces>,
    /// Limits for everything in it.
    pub resource_quotas: Option<ResourceQuotas>,
    /// Networks.
    pub networking: Option<Networking>,
    /// Security rules.
    pub security: Option<Security>,
    /// Monitoring.
    pub monitoring: Option<Monitoring>,
    /// Backups and disaster recovery.
    pub backup: Option<Backup>,
    /// Tags that everything in it gets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Where a Datacenter is.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// Country.
    pub country: Option<String>,
    /// City.
    pub city: Option<String>,
    /// Street address.
    pub address: Option<String>,
    /// On the globe.
    pub coordinates: Option<Coordinates>,
}

/// A point on the globe.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Coordinates {
    /// Degrees north, -90 to 90.
    #[schemars(regex(pattern = r"^-?([0-8]?[0-9](\.[0-9]+)?|90(\.0+)?)$"))]
    pub latitude: Option<String>,
    /// Degrees east, -180 to 180.
    #[schemars(regex(
        pattern = r"^-?(1[0-7][0-9](\.[0-9]+)?|180(\.0+)?|[0-9]?[0-9](\.[0-9]+)?)$"
    ))]
    pub longitude: Option<String>,
}

/// A provider of a Datacenter.
///
/// `enabled` has no default in the schema, so that a short list is read back as it was sent.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderReference {
    /// Name of the provider.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Its namespace; the Datacenter's if absent.
    pub namespace: Option<String>,
    /// Lower comes first; after all others if absent.
    #[schemars(range(min = 1))]
    pub priority: Option<i32>,
    /// Whether it is used; absent means yes.
    pub enabled: Option<bool>,
    /// The provider's own settings for this Datacenter.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub configuration: BTreeMap<String, String>,
}

impl ProviderReference {
    /// Whether it is used.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.enabled.unwrap_or(true)
    }

    /// Its place in the order; without a priority it comes after all that have one.
    #[must_use]
    pub fn rank(&self) -> i32 {
        self.priority.unwrap_or(i32::MAX)
    }
}

/// Limits for everything in a Datacenter.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceQuotas {
    /// Most Machines.
    #[schemars(range(min = 1))]
    pub max_machines: Option<i32>,
    /// Most Kubernetes clusters.
    #[schemars(range(min = 1))]
    pub max_clusters: Option<i32>,
    /// Most processor cores.
    #[serde(rename = "maxCPUCores")]
    #[schemars(range(min = 1))]
    pub max_cpu_cores: Option<i32>,
    /// Most memory in GB.
    #[serde(rename = "maxMemoryGB")]
    #[schemars(range(min = 1))]
    pub max_memory_gb: Option<i32>,
    /// Most storage in GB.
    #[serde(rename = "maxStorageGB")]
    #[schemars(range(min = 1))]
    pub max_storage_gb: Option<i32>,
    /// Most network interfaces.
    #[schemars(range(min = 1))]
    pub max_network_interfaces: Option<i32>,
}

/// Monitoring of a Datacenter.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// Wanted.
    #[schemars(extend("default" = true))]
    pub enabled: Option<bool>,
    /// Days that metrics are kept.
    #[schemars(extend("default" = 30))]
    #[schemars(range(min = 1, max = 365))]
    pub metrics_retention_days: Option<i32>,
    /// Alerts are wanted.
    #[schemars(extend("default" = true))]
    pub alerting_enabled: Option<bool>,
    /// Who gets alerts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alert_receivers: Vec<String>,
    /// Dashboards of one's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub custom_dashboards: Vec<String>,
}
