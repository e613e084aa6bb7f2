//! What either bare-metal plan can ask for, and what the journal keeps of it.
//!
//! A step that is known by looking at the world (a slot, the boot override, power) is not journalled. A step is, if the
//! world cannot tell afterwards whether it happened, or if it is a fact that must outlive the agent.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use vitistack_protocol::ids::{Digest, OperationId};
use vitistack_protocol::message::numbered::Reason;

use super::redfish::BootTarget;
use crate::capability::Capability;
use crate::driver;
use crate::netboot::slot::BootUrls;

/// The journal's numbers; never reused for another meaning.
pub(crate) mod number {
    pub(crate) const BEGIN: u16 = 1;
    pub(crate) const START_INSTALLER: u16 = 2;
    pub(crate) const RECORD_WRITING: u16 = 3;
    pub(crate) const RECORD_WRITTEN: u16 = 4;
    pub(crate) const RECORD_FAILURE: u16 = 5;
    pub(crate) const START_GUEST: u16 = 6;
    pub(crate) const PHONED_HOME: u16 = 7;
    pub(crate) const RECORD_PROBE: u16 = 8;
    pub(crate) const RECORD_WIPED: u16 = 9;
    pub(crate) const END_INSPECTION: u16 = 10;
    /// And the numbers up to `RECORD_INSPECTED + INVENTORY_PARTS - 1`, one a part of the inventory.
    pub(crate) const RECORD_INSPECTED: u16 = 40;
}

/// A note is at most 1 KiB, so an inventory is kept in parts; a server with more than fits loses disks at the end.
pub(crate) const INVENTORY_PARTS: usize = 8;

/// Bytes of an inventory in one note.
pub(crate) const INVENTORY_PART: usize = 900;

/// One boot of the installer, as it was decided when its attempt began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// URLs of the boot.
    pub(crate) urls: BootUrls,
    /// Where the installed guest reports to.
    pub(crate) phone_home: Capability,
    /// What was to be done. Another one is another try, with a budget of its own.
    pub(crate) fingerprint: Digest,
    /// Number of the first attempt with this fingerprint.
    pub(crate) first: u8,
    /// Which disk is chosen: the part of the fingerprint that decides it.
    pub(crate) disk: Digest,
    /// An earlier attempt that chose alike wrote to the disk: what is on it is ours.
    pub(crate) wrote: bool,
    /// Release: the disks that were written, by serial number or `/dev` name. Empty means the one of the hints.
    pub(crate) disks: Vec<String>,
    /// The server was on before (inspection), and is left on.
    pub(crate) was_on: bool,
    /// Why the attempt before failed.
    pub(crate) last: Option<Failure>,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) reason: Reason,
    pub(crate) message: String,
}

/// The image is on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Written {
    /// Serial number or `/dev` name.
    pub(crate) disk: String,
    /// As published.
    pub(crate) image: Digest,
}

/// One step of a bare-metal plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The operation that a journalled step belongs to.
    pub(crate) operation: OperationId,
    pub(crate) kind: Kind,
}

/// What the installer is booted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// What is to be on the disk, see [`vitistack_protocol::message::inputs`].
    Install {
        inputs: Digest,
    },
    Wipe,
    Inspect,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Start the download, or try again.
    FetchImage,
    /// A new attempt of the operation.
    Begin(Box<Attempt>),
    /// Let the next network boot run the installer.
    OpenInstaller {
        task: Task,
        attempt: Box<Attempt>,
    },
    /// Let a network boot go to the disk, and the guest phone home.
    OpenLocal {
        phone_home: Option<Capability>,
    },
    /// Give the MAC address back.
    CloseSlot,
    SetBoot(BootTarget),
    PowerOn,
    PowerOff,
    ShutDown,
    /// Power on into the installer, whose slot is open for this task.
    StartInstaller(Task),
    /// The installer writes: from here the disk is ours to overwrite.
    RecordWriting,
    RecordWritten(Written),
    RecordFailure(Failure),
    /// Power on into the installed system.
    StartGuest,
    RecordProbe(IpAddr),
    RecordWiped,
    /// The server is as it was before the inspection: its power is nobody's business from here.
    EndInspection,
    /// One part of what the installer found.
    RecordInspected {
        part: usize,
        bytes: Vec<u8>,
    },
}

