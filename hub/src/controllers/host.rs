//! The shell of the BareMetalHost controller. It alone writes a host's status: also the proof of what is installed,
//! which comes with the reports of the Machine on it, and the quarantine after a removal by force.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde_json::json;
use tracing::{info, warn};
use vitistack_api::conditions::Reason;
use vitistack_api::host::{BareMetalHost, Quarantine};
use vitistack_api::machine::Machine;
use vitistack_api::names::{ANNOTATION_ACCEPT, ANNOTATION_FORCE_DELETE};
use vitistack_api::validate;
use vitistack_protocol::Chain;
use vitistack_protocol::identity::AgentName;
use vitistack_protocol::ids::Uid;
use vitistack_protocol::message::intent::SecretRow;
use vitistack_protocol::message::numbered::Cleaning;
use vitistack_protocol::message::report::{HostReport, MachineReport};

use super::machine::bmc_row;
use super::{Error, Hub, say, write};
use crate::cache::uid_of;
use crate::dispatch::Received;
use crate::kinds::host::status::{Facts, status};
use crate::kinds::host::{Hold, compile, hold, quarantined};
use crate::kinds::machine::compile as machine_compile;
use crate::kinds::revision::Allotted;
use crate::kinds::{Outlook, Refusal, agents, annotated, is_deleting, valid};
use crate::queue::{Key, Outcome};

/// Brings one host closer to its spec.
pub(super) async fn reconcile(hub: &Hub, key: &Key) -> Result<Outcome, Error> {
    let Some(host) = hub.caches.hosts.find(&key.namespace, &key.name) else {
        return Ok(Outcome::Done);
    };
    let host = if write::is_held(host.as_ref()) {
        host
    } else if is_deleting(host.as_ref()) {
        return Ok(Outcome::Done);
    } else {
        Arc::new(write::hold(hub, host.as_ref()).await?)
    };
    let sight = Sight::of(hub, &host);
    if is_deleting(host.as_ref()) {
        return leave(hub, &host, &sight).await;
    }
    settle(hub, &host, &sight).await
}

/// What a reconcile of a host has gathered.
struct Sight {
    uid: Option<Uid>,
    /// The Machine of `consumerRef`, if it exists.
    consumer: Option<Arc<Machine>>,
    agent: Result<AgentName, Refusal>,
    agent_is_connected: bool,
    bmc: Result<SecretRow, Refusal>,
    received: Option<Received>,
    heard: Option<HostReport>,
    carried: Option<(MachineReport, bool)>,
}

impl Sight {
    fn of(hub: &Hub, host: &BareMetalHost) -> Self {
        let uid = uid_of(host);
        let consumer_uid = host
            .spec
            .consumer_ref
            .as_ref()
            .and_then(|consumer| consumer.uid.parse().ok());
        let agent = agent_of(hub, host);
        let received = uid.and_then(|uid| hub.dispatch.report(uid));
        let mut heard: Option<HostReport> = received
            .as_ref()
            .and_then(|received| readable(received.report.read(), received));
        let of_machine = consumer_uid.and_then(|uid| hub.dispatch.report(uid));
        let carried = of_machine.as_ref().and_then(|received| {
            let report = readable(received.report.read::<MachineReport>(), received)?;
            Some((report, received.report.gone))
        });
        if let (Some(heard), Some((report, false))) = (&mut heard, &carried)
            && is_later(of_machine.as_ref(), received.as_ref())
        {
            // The same BMC's word, asked for the Machine's sake: it need not be told twice, in two writes.
            heard.power = report.power.or(heard.power);
        }
        Self {
            uid,
            consumer: consumer_uid.and_then(|uid| hub.caches.machines.by_uid(uid)),
            agent_is_connected: agent.as_ref().is_ok_and(|agent| hub.is_connected(agent)),
            agent,
            bmc: bmc_row(hub, host),
            received,
            heard,
            carried,
        }
    }

