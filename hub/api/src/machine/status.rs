//! What is known of a Machine.
//!
//! `placement` is written by the leader, everything else by the holder of the agent's session. Fields that upstream
//! has and that tick (`lastUpdated`, disk usage) exist for its readers and are not written.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::spec::PowerState;
use crate::conditions::{self, Condition};
use crate::reference::ObjectReference;

/// A Machine as it is.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineStatus {
    /// For people; derived from the conditions.
    pub phase: Option<MachinePhase>,
    /// What is true now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,
    /// The generation that this status is about.
    pub observed_generation: Option<i64>,
    /// Where it was placed. Once there, it stays.
    pub placement: Option<Placement>,
    /// Name of the Agent that it belongs to.
    pub agent: Option<String>,
    /// The newest intent that was compiled from it.
    pub intent: Option<IntentStatus>,
    /// The installation in work or done.
    #[serde(rename = "operationID")]
    pub operation_id: Option<String>,
    /// What the installation is made from; `UpToDate` compares the spec with it.
    pub installation: Option<InstallationStatus>,
    /// Which try of that installation, from 1.
    pub attempt: Option<i64>,
    /// How far the image is written; absent when it is not being written.
    pub progress: Option<Progress>,
    /// Power as the provider says it.
    pub power_state: Option<PowerState>,
    /// State in the provider's words.
    pub state: Option<String>,
    /// One sentence for people.
    pub message: Option<String>,
    /// Reason of a failure that needs a change or a person.
    pub failure_reason: Option<String>,
    /// The same for people.
    pub failure_message: Option<String>,
    /// Type of the provider that made it.
    pub provider: Option<String>,
    /// The provider's name for it.
    #[serde(rename = "providerID")]
    pub provider_id: Option<String>,
    /// Our own name for it, that the guest carries as `instance-id`: the object's UID.
    #[serde(rename = "machineID")]
    pub machine_id: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Zone.
    pub zone: Option<String>,
    /// Host name that the guest told.
    pub hostname: Option<String>,
    /// All addresses, as the Cluster API shows them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<MachineAddress>,
    /// IPv4 addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// IPv6 addresses.
    #[serde(
        rename = "ipv6Addresses",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub ipv6_addresses: Vec<String>,
    /// Those that are reachable from everywhere.
    #[serde(
        rename = "publicIPAddresses",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub public_ip_addresses: Vec<String>,
    /// Those that are not.
    #[serde(
        rename = "privateIPAddresses",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub private_ip_addresses: Vec<String>,
    /// Instruction set.
    pub architecture: Option<String>,
    /// Operating system.
    pub operating_system: Option<String>,
    /// Its version.
    pub operating_system_version: Option<String>,
    /// Version of its kernel.
    pub kernel_version: Option<String>,
    /// Processors.
    pub cpus: Option<i64>,
    /// Memory in bytes.
    pub memory: Option<i64>,
    /// Disks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<DiskStatus>,
    /// Network interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub network_interfaces: Vec<InterfaceStatus>,
    /// When it was made.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub creation_time: Option<Time>,
    /// When it last booted.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub boot_time: Option<Time>,
    /// Known to upstream's readers; not written, since it would tick.
    #[serde(default)]
    #[schemars(schema_with = "crate::crd::date_time")]
    pub last_updated: Option<Time>,
}

impl MachineStatus {
    /// Writes `addresses`, and the same sorted by family into `ipAddresses` and `ipv6Addresses`. What is no address
    /// is left out.
    pub fn set_addresses(&mut self, addresses: &[String]) {
        self.addresses.clear();
        self.ip_addresses.clear();
        self.ipv6_addresses.clear();
        for text in addresses {
            let family = match text.parse() {
                Ok(std::net::IpAddr::V4(_)) => &mut self.ip_addresses,
                Ok(std::net::IpAddr::V6(_)) => &mut self.ipv6_addresses,
                Err(_) => continue,
            };
            family.push(text.clone());
            self.addresses.push(MachineAddress {
                kind: "InternalIP".to_owned(),
                address: text.clone(),
            });
        }
    }
}

/// An address of a Machine.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineAddress {
    /// `InternalIP`, `ExternalIP` or `Hostname`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The address.
    pub address: String,
}

/// How far a Machine is, for people.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum MachinePhase {
    /// Waits for a place, or for its turn.
    Pending,
    /// Being installed or started for the first time.
    Creating,
    /// Runs and has answered.
    Running,
    /// Being switched off.
    Stopping,
    /// Off, as wanted.
    Stopped,
    /// Being released.
    Terminating,
    /// Nothing is left of it.
    Terminated,
    /// Needs a change or a person.
    Failed,
}

/// Where a Machine was placed.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Placement {
    /// The MachineProvider.
    pub machine_provider: Option<ObjectReference>,
    /// The Datacenter that it counts in.
    pub datacenter: Option<ObjectReference>,
    /// On bare metal, the host that it claimed.
    pub host: Option<PlacedHost>,
}

/// The host that carries a Machine.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacedHost {
    /// Name of the BareMetalHost.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
}

/// The newest intent that was compiled from an object; written before it is sent.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IntentStatus {
    /// Grows when the digest changes.
    pub revision: i64,
    /// Epoch of the hub that allotted the revision.
    pub epoch: Option<i64>,
    /// `sha256:` and the digest of the intent without its fence. What the Secret of the BMC holds is no part of it.
    pub digest: String,
    /// The digest of what the agent holds instead, where a person accepted that after the hub had been restored from a
    /// backup. It stands until the object changes.
    pub accepted: Option<String>,
}

/// What an installation is made from.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstallationStatus {
    /// Its operation.
    #[serde(rename = "operationID")]
    pub operation_id: String,
    /// `sha256:` and the digest of image, root device hints, host name, keys and user data.
    pub inputs: String,
}

/// How far an image is written.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// Unpacked bytes on the disk.
    pub written_bytes: i64,
    /// Unpacked bytes in all; absent if not known.
    pub total_bytes: Option<i64>,
    /// The two in percent; absent if the total is not known.
    pub percent: Option<i64>,
}

/// A disk as the guest sees it.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DiskStatus {
    /// Name in the spec.
    pub name: Option<String>,
    /// Device name.
    pub device: Option<String>,
    /// Kind of disk.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Bytes.
    pub size: Option<i64>,
    /// Filesystem on it.
    pub filesystem_type: Option<String>,
    /// Where it is mounted.
    pub mount_point: Option<String>,
    /// UUID of the filesystem.
    pub uuid: Option<String>,
    /// Label of the filesystem.
    pub label: Option<String>,
    /// Serial number of the disk.
    pub serial_number: Option<String>,
    /// Bytes in use.
    pub used_bytes: Option<i64>,
    /// Bytes free.
    pub available_bytes: Option<i64>,
    /// Use in percent.
    pub usage_percent: Option<String>,
}

/// A network interface as the guest sees it.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceStatus {
    /// Kernel's name.
    pub name: Option<String>,
    /// MAC address.
    pub mac_address: Option<String>,
    /// IPv4 addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ip_addresses: Vec<String>,
    /// IPv6 addresses.
    #[serde(
        rename = "ipv6Addresses",
        default,
        skip_serializing_if = "Vec::is_empty"
    )]
    pub ipv6_addresses: Vec<String>,
    /// Kind of interface.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `up` or `down`.
    pub state: Option<String>,
    /// Largest packet in bytes.
    pub mtu: Option<i64>,
}
