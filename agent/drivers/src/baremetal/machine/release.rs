//! What to do next for a Machine that is to vanish. Pure.
//!
//! Only a disk that we wrote is cleaned, and it is found by the name that was recorded when it was written: the root
//! disk hints may have been edited since. A server that never came as far as an installation is given back untouched.

use vitistack_installer_wire::State;
use vitistack_protocol::ids::{OperationId, Uid};
use vitistack_protocol::message::numbered::{Cleaning, Reason};

use super::super::boot::{self, ATTEMPTS, Start, fail, step, wait};
use super::super::record::Record;
use super::super::redfish::{BootTarget, Power};
use super::super::step::{Attempt, Failure, Kind, Step, Task};
use super::standing::{Context, Standing, standing, subject};
use crate::driver::Next;
use crate::journal::Journal;
use crate::netboot::slot::Mac;

/// The release of a Machine; it has no token, since nobody is released twice.
pub(crate) fn operation(object: Uid) -> OperationId {
    OperationId::derive(object, "release", "")
}

/// What is there to be released.
enum Left {
    /// Nothing of ours: no attempt was begun, or the host carries another Machine's installation.
    Nothing,
    /// A boot of the installer, perhaps, but not a byte.
    Boot { started: bool },
    /// A disk that we wrote; known by name once it was written to its end.
    Disks(Vec<String>),
}

pub(super) fn plan(context: &Context<'_>, journal: &Journal) -> Next<Step> {
    let release = Record::read(journal, operation(context.object));
    match (left(context, &release, journal), context.machine.cleaning) {
        (Left::Nothing, _) => close(context),
        (Left::Boot { started }, _) => {
            if started {
                off(context, Manner::AtOnce)
            } else {
                disarm(context).unwrap_or_else(|| close(context))
            }
        }
        (Left::Disks(_), Cleaning::None) => off(context, Manner::Asked),
        (Left::Disks(_), Cleaning::Metadata) if release.wiped => off(context, Manner::AtOnce),
        (Left::Disks(disks), Cleaning::Metadata) => wipe(context, &release, disks),
    }
}

fn left(context: &Context<'_>, release: &Record, journal: &Journal) -> Left {
    let Context {
        machine, record, ..
    } = context;
    // Once the release was begun its journal has taken the place of the installation's.
    if let Some(attempt) = &release.intended {
        return Left::Disks(attempt.disks.clone());
    }
    match standing(context.object, machine, record, journal) {
        Standing::Previous(_) => return Left::Nothing,
        Standing::Installed(proof) => return Left::Disks(named(&proof.disk)),
        Standing::ToInstall | Standing::Unknown => {}
    }
    // A reinstallation that did not come to its end: the disk of the one before is ours as well.
    if let Some(proof) = &machine.provisioned {
        return Left::Disks(named(&proof.disk));
    }
    if record.attempt == 0 {
        return Left::Nothing;
    }
    // The tombstone may come between the installer's word and its record.
    let said = context.observed.sight.seen.installer.as_ref();
    match said.map(|report| &report.state) {
        Some(State::Written { disk, .. }) => return Left::Disks(named(disk)),
        Some(State::Writing { .. }) => return Left::Disks(Vec::new()),
        Some(State::Started | State::Inspected | State::Wiped { .. } | State::Failed { .. })
        | None => {}
    }
    // A disk that was written in part has no recorded name. The hints find it if they are the ones that chose it.
    let chosen_alike = record.begun.as_ref().is_some_and(|attempt| {
        attempt.disk == subject(machine).disk && (record.writing || attempt.wrote)
    });
    if chosen_alike {
        return Left::Disks(Vec::new());
    }
    Left::Boot {
        started: record.ever_started,
    }
}

fn named(disk: &str) -> Vec<String> {
    if disk.is_empty() {
        Vec::new()
    } else {
        vec![disk.to_owned()]
    }
}

/// How a server is switched off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    AtOnce,
    /// The system on the disk is kept, so it is asked first.
    Asked,
}

