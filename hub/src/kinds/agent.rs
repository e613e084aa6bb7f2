//! What is said of an Agent. Nothing that ticks: health is in the metrics.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use vitistack_api::agent::{Agent, AgentPhase, AgentStatus};
use vitistack_api::conditions::{Reason, State, types};

use super::{Says, Verdict, generation_of};

#[cfg(test)]
mod tests;

/// What a live session tells.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) build: String,
    /// When the certificate of the session ends; changes with a renewal only.
    pub(crate) certificate_until: Option<Time>,
    /// Why nothing is sent to it.
    pub(crate) conflict: Option<String>,
    /// What the agent says is wrong with itself.
    pub(crate) problems: Vec<String>,
}

/// The status that says it.
pub(crate) fn status(agent: &Agent, session: Option<&Session>, now: &Time) -> AgentStatus {
    let generation = generation_of(agent);
    let mut status = agent.status.clone().unwrap_or_default();
    let verdict = verdict(agent, session);
    let mut conditions = std::mem::take(&mut status.conditions);
    let mut says = Says {
        list: &mut conditions,
        generation,
        now,
    };
    says.verdict(&verdict);
    if session.is_some() {
        says.set(types::CONNECTED, State::True, Reason::AgentConnected, "");
    } else {
        let meaning = Reason::AgentDisconnected.meaning();
        says.set(
            types::CONNECTED,
            State::False,
            Reason::AgentDisconnected,
            meaning,
        );
    }
    status.conditions = conditions;
    status.observed_generation = Some(generation);
    if let Some(session) = session {
        status.build = Some(session.build.clone());
        if session.certificate_until.is_some() {
            status
                .certificate_expires
                .clone_from(&session.certificate_until);
        }
    }
    status.phase = Some(if agent.spec.revoked == Some(true) {
        AgentPhase::Revoked
    } else if session.is_some() {
        AgentPhase::Connected
    } else {
        AgentPhase::Disconnected
    });
    status
}

fn verdict(agent: &Agent, session: Option<&Session>) -> Verdict {
    if agent.spec.revoked == Some(true) {
        return Verdict::stalled(Reason::AgentRevoked, Reason::AgentRevoked.meaning());
    }
    let Some(session) = session else {
        return Verdict::reconciling(
            Reason::AgentDisconnected,
            Reason::AgentDisconnected.meaning(),
        );
    };
    if let Some(conflict) = &session.conflict {
        return Verdict::stalled(Reason::ConflictPaused, conflict.clone());
    }
    // The names are the agent's; those that stand in our table are reasons of their own.
    let known = session.problems.iter().find_map(|problem| {
        let reason = Reason::parse(problem)?;
        Some((reason, problem))
    });
    match known {
        Some((Reason::StoreFull, _)) => {
            Verdict::stalled(Reason::StoreFull, Reason::StoreFull.meaning())
        }
        Some((reason, _)) => Verdict::ready(reason, reason.meaning()),
        None => Verdict::ready(Reason::AgentConnected, Reason::AgentConnected.meaning()),
    }
}
