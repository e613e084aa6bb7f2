//! What an agent knows of one object: the body of a report. Facts only; the hub decides what they mean to people.

use serde::{Deserialize, Serialize};

use super::Extensions;
use super::intent::Provisioned;
use super::numbered::{BodyKind, BootMode, HostPhase, MachinePhase, PowerState, Reason};
use crate::ids::{Digest, Fence, Generation, ObjectRef, OperationId, Sequence, Uid};

/// The newest facts of one object. A newer report of the same object replaces an older one in the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Place in the outbox.
    pub sequence: Sequence,
    /// The object.
    pub object: ObjectRef,
    /// The intent that these facts were produced under.
    pub fence: Fence,
    /// Generation that this intent carried.
    pub generation: Generation,
    /// What `body` holds.
    pub kind: BodyKind,
    /// Postcard bytes of [`MachineReport`] or [`HostReport`].
    pub body: Vec<u8>,
    /// Nothing of the object is left at the site: its finalizer may go.
    pub gone: bool,
    /// Growth.
    pub extensions: Extensions,
}

/// Why something is as it is: a reason that decides and a sentence that explains. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Decides.
    pub reason: Reason,
    /// Explains: the step, the field, the value, what is allowed. At most 1 KiB.
    pub message: String,
}

/// Facts of a Machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineReport {
    /// How far.
    pub phase: MachinePhase,
    /// Why.
    pub cause: Cause,
    /// Power as the BMC says it; `None` while it cannot be asked.
    pub power: Option<PowerState>,
    /// The host that carries it.
    pub host: Uid,
    /// The operation in work or done.
    pub operation: OperationId,
    /// Which try of that operation, from 1.
    pub attempt: u8,
    /// While the image is written.
    pub progress: Option<Progress>,
    /// Proof for `BareMetalHost.status.provisioned`, once the disk holds the image; `None` after release.
    pub provisioned: Option<Provisioned>,
    /// Addresses that the guest told or that its lease has, without prefix length.
    pub addresses: Vec<String>,
    /// Growth.
    pub extensions: Extensions,
}

/// How many bytes of the image are on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Unpacked bytes written.
    pub written: u64,
    /// Unpacked bytes in all, 0 if not known.
    pub total: u64,
}

/// Facts of a BareMetalHost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// How far.
    pub phase: HostPhase,
    /// Why.
    pub cause: Cause,
    /// Power as the BMC says it; `None` while it cannot be asked.
    pub power: Option<PowerState>,
    /// The BMC answers and lets us in.
    pub reachable: bool,
    /// Fingerprint of the certificate that the BMC showed first.
    pub bmc_certificate: Option<Digest>,
    /// What is in the server; `None` until something was learned.
    pub inventory: Option<Inventory>,
    /// The inspection that `inventory` comes from; `None` where only the BMC was asked.
    pub inspected: Option<OperationId>,
    /// Growth.
    pub extensions: Extensions,
}

/// What is in a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// System manufacturer.
    pub manufacturer: String,
    /// Product name.
    pub model: String,
    /// Serial number.
    pub serial_number: String,
    /// SMBIOS UUID.
    pub system_uuid: String,
    /// Firmware version.
    pub firmware: String,
    /// How it was booted when it was inspected.
    pub boot_mode: Option<BootMode>,
    /// Logical processors.
    pub cpu_cores: u32,
    /// Processor model.
    pub cpu_model: String,
    /// MiB.
    pub memory_mib: u64,
    /// Block devices that could hold an operating system.
    pub disks: Vec<Disk>,
    /// Network interfaces.
    pub nics: Vec<Nic>,
}

/// A block device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// `/dev/…`.
    pub device_name: String,
    /// Bytes.
    pub size: u64,
    /// Model.
    pub model: String,
    /// Vendor.
    pub vendor: String,
    /// Serial number.
    pub serial_number: String,
    /// World wide name.
    pub wwn: String,
    /// SCSI address.
    pub hctl: String,
    /// Spinning.
    pub rotational: bool,
    /// USB sticks and card readers.
    pub removable: bool,
    /// Holds a partition table or a filesystem.
    pub in_use: bool,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// Kernel's name.
    pub name: String,
    /// MAC address.
    pub mac: [u8; 6],
    /// Link is up.
    pub carrier: bool,
    /// Mbit/s, 0 if not known.
    pub speed: u32,
}
