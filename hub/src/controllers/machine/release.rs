//! The way out of a Machine: tombstone → the site's word that nothing is left → the proof taken back → the claim given
//! back → the finalizer.
//!
//! It must end whatever else went before it: the host waits for it by its own finalizer, the agent is named in status,
//! the agent still holds the BMC's credentials, and nothing else is needed.

use std::sync::Arc;

use kube::{Resource as _, ResourceExt as _};
use serde_json::json;
use tracing::{info, warn};
use vitistack_api::conditions::Reason;
use vitistack_api::host::BareMetalHost;
use vitistack_api::machine::{DeletionPolicy, Machine};
use vitistack_api::names::{ANNOTATION_FORCE_DELETE, ANNOTATION_PROTECT};
use vitistack_fault as fault;
use vitistack_protocol::identity::AgentName;
use vitistack_protocol::message::intent::{Intent, SecretRow};

use super::{Known, agent_of, bmc_row, known, provider_of, say};
use crate::cache::uid_of;
use crate::controllers::events::Announcement;
use crate::controllers::{Error, Hub, write};
use crate::kinds::machine::compile;
use crate::kinds::machine::status::{Facts, Leaving};
use crate::kinds::{Refusal, annotated, generation_of, host as host_kind, target};
use crate::queue::Outcome;

/// Brings a Machine that somebody deleted closer to its end.
pub(super) async fn reconcile(hub: &Hub, machine: &Arc<Machine>) -> Result<Outcome, Error> {
    if !write::is_held(machine.as_ref()) {
        return Ok(Outcome::Done);
    }
    let uid = machine.uid().unwrap_or_default();
    let host = hub.caches.hosts.all().into_iter().find(|host| {
        host.spec
            .consumer_ref
            .as_ref()
            .is_some_and(|consumer| consumer.uid == uid)
    });
    let was_sent = machine
        .status
        .as_ref()
        .is_some_and(|status| status.intent.is_some());
    let is_forced = annotated(machine.as_ref(), ANNOTATION_FORCE_DELETE, &uid);
    if annotated(machine.as_ref(), ANNOTATION_PROTECT, "true") {
        return refuse(
            hub,
            machine,
            host.as_deref(),
            Refusal::stalled(
                Reason::Protected,
                format!("remove the annotation {ANNOTATION_PROTECT} to let it be deleted"),
            ),
        )
        .await;
    }
    match (host, was_sent) {
        (None, false) => finish(hub, machine).await,
        (Some(host), false) => {
            give_back(hub, &host, &uid).await?;
            finish(hub, machine).await
        }
        (None, true) => without_host(hub, machine, is_forced).await,
        (Some(host), true) if is_forced => force(hub, machine, &host).await,
        (Some(host), true) if machine.spec.deletion_policy == Some(DeletionPolicy::Orphan) => {
            refuse(
                hub,
                machine,
                Some(&host),
                Refusal::stalled(
                    Reason::NotSupported,
                    format!(
                        "spec.deletionPolicy Orphan is not executed on bare metal in this version, and nothing is \
                         wiped meanwhile; set Delete to release the host, or the annotation \
                         {ANNOTATION_FORCE_DELETE}={uid} to leave it quarantined"
                    ),
                ),
            )
            .await
        }
        (Some(host), true) => bury(hub, machine, &host).await,
    }
}

