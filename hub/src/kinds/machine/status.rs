//! What is said of a Machine: the whole status, from what was and what is known now.
//!
//! A fact that nobody reported stays as it was: a hub that starts anew, or an agent whose line is down, takes nothing
//! back.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use vitistack_api::conditions::{self, Reason, State, types};
use vitistack_api::host::BareMetalHost;
use vitistack_api::machine::{
    InstallationStatus, IntentStatus, Machine, MachinePhase, MachineStatus, Placement, PowerState,
    Progress,
};
use vitistack_api::machine_provider::MachineProvider;
use vitistack_protocol::identity::AgentName;
use vitistack_protocol::ids::{Digest, Generation, OperationId};
use vitistack_protocol::message::numbered::{self, MachinePhase as Told};
use vitistack_protocol::message::report::{Cause, MachineReport};

use crate::kinds::{Outlook, Progress as Going, Refusal, Says, Verdict, causes, generation_of};

/// What an agent reported, with what it knew when it did.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) report: MachineReport,
    pub(crate) generation: Generation,
}

impl Heard {
    /// What was reported, beside what `before` says of the Machine. An agent that lost its records knows by the proof what
    /// is on the disk and not that the guest has spoken; where that was heard before, it stands. A guest that stays silent
    /// for too long is told with another reason, and a server that is off with its power.
    pub(crate) fn beside(
        before: Option<&MachineStatus>,
        mut report: MachineReport,
        generation: Generation,
    ) -> Self {
        let is_of = |before: &MachineStatus| {
            before.phase == Some(MachinePhase::Running)
                && before.operation_id == Some(report.operation.to_string())
        };
        let has_forgotten = report.phase == Told::Booting
            && report.attempt == 0
            && report.cause.reason == numbered::Reason::Progressing
            && report.power == Some(numbered::PowerState::On)
            && report.provisioned.is_some();
        if has_forgotten && before.is_some_and(is_of) {
            report.phase = Told::Running;
            report.cause = Cause {
                reason: numbered::Reason::None,
                message: String::new(),
            };
        }
        Self { report, generation }
    }
}

/// What decides about leaving.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It stays.
    No,
    /// It goes; this is what it waits for.
    Waits(String),
    /// Somebody asked for its deletion, and something refuses that.
    Refused(Refusal),
}

/// Everything that a status is made from.
pub(crate) struct Facts<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) placement: Option<Placement>,
    pub(crate) provider: Option<&'a MachineProvider>,
    pub(crate) host: Option<&'a BareMetalHost>,
    pub(crate) agent: Option<&'a AgentName>,
    pub(crate) agent_is_connected: bool,
    pub(crate) intent: Option<IntentStatus>,
    /// What the newest intent would install, see [`super::compile::inputs`].
    pub(crate) inputs: Option<(OperationId, Digest)>,
    /// Why nothing, or nothing new, goes out.
    pub(crate) refusal: Option<Refusal>,
    pub(crate) heard: Option<&'a Heard>,
    pub(crate) leaving: Leaving,
}

/// The status that says it.
pub(crate) fn status(facts: &Facts<'_>, now: &Time) -> MachineStatus {
    let machine = facts.machine;
    let generation = generation_of(machine);
    let before = machine.status.clone().unwrap_or_default();
    let mut status = before.clone();
    status.observed_generation = Some(generation);
    status.machine_id = machine.uid();
    status.placement.clone_from(&facts.placement);
    if let Some(agent) = facts.agent {
        status.agent = Some(agent.name.clone());
    }
    if facts.intent.is_some() {
        status.intent.clone_from(&facts.intent);
    }
    status.installation = installation(before.installation.clone(), facts);
    place(&mut status, facts);
    if let Some(heard) = facts.heard {
        take_over(&mut status, &heard.report);
    }
    let (phase, verdict) = judge(facts, &before, generation);
    let mut conditions = before.conditions.clone();
    let mut says = Says {
        list: &mut conditions,
        generation,
        now,
    };
    let settled = match verdict {
        Some(verdict) => {
            says.verdict(&verdict);
            status.message = Some(verdict.message.clone());
            Some(verdict)
        }
        None => None,
    };
    parts(
        &mut says,
        facts,
        settled.as_ref(),
        status.installation.as_ref(),
    );
    status.conditions = conditions;
    if let Some(phase) = phase {
        status.phase = Some(phase);
        let failed = settled.as_ref().filter(|_| phase == MachinePhase::Failed);
        status.failure_reason = failed.map(|verdict| verdict.reason.as_str().to_owned());
        status.failure_message = failed.map(|verdict| verdict.message.clone());
    }
    status
}

