//! What a user can ask of a Machine.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::status::MachineStatus;
use crate::crd::rule;
use crate::reference::{ObjectReference, SecretKeyReference, SecretReference};

/// A computer as it shall be.
#[expect(
    clippy::duplicated_attributes,
    reason = "two columns may have the same type"
)]
#[skip_serializing_none]
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "vitistack.io",
    version = "v1alpha1",
    kind = "Machine",
    plural = "machines",
    shortname = "m",
    namespaced,
    category = "vitistack",
    status = "MachineStatus",
    derive = "PartialEq",
    selectable = ".status.phase",
    doc = "A Machine is one computer, virtual or physical, with its operating system.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(name = "Provider", type_ = "string", json_path = ".status.provider"),
    printcolumn(
        name = "Host",
        type_ = "string",
        json_path = ".status.placement.host.name"
    ),
    printcolumn(
        name = "Address",
        type_ = "string",
        json_path = ".status.ipAddresses[0]"
    ),
    printcolumn(
        name = "Instance Type",
        type_ = "string",
        json_path = ".spec.instanceType",
        priority = 1
    ),
    printcolumn(
        name = "Region",
        type_ = "string",
        json_path = ".spec.providerConfig.region",
        priority = 1
    ),
    printcolumn(
        name = "Progress",
        type_ = "integer",
        json_path = ".status.progress.percent",
        priority = 1
    ),
    printcolumn(
        name = "Power",
        type_ = "string",
        json_path = ".status.powerState",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule("!has(self.userData) || !has(self.userDataSecretRef)", "userData and userDataSecretRef exclude each other")]))]
pub struct MachineSpec {
    /// Host name of the guest; the object's name if absent.
    #[schemars(length(min = 1))]
    pub name: Option<String>,
    /// Size, by a name that the provider knows.
    #[schemars(length(min = 1))]
    pub instance_type: Option<String>,
    /// The provider's own word for the size, where it needs another one.
    pub machine_type: Option<String>,
    /// Processors at least.
    pub cpu: Option<Cpu>,
    /// Memory at least, in bytes.
    #[schemars(range(min = 0))]
    pub memory: Option<i64>,
    /// Disks; the root disk is the one with `boot`, or the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<Disk>,
    /// Networks.
    pub network: Option<Network>,
    /// What runs on it.
    pub os: Option<OperatingSystem>,
    /// Where it comes from, by provider type or name.
    pub provider_config: Option<ProviderConfig>,
    /// The MachineProvider that shall make it.
    pub machine_provider_ref: Option<ObjectReference>,
    /// The Datacenter that it counts in, and that chooses the provider if none is named.
    pub datacenter_ref: Option<ObjectReference>,
    /// Which BareMetalHosts may carry it, by their labels.
    pub host_selector: Option<HostSelector>,
    /// Whether it shall run; `"On"` if absent. In YAML `On` and `Off` need quotes, or they are booleans;
    /// `PoweredOn` and `PoweredOff` are the same and need none.
    #[serde(default)]
    #[schemars(schema_with = "power_schema")]
    pub power_state: Option<PowerState>,
    /// A new value is a new installation. Nothing else installs a second time.
    #[schemars(length(min = 1, max = 64))]
    pub reinstall: Option<String>,
    /// What is wiped on release; `Metadata` if absent.
    pub cleaning: Option<Cleaning>,
    /// What becomes of the computer when the object is deleted; `Delete` if absent.
    pub deletion_policy: Option<DeletionPolicy>,
    /// Public keys for the image's default user, one a line of `authorized_keys`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<String>,
    /// Handed to the guest byte for byte at its first boot.
    pub user_data: Option<String>,
    /// Where the user data is, instead of `userData`.
    pub user_data_secret_ref: Option<SecretKeyReference>,
    /// Tags at the provider.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Security groups at the provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
    /// Whether the provider shall watch it in detail.
    pub monitoring: Option<bool>,
    /// Backups at the provider.
    pub backup: Option<Backup>,
}

/// Processors.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cpu {
    /// Cores.
    #[schemars(range(min = 1, max = 256))]
    pub cores: Option<i64>,
    /// Sockets.
    #[schemars(range(min = 1, max = 16))]
    pub sockets: Option<i64>,
    /// Threads of each core.
    #[schemars(range(min = 1, max = 8))]
    pub threads_per_core: Option<i64>,
}

/// A disk.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// Its name in this list.
    pub name: Option<String>,
    /// Size in GB; for a physical root disk the least that will do.
    #[serde(rename = "sizeGB")]
    #[schemars(range(min = 1, max = 65536))]
    pub size_gb: Option<i64>,
    /// Kind of disk, in the provider's words.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The system starts from it.
    pub boot: Option<bool>,
    /// Device name in the guest.
    pub device: Option<String>,
    /// Encrypted at rest.
    pub encrypted: Option<bool>,
    /// Operations a second, where they can be bought.
    #[schemars(range(min = 100, max = 64000))]
    pub iops: Option<i64>,
    /// MB/s, where they can be bought.
    #[schemars(range(min = 125, max = 4000))]
    pub throughput: Option<i64>,
}

