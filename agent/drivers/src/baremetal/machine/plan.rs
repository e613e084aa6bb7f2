//! What to do next for a Machine. Pure; the rules of when a disk is written are here.
//!
//! A disk is written only for the first operation of a claim or a new `reinstall` token: an operation that is recorded
//! as written, here or by the proof that travels with the intent, is never begun again. The server's power is not cut
//! before the image is here and the BMC keeps the boot override, so that what cannot succeed leaves the old system
//! running.

use vitistack_installer_wire::{Failure as WireFailure, State};
use vitistack_protocol::message::numbered::{PowerState, Reason};

use super::super::boot::{
    self, ATTEMPTS, BOOT_SETS, POWER_ONS, Start, Subject, cause, fail, step, wait,
};
use super::super::record::{Begun, Record};
use super::super::redfish::{BootTarget, Power};
use super::super::sight::SlotKey;
use super::super::step::{Failure, Kind, Step, Task, Written};
use super::standing::{Context, Standing, standing, subject};
use super::{UserData, release};
use crate::capability::Capability;
use crate::driver::Next;
use crate::image;
use crate::journal::Journal;
use crate::netboot::slot::Mac;

/// The next step, wait or end.
pub(crate) fn plan(context: &Context<'_>, journal: &Journal) -> Next<Step> {
    let next = if context.absent {
        release::plan(context, journal)
    } else {
        match standing(context.object, context.machine, &context.record, journal) {
            Standing::Installed(_) => keep(context),
            Standing::ToInstall => install(context),
            Standing::Previous(previous) => fail(
                Reason::HostClaimedByPrevious,
                format!(
                    "the host carries the installation of the Machine {previous}; to take it over, annotate this \
                     Machine with vitistack.io/adopt: {previous}"
                ),
            ),
            Standing::Unknown => fail(
                Reason::InstallStateUnknown,
                "the installation was begun, but this agent has no record of it and the host no proof; \
                 a new spec.reinstall token installs it again and overwrites the disk",
            ),
        }
    };
    match next {
        Next::Do(step) if context.machine.target.maintenance && step.kind.touches() => wait(
            Reason::Progressing,
            "the host is in maintenance: spec.maintenance of the BareMetalHost must be false for this to go on",
            60,
        ),
        next => next,
    }
}

fn install(context: &Context<'_>) -> Next<Step> {
    let Context {
        machine,
        observed,
        record,
        ..
    } = context;
    let subject = subject(machine);
    let attempt = match &record.begun {
        Some(attempt) if attempt.fingerprint == subject.fingerprint => attempt,
        Some(_) | None => return begin(context, subject),
    };
    if let Some(failure) = &record.failure {
        return after_failure(context, subject, failure);
    }
    let wanted = machine.inputs();
    // A server that was started has its plan, or will fetch it.
    let inputs = match record.installer {
        Begun::No => wanted,
        Begun::Maybe | Begun::Yes => record.inputs.unwrap_or(wanted),
    };
    let task = Task::Install { inputs };
    let mac = Mac(machine.target.boot_mac);
    if !boot::installer_is_open(&observed.sight, mac, attempt, task) {
        // That plan went with the agent's process and cannot be made again from what is wanted now.
        if inputs != wanted {
            return begin(context, subject);
        }
        return ready(context).unwrap_or_else(|| {
            step(
                machine.operation,
                Kind::OpenInstaller {
                    task,
                    attempt: Box::new(attempt.clone()),
                },
            )
        });
    }
    if let Some(next) = heed_installer(context) {
        return next;
    }
    let start = Start {
        target: BootTarget::Network,
        mode: machine.target.boot_mode,
        operation: machine.operation,
        step: Kind::StartInstaller(task),
        begun: record.installer,
    };
    if let Some(failure) = boot::late_installer(&observed.sight, record.installer, context.timing) {
        return step(machine.operation, Kind::RecordFailure(failure));
    }
    boot::start(&observed.sight, start).unwrap_or_else(|| boot::installer_progress(&observed.sight))
}

