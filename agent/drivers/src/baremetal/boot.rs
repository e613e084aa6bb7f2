//! What every boot of a server has in common, as pure pieces of a plan: from the override to the answer.

use std::time::Duration;

use vitistack_installer_wire::{Failure as WireFailure, State};
use vitistack_protocol::ids::OperationId;
use vitistack_protocol::message::numbered::{BootMode, Reason};
use vitistack_protocol::message::report::Cause;

use super::error::Trouble;
use super::record::{Begun, Record};
use super::redfish::{BootTarget, Power, System};
use super::sight::{Fresh, Sight, SlotKey};
use super::step::{Attempt, Failure, Kind, Step, Task};
use crate::driver::{Class, Next};
use crate::netboot::slot::{Mac, Service};
use vitistack_protocol::ids::Digest;

#[cfg(test)]
mod tests;

/// Three tries, then a person looks: no endless power cycles.
pub(crate) const ATTEMPTS: u8 = 3;

/// A boot override that was lost this often within two minutes is not set again at once.
pub(crate) const BOOT_SETS: usize = 3;

/// A server that went off this often within ten minutes is not switched on again at once.
pub(crate) const POWER_ONS: usize = 3;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// From power on to the installer's first report. Servers with much memory and many option ROMs need ten minutes.
    pub installer_start: Duration,
    /// Without a report; the installer sends one each second.
    pub installer_silence: Duration,
    /// With reports that say the same.
    pub installer_stall: Duration,
    /// For an operating system that was asked to shut down.
    pub shutdown: Duration,
    /// From power on to the guest's phone-home, before the report says that it is late.
    pub guest: Duration,
    /// From power on to the first probe from outside.
    pub probe: Duration,
    /// Between two looks at an object that is as desired.
    pub resync: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            installer_start: Duration::from_secs(900),
            installer_silence: Duration::from_secs(180),
            installer_stall: Duration::from_secs(1800),
            shutdown: Duration::from_secs(120),
            guest: Duration::from_secs(1200),
            probe: Duration::from_secs(300),
            resync: Duration::from_secs(60),
        }
    }
}

pub(crate) fn step(operation: OperationId, kind: Kind) -> Next<Step> {
    Next::Do(Step { operation, kind })
}

pub(crate) fn cause(reason: Reason, message: impl Into<String>) -> Cause {
    Cause {
        reason,
        message: message.into(),
    }
}

pub(crate) fn wait(reason: Reason, message: impl Into<String>, seconds: u64) -> Next<Step> {
    Next::Wait {
        cause: cause(reason, message),
        after: Duration::from_secs(seconds),
    }
}

pub(crate) fn fail(reason: Reason, message: impl Into<String>) -> Next<Step> {
    Next::Fail {
        cause: cause(reason, message),
    }
}

/// Waits for a BMC that cannot be asked; how long depends on what could change it.
pub(crate) fn wait_for(trouble: &Trouble) -> Next<Step> {
    let after = match trouble.class {
        Class::Retry | Class::Conflict => Duration::from_secs(15),
        Class::Throttled { after } => after,
        Class::NotFound | Class::Invalid | Class::Unauthenticated | Class::Exhausted => {
            Duration::from_secs(60)
        }
    };
    Next::Wait {
        cause: trouble.cause.clone(),
        after,
    }
}

fn starting() -> Next<Step> {
    wait(Reason::Progressing, "the boot network is starting", 2)
}

/// What keeps the boot network from serving, if anything.
pub(crate) fn network_trouble(sight: &Sight) -> Option<Next<Step>> {
    match &sight.service {
        Service::Disabled => Some(wait(
            Reason::NetbootDisabled,
            "this agent has no boot network: name an interface and a mode under [netboot] in its file",
            60,
        )),
        Service::ForeignDhcpServer { server } => Some(wait(
            Reason::ForeignDhcpServer,
            format!(
                "another DHCP server ({server}) answers on the boot network; stop it, or use the mode proxy"
            ),
            15,
        )),
        Service::Broken { message } => Some(wait(
            Reason::NetbootDisabled,
            format!("the boot network cannot be served: {message}"),
            15,
        )),
        Service::Starting => Some(starting()),
        Service::Serving if sight.address.is_none() => Some(starting()),
        Service::Serving => None,
    }
}