/// What the installation is made from: what the agent says of the one on the disk; before there is one, or where the
/// agent cannot say it, what was wanted when it began.
fn installation(
    before: Option<InstallationStatus>,
    facts: &Facts<'_>,
) -> Option<InstallationStatus> {
    let of = |operation: OperationId, inputs: Digest| InstallationStatus {
        operation_id: operation.to_string(),
        inputs: inputs.to_string(),
    };
    let told = facts.heard.and_then(|heard| {
        let inputs = heard.report.inputs()?;
        Some((heard.report.operation, inputs))
    });
    let (operation, wanted) = match (told, facts.inputs) {
        (Some((done, inputs)), Some((operation, _))) if done == operation => {
            return Some(of(done, inputs));
        }
        (Some((done, inputs)), None) => return Some(of(done, inputs)),
        // A new token: what is on the disk is to be replaced.
        (Some(_) | None, Some((operation, inputs))) => (operation, of(operation, inputs)),
        (None, None) => return before,
    };
    let is_another = before
        .as_ref()
        .is_none_or(|held| held.operation_id != wanted.operation_id);
    let waits = facts.heard.is_some_and(|heard| {
        heard.report.operation != operation || heard.report.phase == Told::Pending
    });
    if is_another || waits {
        Some(wanted)
    } else {
        before
    }
}

/// What follows from where it was placed.
fn place(status: &mut MachineStatus, facts: &Facts<'_>) {
    if let Some(provider) = facts.provider {
        status.provider = Some(provider.spec.provider_type.as_str().to_owned());
        status.region = Some(provider.spec.region.clone());
    }
    let Some(host) = facts.host else {
        return;
    };
    status.provider_id = Some(format!(
        "baremetal://{}/{}",
        host.namespace().unwrap_or_default(),
        host.name_any()
    ));
    if let Some(hardware) = host
        .status
        .as_ref()
        .and_then(|status| status.hardware.as_ref())
    {
        status.cpus = hardware.cpu.as_ref().and_then(|cpu| cpu.count);
        status.memory = hardware
            .ram_mebibytes
            .map(|mebibytes| mebibytes.saturating_mul(1 << 20));
    }
}

/// The facts of a report, as they are.
fn take_over(status: &mut MachineStatus, report: &MachineReport) {
    let MachineReport {
        phase,
        cause: _,
        power,
        host: _,
        operation,
        attempt,
        progress,
        provisioned: _,
        addresses,
        extensions: _,
    } = report;
    status.state = Some(format!("{phase:?}"));
    status.power_state = power.map(|power| match power {
        numbered::PowerState::On => PowerState::On,
        numbered::PowerState::Off => PowerState::Off,
    });
    let operation = operation.to_string();
    // An agent that lost its records reports no attempt. That one was begun stays known, or the next intent would take it
    // for a first one and let the agent write the disk again.
    let known = status
        .attempt
        .filter(|_| status.operation_id.as_ref() == Some(&operation));
    status.operation_id = Some(operation);
    status.attempt = known
        .max(Some(i64::from(*attempt)))
        .filter(|attempt| *attempt > 0);
    status.progress = progress
        .filter(|_| *phase == Told::Installing)
        .map(|progress| {
            let written = i64::try_from(progress.written).unwrap_or(i64::MAX);
            let total = i64::try_from(progress.total)
                .ok()
                .filter(|total| *total > 0);
            Progress {
                written_bytes: written,
                total_bytes: total,
                percent: total.map(|total| {
                    let percent = i128::from(written) * 100 / i128::from(total);
                    i64::try_from(percent.clamp(0, 100)).unwrap_or(100)
                }),
            }
        });
    if !addresses.is_empty() {
        status.set_addresses(addresses);
    }
}

