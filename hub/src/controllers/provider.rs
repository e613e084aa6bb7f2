//! The shell of the MachineProvider controller: agent, credentials, counts → status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use vitistack_api::conditions::Reason;
use vitistack_api::machine_provider::MachineProvider;

use super::say::say;
use super::{Error, Hub};
use crate::kinds::provider::{Facts, status};
use crate::kinds::{Refusal, agents, credentials, placement};
use crate::queue::{Key, Outcome};

/// Says how the provider is.
pub(super) async fn reconcile(hub: &Hub, key: &Key) -> Result<Outcome, Error> {
    let Some(provider) = hub.caches.providers.find(&key.namespace, &key.name) else {
        return Ok(Outcome::Done);
    };
    let namespace = provider.namespace().unwrap_or_default();
    let site = agents::site_of(&provider);
    let held = provider
        .status
        .as_ref()
        .and_then(|status| status.agent.as_deref());
    let agent = site.clone().and_then(|site| {
        agents::choose(
            &hub.caches.agents.all(),
            site,
            &[&namespace],
            held,
            |agent| hub.is_connected(agent),
        )
    });
    let facts = Facts {
        provider: &provider,
        site,
        agent: agent.as_ref().map_err(Clone::clone),
        agent_is_connected: agent.as_ref().is_ok_and(|agent| hub.is_connected(agent)),
        credentials: own_credentials(hub, &provider),
        machines: placement::provider_usage(&hub.caches.machines.all(), &provider),
    };
    let now = Time(jiff::Timestamp::now());
    let after = status(&facts, &now);
    say(hub, provider.as_ref(), &after).await?;
    Ok(Outcome::Done)
}

/// The Secret of `spec.authentication`, where one is named.
fn own_credentials(hub: &Hub, provider: &MachineProvider) -> Option<Result<(), Refusal>> {
    let field = "spec.authentication.credentialsRef";
    let authentication = provider.spec.authentication.as_ref()?;
    let reference = authentication.credentials_ref.as_ref()?;
    let own = provider.namespace().unwrap_or_default();
    let namespace = reference.namespace.as_deref().unwrap_or(&own);
    let name = match reference.resolve() {
        Ok(Some(name)) => name,
        Ok(None) => return None,
        Err(conflict) => {
            return Some(Err(Refusal::stalled(
                Reason::ValidationFailed,
                format!("{field}: {conflict}"),
            )));
        }
    };
    let known = hub.secrets.look(namespace, name);
    Some(credentials::secret(known.sight(), namespace, name, &own, field).map(drop))
}