/// What an attempt is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Subject {
    /// Of everything that makes another try worth while when it changes.
    pub(crate) fingerprint: Digest,
    /// Of what chooses the disk.
    pub(crate) disk: Digest,
}

/// The attempt that comes after `record`.
pub(crate) fn next_attempt(record: &Record, fresh: Fresh, subject: Subject) -> Attempt {
    let before = record.begun.as_ref();
    let same = before.filter(|attempt| attempt.fingerprint == subject.fingerprint);
    Attempt {
        urls: fresh.urls,
        phone_home: fresh.phone_home,
        fingerprint: subject.fingerprint,
        first: same.map_or_else(|| record.attempt.saturating_add(1), |attempt| attempt.first),
        disk: subject.disk,
        wrote: before.is_some_and(|attempt| {
            attempt.disk == subject.disk && (attempt.wrote || record.writing)
        }),
        disks: same.map_or_else(Vec::new, |attempt| attempt.disks.clone()),
        was_on: before.is_some_and(|attempt| attempt.was_on),
        last: record.failure.clone(),
    }
}

/// Whether the installer's slot of `attempt` is open, with the plan for `task`.
pub(crate) fn installer_is_open(sight: &Sight, mac: Mac, attempt: &Attempt, task: Task) -> bool {
    sight.slot
        == Some(SlotKey::Installer {
            mac,
            boot: attempt.urls.boot,
            task,
        })
}

/// What a start leads to.
pub(crate) struct Start {
    pub(crate) target: BootTarget,
    pub(crate) mode: BootMode,
    pub(crate) operation: OperationId,
    /// The journalled step that powers on.
    pub(crate) step: Kind,
    /// How far that step is.
    pub(crate) begun: Begun,
}

/// Override, off, on: the next step until the server was started; `None` once it was.
///
/// Off and on instead of a restart, because each half can be read back, and because a virtual server reads its boot
/// order only when it is started.
pub(crate) fn start(sight: &Sight, start: Start) -> Option<Next<Step>> {
    let Start {
        target,
        mode,
        operation,
        step: on,
        begun,
    } = start;
    let system = match &sight.bmc {
        Ok(system) => system,
        Err(trouble) => return Some(wait_for(trouble)),
    };
    match (begun, system.power) {
        (_, Power::Changing) => Some(wait(
            Reason::Progressing,
            "the server's power is changing",
            2,
        )),
        // About to power on, and it is on: done. Only what was off is ever started.
        (Begun::Maybe | Begun::Yes, Power::On) => None,
        (Begun::No, Power::On) => Some(
            boot_override(sight, system, target, mode, operation)
                .unwrap_or_else(|| step(operation, Kind::PowerOff)),
        ),
        (Begun::No | Begun::Maybe | Begun::Yes, Power::Off) => Some(
            boot_override(sight, system, target, mode, operation)
                .unwrap_or_else(|| step(operation, on)),
        ),
    }
}

/// How often the override was set to `target` without anything else in between, a short while ago. Another target in
/// between is a plan that went on, and says nothing about a BMC that loses overrides.
pub(crate) fn times_set(sight: &Sight, target: BootTarget) -> usize {
    let newest = sight.boot_sets.iter().rev();
    newest.take_while(|set| **set == target).count()
}

/// The step that makes the override as wanted; `None` if it is.
pub(crate) fn boot_override(
    sight: &Sight,
    system: &System,
    target: BootTarget,
    mode: BootMode,
    operation: OperationId,
) -> Option<Next<Step>> {
    if system.boots(target, mode) {
        return None;
    }
    if times_set(sight, target) < BOOT_SETS {
        return Some(step(operation, Kind::SetBoot(target)));
    }
    match target {
        // Without the override, the old system would boot instead of the installer.
        BootTarget::Network => Some(wait(
            Reason::BootOverrideIgnored,
            "the BMC takes the boot override Pxe and loses it again; look at its boot settings or its lockdown mode",
            30,
        )),
        // Without it the boot order decides, and a network boot is sent to the disk by the local slot.
        BootTarget::Disk if !system.boots(BootTarget::Network, mode) => None,
        BootTarget::Disk => Some(wait(
            Reason::BootOverrideIgnored,
            "the BMC does not let go of the boot override Pxe; look at its boot settings or its lockdown mode",
            30,
        )),
    }
}

