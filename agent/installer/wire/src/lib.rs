//! The contract of the netboot service and the installer: JSON over plain HTTP on the boot network.
//!
//! The road of one boot:
//! 1. iPXE loads kernel, initramfs and a second initrd, a cpio archive with one file, [`BOOT_FILE`], that holds a
//!    [`BootFile`]. It is fetched by capability URL, so no secret stands on the kernel command line.
//! 2. The installer `GET`s `server + plan`: a [`SignedPlan`]; the signature is checked against the key of the boot file.
//! 3. It carries out the one [`Mode`] of the plan and `POST`s a [`Report`] to `server + report` at every change of state
//!    and at least every second. The answer is an [`Instruction`].
//! 4. A final state ([`State::is_final`]) is reported again every second until the server is restarted from outside or
//!    the instruction says otherwise: the agent may have been away when it was first said.
//!
//! The crate does no I/O. Fields may be added with a serde default; the two sides are built together all the same.

use serde::{Deserialize, Serialize};

/// Path of the boot file inside the second initrd, relative to `/`.
pub const BOOT_FILE: &str = "vitistack/boot.json";

/// Where the plan is and who signed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootFile {
    /// `http://address:port` of the netboot service, without a slash at the end.
    pub server: String,
    /// Absolute path of the [`SignedPlan`], a capability URL.
    pub plan: String,
    /// Ed25519 public key of the agent, 64 hexadecimal digits.
    pub public_key: String,
}

/// A plan as it travels: the exact text that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedPlan {
    /// JSON of [`Plan`].
    pub plan: String,
    /// Ed25519 over the bytes of `plan`, 128 hexadecimal digits.
    pub signature: String,
}

/// What this boot is for. One plan a boot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The operation, 32 hexadecimal digits; comes back in every report.
    pub operation: String,
    /// MAC address `aa:bb:cc:dd:ee:ff` of the server that the plan is for. Another server must not carry it out.
    pub mac: String,
    /// Absolute path that reports are posted to, a capability URL.
    pub report: String,
    /// What to do.
    pub mode: Mode,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Mode {
    /// Look, report the inventory, write nothing.
    Inspect,
    /// Put an operating system image on the root disk.
    Install(Install),
    /// Remove signatures from disks.
    Wipe(Wipe),
}

/// Put an operating system image on the root disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Install {
    /// Absolute path of the image on the netboot service, a capability URL that answers HEAD and Range.
    pub image: String,
    /// `sha256:<hex>` of the bytes as published.
    pub digest: String,
    /// Packing.
    pub format: Format,
    /// Which disk is the root disk.
    pub root: RootHints,
    /// A disk that holds partitions or a filesystem may be overwritten.
    pub allow_wipe: bool,
    /// Files of the NoCloud data source, put on a FAT filesystem labelled `CIDATA`.
    pub seed: Vec<SeedFile>,
}

/// Remove signatures from disks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wipe {
    /// Root disk, found as for an installation.
    pub root: RootHints,
    /// Serial numbers or `/dev` names of further disks that we wrote.
    pub disks: Vec<String>,
}

/// Packing of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As it goes on the disk.
    Raw,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

/// Metal3's root device hints. All set ones must match; with none set, exactly one non-removable disk must exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RootHints {
    /// Exact.
    pub device_name: Option<String>,
    /// Exact.
    pub hctl: Option<String>,
    /// Substring.
    pub model: Option<String>,
    /// Substring.
    pub vendor: Option<String>,
    /// Exact.
    pub serial_number: Option<String>,
    /// Exact.
    pub wwn: Option<String>,
    /// GiB, at least.
    pub min_size_gigabytes: Option<u32>,
    /// Spinning or not.
    pub rotational: Option<bool>,
}

/// One file of the NoCloud data source (`meta-data`, `user-data`, `vendor-data`, `network-config`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SeedFile {
    /// File name.
    pub name: String,
    /// Content, standard base64: user data need not be UTF-8.
    pub content: String,
}

/// What the installer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The plan's operation.
    pub operation: String,
    /// Milliseconds since the kernel started.
    pub uptime_ms: u64,
    /// How far.
    pub state: State,
    /// Sent with the first report and with [`State::Inspected`].
    #[serde(default)]
    pub inventory: Option<Inventory>,
}