/// Off, with nothing of ours left in its boot settings; then the slot is given back.
fn off(context: &Context<'_>, manner: Manner) -> Next<Step> {
    let Context {
        observed, timing, ..
    } = context;
    let operation = operation(context.object);
    if let Some(next) = disarm(context) {
        return next;
    }
    let system = match &observed.sight.bmc {
        Ok(system) => system,
        Err(trouble) => return boot::wait_for(trouble),
    };
    match (system.power, observed.sight.shutdown) {
        (Power::Off, _) => close(context),
        (Power::Changing, _) => wait(Reason::Progressing, "the server's power is changing", 2),
        (Power::On, None) if manner == Manner::Asked && system.allows_reset("GracefulShutdown") => {
            step(operation, Kind::ShutDown)
        }
        (Power::On, Some(asked)) if manner == Manner::Asked && asked < timing.shutdown => wait(
            Reason::Progressing,
            "the operating system was asked to shut down",
            5,
        ),
        (Power::On, _) => step(operation, Kind::PowerOff),
    }
}

/// Takes our boot override back. A BMC that does not let go of it does not hold the release up.
fn disarm(context: &Context<'_>) -> Option<Next<Step>> {
    let sight = &context.observed.sight;
    let mode = context.machine.target.boot_mode;
    let system = match &sight.bmc {
        Ok(system) => system,
        Err(trouble) => return Some(boot::wait_for(trouble)),
    };
    (system.boots(BootTarget::Network, mode) && boot::times_set(sight, BootTarget::Disk) < 2)
        .then(|| step(operation(context.object), Kind::SetBoot(BootTarget::Disk)))
}

fn close(context: &Context<'_>) -> Next<Step> {
    if context.observed.sight.slot.is_some() {
        step(operation(context.object), Kind::CloseSlot)
    } else {
        Next::Done
    }
}

fn wipe(context: &Context<'_>, release: &Record, disks: Vec<String>) -> Next<Step> {
    let Context {
        machine,
        observed,
        timing,
        ..
    } = context;
    let operation = operation(context.object);
    let sight = &observed.sight;
    let Some(attempt) = &release.begun else {
        return begin(context, release, disks);
    };
    if let Some(failure) = &release.failure {
        if boot::may_pass(failure.reason) && release.tries() < ATTEMPTS {
            return begin(context, release, disks);
        }
        if matches!(&sight.bmc, Ok(system) if system.power == Power::On) {
            return step(operation, Kind::PowerOff);
        }
        return fail(
            Reason::InstallAttemptsExhausted,
            format!(
                "the disks could not be cleaned ({:?}: {}); set spec.cleaning to None to give the host back as it is, \
                 or annotate the Machine with vitistack.io/force-delete",
                failure.reason, failure.message
            ),
        );
    }
    if !boot::installer_is_open(sight, Mac(machine.target.boot_mac), attempt, Task::Wipe) {
        return boot::network_trouble(sight).unwrap_or_else(|| {
            step(
                operation,
                Kind::OpenInstaller {
                    task: Task::Wipe,
                    attempt: Box::new(attempt.clone()),
                },
            )
        });
    }
    if let Some(next) = heed_installer(context, operation) {
        return next;
    }
    if let Some(failure) = boot::late_installer(sight, release.installer, timing) {
        return step(operation, Kind::RecordFailure(failure));
    }
    let start = Start {
        target: BootTarget::Network,
        mode: machine.target.boot_mode,
        operation,
        step: Kind::StartInstaller(Task::Wipe),
        begun: release.installer,
    };
    boot::start(sight, start).unwrap_or_else(|| boot::installer_progress(sight))
}

fn begin(context: &Context<'_>, release: &Record, disks: Vec<String>) -> Next<Step> {
    let sight = &context.observed.sight;
    if let Some(next) = boot::network_trouble(sight) {
        return next;
    }
    if let Err(trouble) = &sight.bmc {
        return boot::wait_for(trouble);
    }
    let attempt = boot::next_attempt(release, sight.fresh, subject(context.machine));
    step(
        operation(context.object),
        Kind::Begin(Box::new(Attempt { disks, ..attempt })),
    )
}

fn heed_installer(context: &Context<'_>, operation: OperationId) -> Option<Next<Step>> {
    match &context.observed.sight.seen.installer.as_ref()?.state {
        State::Wiped { .. } => Some(step(operation, Kind::RecordWiped)),
        State::Failed { reason, message } => Some(step(
            operation,
            Kind::RecordFailure(Failure {
                reason: boot::reason_of(*reason),
                message: crate::cause::clip(message.clone(), 400),
            }),
        )),
        State::Started | State::Inspected | State::Writing { .. } | State::Written { .. } => None,
    }
}
