//! Choices that travel as explicit numbers.
//!
//! A derived enum travels as the position of its variant, so an inserted variant would turn one command into another.
//! These enums name their numbers; a number that is not known is a decoding error, which the reader answers with
//! `Unsupported` instead of guessing.

use serde::{Deserialize, Serialize};

/// A number on the wire that this build has no name for.
#[derive(Debug, thiserror::Error)]
#[error("{value} is not a known {kind}")]
pub struct UnknownNumber {
    /// Which choice it was read as.
    pub kind: &'static str,
    /// What was on the wire.
    pub value: u16,
}

/// What an intent or a report speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[repr(u16)]
pub enum BodyKind {
    /// A Machine on a bare-metal host.
    Machine = 1,
    /// A BareMetalHost by itself.
    Host = 2,
}

impl BodyKind {
    /// Every variant, for tables and for the test that no number is missing.
    pub const ALL: &'static [Self] = &[Self::Machine, Self::Host];
}

impl From<BodyKind> for u16 {
    fn from(value: BodyKind) -> Self {
        value as Self
    }
}

impl TryFrom<u16> for BodyKind {
    type Error = UnknownNumber;

    fn try_from(value: u16) -> Result<Self, UnknownNumber> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| *known as u16 == value)
            .ok_or(UnknownNumber {
                kind: "BodyKind",
                value,
            })
    }
}

/// Which firmware interface a server boots by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[repr(u16)]
pub enum BootMode {
    /// UEFI, boot files for x86-64.
    Uefi = 1,
    /// BIOS with an x86 option ROM.
    Legacy = 2,
}

impl BootMode {
    /// Every variant, for tables and for the test that no number is missing.
    pub const ALL: &'static [Self] = &[Self::Uefi, Self::Legacy];
}

impl From<BootMode> for u16 {
    fn from(value: BootMode) -> Self {
        value as Self
    }
}

impl TryFrom<u16> for BootMode {
    type Error = UnknownNumber;

    fn try_from(value: u16) -> Result<Self, UnknownNumber> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| *known as u16 == value)
            .ok_or(UnknownNumber {
                kind: "BootMode",
                value,
            })
    }
}

/// Whether a server is powered, as wanted or as seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[repr(u16)]
pub enum PowerState {
    /// Powered on.
    On = 1,
    /// Powered off.
    Off = 2,
}

impl PowerState {
    /// Every variant, for tables and for the test that no number is missing.
    pub const ALL: &'static [Self] = &[Self::On, Self::Off];
}

impl From<PowerState> for u16 {
    fn from(value: PowerState) -> Self {
        value as Self
    }
}

impl TryFrom<u16> for PowerState {
    type Error = UnknownNumber;

    fn try_from(value: u16) -> Result<Self, UnknownNumber> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| *known as u16 == value)
            .ok_or(UnknownNumber {
                kind: "PowerState",
                value,
            })
    }
}

/// What is removed from the disks when a Machine is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[repr(u16)]
pub enum Cleaning {
    /// Signatures of the root disk and of disks that we wrote. No erasure.
    Metadata = 1,
    /// Nothing.
    None = 2,
}

impl Cleaning {
    /// Every variant, for tables and for the test that no number is missing.
    pub const ALL: &'static [Self] = &[Self::Metadata, Self::None];
}

impl From<Cleaning> for u16 {
    fn from(value: Cleaning) -> Self {
        value as Self
    }
}

impl TryFrom<u16> for Cleaning {
    type Error = UnknownNumber;

    fn try_from(value: u16) -> Result<Self, UnknownNumber> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| *known as u16 == value)
            .ok_or(UnknownNumber {
                kind: "Cleaning",
                value,
            })
    }
}

/// When a server may be booted only to look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[repr(u16)]
pub enum Inspection {
    /// Only a server that is off. The default.
    WhenOff = 1,
    /// A running server may be restarted for it.
    Reboot = 2,
    /// Never; what the BMC tells is enough.
    Never = 3,
}

impl Inspection {
    /// Every variant, for tables and for the test that no number is missing.
    pub const ALL: &'static [Self] = &[Self::WhenOff, Self::Reboot, Self::Never];
}

impl From<Inspection> for u16 {
    fn from(value: Inspection) -> Self {
        value as Self
    }
}

impl TryFrom<u16> for Inspection {
    type Error = UnknownNumber;

    fn try_from(value: u16) -> Result<Self, UnknownNumber> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| *known as u16 == value)
            .ok_or(UnknownNumber {
                kind: "Inspection",
                value,
            })
    }
}

/// How the published bytes of an image are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[repr(u16)]
pub enum ImageFormat {
    /// As they go on the disk.
    Raw = 1,
    /// gzip, one or more members.
    Gzip = 2,
    /// zstd, one or more frames.
    Zstd = 3,
}