/// The regular end.
async fn bury(
    hub: &Hub,
    machine: &Arc<Machine>,
    host: &Arc<BareMetalHost>,
) -> Result<Outcome, Error> {
    let known = known(hub, machine);
    let uid = machine.uid().unwrap_or_default();
    if known
        .as_ref()
        .is_some_and(|known| known.received.report.gone)
    {
        let carries = host
            .status
            .as_ref()
            .and_then(|status| status.provisioned.as_ref())
            .is_some_and(|proof| proof.machine_uid == uid);
        if carries {
            // The host's controller takes the proof back; its write wakes this key again.
            hub.wake_host(host);
            return Ok(Outcome::Done);
        }
        give_back(hub, host, &uid).await?;
        return finish(hub, machine).await;
    }
    let agent = holder(hub, machine, host);
    let row = bmc_row(hub, host).ok();
    let tombstone = tombstone(hub, machine, host, row.as_ref());
    let held = machine
        .status
        .as_ref()
        .and_then(|status| status.intent.as_ref());
    let (agent, outgoing, refusal) = match (agent, tombstone) {
        (Ok(agent), Ok(intent)) => {
            let allotted = hub.allot(held, intent);
            (Some(agent), Some(allotted), None)
        }
        (Err(refusal), _) | (_, Err(refusal)) => (None, None, Some(refusal)),
    };
    let is_connected = agent.as_ref().is_some_and(|agent| hub.is_connected(agent));
    let leaving = match refusal {
        Some(refusal) => Leaving::Refused(refusal),
        None => Leaving::Waits(waiting(agent.as_ref(), is_connected, &uid)),
    };
    let facts = Facts {
        machine,
        placement: machine
            .status
            .as_ref()
            .and_then(|status| status.placement.clone()),
        provider: None,
        host: Some(host),
        agent: agent.as_ref(),
        agent_is_connected: is_connected,
        intent: outgoing.as_ref().map(|allotted| allotted.status.clone()),
        inputs: None,
        refusal: None,
        heard: known.as_ref().map(|known| &known.heard),
        leaving,
    };
    say(hub, machine, &facts).await?;
    if let (Some(agent), Some(allotted)) = (&agent, outgoing) {
        hub.send(agent, allotted, row);
    }
    if let Some(known) = &known {
        super::accept(hub, host, known);
    }
    Ok(Outcome::Done)
}

fn waiting(agent: Option<&AgentName>, is_connected: bool, uid: &str) -> String {
    let name = agent.map_or("", |agent| agent.name.as_str());
    if is_connected {
        format!("agent {name} releases the host")
    } else {
        format!(
            "agent {name} is not connected; the host is released when its line is back. If the site is gone for ever, \
             set the annotation {ANNOTATION_FORCE_DELETE}={uid}"
        )
    }
}

/// The agent that holds the Machine: the one in status, whatever became of the provider.
fn holder(hub: &Hub, machine: &Machine, host: &BareMetalHost) -> Result<AgentName, Refusal> {
    let named = machine
        .status
        .as_ref()
        .and_then(|status| status.agent.as_deref());
    let held = named.and_then(|name| {
        hub.caches
            .agents
            .all()
            .into_iter()
            .find(|agent| agent.name_any() == name && agent.spec.revoked != Some(true))
    });
    if let Some(identity) = held.as_deref().and_then(crate::kinds::agents::identity) {
        return Ok(identity);
    }
    let provider = provider_of(hub, host);
    agent_of(hub, machine, host, provider.as_deref())
}

/// What was last sent, as a tombstone; or one made from the host alone.
fn tombstone(
    hub: &Hub,
    machine: &Machine,
    host: &BareMetalHost,
    bmc: Option<&SecretRow>,
) -> Result<Intent, Refusal> {
    let object = target::reference(machine).ok_or_else(target::no_uid)?;
    let generation = generation_of(machine);
    let bmc = bmc.map(|row| row.name.uid);
    if let Some(last) = hub.last_sent(object.uid) {
        return Ok(compile::bury(&last, generation, bmc));
    }
    let bmc = bmc.or_else(|| hub.last_credentials(uid_of(host)?));
    compile::tombstone(object, generation, compile::cleaning(machine), host, bmc)
}