/// Networks of a Machine.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Network at the provider.
    pub vpc: Option<String>,
    /// Subnet at the provider.
    pub subnet: Option<String>,
    /// Fixed private address.
    #[serde(rename = "privateIP")]
    pub private_ip: Option<String>,
    /// Fixed public address.
    #[serde(rename = "publicIP")]
    pub public_ip: Option<String>,
    /// Wants a public address.
    #[serde(rename = "assignPublicIP")]
    pub assign_public_ip: Option<bool>,
    /// Network interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<Interface>,
}

/// A network interface.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Interface {
    /// Its name in this list.
    pub name: Option<String>,
    /// Carries the default route.
    pub primary: Option<bool>,
    /// Subnet at the provider.
    pub subnet: Option<String>,
    /// Security groups at the provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
}

/// Operating system.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatingSystem {
    /// `linux`, `windows`, …
    pub family: Option<String>,
    /// `debian`, `ubuntu`, …
    pub distribution: Option<String>,
    /// Version of the distribution.
    pub version: Option<String>,
    /// Instruction set.
    pub architecture: Option<Architecture>,
    /// The image: the provider's id of it, or on bare metal an http(s) URL or an entry of the provider's
    /// `operatingSystems`.
    #[serde(rename = "imageID")]
    pub image_id: Option<String>,
    /// Family of images, of which the newest is taken.
    pub image_family: Option<String>,
    /// `sha256:` and the digest of the image's bytes as they are published. Required on bare metal.
    #[schemars(regex(pattern = "^sha256:[0-9a-f]{64}$"))]
    pub image_digest: Option<String>,
}

/// Instruction set; two spellings of the first are known.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Architecture {
    /// 64-bit x86.
    #[serde(rename = "amd64")]
    Amd64,
    /// 64-bit Arm.
    #[serde(rename = "arm64")]
    Arm64,
    /// 64-bit x86, as uname spells it.
    #[serde(rename = "x86_64")]
    X8664,
}

/// Where a Machine comes from, in upstream's words.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProviderConfig {
    /// A MachineProvider's name, or a provider type.
    pub name: Option<String>,
    /// Region that the provider must have.
    pub region: Option<String>,
    /// Zone in it.
    pub zone: Option<String>,
    /// The provider's own settings.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// Other credentials than the provider's; counts only where the provider allows it.
    pub credentials_ref: Option<SecretReference>,
}

/// Backups of a Machine at its provider.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// Wanted.
    pub enabled: Option<bool>,
    /// When, as a cron line.
    pub schedule: Option<String>,
    /// How long they are kept.
    pub retention_days: Option<i64>,
}

/// Chooses BareMetalHosts by labels. All that is set must hold.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostSelector {
    /// Labels that must be there with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    /// Further requirements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub match_expressions: Vec<Requirement>,
}

/// One requirement on a label.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule("self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0 : !has(self.values) || size(self.values) == 0", "values goes with In and NotIn, and with nothing else")]))]
pub struct Requirement {
    /// The label.
    #[schemars(length(min = 1, max = 317))]
    pub key: String,
    /// How it is compared.
    pub operator: SelectorOperator,
    /// With what.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 63)))]
    pub values: Vec<String>,
}

/// How a label is compared.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum SelectorOperator {
    /// Is one of the values.
    In,
    /// Is not one of the values, or not there.
    NotIn,
    /// Is there.
    Exists,
    /// Is not there.
    DoesNotExist,
}

impl HostSelector {
    /// Whether a host with these labels is chosen.
    #[must_use]
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let Self {
            match_labels,
            match_expressions,
        } = self;
        match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
            && match_expressions.iter().all(|wanted| wanted.holds(labels))
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            SelectorOperator::In => value.is_some_and(|value| self.values.contains(value)),
            SelectorOperator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            SelectorOperator::Exists => value.is_some(),
            SelectorOperator::DoesNotExist => value.is_none(),
        }
    }
}

/// Schema of `powerState` in a spec, with the spellings that YAML does not take for booleans.
fn power_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": ["On", "Off", "PoweredOn", "PoweredOff"] })
}

/// Power, wanted or seen.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum PowerState {
    /// Powered on.
    #[serde(alias = "PoweredOn")]
    On,
    /// Powered off.
    #[serde(alias = "PoweredOff")]
    Off,
}

/// What is wiped when a host is given back.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Cleaning {
    /// The signatures of the root disk and of disks that we wrote. This is no erasure.
    Metadata,
    /// Nothing.
    None,
}

/// What becomes of the computer when the Machine is deleted.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum DeletionPolicy {
    /// It is released or destroyed.
    Delete,
    /// It runs on, and nobody looks after it.
    Orphan,
}

impl MachineSpec {
    /// Wanted power; `On` unless the spec says otherwise.
    #[must_use]
    pub fn wanted_power(&self) -> PowerState {
        self.power_state.unwrap_or(PowerState::On)
    }

    /// The disk that the system starts from: the one with `boot`, else the first.
    #[must_use]
    pub fn root_disk(&self) -> Option<&Disk> {
        self.disks
            .iter()
            .find(|disk| disk.boot == Some(true))
            .or_else(|| self.disks.first())
    }
}
