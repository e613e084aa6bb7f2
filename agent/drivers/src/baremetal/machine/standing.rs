//! How a host stands to a Machine: whether its disk may be written at all. Pure.

use vitistack_protocol::ids::{Digest, Uid};
use vitistack_protocol::message::intent::{MachineIntent, Provisioned};

use super::super::boot::{Subject, Timing};
use super::super::record::Record;
use super::super::step::{Written, note};
use super::Observed;
use crate::journal::Journal;

/// Everything that the decision is made from.
pub(crate) struct Context<'a> {
    pub(crate) object: Uid,
    pub(crate) absent: bool,
    pub(crate) machine: &'a MachineIntent,
    pub(crate) observed: &'a Observed,
    /// Of the installation.
    pub(crate) record: Record,
    pub(crate) timing: &'a Timing,
}

/// How the host stands to this Machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It carries this operation's installation. Never write it again.
    Installed(Provisioned),
    /// The operation is still to be carried out.
    ToInstall,
    /// It carries another Machine's installation.
    Previous(Uid),
    /// The hub knows that the operation was begun, and nobody knows how far it came.
    Unknown,
}

/// How the host stands to the Machine, from the journal and from the proof in the intent.
pub(crate) fn standing(
    object: Uid,
    machine: &MachineIntent,
    record: &Record,
    journal: &Journal,
) -> Standing {
    if let Some(Written { disk, image }) = &record.written {
        return Standing::Installed(Provisioned {
            machine: object,
            operation: machine.operation,
            image: *image,
            disk: disk.clone(),
        });
    }
    match &machine.provisioned {
        Some(proof) if proof.machine == object && proof.operation == machine.operation => {
            Standing::Installed(proof.clone())
        }
        // The same Machine with a new reinstall token.
        Some(proof) if proof.machine == object => Standing::ToInstall,
        Some(proof) if machine.adopt == Some(proof.machine) => Standing::Installed(Provisioned {
            machine: object,
            operation: machine.operation,
            ..proof.clone()
        }),
        Some(proof) => Standing::Previous(proof.machine),
        None if machine.is_begun() && journal.operation != Some(machine.operation) => {
            Standing::Unknown
        }
        None => Standing::ToInstall,
    }
}

/// What an installation is of. Another fingerprint is another try; the same one that failed for good is not repeated.
pub(crate) fn subject(machine: &MachineIntent) -> Subject {
    let disk = (&machine.root_hints, machine.target.boot_mac);
    let all = (
        &machine.image,
        &disk,
        machine.allow_wipe,
        machine.target.boot_mode,
    );
    Subject {
        fingerprint: Digest::of(&note(&all)),
        disk: Digest::of(&note(&disk)),
    }
}