/// Whatever is missing before an attempt may begin.
fn ready(context: &Context<'_>) -> Option<Next<Step>> {
    let Context {
        machine, observed, ..
    } = context;
    match &observed.image {
        image::State::Ready { .. } => {}
        image::State::Absent => return Some(step(machine.operation, Kind::FetchImage)),
        image::State::Fetching { received, total } => {
            let message = match total {
                0 => format!("fetching the image: {received} bytes"),
                total => format!("fetching the image: {received} of {total} bytes"),
            };
            return Some(wait(Reason::Progressing, message, 2));
        }
        image::State::Failed { retry_in, .. } if retry_in.is_zero() => {
            return Some(step(machine.operation, Kind::FetchImage));
        }
        image::State::Failed {
            reason,
            message,
            retry_in,
        } => {
            return Some(Next::Wait {
                cause: cause(*reason, message.clone()),
                after: *retry_in,
            });
        }
    }
    if observed.user_data == UserData::Missing {
        return Some(wait(
            Reason::Progressing,
            "the user data has not arrived at this agent",
            15,
        ));
    }
    boot::network_trouble(&observed.sight)
}

fn begin(context: &Context<'_>, subject: Subject) -> Next<Step> {
    if let Some(next) = ready(context) {
        return next;
    }
    // An attempt is not spent on a BMC that does not answer.
    if let Err(trouble) = &context.observed.sight.bmc {
        return boot::wait_for(trouble);
    }
    let attempt = boot::next_attempt(&context.record, context.observed.sight.fresh, subject);
    step(context.machine.operation, Kind::Begin(Box::new(attempt)))
}

/// What follows from the installer's newest report; `None` if nothing does.
fn heed_installer(context: &Context<'_>) -> Option<Next<Step>> {
    let Context {
        machine,
        observed,
        record,
        ..
    } = context;
    let report = observed.sight.seen.installer.as_ref()?;
    let record_failure = |reason, message: String| {
        Some(step(
            machine.operation,
            Kind::RecordFailure(Failure {
                reason,
                message: crate::cause::clip(message, 400),
            }),
        ))
    };
    match &report.state {
        State::Writing { .. } if !record.writing => {
            Some(step(machine.operation, Kind::RecordWriting))
        }
        State::Written { digest, .. } if *digest != machine.image.digest.to_string() => {
            record_failure(
                Reason::ImageDigestMismatch,
                format!(
                    "the installer read {digest}, wanted is {}",
                    machine.image.digest
                ),
            )
        }
        State::Written { disk, .. } => Some(step(
            machine.operation,
            Kind::RecordWritten(Written {
                disk: crate::cause::clip(disk.clone(), 256),
                image: machine.image.digest,
            }),
        )),
        // The server restarted by itself and found what this very attempt had begun to write.
        State::Failed {
            reason: WireFailure::DiskNotEmpty,
            message,
        } if record.writing => record_failure(Reason::DiskWriteFailed, message.clone()),
        State::Failed { reason, message } => {
            record_failure(boot::reason_of(*reason), message.clone())
        }
        State::Started | State::Writing { .. } | State::Inspected | State::Wiped { .. } => None,
    }
}

/// Another try, or the end: the server is left off, with its own disk to boot next.
fn after_failure(context: &Context<'_>, subject: Subject, failure: &Failure) -> Next<Step> {
    let Context {
        machine,
        observed,
        record,
        ..
    } = context;
    let tries = record.tries();
    if boot::may_pass(failure.reason) && tries < ATTEMPTS {
        return begin(context, subject);
    }
    let why = if boot::may_pass(failure.reason) {
        cause(
            Reason::InstallAttemptsExhausted,
            format!(
                "{tries} attempts failed, the last one with {:?}: {}; a new spec.reinstall token begins again",
                failure.reason, failure.message
            ),
        )
    } else {
        cause(failure.reason, failure.message.clone())
    };
    let sight = &observed.sight;
    let mac = Mac(machine.target.boot_mac);
    let local = SlotKey::Local {
        mac,
        phone_home: None,
    };
    if sight.slot != Some(local) {
        return step(machine.operation, Kind::OpenLocal { phone_home: None });
    }
    // Tidied as far as the BMC lets us; the reason stays the one of the failure.
    match &sight.bmc {
        Err(_) => Next::Wait {
            cause: why,
            after: std::time::Duration::from_secs(60),
        },
        Ok(system)
            if system.boots(BootTarget::Network, machine.target.boot_mode)
                && boot::times_set(sight, BootTarget::Disk) < BOOT_SETS =>
        {
            step(machine.operation, Kind::SetBoot(BootTarget::Disk))
        }
        Ok(system) if system.power == Power::On && record.installer != Begun::No => {
            step(machine.operation, Kind::PowerOff)
        }
        Ok(_) => Next::Fail { cause: why },
    }
}