/// Phase and verdict; `None` where nothing is known that would change them.
fn judge(
    facts: &Facts<'_>,
    before: &MachineStatus,
    generation: i64,
) -> (Option<MachinePhase>, Option<Verdict>) {
    match &facts.leaving {
        Leaving::No => {}
        Leaving::Waits(what) => {
            let verdict = match facts.heard.map(|heard| &heard.report.cause) {
                Some(cause)
                    if causes::translate(cause.reason).0 != Reason::AsExpected
                        && facts.heard.is_some_and(|heard| is_releasing(&heard.report)) =>
                {
                    Verdict::from(causes::refusal(cause))
                }
                _ => Verdict::reconciling(Reason::Deleting, what.clone()),
            };
            return (Some(MachinePhase::Terminating), Some(verdict));
        }
        Leaving::Refused(refusal) => {
            return (before.phase, Some(Verdict::from(refusal.clone())));
        }
    }
    let Some(heard) = facts.heard else {
        return unheard(facts, before, generation);
    };
    let phase = phase_of(heard.report.phase);
    if heard.generation.0 < generation && facts.refusal.is_none() {
        return (Some(phase), Some(pending(facts, generation)));
    }
    let verdict = verdict_of(&heard.report);
    match &facts.refusal {
        // What runs goes on running although its new spec cannot be compiled; `UpToDate` says what is in the way.
        Some(refusal) if verdict.ready != State::True => (
            Some(if refusal.outlook == Outlook::Stalled {
                MachinePhase::Failed
            } else {
                phase
            }),
            Some(Verdict::from(refusal.clone())),
        ),
        _ => (Some(phase), Some(verdict)),
    }
}

fn is_releasing(report: &MachineReport) -> bool {
    matches!(report.phase, Told::Releasing | Told::Failed)
}

/// Nothing was reported to this hub process.
fn unheard(
    facts: &Facts<'_>,
    before: &MachineStatus,
    generation: i64,
) -> (Option<MachinePhase>, Option<Verdict>) {
    // The operation is known only from a report, so an earlier hub process has heard one.
    let was_heard = before.operation_id.is_some();
    if let Some(refusal) = &facts.refusal {
        if was_heard && conditions::is_true(&before.conditions, types::READY) {
            return (None, None);
        }
        let phase = match refusal.outlook {
            Outlook::Stalled => MachinePhase::Failed,
            Outlook::Looking | Outlook::Waits if was_heard => {
                before.phase.unwrap_or(MachinePhase::Creating)
            }
            Outlook::Looking | Outlook::Waits => MachinePhase::Pending,
        };
        return (Some(phase), Some(Verdict::from(refusal.clone())));
    }
    if facts.intent.is_none() {
        let verdict = Verdict::reconciling(Reason::Progressing, "looking for a place");
        return (Some(MachinePhase::Pending), Some(verdict));
    }
    let unchanged = before.intent == facts.intent && before.observed_generation == Some(generation);
    if was_heard && unchanged {
        return (None, None);
    }
    let phase = if was_heard {
        before.phase
    } else {
        Some(MachinePhase::Creating)
    };
    (phase, Some(pending(facts, generation)))
}

/// The agent has not answered for this generation yet.
fn pending(facts: &Facts<'_>, generation: i64) -> Verdict {
    let agent = facts.agent.map_or("", |agent| agent.name.as_str());
    if facts.agent_is_connected {
        Verdict::reconciling(
            Reason::Progressing,
            format!("agent {agent} is taking up generation {generation}"),
        )
    } else {
        Verdict::reconciling(
            Reason::AgentDisconnected,
            format!(
                "agent {agent} is not connected; it takes up generation {generation} when its line is back"
            ),
        )
    }
}

fn phase_of(told: Told) -> MachinePhase {
    match told {
        Told::Pending | Told::Installing | Told::Booting => MachinePhase::Creating,
        Told::Running => MachinePhase::Running,
        Told::Stopping => MachinePhase::Stopping,
        Told::Stopped => MachinePhase::Stopped,
        Told::Releasing => MachinePhase::Terminating,
        Told::Gone => MachinePhase::Terminated,
        Told::Failed => MachinePhase::Failed,
    }
}