    /// The Secret with the BMC's credentials; once it is gone, the one that was last sent.
    fn bmc_secret(&self, hub: &Hub) -> Option<Uid> {
        match &self.bmc {
            Ok(row) => Some(row.name.uid),
            Err(_) => self.uid.and_then(|host| hub.last_credentials(host)),
        }
    }
}

/// Whether an agent said `one` after it said `other`.
fn is_later(one: Option<&Received>, other: Option<&Received>) -> bool {
    one.zip(other).is_some_and(|(one, other)| {
        one.agent == other.agent && one.report.sequence > other.report.sequence
    })
}

fn readable<T>(
    report: Result<T, vitistack_protocol::message::body::Error>,
    received: &Received,
) -> Option<T> {
    report
        .inspect_err(|error| {
            warn!(
                agent = %received.agent.name,
                error = %Chain(error),
                "a report cannot be read"
            );
        })
        .ok()
}

/// The agent of a host: the one in status as long as it may act, else by its provider's site.
fn agent_of(hub: &Hub, host: &BareMetalHost) -> Result<AgentName, Refusal> {
    let namespace = host.namespace().unwrap_or_default();
    let name = &host.spec.machine_provider_ref.name;
    let held = host
        .status
        .as_ref()
        .and_then(|status| status.agent.as_deref());
    let known = hub.caches.agents.all();
    let Some(provider) = hub.caches.providers.find(&namespace, name) else {
        // On the way out a provider that went first does not matter.
        let holder = known.iter().find(|agent| {
            is_deleting(host)
                && Some(agent.name_any().as_str()) == held
                && agent.spec.revoked != Some(true)
        });
        return holder
            .and_then(|agent| agents::identity(agent))
            .ok_or_else(|| {
                Refusal::waits(
                    Reason::ProviderNotFound,
                    format!(
                        "spec.machineProviderRef: MachineProvider {namespace}/{name} does not exist"
                    ),
                )
            });
    };
    let site = agents::site_of(&provider)?;
    agents::choose(&known, site, &[&namespace], held, |agent| {
        hub.is_connected(agent)
    })
}

/// A host that stays.
async fn settle(hub: &Hub, host: &Arc<BareMetalHost>, sight: &Sight) -> Result<Outcome, Error> {
    let quarantine = match hold(host, sight.consumer.as_deref(), |uid| is_gone(hub, uid)) {
        Hold::None => None,
        Hold::Held(quarantine) => Some(quarantine),
        Hold::Ends { machine } => return set_free(hub, host, sight, &machine).await,
    };
    let (quarantine, tombstone) = keep_tombstone(hub, host, sight, quarantine);
    let foreseen = foresee(host, sight, quarantine.clone());
    // What the spec itself says wrong is told first: no agent can mend it.
    let allotted = valid(&validate::bare_metal_host(host))
        .and_then(|()| sight.agent.as_ref().map_err(Clone::clone))
        .and_then(|agent| {
            let row = sight.bmc.as_ref().map_err(Clone::clone)?;
            let intent = compile(&foreseen, Some(row.name.uid), false)?;
            let held = host
                .status
                .as_ref()
                .and_then(|status| status.intent.as_ref());
            Ok((agent, row, hub.allot(held, intent)))
        });
    if allotted
        .as_ref()
        .is_err_and(|refusal| refusal.outlook == Outlook::Looking)
    {
        return Ok(Outcome::Done);
    }
    let facts = Facts {
        host,
        consumer: sight.consumer.as_deref(),
        agent: sight.agent.as_ref().ok(),
        agent_is_connected: sight.agent_is_connected,
        intent: allotted
            .as_ref()
            .ok()
            .map(|(_, _, allotted)| allotted.status.clone()),
        refusal: allotted.as_ref().err().cloned(),
        heard: sight.heard.as_ref(),
        carried: sight.carried.as_ref().map(|(report, gone)| (report, *gone)),
        quarantine,
        accepted: false,
        leaving: None,
    };
    say(hub, host, &facts).await?;
    if let Ok((agent, row, allotted)) = allotted {
        hub.send(agent, allotted, [row.clone()]);
        if let Some(tombstone) = tombstone {
            hub.send(agent, tombstone, [row.clone()]);
        }
    }
    accept(hub, sight);
    Ok(Outcome::Done)
}