/// The server was started into the installer: what is wrong with the waiting, if anything.
pub(crate) fn late_installer(sight: &Sight, begun: Begun, timing: &Timing) -> Option<Failure> {
    let failure = |reason, message: String| Some(Failure { reason, message });
    match begun {
        Begun::No => return None,
        Begun::Maybe => {}
        // It was read back as on when it was started.
        Begun::Yes if matches!(&sight.bmc, Ok(system) if system.power == Power::Off) => {
            return failure(
                Reason::InstallerTimeout,
                "the server went off while the installer ran".to_owned(),
            );
        }
        Begun::Yes => {}
    }
    match &sight.seen.installer {
        None if sight.started <= timing.installer_start => None,
        None if sight.seen.boot_requests == 0 => failure(
            Reason::BootOverrideIgnored,
            format!(
                "{} s after power on the server has not asked for a network boot; \
                 check bootMAC, cabling and the BMC's boot settings",
                sight.started.as_secs()
            ),
        ),
        None => failure(
            Reason::InstallerTimeout,
            format!(
                "the server asked {} times for a network boot, but no installer reported within {} s",
                sight.seen.boot_requests,
                sight.started.as_secs()
            ),
        ),
        Some(report) => {
            let silent = sight.seen.installer_age.unwrap_or_default();
            if !report.state.is_final() && silent > timing.installer_silence {
                failure(
                    Reason::InstallerTimeout,
                    format!("the installer has been silent for {} s", silent.as_secs()),
                )
            } else if !report.state.is_final() && sight.unchanged > timing.installer_stall {
                failure(
                    Reason::InstallerTimeout,
                    format!(
                        "the installer has not got further for {} s",
                        sight.unchanged.as_secs()
                    ),
                )
            } else {
                None
            }
        }
    }
}

/// The wait that goes with the installer's state, for people.
pub(crate) fn installer_progress(sight: &Sight) -> Next<Step> {
    let message = match sight.seen.installer.as_ref().map(|report| &report.state) {
        None if sight.seen.boot_requests == 0 => {
            "waiting for the server to boot from the network".to_owned()
        }
        None => "the server boots from the network".to_owned(),
        Some(State::Writing { written, total: 0 }) => format!("{written} bytes written"),
        Some(State::Writing { written, total }) => format!("{written} of {total} bytes written"),
        Some(
            State::Started
            | State::Inspected
            | State::Written { .. }
            | State::Wiped { .. }
            | State::Failed { .. },
        ) => "the installer runs".to_owned(),
    };
    wait(Reason::Progressing, message, 10)
}

/// The protocol's reason for an installer's failure.
pub(crate) fn reason_of(failure: WireFailure) -> Reason {
    match failure {
        WireFailure::RootDiskAmbiguous => Reason::RootDiskAmbiguous,
        WireFailure::RootDiskNotFound => Reason::RootDiskNotFound,
        WireFailure::DiskNotEmpty => Reason::DiskNotEmpty,
        WireFailure::ImageTooLarge => Reason::ImageTooLarge,
        WireFailure::ImageFetchFailed => Reason::ImageFetchFailed,
        WireFailure::ImageDigestMismatch => Reason::ImageDigestMismatch,
        WireFailure::ImageFormatUnsupported => Reason::ImageFormatUnsupported,
        WireFailure::DiskWriteFailed => Reason::DiskWriteFailed,
        // The agent signs the plan anew for each boot, so a refused one is a boot that went wrong.
        WireFailure::PlanRefused => Reason::InstallerTimeout,
    }
}

/// Whether the same thing may go better another time, without anybody changing anything.
pub(crate) fn may_pass(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::InstallerTimeout
            | Reason::BootOverrideIgnored
            | Reason::ImageFetchFailed
            | Reason::DiskWriteFailed
    )
}