impl Kind {
    /// Whether the server or its disks are touched: not in maintenance.
    pub(crate) fn touches(&self) -> bool {
        match self {
            Self::Begin(_)
            | Self::OpenInstaller { .. }
            | Self::SetBoot(_)
            | Self::PowerOn
            | Self::PowerOff
            | Self::ShutDown
            | Self::StartInstaller(_)
            | Self::StartGuest => true,
            Self::FetchImage
            | Self::OpenLocal { .. }
            | Self::CloseSlot
            | Self::RecordWriting
            | Self::RecordWritten(_)
            | Self::RecordFailure(_)
            | Self::RecordProbe(_)
            | Self::RecordWiped
            | Self::EndInspection
            | Self::RecordInspected { .. } => false,
        }
    }
}

impl driver::Step for Step {
    fn number(&self) -> u16 {
        match &self.kind {
            Kind::Begin(_) => number::BEGIN,
            Kind::StartInstaller(_) => number::START_INSTALLER,
            Kind::RecordWriting => number::RECORD_WRITING,
            Kind::RecordWritten(_) => number::RECORD_WRITTEN,
            Kind::RecordFailure(_) => number::RECORD_FAILURE,
            Kind::StartGuest => number::START_GUEST,
            Kind::RecordProbe(_) => number::RECORD_PROBE,
            Kind::RecordWiped => number::RECORD_WIPED,
            Kind::EndInspection => number::END_INSPECTION,
            Kind::RecordInspected { part, .. } => {
                // The plan makes no more than INVENTORY_PARTS of them.
                number::RECORD_INSPECTED + u16::try_from(*part).unwrap_or(0)
            }
            // Not journalled; numbers of their own all the same, for logs.
            Kind::FetchImage => 100,
            Kind::OpenInstaller { .. } => 101,
            Kind::OpenLocal { .. } => 102,
            Kind::CloseSlot => 103,
            Kind::SetBoot(_) => 104,
            Kind::PowerOn => 105,
            Kind::PowerOff => 106,
            Kind::ShutDown => 107,
        }
    }

    fn name(&self) -> &'static str {
        match &self.kind {
            Kind::FetchImage => "fetch-image",
            Kind::Begin(_) => "begin-attempt",
            Kind::OpenInstaller { .. } => "open-installer-slot",
            Kind::OpenLocal { .. } => "open-local-slot",
            Kind::CloseSlot => "close-slot",
            Kind::SetBoot(BootTarget::Network) => "boot-from-network",
            Kind::SetBoot(BootTarget::Disk) => "boot-from-disk",
            Kind::PowerOn => "power-on",
            Kind::PowerOff => "power-off",
            Kind::ShutDown => "shut-down",
            Kind::StartInstaller(_) => "start-installer",
            Kind::RecordWriting => "record-writing",
            Kind::RecordWritten(_) => "record-written",
            Kind::RecordFailure(_) => "record-failure",
            Kind::StartGuest => "start-guest",
            Kind::RecordProbe(_) => "record-probe",
            Kind::RecordWiped => "record-wiped",
            Kind::EndInspection => "end-inspection",
            Kind::RecordInspected { .. } => "record-inspected",
        }
    }

    fn operation(&self) -> Option<OperationId> {
        match &self.kind {
            Kind::Begin(_)
            | Kind::StartInstaller(_)
            | Kind::RecordWriting
            | Kind::RecordWritten(_)
            | Kind::RecordFailure(_)
            | Kind::StartGuest
            | Kind::RecordProbe(_)
            | Kind::RecordWiped
            | Kind::EndInspection
            | Kind::RecordInspected { .. } => Some(self.operation),
            Kind::FetchImage
            | Kind::OpenInstaller { .. }
            | Kind::OpenLocal { .. }
            | Kind::CloseSlot
            | Kind::SetBoot(_)
            | Kind::PowerOn
            | Kind::PowerOff
            | Kind::ShutDown => None,
        }
    }

    fn begins_attempt(&self) -> bool {
        matches!(self.kind, Kind::Begin(_))
    }

    fn note(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Begin(attempt) => note(attempt),
            Kind::RecordWritten(written) => note(written),
            Kind::RecordFailure(failure) => note(failure),
            Kind::RecordProbe(address) => note(address),
            Kind::RecordInspected { bytes, .. } => bytes.clone(),
            Kind::StartInstaller(Task::Install { inputs }) => note(inputs),
            Kind::FetchImage
            | Kind::OpenInstaller { .. }
            | Kind::OpenLocal { .. }
            | Kind::CloseSlot
            | Kind::SetBoot(_)
            | Kind::PowerOn
            | Kind::PowerOff
            | Kind::ShutDown
            | Kind::StartInstaller(Task::Wipe | Task::Inspect)
            | Kind::RecordWriting
            | Kind::StartGuest
            | Kind::RecordWiped
            | Kind::EndInspection => Vec::new(),
        }
    }
}

/// Bytes for the journal.
pub(crate) fn note<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_stdvec(value).expect("these types have only fields that postcard can write")
}