/// The host with the status that the reports lead to. What the agent said of it (a pin, a proof) goes into the intent
/// with the write that says it, not with one more afterwards.
fn foresee(host: &BareMetalHost, sight: &Sight, quarantine: Option<Quarantine>) -> BareMetalHost {
    let facts = Facts {
        host,
        consumer: sight.consumer.as_deref(),
        agent: sight.agent.as_ref().ok(),
        agent_is_connected: sight.agent_is_connected,
        intent: None,
        refusal: None,
        heard: sight.heard.as_ref(),
        carried: sight.carried.as_ref().map(|(report, gone)| (report, *gone)),
        quarantine,
        accepted: false,
        leaving: None,
    };
    let status = status(&facts, &Time(jiff::Timestamp::now()));
    BareMetalHost {
        status: Some(status),
        ..host.clone()
    }
}

/// The tombstone of a Machine that was removed by force is kept by its host, since the Machine is gone.
fn keep_tombstone(
    hub: &Hub,
    host: &BareMetalHost,
    sight: &Sight,
    quarantine: Option<Quarantine>,
) -> (Option<Quarantine>, Option<Allotted>) {
    let Some(mut quarantine) = quarantine else {
        return (None, None);
    };
    let Some(object) = quarantined(host, &quarantine) else {
        return (Some(quarantine), None);
    };
    let last = hub.last_sent(object.uid);
    let bmc = sight.bmc_secret(hub);
    let intent = match last {
        Some(last) => Ok(machine_compile::bury(&last, last.generation.0, bmc)),
        None => machine_compile::tombstone(object, 0, Cleaning::Metadata, host, bmc),
    };
    match intent {
        Ok(intent) => {
            let allotted = hub.allot(quarantine.intent.as_ref(), intent);
            quarantine.intent = Some(allotted.status.clone());
            (Some(quarantine), Some(allotted))
        }
        Err(_) => (Some(quarantine), None),
    }
}

fn is_gone(hub: &Hub, uid: &str) -> bool {
    let report = uid.parse().ok().and_then(|uid| hub.dispatch.report(uid));
    report.is_some_and(|received| received.report.gone)
}

/// The quarantine ends: claim first, then status, then the tombstone is forgotten; a crash in between repeats.
async fn set_free(
    hub: &Hub,
    host: &Arc<BareMetalHost>,
    sight: &Sight,
    machine: &str,
) -> Result<Outcome, Error> {
    let is_accepted = annotated(host.as_ref(), ANNOTATION_ACCEPT, machine);
    let ours = host
        .spec
        .consumer_ref
        .as_ref()
        .is_some_and(|consumer| consumer.uid == machine);
    let host = if ours {
        let patch = json!({"spec": {"consumerRef": null}});
        Arc::new(write::change(hub, host.as_ref(), patch, "claim").await?)
    } else {
        host.clone()
    };
    let facts = Facts {
        host: &host,
        consumer: None,
        agent: sight.agent.as_ref().ok(),
        agent_is_connected: sight.agent_is_connected,
        intent: None,
        refusal: None,
        heard: sight.heard.as_ref(),
        carried: None,
        quarantine: None,
        accepted: true,
        leaving: None,
    };
    say(hub, &host, &facts).await?;
    info!(machine, is_accepted, "the quarantine ends");
    if let Ok(uid) = machine.parse::<Uid>() {
        if let Some(received) = hub.dispatch.report(uid) {
            hub.dispatch.accepted(uid, received.report.sequence);
        }
        hub.forget(uid);
    }
    Ok(Outcome::Done)
}