impl ImageFormat {
    /// Every variant, for tables and for the test that no number is missing.
    pub const ALL: &'static [Self] = &[Self::Raw, Self::Gzip, Self::Zstd];
}

impl From<ImageFormat> for u16 {
    fn from(value: ImageFormat) -> Self {
        value as Self
    }
}

impl TryFrom<u16> for ImageFormat {
    type Error = UnknownNumber;

    fn try_from(value: u16) -> Result<Self, UnknownNumber> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| *known as u16 == value)
            .ok_or(UnknownNumber {
                kind: "ImageFormat",
                value,
            })
    }
}

/// How far the agent is with a Machine. The hub derives the phase that people see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[repr(u16)]
pub enum MachinePhase {
    /// Accepted, nothing done yet.
    Pending = 1,
    /// From the first boot override to the last byte on disk.
    Installing = 2,
    /// The installed system was started and has not spoken yet.
    Booting = 3,
    /// The guest phoned home, or the probe from outside answered.
    Running = 4,
    /// Power is going off.
    Stopping = 5,
    /// Off, as wanted.
    Stopped = 6,
    /// Being cleaned and given back.
    Releasing = 7,
    /// Nothing of the Machine is left at the site.
    Gone = 8,
    /// Stopped by a reason that needs a change or a person.
    Failed = 9,
}

impl MachinePhase {
    /// Every variant, for tables and for the test that no number is missing.
    pub const ALL: &'static [Self] = &[
        Self::Pending,
        Self::Installing,
        Self::Booting,
        Self::Running,
        Self::Stopping,
        Self::Stopped,
        Self::Releasing,
        Self::Gone,
        Self::Failed,
    ];
}

impl From<MachinePhase> for u16 {
    fn from(value: MachinePhase) -> Self {
        value as Self
    }
}

impl TryFrom<u16> for MachinePhase {
    type Error = UnknownNumber;

    fn try_from(value: u16) -> Result<Self, UnknownNumber> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| *known as u16 == value)
            .ok_or(UnknownNumber {
                kind: "MachinePhase",
                value,
            })
    }
}

/// How far the agent is with a host by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[repr(u16)]
pub enum HostPhase {
    /// The BMC has not answered yet.
    Registering = 1,
    /// Being looked at.
    Inspecting = 2,
    /// Known and free, as far as the site can tell.
    Available = 3,
    /// A Machine's intent holds it.
    InUse = 4,
    /// Stopped by a reason that needs a change or a person.
    Failed = 5,
    /// The site has forgotten it.
    Gone = 6,
}

impl HostPhase {
    /// Every variant, for tables and for the test that no number is missing.
    pub const ALL: &'static [Self] = &[
        Self::Registering,
        Self::Inspecting,
        Self::Available,
        Self::InUse,
        Self::Failed,
        Self::Gone,
    ];
}

impl From<HostPhase> for u16 {
    fn from(value: HostPhase) -> Self {
        value as Self
    }
}

impl TryFrom<u16> for HostPhase {
    type Error = UnknownNumber;

    fn try_from(value: u16) -> Result<Self, UnknownNumber> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| *known as u16 == value)
            .ok_or(UnknownNumber {
                kind: "HostPhase",
                value,
            })
    }
}

/// Why an object is as it is. The hub renders it as a condition's reason with a line "what to do".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[repr(u16)]
pub enum Reason {
    /// Nothing to explain.
    None = 0,
    /// Work goes on; the message names the step.
    Progressing = 1,
    /// The guest itself reported the Machine's UID.
    PhonedHome = 2,
    /// The guest did not phone home, but answered from outside.
    ProbeAnswered = 3,
    /// The BMC does not answer on the network.
    BmcUnreachable = 10,
    /// The BMC refused the credentials.
    BmcAuthenticationFailed = 11,
    /// The BMC shows another certificate than the pinned one.
    BmcCertificateChanged = 12,
    /// The BMC's certificate does not fit caBundle or sha256.
    BmcCertificateUntrusted = 13,
    /// The BMC answered something that Redfish does not allow.
    BmcProtocolError = 14,
    /// The BMC accepted the boot override and did not keep it.
    BootOverrideIgnored = 15,
    /// The BMC accepted a power action and nothing changed.
    PowerActionIgnored = 16,
    /// The Secret with the BMC's credentials has not arrived.
    CredentialsMissing = 17,
    /// The image could not be downloaded.
    ImageFetchFailed = 20,
    /// The image's bytes do not have the digest that the Machine names.
    ImageDigestMismatch = 21,
    /// The image does not fit on the root disk.
    ImageTooLarge = 22,
    /// The image is packed in a way that the installer cannot read.
    ImageFormatUnsupported = 23,
    /// Not exactly one disk fits.
    RootDiskAmbiguous = 30,
    /// No disk fits the hints.
    RootDiskNotFound = 31,
    /// The disk holds data and the host was never provisioned by us.
    DiskNotEmpty = 32,
    /// The disk refused a write or a flush.
    DiskWriteFailed = 33,
    /// Neither record nor proof says whether the host was installed.
    InstallStateUnknown = 40,
    /// Three attempts of one operation failed.
    InstallAttemptsExhausted = 41,
    /// The netboot installer did not report in time.
    InstallerTimeout = 42,
    /// The installed system did not report in time.
    GuestTimeout = 43,
    /// The host still carries a Machine of another UID.
    HostClaimedByPrevious = 44,
    /// The server is running and may not be restarted to be inspected.
    InspectionWaits = 45,
    /// This agent has no boot network configured.
    NetbootDisabled = 50,
    /// Another DHCP server answers on the boot network.
    ForeignDhcpServer = 51,
    /// Another object holds this MAC address's boot slot.
    BootConflict = 52,
    /// The hub is behind this agent; a person must choose.
    BackupRestored = 60,
}

