//! What to do next for a server by itself. Pure.
//!
//! A server is booted to be inspected only if nobody else can have an interest in it: not claimed, not in maintenance,
//! not somebody else's installation, not one of ours; and only if it is off, or if the user said that it may be
//! restarted.

use vitistack_installer_wire as wire;
use vitistack_protocol::ids::Digest;
use vitistack_protocol::message::intent::HostIntent;
use vitistack_protocol::message::numbered::{BootMode, Inspection, Reason};
use vitistack_protocol::message::report::{Disk, Inventory, Nic};

use super::super::boot::{self, ATTEMPTS, BOOT_SETS, Start, Subject, Timing, fail, step, wait};
use super::super::record::{self, Begun, Record};
use super::super::redfish::{BootTarget, Power, System};
use super::super::sight::SlotKey;
use super::super::step::{
    Attempt, Failure, INVENTORY_PART, INVENTORY_PARTS, Kind, Step, Task, note,
};
use super::Observed;
use crate::driver::Next;
use crate::journal::Journal;
use crate::netboot::slot::Mac;

/// Everything that the decision is made from.
pub(crate) struct Context<'a> {
    pub(crate) absent: bool,
    pub(crate) host: &'a HostIntent,
    pub(crate) observed: &'a Observed,
    pub(crate) journal: &'a Journal,
    /// Of the inspection.
    pub(crate) record: Record,
    pub(crate) timing: &'a Timing,
}

/// The next step, wait or end.
pub(crate) fn plan(context: &Context<'_>) -> Next<Step> {
    let host = context.host;
    let next = if context.absent || host.claimed_by.is_some() {
        hands_off(context)
    } else {
        by_itself(context)
    };
    match next {
        Next::Do(step) if host.target.maintenance && step.kind.touches() => wait(
            Reason::Progressing,
            "the host is in maintenance: spec.maintenance must be false for this to go on",
            60,
        ),
        next => next,
    }
}

fn by_itself(context: &Context<'_>) -> Next<Step> {
    let Context { host, observed, .. } = context;
    let system = match &observed.sight.bmc {
        Ok(system) => system,
        Err(trouble) => return boot::wait_for(trouble),
    };
    if record::inspected(context.journal, host.inspection_operation).is_some() {
        return leave(context, system);
    }
    if !may_boot(host) {
        return idle(context);
    }
    inspect(context, system)
}

/// Another's server: our slot is given back, and what the BMC says is reported.
fn hands_off(context: &Context<'_>) -> Next<Step> {
    let Context {
        absent,
        host,
        observed,
        record,
        ..
    } = context;
    // A server that is forgotten in the middle of an inspection is not left in the installer, if the BMC can be asked.
    if *absent
        && host.claimed_by.is_none()
        && record.installer != Begun::No
        && !record.ended
        && let Ok(system) = &observed.sight.bmc
        && let Some(next) = end_boot(context, system)
    {
        return next;
    }
    if observed.sight.slot.is_some() {
        return step(host.inspection_operation, Kind::CloseSlot);
    }
    match &observed.sight.bmc {
        // What is to vanish does not need a BMC that answers.
        Err(trouble) if !absent => boot::wait_for(trouble),
        Ok(_) | Err(_) => Next::Done,
    }
}

/// Whether the server may be booted at all, to be looked into.
pub(super) fn may_boot(host: &HostIntent) -> bool {
    !host.target.maintenance
        && !host.externally_provisioned
        && host.provisioned.is_none()
        && host.inspection != Inspection::Never
}

/// Known and left alone: its network boots go to its own disk.
fn idle(context: &Context<'_>) -> Next<Step> {
    let host = context.host;
    let local = SlotKey::Local {
        mac: Mac(host.target.boot_mac),
        phone_home: None,
    };
    if context.observed.sight.slot == Some(local) {
        Next::Done
    } else {
        step(
            host.inspection_operation,
            Kind::OpenLocal { phone_home: None },
        )
    }
}