/// By force: the host is held back first, by its own controller, which also keeps the tombstone.
async fn force(
    hub: &Hub,
    machine: &Arc<Machine>,
    host: &Arc<BareMetalHost>,
) -> Result<Outcome, Error> {
    let uid = machine.uid().unwrap_or_default();
    let quarantine = host
        .status
        .as_ref()
        .and_then(|status| status.quarantine.as_ref());
    if quarantine.is_none_or(|quarantine| quarantine.machine_uid != uid) {
        hub.wake_host(host);
        return Ok(Outcome::Done);
    }
    warn!(host = %host.name_any(), "removed by force; the host is quarantined");
    hub.events.announce(Announcement {
        object: machine.object_ref(&()),
        is_warning: true,
        reason: Reason::ForceDeleted.as_str().to_owned(),
        note: format!("BareMetalHost {} is quarantined", host.name_any()),
        action: "Delete".to_owned(),
    });
    write::release(hub, machine.as_ref()).await?;
    Ok(Outcome::Done)
}

/// Something was sent once, and the host that it was about is gone.
async fn without_host(
    hub: &Hub,
    machine: &Arc<Machine>,
    is_forced: bool,
) -> Result<Outcome, Error> {
    let known: Option<Known> = known(hub, machine);
    let is_gone = known.is_some_and(|known| known.received.report.gone);
    if is_forced || is_gone || was_given_back(hub, machine) {
        return finish(hub, machine).await;
    }
    let uid = machine.uid().unwrap_or_default();
    refuse(
        hub,
        machine,
        None,
        Refusal::stalled(
            Reason::HostNotFound,
            format!(
                "its BareMetalHost is gone or claims another Machine, so that nobody can be told to release it; set \
                 the annotation {ANNOTATION_FORCE_DELETE}={uid} to let it go"
            ),
        ),
    )
    .await
}

/// Whether the claim was given back already, before this process was stopped: the host is there, free, and no proof of
/// the Machine is left.
fn was_given_back(hub: &Hub, machine: &Machine) -> bool {
    let status = machine.status.as_ref();
    let placed = status
        .and_then(|status| status.placement.as_ref())
        .and_then(|placement| placement.host.as_ref());
    placed
        .and_then(|placed| placed.uid.parse().ok())
        .and_then(|uid| hub.caches.hosts.by_uid(uid))
        .is_some_and(|host| {
            let proof = host
                .status
                .as_ref()
                .and_then(|status| status.provisioned.as_ref());
            host.spec.consumer_ref.is_none()
                && proof.is_none_or(|proof| Some(&proof.machine_uid) != machine.uid().as_ref())
        })
}

async fn refuse(
    hub: &Hub,
    machine: &Machine,
    host: Option<&BareMetalHost>,
    refusal: Refusal,
) -> Result<Outcome, Error> {
    let known = known(hub, machine);
    let facts = Facts {
        machine,
        placement: machine
            .status
            .as_ref()
            .and_then(|status| status.placement.clone()),
        provider: None,
        host,
        agent: None,
        agent_is_connected: false,
        intent: None,
        inputs: None,
        refusal: None,
        heard: known.as_ref().map(|known| &known.heard),
        leaving: Leaving::Refused(refusal),
    };
    say(hub, machine, &facts).await?;
    Ok(Outcome::Done)
}

/// Gives the claim back, unless the host is somebody else's by now.
async fn give_back(hub: &Hub, host: &BareMetalHost, uid: &str) -> Result<(), Error> {
    let ours = host
        .spec
        .consumer_ref
        .as_ref()
        .is_some_and(|consumer| consumer.uid == uid);
    if ours && !host_kind::is_quarantined_for(host, uid) {
        fault::before("hub.claim.give-back");
        write::change(hub, host, json!({"spec": {"consumerRef": null}}), "claim").await?;
        fault::after("hub.claim.give-back");
    }
    Ok(())
}

async fn finish(hub: &Hub, machine: &Machine) -> Result<Outcome, Error> {
    write::release(hub, machine).await?;
    info!("gone");
    if let Some(known) = known(hub, machine) {
        let report = &known.received.report;
        hub.dispatch.accepted(report.object.uid, report.sequence);
    }
    if let Some(object) = target::reference(machine) {
        hub.forget(object.uid);
    }
    Ok(Outcome::Done)
}