impl Reason {
    /// Every variant, for tables and for the test that no number is missing.
    pub const ALL: &'static [Self] = &[
        Self::None,
        Self::Progressing,
        Self::PhonedHome,
        Self::ProbeAnswered,
        Self::BmcUnreachable,
        Self::BmcAuthenticationFailed,
        Self::BmcCertificateChanged,
        Self::BmcCertificateUntrusted,
        Self::BmcProtocolError,
        Self::BootOverrideIgnored,
        Self::PowerActionIgnored,
        Self::CredentialsMissing,
        Self::ImageFetchFailed,
        Self::ImageDigestMismatch,
        Self::ImageTooLarge,
        Self::ImageFormatUnsupported,
        Self::RootDiskAmbiguous,
        Self::RootDiskNotFound,
        Self::DiskNotEmpty,
        Self::DiskWriteFailed,
        Self::InstallStateUnknown,
        Self::InstallAttemptsExhausted,
        Self::InstallerTimeout,
        Self::GuestTimeout,
        Self::HostClaimedByPrevious,
        Self::InspectionWaits,
        Self::NetbootDisabled,
        Self::ForeignDhcpServer,
        Self::BootConflict,
        Self::BackupRestored,
    ];
}

impl From<Reason> for u16 {
    fn from(value: Reason) -> Self {
        value as Self
    }
}

impl TryFrom<u16> for Reason {
    type Error = UnknownNumber;

    fn try_from(value: u16) -> Result<Self, UnknownNumber> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| *known as u16 == value)
            .ok_or(UnknownNumber {
                kind: "Reason",
                value,
            })
    }
}

/// What an agent did with an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[repr(u16)]
pub enum IntentOutcome {
    /// It is on disk and replaces what was held.
    Stored = 1,
    /// The same intent was on disk already.
    AlreadyHeld = 2,
    /// Refused: the agent has accepted a newer hub epoch.
    OlderEpoch = 3,
    /// Refused: the agent holds a newer revision.
    OlderRevision = 4,
    /// Refused: the agent holds the same revision with other content.
    ContentDiffers = 5,
    /// Refused: no room on disk. Worth another try later.
    StoreFull = 6,
    /// Refused: this build cannot read the body.
    NotUnderstood = 7,
}

impl IntentOutcome {
    /// Every variant, for tables and for the test that no number is missing.
    pub const ALL: &'static [Self] = &[
        Self::Stored,
        Self::AlreadyHeld,
        Self::OlderEpoch,
        Self::OlderRevision,
        Self::ContentDiffers,
        Self::StoreFull,
        Self::NotUnderstood,
    ];

    /// Whether the agent now holds the intent.
    #[must_use]
    pub fn holds(self) -> bool {
        match self {
            Self::Stored | Self::AlreadyHeld => true,
            Self::OlderEpoch
            | Self::OlderRevision
            | Self::ContentDiffers
            | Self::StoreFull
            | Self::NotUnderstood => false,
        }
    }
}

impl From<IntentOutcome> for u16 {
    fn from(value: IntentOutcome) -> Self {
        value as Self
    }
}

impl TryFrom<u16> for IntentOutcome {
    type Error = UnknownNumber;

    fn try_from(value: u16) -> Result<Self, UnknownNumber> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| *known as u16 == value)
            .ok_or(UnknownNumber {
                kind: "IntentOutcome",
                value,
            })
    }
}

#[cfg(test)]
mod tests;
