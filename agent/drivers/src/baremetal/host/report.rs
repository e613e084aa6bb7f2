//! What the hub is told of a server by itself. Pure.

use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::intent::{HostIntent, Intent};
use vitistack_protocol::message::numbered::{HostPhase, Reason};
use vitistack_protocol::message::report::{HostReport, Inventory};

use super::super::boot::cause;
use super::super::record;
use super::super::step::note;
use super::{HostDriver, Observed, plan};
use crate::driver::{Next, Outcome, ReportBody, Step as _};
use crate::journal::Journal;

/// What a report is made from.
pub(crate) struct Told<'a> {
    pub(crate) intent: &'a Intent,
    /// `None` if the body could not be read.
    pub(crate) host: Option<&'a HostIntent>,
    pub(crate) observed: Option<&'a Observed>,
    pub(crate) journal: &'a Journal,
    pub(crate) outcome: Outcome<'a, HostDriver>,
}

pub(crate) fn render(told: &Told<'_>) -> ReportBody {
    let Told {
        intent,
        observed,
        journal,
        outcome,
        ..
    } = told;
    let gone = intent.absent && matches!(outcome, Outcome::Planned(Next::Done));
    let system = observed.and_then(|observed| observed.sight.bmc.as_ref().ok());
    // The newest inspection that came to its end, also while another one is asked for.
    let inspected = journal.operation.and_then(|operation| {
        record::inspected(journal, operation).map(|inventory| (inventory, operation))
    });
    let told_by_bmc = system.map(|system| Inventory {
        nics: observed.map_or_else(Vec::new, |observed| observed.nics.clone()),
        ..system.inventory.clone()
    });
    let why = match outcome {
        Outcome::Failed(error) => error.cause(),
        Outcome::Planned(Next::Wait { cause, .. } | Next::Fail { cause }) => cause.clone(),
        Outcome::Planned(Next::Do(step)) => cause(Reason::Progressing, step.name()),
        Outcome::Planned(Next::Done) => cause(Reason::None, ""),
    };
    let report = HostReport {
        phase: if gone {
            HostPhase::Gone
        } else {
            phase(told, system.is_some(), why.reason)
        },
        cause: why,
        power: system.and_then(|system| system.power_state()),
        reachable: system.is_some(),
        bmc_certificate: observed.and_then(|observed| observed.sight.certificate),
        inspected: inspected.as_ref().map(|(_, operation)| *operation),
        inventory: inspected.map(|(inventory, _)| inventory).or(told_by_bmc),
        extensions: Extensions::default(),
    };
    ReportBody {
        body: note(&report),
        gone,
    }
}

fn phase(told: &Told<'_>, reachable: bool, reason: Reason) -> HostPhase {
    if matches!(told.outcome, Outcome::Planned(Next::Fail { .. })) {
        return HostPhase::Failed;
    }
    let Some(host) = told.host else {
        return HostPhase::Failed;
    };
    if host.claimed_by.is_some() {
        return HostPhase::InUse;
    }
    if !reachable {
        return HostPhase::Registering;
    }
    let inspected = record::inspected(told.journal, host.inspection_operation).is_some();
    let begun = told.journal.operation == Some(host.inspection_operation);
    match &told.outcome {
        // As known as it gets until somebody acts: free all the same.
        Outcome::Planned(Next::Wait { .. })
            if matches!(
                reason,
                Reason::InspectionWaits | Reason::NetbootDisabled | Reason::ForeignDhcpServer
            ) && !begun =>
        {
            HostPhase::Available
        }
        Outcome::Planned(Next::Done) => HostPhase::Available,
        Outcome::Planned(_) if !plan::may_boot(host) => HostPhase::Available,
        Outcome::Planned(Next::Do(_) | Next::Wait { .. } | Next::Fail { .. })
        | Outcome::Failed(_)
            if inspected =>
        {
            HostPhase::Available
        }
        Outcome::Planned(Next::Do(_) | Next::Wait { .. } | Next::Fail { .. })
        | Outcome::Failed(_) => HostPhase::Inspecting,
    }
}