fn verdict_of(report: &MachineReport) -> Verdict {
    let refusal = causes::refusal(&report.cause);
    let explained = |reason: Reason, default: &str| {
        let message = if report.cause.message.is_empty() {
            default.to_owned()
        } else {
            report.cause.message.clone()
        };
        (reason, message)
    };
    match report.phase {
        Told::Running => {
            let (reason, message) = explained(refusal.reason, "the guest runs");
            Verdict::ready(reason, message)
        }
        Told::Stopped => {
            let (_, message) = explained(Reason::PoweredOff, "off, as spec.powerState asks");
            Verdict::ready(Reason::PoweredOff, message)
        }
        Told::Failed => Verdict::stalled(refusal.reason, refusal.message),
        Told::Pending | Told::Installing | Told::Booting | Told::Stopping | Told::Releasing => {
            let (reason, message) = match refusal.reason {
                Reason::AsExpected => {
                    explained(Reason::Progressing, &format!("{:?}", report.phase))
                }
                other => (other, refusal.message),
            };
            Verdict {
                ready: State::False,
                reason,
                message,
                progress: match refusal.outlook {
                    Outlook::Looking | Outlook::Waits => Going::Reconciling,
                    Outlook::Stalled => Going::Stalled,
                },
            }
        }
        Told::Gone => Verdict::reconciling(Reason::Deleting, "nothing is left at the site"),
    }
}

/// The conditions beside kstatus' three.
fn parts(
    says: &mut Says<'_>,
    facts: &Facts<'_>,
    verdict: Option<&Verdict>,
    made_from: Option<&InstallationStatus>,
) {
    let spec = &facts.machine.spec;
    says.not_supported(
        types::BACKUP_READY,
        spec.backup.as_ref().map(|_| "spec.backup"),
    );
    let Some(heard) = facts.heard else {
        return;
    };
    let why = match verdict {
        Some(verdict) if verdict.ready != State::True => (verdict.reason, verdict.message.as_str()),
        _ => (Reason::Progressing, ""),
    };
    let report = &heard.report;
    let installed = report
        .provisioned
        .as_ref()
        .filter(|proof| facts.machine.uid().as_deref() == Some(proof.machine.to_string().as_str()));
    match (installed, facts.host) {
        (Some(proof), Some(host)) => says.set(
            types::INFRASTRUCTURE_READY,
            State::True,
            Reason::AsExpected,
            format!(
                "installed on disk {} of BareMetalHost {}",
                proof.disk,
                host.name_any()
            ),
        ),
        _ => says.set(types::INFRASTRUCTURE_READY, State::False, why.0, why.1),
    }
    bootstrap(says, report, why);
    network(says, report, why);
    if installed.is_some() {
        up_to_date(says, facts, made_from);
    } else {
        conditions::remove(says.list, types::UP_TO_DATE);
    }
}

/// Whether the guest was set up. `why` says what keeps it where it was not.
fn bootstrap(says: &mut Says<'_>, report: &MachineReport, why: (Reason, &str)) {
    match report.phase {
        Told::Running => {
            let reason = match causes::translate(report.cause.reason).0 {
                Reason::ProbeAnswered => Reason::ProbeAnswered,
                _ => Reason::PhonedHome,
            };
            says.set(
                types::BOOTSTRAP_READY,
                State::True,
                reason,
                reason.meaning(),
            );
        }
        // A guest that answered once has been set up; switching it off does not undo that.
        Told::Stopping | Told::Stopped => {}
        Told::Pending
        | Told::Installing
        | Told::Booting
        | Told::Releasing
        | Told::Gone
        | Told::Failed => says.set(types::BOOTSTRAP_READY, State::False, why.0, why.1),
    }
}

fn network(says: &mut Says<'_>, report: &MachineReport, why: (Reason, &str)) {
    if !report.addresses.is_empty() {
        let known = report.addresses.join(", ");
        says.set(types::NETWORK_READY, State::True, Reason::AsExpected, known);
    } else if report.phase != Told::Running {
        says.set(types::NETWORK_READY, State::False, why.0, why.1);
    }
}

/// Whether what is installed is what the spec says now.
fn up_to_date(says: &mut Says<'_>, facts: &Facts<'_>, made_from: Option<&InstallationStatus>) {
    if let Some(refusal) = &facts.refusal {
        let message = refusal.message.clone();
        says.set(types::UP_TO_DATE, State::False, refusal.reason, message);
        return;
    }
    let is_same = facts
        .inputs
        .is_none_or(|(_, inputs)| made_from.is_none_or(|made| made.inputs == inputs.to_string()));
    if is_same {
        says.set(types::UP_TO_DATE, State::True, Reason::AsExpected, "");
        return;
    }
    says.set(
        types::UP_TO_DATE,
        State::False,
        Reason::SpecChangedAfterInstall,
        "image, user data, keys, host name or root device hints changed since the installation; set a new \
         spec.reinstall to install anew",
    );
}
