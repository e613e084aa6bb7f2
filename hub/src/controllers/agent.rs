//! The shell of the Agent controller: one status from the live session.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource as _;
use vitistack_api::agent::AgentPhase;

use super::{Error, Hub, events, write};
use crate::kinds::agent::{Session, status};
use crate::kinds::agents;
use crate::queue::{Key, Outcome};

/// Says how the agent is.
pub(super) async fn reconcile(hub: &Hub, key: &Key) -> Result<Outcome, Error> {
    let Some(agent) = hub.caches.agents.find(&key.namespace, &key.name) else {
        return Ok(Outcome::Done);
    };
    let identity = agents::identity(&agent);
    let live = hub
        .dispatch
        .sessions()
        .into_iter()
        .find(|session| Some(&session.agent) == identity.as_ref());
    let session = live.map(|session| Session {
        build: session.build,
        certificate_until: Some(Time(session.certificate_until)),
        conflict: session.conflict.map(|conflict| {
            format!(
                "the hub is at epoch {} revision {}, the agent at epoch {} revision {}; nothing is sent until \
                 the hub's newest data is restored",
                conflict.hub.epoch.0,
                conflict.hub.revision.0,
                conflict.agent.epoch.0,
                conflict.agent.revision.0
            )
        }),
        problems: session.health.map(|health| health.problems).unwrap_or_default(),
    });
    let now = Time(jiff::Timestamp::now());
    let after = status(&agent, session.as_ref(), &now);
    let before = agent.status.as_ref();
    if write::status(hub, agent.as_ref(), before, &after)
        .await?
        .is_some()
    {
        let old = before.cloned().unwrap_or_default();
        let text = |phase: Option<AgentPhase>| phase.map(|phase| format!("{phase:?}"));
        if let Some(announcement) = events::transition(
            agent.object_ref(&()),
            (text(old.phase), text(after.phase)),
            &old.conditions,
            &after.conditions,
        ) {
            hub.events.announce(announcement);
        }
    }
    Ok(Outcome::Done)
}
