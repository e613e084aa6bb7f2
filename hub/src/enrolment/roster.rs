//! Which agents are admitted, by their `Agent` objects.

use std::collections::HashMap;

use futures::StreamExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, ResourceExt as _};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use vitistack_api::agent::Agent;
use vitistack_protocol::Chain;
use vitistack_protocol::identity::{AgentName, Roster};

use super::ENROLMENT_ANNOTATION;

/// The name and the enrolment of an agent that is admitted; `None` if it is revoked or was never enrolled.
pub(super) fn entry(agent: &Agent) -> Option<(AgentName, String)> {
    if agent.spec.revoked == Some(true) || agent.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let enrolment = enrolment(agent)?;
    let name = AgentName::new(&agent.spec.site, &agent.name_any()).ok()?;
    Some((name, enrolment.to_owned()))
}

/// The id of the token that made the agent.
pub(super) fn enrolment(agent: &Agent) -> Option<&str> {
    let enrolment = agent.annotations().get(ENROLMENT_ANNOTATION);
    enrolment.map(String::as_str)
}

/// Watches until cancelled. While the API does not answer, the roster stays as it was.
pub(super) async fn follow(agents: Api<Agent>, roster: &Roster, cancel: CancellationToken) {
    let mut events =
        std::pin::pin!(watcher::watcher(agents, watcher::Config::default()).default_backoff());
    let mut listed = HashMap::new();
    loop {
        let event = tokio::select! {
            // Cancel-safe: both only wait.
            () = cancel.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            None => return,
            Some(Err(error)) => {
                warn!(
                    error = %Chain(&error),
                    "the watch of agents was cut"
                );
            }
            Some(Ok(Event::Init)) => listed.clear(),
            Some(Ok(Event::InitApply(agent))) => listed.extend(entry(&agent)),
            Some(Ok(Event::InitDone)) => roster.replace(std::mem::take(&mut listed)),
            Some(Ok(Event::Apply(agent))) => match entry(&agent) {
                Some((name, enrolment)) => roster.admit(name, enrolment),
                None => revoke(roster, &agent),
            },
            Some(Ok(Event::Delete(agent))) => revoke(roster, &agent),
        }
    }
}

fn revoke(roster: &Roster, agent: &Agent) {
    if let Ok(name) = AgentName::new(&agent.spec.site, &agent.name_any()) {
        info!(agent = %name, "the agent is no longer admitted");
        roster.revoke(&name);
    }
}

#[cfg(test)]
mod tests;
