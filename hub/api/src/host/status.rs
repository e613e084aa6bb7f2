//! What is known of a server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::spec::BootMode;
use crate::conditions::{self, Condition};
use crate::machine::{IntentStatus, PowerState};

/// A server as it is.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BareMetalHostStatus {
    /// For people; derived from the conditions.
    pub phase: Option<HostPhase>,
    /// What is true now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions::schema")]
    pub conditions: Vec<Condition>,
    /// The generation that this status is about.
    pub observed_generation: Option<i64>,
    /// Name of the Agent that it belongs to.
    pub agent: Option<String>,
    /// The newest intent that was compiled from it.
    pub intent: Option<IntentStatus>,
    /// Power as the BMC says it; absent while it cannot be asked.
    pub power_state: Option<PowerState>,
    /// What is in it.
    pub hardware: Option<HardwareDetails>,
    /// The inspection that `hardware` comes from.
    pub inspection: Option<Inspection>,
    /// The BMC's certificate that was pinned at first sight.
    pub bmc_certificate: Option<BmcCertificate>,
    /// The installation that it carries. Comes from reports and goes back with every intent.
    pub provisioned: Option<ProvisionedMachine>,
    /// Set while it is held back because a Machine was removed from it by force.
    pub quarantine: Option<Quarantine>,
    /// One sentence for people.
    pub message: Option<String>,
}

/// How far a server is, for people.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum HostPhase {
    /// The BMC has not answered yet.
    Registering,
    /// Being looked at.
    Inspecting,
    /// Free for a Machine.
    Available,
    /// A Machine is being installed.
    Provisioning,
    /// A Machine is installed.
    Provisioned,
    /// A Machine is being removed.
    Releasing,
    /// Somebody else installed it.
    ExternallyProvisioned,
    /// Held back until it is cleaned or accepted.
    Quarantined,
    /// Needs a change or a person.
    Failed,
    /// Being forgotten.
    Deleting,
}

/// What is in a server.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HardwareDetails {
    /// Who made it.
    pub system_vendor: Option<SystemVendor>,
    /// SMBIOS UUID.
    #[serde(rename = "systemUUID")]
    pub system_uuid: Option<String>,
    /// Version of its firmware.
    pub firmware: Option<String>,
    /// How it was booted when it was inspected.
    pub boot_mode: Option<BootMode>,
    /// Processors.
    pub cpu: Option<HardwareCpu>,
    /// Memory in MiB.
    pub ram_mebibytes: Option<i64>,
    /// Disks that could hold an operating system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub storage: Vec<StorageDevice>,
    /// Network interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nics: Vec<HardwareNic>,
}

/// Who made a server.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SystemVendor {
    /// Manufacturer.
    pub manufacturer: Option<String>,
    /// Product name.
    pub product_name: Option<String>,
    /// Serial number.
    pub serial_number: Option<String>,
}

/// Processors of a server.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HardwareCpu {
    /// Logical processors.
    pub count: Option<i64>,
    /// Model.
    pub model: Option<String>,
}

/// A disk of a server.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StorageDevice {
    /// `/dev/…`.
    pub name: String,
    /// Bytes.
    pub size_bytes: i64,
    /// Model.
    pub model: Option<String>,
    /// Vendor.
    pub vendor: Option<String>,
    /// Serial number.
    pub serial_number: Option<String>,
    /// World wide name.
    pub wwn: Option<String>,
    /// SCSI address.
    pub hctl: Option<String>,
    /// Spinning.
    pub rotational: Option<bool>,
    /// USB stick or card reader.
    pub removable: Option<bool>,
    /// Holds a partition table or a filesystem.
    pub in_use: Option<bool>,
}

/// A network interface of a server.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HardwareNic {
    /// Kernel's name.
    pub name: String,
    /// MAC address.
    pub mac: String,
    /// Link is up.
    pub link_up: Option<bool>,
    /// Mbit/s.
    pub speed_mbps: Option<i64>,
}

/// An inspection.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// Its operation.
    #[serde(rename = "operationID")]
    pub operation_id: String,
}

/// A pinned certificate.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BmcCertificate {
    /// `sha256:` and the digest of its DER.
    pub sha256: String,
}

/// An installation of ours on a server.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProvisionedMachine {
    /// UID of the Machine.
    #[serde(rename = "machineUID")]
    pub machine_uid: String,
    /// The operation that installed it.
    #[serde(rename = "operationID")]
    pub operation_id: String,
    /// Digest of the image as published.
    pub image_digest: String,
    /// Serial number or device name of the disk that was written.
    pub disk: String,
}

/// Why a server is held back.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Quarantine {
    /// UID of the Machine that was removed by force. The annotation `vitistack.io/accept` with this value ends it.
    #[serde(rename = "machineUID")]
    pub machine_uid: String,
    /// The newest intent of that Machine: its tombstone, which outlives the object.
    pub intent: Option<IntentStatus>,
}