fn inspect(context: &Context<'_>, system: &System) -> Next<Step> {
    let Context {
        host,
        observed,
        record,
        timing,
        ..
    } = context;
    let operation = host.inspection_operation;
    let sight = &observed.sight;
    let fingerprint = Digest::of(&note(&(host.target.boot_mac, host.target.boot_mode)));
    let subject = Subject {
        fingerprint,
        disk: fingerprint,
    };
    let attempt = match &record.begun {
        Some(attempt) if attempt.fingerprint == fingerprint => attempt,
        Some(_) | None => return begin(context, system, subject),
    };
    if let Some(failure) = &record.failure {
        if record.tries() < ATTEMPTS {
            return begin(context, system, subject);
        }
        return given_up(context, system, failure);
    }
    if !boot::installer_is_open(sight, Mac(host.target.boot_mac), attempt, Task::Inspect) {
        return boot::network_trouble(sight).unwrap_or_else(|| {
            step(
                operation,
                Kind::OpenInstaller {
                    task: Task::Inspect,
                    attempt: Box::new(attempt.clone()),
                },
            )
        });
    }
    if let Some(next) = heed_installer(context) {
        return next;
    }
    if let Some(failure) = boot::late_installer(sight, record.installer, timing) {
        return step(operation, Kind::RecordFailure(failure));
    }
    let start = Start {
        target: BootTarget::Network,
        mode: host.target.boot_mode,
        operation,
        step: Kind::StartInstaller(Task::Inspect),
        begun: record.installer,
    };
    boot::start(sight, start).unwrap_or_else(|| boot::installer_progress(sight))
}

fn begin(context: &Context<'_>, system: &System, subject: Subject) -> Next<Step> {
    let Context {
        host,
        observed,
        record,
        ..
    } = context;
    let sight = &observed.sight;
    // Until it can be booted it is as known as it gets.
    if let Some(wait) = boot::network_trouble(sight) {
        return wait;
    }
    // A server that we started is ours to start again.
    let ours = record.installer != Begun::No && !record.ended;
    if !ours && system.power != Power::Off && host.inspection == Inspection::WhenOff {
        return match idle(context) {
            Next::Done => wait(
                Reason::InspectionWaits,
                "the server is running; it is inspected once it is off, or with spec.inspect: Reboot",
                60,
            ),
            other => other,
        };
    }
    let attempt = boot::next_attempt(record, sight.fresh, subject);
    let was_on = attempt.was_on || !ours && system.power == Power::On;
    step(
        host.inspection_operation,
        Kind::Begin(Box::new(Attempt { was_on, ..attempt })),
    )
}

fn heed_installer(context: &Context<'_>) -> Option<Next<Step>> {
    let Context {
        host,
        observed,
        journal,
        ..
    } = context;
    let operation = host.inspection_operation;
    match &observed.sight.seen.installer.as_ref()?.state {
        wire::State::Inspected => {
            let inventory = inventory(observed.sight.seen.inventory.as_ref()?);
            Some(record_inventory(context, &inventory, journal))
        }
        wire::State::Failed { reason, message } => Some(step(
            operation,
            Kind::RecordFailure(Failure {
                reason: boot::reason_of(*reason),
                message: crate::cause::clip(message.clone(), 400),
            }),
        )),
        wire::State::Started
        | wire::State::Writing { .. }
        | wire::State::Written { .. }
        | wire::State::Wiped { .. } => None,
    }
}

/// The next part of the inventory that is not in the journal. The last part comes last, and only all of them decode.
fn record_inventory(context: &Context<'_>, inventory: &Inventory, journal: &Journal) -> Next<Step> {
    let operation = context.host.inspection_operation;
    let bytes = fitting(inventory);
    for (part, chunk) in bytes.chunks(INVENTORY_PART).enumerate() {
        let kind = Kind::RecordInspected {
            part,
            bytes: chunk.to_vec(),
        };
        let next = Step { operation, kind };
        let number = crate::driver::Step::number(&next);
        let there = journal.operation == Some(operation)
            && journal
                .newest(number)
                .is_some_and(|mark| mark.note == chunk);
        if !there {
            return Next::Do(next);
        }
    }
    // Everything is there, so `plan` has read it and does not come here.
    wait(Reason::Progressing, "recording the inventory", 1)
}

