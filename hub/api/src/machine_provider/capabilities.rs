//! What a provider can do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

/// What a provider can do, and how much of it.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// Sizes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instance_types: Vec<InstanceType>,
    /// Operating systems.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operating_systems: Vec<OperatingSystemOffer>,
    /// Kinds of storage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage_types: Vec<StorageType>,
    /// Network features.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_features: Vec<String>,
    /// Most Machines.
    #[schemars(range(min = 1))]
    pub max_machines: Option<i64>,
    /// Scales by itself.
    pub auto_scaling: Option<bool>,
    /// Has load balancers.
    pub load_balancers: Option<bool>,
    /// Has volumes that outlive a Machine.
    pub persistent_volumes: Option<bool>,
}

/// A size.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceType {
    /// Its name.
    pub name: String,
    /// Name for people.
    pub display_name: Option<String>,
    /// Processors.
    pub vcpus: i64,
    /// Memory in GB, a decimal number.
    #[serde(rename = "memoryGB")]
    #[schemars(regex(pattern = r"^[0-9]+(\.[0-9]+)?$"))]
    pub memory_gb: String,
    /// Storage in GB that comes with it.
    #[serde(rename = "storageGB")]
    pub storage_gb: Option<i64>,
    /// Network speed, for people.
    pub network_performance: Option<String>,
    /// Price of an hour, for people.
    pub cost_per_hour: Option<String>,
    /// Has a GPU.
    pub gpu: Option<bool>,
}

/// An operating system that a provider has images of.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatingSystemOffer {
    /// `linux`, `windows`, …
    pub family: String,
    /// `debian`, `ubuntu`, …
    pub distribution: String,
    /// Versions of it.
    pub versions: Vec<String>,
    /// Instruction sets.
    pub architectures: Vec<String>,
    /// Image for Machines that name none.
    #[serde(rename = "defaultImageID")]
    pub default_image_id: Option<String>,
}

/// A kind of storage.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageType {
    /// Its name.
    pub name: String,
    /// Name for people.
    pub display_name: Option<String>,
    /// `SSD`, `HDD`, `NVMe`, …
    pub class: String,
    /// Operations a second that can be had.
    pub iops_range: Option<Range>,
    /// MB/s that can be had.
    pub throughput_range: Option<Range>,
    /// Can be encrypted.
    pub encryption_supported: Option<bool>,
}

/// From, to.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Range {
    /// Least.
    pub min: i64,
    /// Most.
    pub max: i64,
}