/// A host that somebody deleted: its Machine leaves first, then the site forgets it.
async fn leave(hub: &Hub, host: &Arc<BareMetalHost>, sight: &Sight) -> Result<Outcome, Error> {
    let uid = host.uid().unwrap_or_default();
    let is_forced = annotated(host.as_ref(), ANNOTATION_FORCE_DELETE, &uid);
    let consumer = sight.consumer.as_deref().filter(|machine| {
        // A Machine that was never sent anywhere lets go by itself; one that is there is waited for.
        write::is_held(*machine)
    });
    let was_sent = host
        .status
        .as_ref()
        .is_some_and(|status| status.intent.is_some());
    let is_gone = sight
        .received
        .as_ref()
        .is_some_and(|received| received.report.gone);
    let quarantine = match hold(host, sight.consumer.as_deref(), |uid| {
        self::is_gone(hub, uid)
    }) {
        Hold::None | Hold::Ends { .. } => None,
        Hold::Held(quarantine) => Some(quarantine),
    };
    let (quarantine, tombstone) = keep_tombstone(hub, host, sight, quarantine);
    if consumer.is_none() && (is_forced || is_gone || !was_sent) {
        write::release(hub, host.as_ref()).await?;
        info!(is_forced, "gone");
        accept(hub, sight);
        // By force, what the agent holds is still to vanish when its line is back: dispatch keeps the tombstone.
        if let Some(uid) = sight.uid.filter(|_| !is_forced) {
            hub.forget(uid);
        }
        return Ok(Outcome::Done);
    }
    let outgoing = match (consumer, &sight.agent) {
        (None, Ok(agent)) => {
            let bmc = sight.bmc_secret(hub);
            compile(host, bmc, true).ok().map(|intent| (agent, intent))
        }
        _ => None,
    };
    let held = host
        .status
        .as_ref()
        .and_then(|status| status.intent.as_ref());
    let outgoing = outgoing.map(|(agent, intent)| (agent, hub.allot(held, intent)));
    let what = waits_for(sight, consumer, &uid);
    let facts = Facts {
        host,
        consumer: sight.consumer.as_deref(),
        agent: sight.agent.as_ref().ok(),
        agent_is_connected: sight.agent_is_connected,
        intent: outgoing
            .as_ref()
            .map(|(_, allotted)| allotted.status.clone()),
        refusal: None,
        heard: sight.heard.as_ref(),
        carried: sight.carried.as_ref().map(|(report, gone)| (report, *gone)),
        quarantine,
        accepted: false,
        leaving: Some(what),
    };
    say(hub, host, &facts).await?;
    let row = sight.bmc.as_ref().ok();
    if let Some((agent, allotted)) = outgoing {
        hub.send(agent, allotted, row.cloned());
    }
    if let (Ok(agent), Some(tombstone)) = (&sight.agent, tombstone) {
        hub.send(agent, tombstone, row.cloned());
    }
    accept(hub, sight);
    Ok(Outcome::Done)
}

/// What a host that is being deleted waits for, for people.
fn waits_for(sight: &Sight, consumer: Option<&Machine>, uid: &str) -> String {
    match (consumer, &sight.agent) {
        (Some(machine), _) => format!(
            "Machine {}/{} holds it; delete that first",
            machine.namespace().unwrap_or_default(),
            machine.name_any()
        ),
        (None, Ok(agent)) if sight.agent_is_connected => {
            format!("agent {} forgets it", agent.name)
        }
        (None, Ok(agent)) => format!(
            "agent {} is not connected; set the annotation {ANNOTATION_FORCE_DELETE}={uid} if it never will be",
            agent.name
        ),
        (None, Err(refusal)) => format!(
            "{}; set the annotation {ANNOTATION_FORCE_DELETE}={uid} if that does not change",
            refusal.message
        ),
    }
}

fn accept(hub: &Hub, sight: &Sight) {
    if let Some(received) = &sight.received {
        hub.dispatch
            .accepted(received.report.object.uid, received.report.sequence);
    }
}

/// Writes the status and announces what changed.
async fn say(hub: &Hub, host: &BareMetalHost, facts: &Facts<'_>) -> Result<(), Error> {
    let after = status(facts, &Time(jiff::Timestamp::now()));
    say::say(hub, host, &after).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
