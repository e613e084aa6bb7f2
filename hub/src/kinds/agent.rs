//! What is said of an Agent. Nothing that ticks: health is in the metrics.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use vitistack_api::agent::{Agent, AgentPhase, AgentStatus};
use vitistack_api::conditions::{Reason, State, types};
use vitistack_api::names::{ANNOTATION_RESUME, resume};

use super::{Says, Verdict, annotation_of, generation_of};
use crate::dispatch::{Accept, Conflict};

#[cfg(test)]
mod tests;

/// What a live session tells.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) build: String,
    /// When the certificate of the session ends; changes with a renewal only.
    pub(crate) certificate_until: Option<Time>,
    /// Set while nothing is sent to it because the hub is behind.
    pub(crate) conflict: Option<Conflict>,
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

/// What counts as announced before `after`. That an agent that was just made has not dialled yet is no news.
pub(crate) fn heard<'a>(agent: &'a Agent, after: &'a AgentStatus) -> Option<&'a AgentStatus> {
    let begins = agent.status.is_none() && after.phase == Some(AgentPhase::Disconnected);
    begins.then_some(after).or(agent.status.as_ref())
}

/// What a person's choice asks for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumption {
    /// Nobody has chosen.
    None,
    /// The agent is not there, or the annotation says nothing that is known; the status tells.
    Waits,
    /// The hub has to get beyond the agent.
    Begin(Accept),
    /// Objects are still getting their revisions.
    UnderWay(Accept),
    /// Hub and agent agree.
    Over,
}

/// Decides it. `unsettled` counts the objects at which the hub is still behind, or may be once they are compiled.
pub(crate) fn resumption(agent: &Agent, session: Option<&Session>, unsettled: usize) -> Resumption {
    let Some(chosen) = annotation_of(agent, ANNOTATION_RESUME) else {
        return Resumption::None;
    };
    match (choice(chosen), session) {
        (None, _) | (_, None) => Resumption::Waits,
        (Some(accept), Some(session)) if session.conflict.is_some() => Resumption::Begin(accept),
        (Some(accept), Some(_)) if unsettled > 0 => Resumption::UnderWay(accept),
        (Some(_), Some(_)) => Resumption::Over,
    }
}

fn choice(text: &str) -> Option<Accept> {
    match text {
        resume::ACCEPT_AGENTS => Some(Accept::Agents),
        resume::ACCEPT_HUB => Some(Accept::Hub),
        _ => None,
    }
}

/// Both positions, and how it goes on.
fn paused(agent: &Agent, conflict: &Conflict) -> String {
    let (hub, there) = (conflict.hub, conflict.agent);
    let object = conflict
        .object
        .map_or_else(String::new, |uid| format!(" for object {uid}"));
    let chosen = annotation_of(agent, ANNOTATION_RESUME)
        .filter(|chosen| choice(chosen).is_none())
        .map_or_else(String::new, |chosen| {
            format!(
                "; the annotation {ANNOTATION_RESUME} is {chosen:?}, allowed are {} and {}",
                resume::ACCEPT_AGENTS,
                resume::ACCEPT_HUB
            )
        });
    format!(
        "the hub is at epoch {} revision {}, the agent at epoch {} revision {}{object}; nothing is sent until the \
         hub's newest data is restored or `vitistack-hub resume` says whose state counts{chosen}",
        hub.epoch.0, hub.revision.0, there.epoch.0, there.revision.0
    )
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
        return Verdict::stalled(Reason::ConflictPaused, paused(agent, conflict));
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
