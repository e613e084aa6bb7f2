//! Which agent acts for an object.
//!
//! An object belongs to one agent. A second agent of a site stands by: an object moves only when its agent was revoked
//! or is gone. An agent serves the namespaces that its token named, never implicitly all.

use std::sync::Arc;

use kube::ResourceExt as _;
use vitistack_api::agent::Agent;
use vitistack_api::conditions::Reason;
use vitistack_api::machine_provider::MachineProvider;
use vitistack_protocol::identity::AgentName;

use super::{Refusal, is_deleting};

#[cfg(test)]
mod tests;

/// The site of a provider: `spec.site`, else its region where that is a DNS label.
///
/// # Errors
///
/// When there is neither.
pub(crate) fn site_of(provider: &MachineProvider) -> Result<&str, Refusal> {
    if let Some(site) = provider.spec.site.as_deref() {
        return Ok(site);
    }
    let region = provider.spec.region.as_str();
    if AgentName::new(region, region).is_ok() {
        return Ok(region);
    }
    Err(Refusal::stalled(
        Reason::ValidationFailed,
        format!(
            "MachineProvider {} has no spec.site, and its region {region:?} is not a DNS label that could stand for it",
            provider.name_any()
        ),
    ))
}

/// The name that a certificate of this agent carries.
pub(crate) fn identity(agent: &Agent) -> Option<AgentName> {
    AgentName::new(&agent.spec.site, &agent.name_any()).ok()
}

/// Chooses the agent of `site` that acts for objects of `namespaces`: the one that the object already belongs to, else
/// a connected one, else the first by name.
///
/// # Errors
///
/// When no agent of the site may act for all of `namespaces`.
pub(crate) fn choose(
    agents: &[Arc<Agent>],
    site: &str,
    namespaces: &[&str],
    belongs_to: Option<&str>,
    is_connected: impl Fn(&AgentName) -> bool,
) -> Result<AgentName, Refusal> {
    let here: Vec<&Arc<Agent>> = agents
        .iter()
        .filter(|agent| agent.spec.site == site && !is_deleting(agent.as_ref()))
        .collect();
    if here.is_empty() {
        return Err(Refusal::waits(
            Reason::AgentNotFound,
            format!("no agent has joined site {site}"),
        ));
    }
    let mut serving: Vec<(&Arc<Agent>, AgentName)> = here
        .iter()
        .filter(|agent| agent.spec.revoked != Some(true) && serves(agent, namespaces))
        .filter_map(|agent| Some((*agent, identity(agent)?)))
        .collect();
    serving.sort_by_key(|(agent, name)| {
        let owner = belongs_to == Some(agent.name_any().as_str());
        (!owner, !is_connected(name), agent.name_any())
    });
    match serving.into_iter().next() {
        Some((_, name)) => Ok(name),
        None => {
            let known: Vec<String> = here.iter().map(|agent| describe(agent)).collect();
            Err(Refusal::waits(
                Reason::AgentNotFound,
                format!(
                    "no agent of site {site} serves namespace {}: {}; add the namespace to spec.servedNamespaces of \
                     the Agent, or join one with a token that names it",
                    namespaces.join(" and "),
                    known.join(", ")
                ),
            ))
        }
    }
}

fn serves(agent: &Agent, namespaces: &[&str]) -> bool {
    namespaces.iter().all(|namespace| {
        agent
            .spec
            .served_namespaces
            .iter()
            .any(|served| served == namespace)
    })
}

fn describe(agent: &Agent) -> String {
    if agent.spec.revoked == Some(true) {
        format!("{} is revoked", agent.name_any())
    } else if agent.spec.served_namespaces.is_empty() {
        format!("{} serves none", agent.name_any())
    } else {
        format!(
            "{} serves {}",
            agent.name_any(),
            agent.spec.served_namespaces.join(", ")
        )
    }
}
