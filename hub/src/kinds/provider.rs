//! What is said of a MachineProvider.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use vitistack_api::conditions::{self, Reason, State, types};
use vitistack_api::machine_provider::{
    AvailableResources, MachineProvider, MachineProviderStatus, ProviderHealth, ProviderPhase,
    ProviderQuota, ProviderType,
};
use vitistack_api::validate;
use vitistack_protocol::identity::AgentName;

use super::{Outlook, Refusal, Says, Verdict, generation_of, valid};

#[cfg(test)]
mod tests;

/// Everything that a status is made from.
pub(crate) struct Facts<'a> {
    pub(crate) provider: &'a MachineProvider,
    pub(crate) site: Result<&'a str, Refusal>,
    pub(crate) agent: Result<&'a AgentName, Refusal>,
    pub(crate) agent_is_connected: bool,
    /// Whether the Secret of `spec.authentication` is there; `None` where none is named.
    pub(crate) credentials: Option<Result<(), Refusal>>,
    pub(crate) machines: i64,
}

/// The status that says it.
pub(crate) fn status(facts: &Facts<'_>, now: &Time) -> MachineProviderStatus {
    let provider = facts.provider;
    let generation = generation_of(provider);
    let mut status = provider.status.clone().unwrap_or_default();
    let mut conditions = std::mem::take(&mut status.conditions);
    let mut says = Says {
        list: &mut conditions,
        generation,
        now,
    };
    let verdict = verdict(facts);
    says.verdict(&verdict);
    let supported = provider.spec.provider_type == ProviderType::Baremetal;
    if supported {
        connection(&mut says, facts);
    } else {
        conditions::remove(says.list, types::CONNECTED);
    }
    authentication(&mut says, facts, supported);
    let healthy = State::from(verdict.ready == State::True);
    says.set(
        types::HEALTHY,
        healthy,
        verdict.reason,
        verdict.message.clone(),
    );
    let limit = provider
        .spec
        .capabilities
        .as_ref()
        .and_then(|offers| offers.max_machines);
    quota(&mut says, limit, facts.machines);
    status.conditions = conditions;
    status.observed_generation = Some(generation);
    status.site = facts
        .site
        .as_ref()
        .ok()
        .map(|site| (*site).to_owned())
        .filter(|_| supported);
    status.agent = facts.agent.as_ref().ok().map(|agent| agent.name.clone());
    status.active_machines = Some(facts.machines);
    status.quota = limit.map(|limit| ProviderQuota {
        instance_quota: Some(limit),
        instance_used: Some(facts.machines),
        ..ProviderQuota::default()
    });
    status.available_resources = resources(provider);
    status.health = Some(ProviderHealth {
        status: Some(
            if verdict.ready == State::True {
                "Healthy"
            } else {
                "Unhealthy"
            }
            .to_owned(),
        ),
        ..ProviderHealth::default()
    });
    status.phase = Some(phase(facts, &verdict));
    status.message = Some(verdict.message);
    status
}

fn authentication(says: &mut Says<'_>, facts: &Facts<'_>, supported: bool) {
    match &facts.credentials {
        None => {
            conditions::remove(says.list, types::AUTHENTICATED);
        }
        Some(Ok(())) if supported => {
            says.set(
                types::AUTHENTICATED,
                State::True,
                Reason::CredentialsValid,
                "",
            );
        }
        Some(Ok(())) => {
            let meaning = Reason::ProviderTypeNotSupported.meaning();
            says.set(
                types::AUTHENTICATED,
                State::Unknown,
                Reason::ProviderTypeNotSupported,
                meaning,
            );
        }
        Some(Err(refusal)) => {
            says.set(
                types::AUTHENTICATED,
                State::False,
                refusal.reason,
                refusal.message.clone(),
            );
        }
    }
}

fn verdict(facts: &Facts<'_>) -> Verdict {
    let kind = facts.provider.spec.provider_type;
    if kind != ProviderType::Baremetal {
        return Verdict::stalled(
            Reason::ProviderTypeNotSupported,
            format!(
                "this version drives providers of type baremetal, not {}",
                kind.as_str()
            ),
        );
    }
    if let Err(refusal) = valid(&validate::machine_provider(facts.provider)) {
        return Verdict::from(refusal);
    }
    if let Err(refusal) = &facts.site {
        return Verdict::from(refusal.clone());
    }
    if let Some(Err(refusal)) = &facts.credentials {
        return Verdict::from(refusal.clone());
    }
    match &facts.agent {
        Err(refusal) => Verdict::from(refusal.clone()),
        Ok(agent) if facts.agent_is_connected => Verdict::ready(
            Reason::AgentConnected,
            format!("agent {} of site {} is connected", agent.name, agent.site),
        ),
        Ok(agent) => Verdict::reconciling(
            Reason::AgentDisconnected,
            format!(
                "agent {} of site {} is not connected",
                agent.name, agent.site
            ),
        ),
    }
}

fn connection(says: &mut Says<'_>, facts: &Facts<'_>) {
    match &facts.agent {
        Ok(agent) if facts.agent_is_connected => {
            let message = format!("agent {}", agent.name);
            says.set(
                types::CONNECTED,
                State::True,
                Reason::AgentConnected,
                message,
            );
        }
        Ok(agent) => {
            let message = format!("agent {}", agent.name);
            says.set(
                types::CONNECTED,
                State::False,
                Reason::AgentDisconnected,
                message,
            );
        }
        Err(refusal) => {
            says.set(
                types::CONNECTED,
                State::False,
                refusal.reason,
                refusal.message.clone(),
            );
        }
    }
}

fn quota(says: &mut Says<'_>, limit: Option<i64>, used: i64) {
    match limit {
        None => says.set(types::QUOTA_VALID, State::True, Reason::NoQuota, ""),
        Some(limit) if used < limit => {
            let message = format!("{used} of {limit} Machines");
            says.set(
                types::QUOTA_VALID,
                State::True,
                Reason::QuotaAvailable,
                message,
            );
        }
        Some(limit) => {
            let message = format!("{used} of {limit} Machines");
            says.set(
                types::QUOTA_VALID,
                State::False,
                Reason::InsufficientCapacity,
                message,
            );
        }
    }
}

fn resources(provider: &MachineProvider) -> Option<AvailableResources> {
    let offers = provider.spec.capabilities.as_ref();
    let resources = AvailableResources {
        instance_types: offers.map_or_else(Vec::new, |offers| {
            offers
                .instance_types
                .iter()
                .map(|offer| offer.name.clone())
                .collect()
        }),
        storage_types: offers.map_or_else(Vec::new, |offers| {
            offers
                .storage_types
                .iter()
                .map(|offer| offer.name.clone())
                .collect()
        }),
        zones: provider.spec.zones.clone(),
        ..AvailableResources::default()
    };
    (resources != AvailableResources::default()).then_some(resources)
}

fn phase(facts: &Facts<'_>, verdict: &Verdict) -> ProviderPhase {
    match verdict.ready {
        State::True => ProviderPhase::Ready,
        State::False | State::Unknown => match &facts.agent {
            _ if verdict.reason == Reason::AgentDisconnected => ProviderPhase::Offline,
            Err(refusal)
                if refusal.outlook == Outlook::Waits && verdict.reason == refusal.reason =>
            {
                ProviderPhase::Pending
            }
            Ok(_) | Err(_) => ProviderPhase::Failed,
        },
    }
}