/// How far the installer is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum State {
    /// The plan was read and its signature holds.
    Started,
    /// Inspection is complete.
    Inspected,
    /// Bytes go to the disk.
    #[serde(rename_all = "camelCase")]
    Writing {
        /// Unpacked bytes written.
        written: u64,
        /// Unpacked bytes in all; 0 if not known.
        total: u64,
    },
    /// The digest matched, the first MiB and the seed are on disk, everything was flushed.
    #[serde(rename_all = "camelCase")]
    Written {
        /// Serial number of the disk, or its `/dev` name where it has none.
        disk: String,
        /// `sha256:<hex>` of the published bytes as they were read.
        digest: String,
        /// Unpacked bytes written.
        bytes: u64,
    },
    /// Signatures are gone.
    #[serde(rename_all = "camelCase")]
    Wiped {
        /// Disks that were cleaned.
        disks: Vec<String>,
    },
    /// It cannot go on.
    #[serde(rename_all = "camelCase")]
    Failed {
        /// Decides.
        reason: Failure,
        /// Explains.
        message: String,
    },
}

/// Why the installer cannot go on. Names are those of the protocol's reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// Not exactly one disk fits.
    RootDiskAmbiguous,
    /// No disk fits the hints.
    RootDiskNotFound,
    /// The disk holds data.
    DiskNotEmpty,
    /// The image does not fit.
    ImageTooLarge,
    /// The image could not be read to its end.
    ImageFetchFailed,
    /// Other bytes than were asked for. The first MiB was never written.
    ImageDigestMismatch,
    /// The stream could not be unpacked.
    ImageFormatUnsupported,
    /// The disk refused a write or a flush.
    DiskWriteFailed,
    /// The plan is for another server, malformed, or its signature is wrong.
    PlanRefused,
}

/// The netboot service's answer to a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Instruction {
    /// Go on; in a final state: wait and report again.
    Continue,
    /// Power the server off.
    PowerOff,
    /// Restart the server.
    Restart,
}

/// What the installer finds in the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Inventory {
    /// SMBIOS manufacturer.
    pub manufacturer: String,
    /// SMBIOS product name.
    pub model: String,
    /// SMBIOS serial number.
    pub serial_number: String,
    /// SMBIOS UUID.
    pub system_uuid: String,
    /// Firmware version.
    pub firmware: String,
    /// Booted by UEFI.
    pub uefi: bool,
    /// Logical processors.
    pub cpu_cores: u32,
    /// Processor model.
    pub cpu_model: String,
    /// MiB.
    pub memory_mib: u64,
    /// Block devices.
    pub disks: Vec<Disk>,
    /// Network interfaces.
    pub nics: Vec<Nic>,
}

/// A block device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
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

impl Disk {
    /// Whether `name` is its serial number or its `/dev` name.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.serial_number == name || self.device_name == name
    }
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Nic {
    /// Kernel's name.
    pub name: String,
    /// `aa:bb:cc:dd:ee:ff`.
    pub mac: String,
    /// Link is up.
    pub carrier: bool,
    /// Mbit/s, 0 if not known.
    pub speed: u32,
}

impl State {
    /// Nothing follows but the end of the boot.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Started | Self::Writing { .. } => false,
            Self::Inspected | Self::Written { .. } | Self::Wiped { .. } | Self::Failed { .. } => {
                true
            }
        }
    }
}

/// A signed plan that must not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A key or a signature is not hexadecimal.
    #[error("the plan's signature or key is malformed")]
    Malformed,
    /// Signed by somebody else, or changed on the way.
    #[error("the plan's signature does not hold")]
    Signature,
    /// Not the JSON of a plan.
    #[error("read the signed plan")]
    Json(#[source] serde_json::Error),
}

impl SignedPlan {
    /// Signs `plan` with the agent's key.
    ///
    /// # Errors
    /// Only if the plan cannot be written as JSON.
    pub fn sign(plan: &Plan, key: &ring::signature::Ed25519KeyPair) -> Result<Self, PlanError> {
        let plan = serde_json::to_string(plan).map_err(PlanError::Json)?;
        let signature = hex::encode(key.sign(plan.as_bytes()));
        Ok(Self { plan, signature })
    }

    /// Checks the signature with `public_key` (64 hexadecimal digits), then reads the plan.
    ///
    /// # Errors
    /// Anything that makes the plan one that must not be carried out.
    pub fn open(&self, public_key: &str) -> Result<Plan, PlanError> {
        let key = hex::decode(public_key).map_err(|_| PlanError::Malformed)?;
        let signature = hex::decode(&self.signature).map_err(|_| PlanError::Malformed)?;
        ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key)
            .verify(self.plan.as_bytes(), &signature)
            .map_err(|_| PlanError::Signature)?;
        serde_json::from_str(&self.plan).map_err(PlanError::Json)
    }
}
