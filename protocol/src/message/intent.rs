//! What the hub wants of one object at one site: the body of an intent.
//!
//! Secret values are not here: they travel as [`SecretRow`]s of their own, outside the fence. The credentials of a BMC
//! are named by the UID of their Secret alone, so that a rotated password is no new revision: the row that arrives last
//! takes the place of the one before, also where a hub that was restored from a backup sends an older password again.
//! What an installation is made from (user data) is desired state, and is named with its content.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::Extensions;
use super::numbered::{BodyKind, BootMode, Cleaning, ImageFormat, Inspection, PowerState};
use crate::ids::{Digest, Fence, Generation, ObjectRef, OperationId, Uid};

/// Desired state of one object, complete: an agent needs nothing else but the secrets that it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Orders this intent among all that were ever sent for the object.
    pub fence: Fence,
    /// The object.
    pub object: ObjectRef,
    /// Rides along for `observedGeneration`.
    pub generation: Generation,
    /// What [`Intent::body`] holds.
    pub kind: BodyKind,
    /// Postcard bytes of [`MachineIntent`] or [`HostIntent`]. A tombstone carries the last one, so that an agent with an
    /// empty store can still release what is there.
    pub body: Vec<u8>,
    /// `true` only in a tombstone: the object is to vanish from the site. Absence never means delete.
    pub absent: bool,
    /// Secret rows that the body names.
    pub secrets: Vec<SecretName>,
    /// Growth.
    pub extensions: Extensions,
}

/// One value of a Kubernetes Secret at one content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecretKey {
    /// UID of the Secret.
    pub uid: Uid,
    /// SHA-256 over the row's encoded value.
    pub digest: Digest,
}

/// What an intent calls a secret row, and the place that the row takes: a later row of the same name replaces it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SecretName {
    /// UID of the Secret.
    pub uid: Uid,
    /// `None`: the [`Credentials`] in the Secret, whatever they are by now. Else a value at this content and no other.
    pub content: Option<Digest>,
}

/// A row that an agent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct HeldSecret {
    /// What intents call it.
    pub name: SecretName,
    /// SHA-256 over the row's encoded value.
    pub digest: Digest,
}

/// One secret value on its way to an agent. It has no `Debug` and is wiped from memory.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct SecretRow {
    /// What intents call it.
    #[zeroize(skip)]
    pub name: SecretName,
    /// SHA-256 over the value.
    #[zeroize(skip)]
    pub digest: Digest,
    /// The bytes: postcard of [`Credentials`], or user data as it is.
    pub value: Vec<u8>,
}

/// User name and password of a BMC. It has no `Debug` and is wiped from memory.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub struct Credentials {
    /// Account name.
    pub username: String,
    /// Password.
    pub password: String,
}

/// A server as its BMC and its boot NIC know it. Part of both bodies, so that either worker can act alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostTarget {
    /// The BareMetalHost.
    pub host: ObjectRef,
    /// `redfish+https://host[:port]/redfish/v1/Systems/<id>`, `redfish://…` (TLS too), or `redfish+http://…`.
    pub bmc_address: String,
    /// The Secret with the BMC's [`Credentials`]. `None` only in a tombstone whose Secret the hub does not know any
    /// more: what the agent used for the object until then.
    pub credentials: Option<Uid>,
    /// How the BMC's certificate is judged.
    pub trust: BmcTrust,
    /// MAC address of the NIC that boots from the network.
    pub boot_mac: [u8; 6],
    /// Firmware interface.
    pub boot_mode: BootMode,
    /// Nothing may touch the server while set; it is only watched.
    pub maintenance: bool,
}

/// How a BMC's certificate is judged. At most one of the first two is set; with neither, the first one seen is pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BmcTrust {
    /// PEM certificates of authorities that may have signed it; empty if unused.
    pub ca_bundle: String,
    /// SHA-256 of the DER certificate, from the spec or pinned in status.
    pub pin: Option<Digest>,
    /// No check at all; a condition says so.
    pub insecure: bool,
}

/// Desired state of a Machine on a bare-metal host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineIntent {
    /// The claimed host.
    pub target: HostTarget,
    /// The installation. A new `reinstall` token is a new operation; nothing else is.
    pub operation: OperationId,
    /// What to install.
    pub image: Image,
    /// Which disk is the root disk.
    pub root_hints: RootHints,
    /// A disk that holds data may be overwritten although we never provisioned the host.
    pub allow_wipe: bool,
    /// Wanted power.
    pub power: PowerState,
    /// What release removes.
    pub cleaning: Cleaning,
    /// Guest's host name.
    pub hostname: String,
    /// Public keys for the image's default user, one a line of `authorized_keys`.
    pub ssh_keys: Vec<String>,
    /// The user's `userData`, byte for byte, as a secret row; `None` if there is none.
    pub user_data: Option<SecretKey>,
    /// What `BareMetalHost.status.provisioned` says, for an agent that lost its store.
    pub provisioned: Option<Provisioned>,
    /// UID of a previous Machine whose installation may be taken over (`vitistack.io/adopt`).
    pub adopt: Option<Uid>,
    /// Growth.
    pub extensions: Extensions,
}

/// Tag of the extension of [`MachineIntent`] that says: the hub has seen a report of this operation that went beyond
/// `Pending`. An agent that holds no record of it then does not take it for a first installation.
const MACHINE_BEGUN: u16 = 1;

impl MachineIntent {
    /// Whether the hub knows that the operation was begun by some agent.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.extensions.find(MACHINE_BEGUN).is_some()
    }

    /// The extensions of an intent whose operation is known to have been begun.
    #[must_use]
    pub fn extensions_begun() -> Extensions {
        Extensions(vec![(MACHINE_BEGUN, Vec::new())])
    }
}

/// An operating system image as published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// http or https URL.
    pub url: String,
    /// SHA-256 of the bytes as published.
    pub digest: Digest,
    /// How they are packed.
    pub format: ImageFormat,
    /// PEM certificates that may sign the image server's, beside the built-in roots; empty if unused.
    pub ca_bundle: String,
}

/// Root device hints, with the names and the meaning that Metal3 gives them. All set ones must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootHints {
    /// `/dev/…` name, exact.
    pub device_name: Option<String>,
    /// SCSI address `host:bus:target:lun`, exact.
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

/// Proof that a host carries an installation of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioned {
    /// UID of the Machine.
    pub machine: Uid,
    /// The operation that installed it.
    pub operation: OperationId,
    /// Digest of the image as published.
    pub image: Digest,
    /// Serial number or device name of the disk that was written.
    pub disk: String,
}

/// Desired state of a BareMetalHost by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostIntent {
    /// The server.
    pub target: HostTarget,
    /// When it may be booted to be inspected.
    pub inspection: Inspection,
    /// A new token asks for a new inspection; empty for the first.
    pub inspection_operation: OperationId,
    /// A Machine claims it (`consumerRef`): look, do not touch.
    pub claimed_by: Option<Uid>,
    /// What `status.provisioned` says.
    pub provisioned: Option<Provisioned>,
    /// Installed by somebody else; never written, never inspected by booting.
    pub externally_provisioned: bool,
    /// Growth.
    pub extensions: Extensions,
}
