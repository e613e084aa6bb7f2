//! What the hub is told of a Machine. Pure.

use vitistack_installer_wire::State;
use vitistack_protocol::ids::Uid;
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::intent::{Intent, MachineIntent};
use vitistack_protocol::message::numbered::{MachinePhase, PowerState, Reason};
use vitistack_protocol::message::report::{Cause, MachineReport, Progress};

use super::super::boot::cause;
use super::super::step::note;
use super::standing::{Standing, standing};
use super::{MachineDriver, Observed, current};
use crate::driver::{Next, Outcome, ReportBody, Step as _};
use crate::journal::Journal;

/// What a report is made from.
pub(crate) struct Told<'a> {
    pub(crate) intent: &'a Intent,
    /// `None` if the body could not be read.
    pub(crate) machine: Option<&'a MachineIntent>,
    pub(crate) observed: Option<&'a Observed>,
    pub(crate) journal: &'a Journal,
    pub(crate) outcome: Outcome<'a, MachineDriver>,
}

pub(crate) fn render(told: &Told<'_>) -> ReportBody {
    let gone = told.intent.absent && matches!(told.outcome, Outcome::Planned(Next::Done));
    let report = match told.machine {
        Some(machine) => facts(told, machine, gone),
        None => unreadable(told),
    };
    ReportBody {
        body: note(&report),
        gone,
    }
}

/// Whether the guest is known to run, and by what.
fn spoke(told: &Told<'_>, machine: &MachineIntent) -> Option<Cause> {
    let record = super::Record::read(told.journal, machine.operation);
    if let Some(address) = record.phoned_home {
        return Some(cause(
            Reason::PhonedHome,
            format!("the guest phoned home from {address}"),
        ));
    }
    record.probed.map(|address| {
        cause(
            Reason::ProbeAnswered,
            format!(
                "the guest did not phone home, but answers at {address} on port {}",
                super::PROBE_PORT
            ),
        )
    })
}

fn facts(told: &Told<'_>, machine: &MachineIntent, gone: bool) -> MachineReport {
    let Told {
        intent,
        observed,
        journal,
        outcome,
        ..
    } = told;
    let (_, record) = current(intent, machine, journal);
    let installation = super::Record::read(journal, machine.operation);
    let standing = standing(intent.object.uid, machine, &installation, journal);
    let made_from = installation.written.and(installation.inputs);
    let power = observed
        .and_then(|observed| observed.sight.bmc.as_ref().ok())
        .and_then(|system| system.power_state());
    let spoke = spoke(told, machine);
    let phase = match outcome {
        _ if gone => MachinePhase::Gone,
        Outcome::Planned(Next::Fail { .. }) => MachinePhase::Failed,
        _ if intent.absent => MachinePhase::Releasing,
        _ => phase(machine, &standing, record.attempt, power, spoke.is_some()),
    };
    let why = match outcome {
        Outcome::Failed(error) => error.cause(),
        Outcome::Planned(Next::Wait { cause, .. } | Next::Fail { cause }) => cause.clone(),
        Outcome::Planned(Next::Do(step)) => cause(Reason::Progressing, step.name()),
        Outcome::Planned(Next::Done) if phase == MachinePhase::Running => {
            spoke.unwrap_or_else(|| cause(Reason::None, ""))
        }
        Outcome::Planned(Next::Done) => cause(Reason::None, ""),
    };
    MachineReport {
        phase,
        cause: why,
        power,
        host: machine.target.host.uid,
        operation: machine.operation,
        attempt: record.attempt,
        progress: observed.and_then(progress),
        provisioned: proof(machine, standing, intent.object.uid, journal, gone),
        addresses: addresses(told, machine),
        extensions: MachineReport::extensions_of(made_from),
    }
}

fn phase(
    machine: &MachineIntent,
    standing: &Standing,
    attempt: u8,
    power: Option<PowerState>,
    spoke: bool,
) -> MachinePhase {
    match (standing, machine.power) {
        (Standing::Previous(_) | Standing::Unknown, _) => MachinePhase::Failed,
        (Standing::ToInstall, _) if attempt == 0 => MachinePhase::Pending,
        (Standing::ToInstall, _) => MachinePhase::Installing,
        (Standing::Installed(_), PowerState::Off) if power == Some(PowerState::Off) => {
            MachinePhase::Stopped
        }
        (Standing::Installed(_), PowerState::Off) => MachinePhase::Stopping,
        // Not being able to ask the BMC does not stop a guest.
        (Standing::Installed(_), PowerState::On) if spoke && power != Some(PowerState::Off) => {
            MachinePhase::Running
        }
        (Standing::Installed(_), PowerState::On) => MachinePhase::Booting,
    }
}

/// The proof that travels back with every intent. During a reinstallation the old one stands until a byte is written.
fn proof(
    machine: &MachineIntent,
    standing: Standing,
    object: Uid,
    journal: &Journal,
    gone: bool,
) -> Option<vitistack_protocol::message::intent::Provisioned> {
    if gone {
        return None;
    }
    match standing {
        Standing::Installed(proof) => Some(proof),
        Standing::ToInstall => {
            let record = super::Record::read(journal, machine.operation);
            machine
                .provisioned
                .clone()
                .filter(|proof| proof.machine == object && !record.ever_wrote)
        }
        Standing::Previous(_) | Standing::Unknown => None,
    }
}

fn progress(observed: &Observed) -> Option<Progress> {
    match observed.sight.seen.installer.as_ref()?.state {
        State::Writing { written, total } => Some(Progress { written, total }),
        State::Written { bytes, .. } => Some(Progress {
            written: bytes,
            total: bytes,
        }),
        State::Started | State::Inspected | State::Wiped { .. } | State::Failed { .. } => None,
    }
}

fn addresses(told: &Told<'_>, machine: &MachineIntent) -> Vec<String> {
    let record = super::Record::read(told.journal, machine.operation);
    // Before the guest was started the lease is the installer's.
    if record.guest == super::Begun::No && record.probed.is_none() {
        return Vec::new();
    }
    let lease = told
        .observed
        .and_then(|observed| observed.sight.seen.lease)
        .map(std::net::IpAddr::V4);
    let mut addresses: Vec<String> = Vec::new();
    for address in [record.phoned_home, record.probed, lease]
        .into_iter()
        .flatten()
    {
        let text = address.to_string();
        if !addresses.contains(&text) {
            addresses.push(text);
        }
    }
    addresses
}

fn unreadable(told: &Told<'_>) -> MachineReport {
    MachineReport {
        phase: MachinePhase::Failed,
        cause: match told.outcome {
            Outcome::Failed(error) => error.cause(),
            Outcome::Planned(_) => cause(Reason::Progressing, "the intent cannot be read"),
        },
        power: None,
        host: Uid([0; 16]),
        operation: vitistack_protocol::ids::OperationId([0; 16]),
        attempt: 0,
        progress: None,
        provisioned: None,
        addresses: Vec::new(),
        extensions: Extensions::default(),
    }
}