/// The inventory as bytes that fit into its notes; what is too long for them is a list of very many disks.
fn fitting(inventory: &Inventory) -> Vec<u8> {
    let mut inventory = inventory.clone();
    loop {
        let bytes = note(&inventory);
        if bytes.len() <= INVENTORY_PARTS * INVENTORY_PART {
            return bytes;
        }
        if inventory.disks.pop().is_none() && inventory.nics.pop().is_none() {
            return Vec::new();
        }
    }
}

/// The inspection came to its end: the server is left as it was found, with its own disk to boot, once.
fn leave(context: &Context<'_>, system: &System) -> Next<Step> {
    let Context { host, record, .. } = context;
    let operation = host.inspection_operation;
    if record.ended {
        return idle(context);
    }
    if let Some(next) = end_boot(context, system) {
        return next;
    }
    match idle(context) {
        Next::Done => step(operation, Kind::EndInspection),
        other => other,
    }
}

/// Three boots came to nothing.
fn given_up(context: &Context<'_>, system: &System, failure: &Failure) -> Next<Step> {
    match leave(context, system) {
        Next::Done => fail(
            Reason::InstallAttemptsExhausted,
            format!(
                "{} boots to inspect the server failed, the last one with {:?}: {}; \
                 correct the cause and ask for a new inspection, or set spec.inspect to Never",
                context.record.tries(),
                failure.reason,
                failure.message
            ),
        ),
        other => other,
    }
}

/// Off, with its own disk to boot next, and on again if that is how it was found.
fn end_boot(context: &Context<'_>, system: &System) -> Option<Next<Step>> {
    let Context {
        host,
        observed,
        record,
        ..
    } = context;
    let operation = host.inspection_operation;
    let mode = host.target.boot_mode;
    let was_on = record.begun.as_ref().is_some_and(|attempt| attempt.was_on);
    if record.guest != Begun::No && system.power == Power::On {
        return None;
    }
    let tries = boot::times_set(&observed.sight, BootTarget::Disk);
    if system.boots(BootTarget::Network, mode) && tries < BOOT_SETS {
        return Some(step(operation, Kind::SetBoot(BootTarget::Disk)));
    }
    match system.power {
        Power::Changing => Some(wait(
            Reason::Progressing,
            "the server's power is changing",
            2,
        )),
        Power::On => Some(step(operation, Kind::PowerOff)),
        Power::Off if was_on => Some(step(operation, Kind::StartGuest)),
        Power::Off => None,
    }
}

/// The installer's inventory in the protocol's words.
fn inventory(found: &wire::Inventory) -> Inventory {
    let clip = |text: &str| crate::cause::clip(text.to_owned(), 96);
    Inventory {
        manufacturer: clip(&found.manufacturer),
        model: clip(&found.model),
        serial_number: clip(&found.serial_number),
        system_uuid: clip(&found.system_uuid),
        firmware: clip(&found.firmware),
        boot_mode: Some(if found.uefi {
            BootMode::Uefi
        } else {
            BootMode::Legacy
        }),
        cpu_cores: found.cpu_cores,
        cpu_model: clip(&found.cpu_model),
        memory_mib: found.memory_mib,
        disks: found.disks.iter().map(disk).collect(),
        nics: found.nics.iter().filter_map(nic).collect(),
    }
}

fn disk(disk: &wire::Disk) -> Disk {
    let clip = |text: &str| crate::cause::clip(text.to_owned(), 96);
    Disk {
        device_name: clip(&disk.device_name),
        size: disk.size,
        model: clip(&disk.model),
        vendor: clip(&disk.vendor),
        serial_number: clip(&disk.serial_number),
        wwn: clip(&disk.wwn),
        hctl: clip(&disk.hctl),
        rotational: disk.rotational,
        removable: disk.removable,
        in_use: disk.in_use,
    }
}

fn nic(nic: &wire::Nic) -> Option<Nic> {
    Some(Nic {
        name: crate::cause::clip(nic.name.clone(), 32),
        mac: nic.mac.parse::<Mac>().ok()?.0,
        carrier: nic.carrier,
        speed: nic.speed,
    })
}