/// The image is on the disk: hand over, then keep power as wanted.
fn keep(context: &Context<'_>) -> Next<Step> {
    let Context {
        machine,
        observed,
        record,
        ..
    } = context;
    let operation = machine.operation;
    let sight = &observed.sight;
    let phone_home = phone_home(record);
    let local = SlotKey::Local {
        mac: Mac(machine.target.boot_mac),
        phone_home,
    };
    if sight.slot != Some(local) {
        return step(operation, Kind::OpenLocal { phone_home });
    }
    // The installer waits in the server until it is started from its disk.
    let hand_over = record.written.is_some() && record.guest == Begun::No;
    match machine.power {
        PowerState::On if hand_over => {
            let start = Start {
                target: BootTarget::Disk,
                mode: machine.target.boot_mode,
                operation,
                step: Kind::StartGuest,
                begun: record.guest,
            };
            boot::start(sight, start).unwrap_or_else(|| running(context))
        }
        PowerState::On => on(context),
        PowerState::Off => off(context, hand_over),
    }
}

/// The URL that the guest on the disk was given.
fn phone_home(record: &Record) -> Option<Capability> {
    record.begun.as_ref().map(|attempt| attempt.phone_home)
}

fn on(context: &Context<'_>) -> Next<Step> {
    let Context {
        machine, observed, ..
    } = context;
    let system = match &observed.sight.bmc {
        Ok(system) => system,
        Err(trouble) => return boot::wait_for(trouble),
    };
    match system.power {
        Power::On => running(context),
        Power::Changing => wait(Reason::Progressing, "the server's power is changing", 2),
        Power::Off if system.boots(BootTarget::Network, machine.target.boot_mode) => {
            boot::boot_override(
                &observed.sight,
                system,
                BootTarget::Disk,
                machine.target.boot_mode,
                machine.operation,
            )
            .unwrap_or_else(|| step(machine.operation, Kind::PowerOn))
        }
        Power::Off if observed.sight.power_ons >= POWER_ONS => wait(
            Reason::PowerActionIgnored,
            "the server goes off again each time it is switched on; look at its console",
            120,
        ),
        Power::Off => step(machine.operation, Kind::PowerOn),
    }
}

fn off(context: &Context<'_>, hand_over: bool) -> Next<Step> {
    let Context {
        machine,
        observed,
        timing,
        ..
    } = context;
    let system = match &observed.sight.bmc {
        Ok(system) => system,
        Err(trouble) => return boot::wait_for(trouble),
    };
    match (system.power, observed.sight.shutdown) {
        (Power::Off, _) => Next::Done,
        (Power::Changing, _) => wait(Reason::Progressing, "the server's power is changing", 2),
        // The installer is not a system to shut down.
        (Power::On, _) if hand_over || !system.allows_reset("GracefulShutdown") => {
            step(machine.operation, Kind::PowerOff)
        }
        (Power::On, None) => step(machine.operation, Kind::ShutDown),
        (Power::On, Some(asked)) if asked < timing.shutdown => wait(
            Reason::Progressing,
            "the operating system was asked to shut down",
            5,
        ),
        (Power::On, Some(_)) => step(machine.operation, Kind::PowerOff),
    }
}

/// The server is on from its disk: has the guest spoken?
fn running(context: &Context<'_>) -> Next<Step> {
    let Context {
        machine,
        observed,
        record,
        timing,
        ..
    } = context;
    if record.phoned_home.is_some() || record.probed.is_some() {
        return Next::Done;
    }
    if let Some(address) = observed.answered {
        return step(machine.operation, Kind::RecordProbe(address));
    }
    if observed.sight.guest > timing.guest {
        return wait(
            Reason::GuestTimeout,
            format!(
                "the installed system has neither phoned home nor answered on port {} for {} s; look at its console",
                super::PROBE_PORT,
                observed.sight.guest.as_secs()
            ),
            30,
        );
    }
    wait(
        Reason::Progressing,
        "waiting for the installed system to phone home",
        15,
    )
}
