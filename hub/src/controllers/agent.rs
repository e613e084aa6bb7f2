//! The shell of the Agent controller: one status from the live session, and what a person chose for a hub that is
//! behind it.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;
use tracing::info;
use vitistack_api::agent::Agent;
use vitistack_api::host::BareMetalHost;
use vitistack_api::names::ANNOTATION_RESUME;
use vitistack_protocol::identity::AgentName;
use vitistack_protocol::ids::Uid;

use super::say::say_since;
use super::{Error, Hub, RETURN, write};
use crate::enrolment;
use crate::kinds::agent::{Resumption, Session, heard, resumption, status};
use crate::kinds::agents;
use crate::queue::{Key, Outcome};

/// How often it is looked whether every object got its revision.
const SETTLING: Duration = Duration::from_secs(1);

/// Says how the agent is.
pub(super) async fn reconcile(hub: &Hub, key: &Key) -> Result<Outcome, Error> {
    let Some(agent) = hub.caches.agents.find(&key.namespace, &key.name) else {
        return Ok(Outcome::Done);
    };
    let identity = agents::identity(&agent);
    let live = identity
        .as_ref()
        .and_then(|agent| hub.dispatch.session(agent));
    let is_expected = identity
        .as_ref()
        .is_some_and(|agent| hub.is_connected(agent));
    if live.is_none() && is_expected && agent.spec.revoked != Some(true) {
        // Nothing is said of it before it is clear whether it comes back.
        return Ok(Outcome::After(RETURN));
    }
    let session = live.map(|session| Session {
        build: session.build,
        certificate_until: Some(Time(session.certificate_until)),
        conflict: session.conflict,
        problems: session
            .health
            .map(|health| health.problems)
            .unwrap_or_default(),
    });
    let now = Time(jiff::Timestamp::now());
    let after = status(&agent, session.as_ref(), &now);
    say_since(hub, agent.as_ref(), heard(&agent, &after), &after).await?;
    match identity {
        Some(identity) => resume(hub, &agent, &identity, session.as_ref()).await,
        None => Ok(Outcome::Done),
    }
}

/// Carries on with what a person chose for a hub that is behind this agent.
async fn resume(
    hub: &Hub,
    agent: &Agent,
    identity: &AgentName,
    session: Option<&Session>,
) -> Result<Outcome, Error> {
    let unsettled = hub.dispatch.unsettled(identity);
    let open = unsettled.iter().filter(|uid| is_known(hub, **uid)).count();
    match resumption(agent, session, open) {
        Resumption::None => hub.dispatch.accept(identity, None),
        Resumption::Waits => {}
        Resumption::Begin(accept) => {
            let ours = hub.dispatch.epoch();
            let theirs = session
                .and_then(|session| session.conflict)
                .map_or(ours, |conflict| conflict.agent.epoch);
            let epoch = if theirs > ours {
                enrolment::raise_epoch(&hub.client, &hub.namespace, theirs)
                    .await
                    .map_err(|source| Error::Epoch { source })?
            } else {
                ours
            };
            info!(agent = %identity, ?accept, epoch = epoch.0, "resumed by a person's choice");
            hub.dispatch.resume(identity, accept, epoch);
        }
        Resumption::UnderWay(accept) => {
            hub.dispatch.accept(identity, Some(accept));
            return Ok(Outcome::After(SETTLING));
        }
        Resumption::Over => {
            let done = json!({"metadata": {"annotations": {ANNOTATION_RESUME: null}}});
            write::change(hub, agent, done, "annotation").await?;
            hub.dispatch.accept(identity, None);
        }
    }
    Ok(Outcome::Done)
}

/// Whether an object is of this hub: what an agent holds beyond that is left alone, since absence never means delete.
fn is_known(hub: &Hub, uid: Uid) -> bool {
    let text = uid.to_string();
    let is_kept = |host: &BareMetalHost| {
        let quarantine = host.status.as_ref()?.quarantine.as_ref()?;
        Some(quarantine.machine_uid == text)
    };
    hub.caches.machines.by_uid(uid).is_some()
        || hub.caches.hosts.by_uid(uid).is_some()
        || hub
            .caches
            .hosts
            .all()
            .iter()
            .any(|host| is_kept(host) == Some(true))
}
