//! The shell of the Machine controller: gather → claim → compile → status → dispatch, and the way out.

mod release;

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use serde_json::json;
use tracing::{info, warn};
use vitistack_api::conditions::Reason;
use vitistack_api::host::BareMetalHost;
use vitistack_api::machine::{Machine, MachinePhase, PlacedHost, Placement};
use vitistack_api::machine_provider::{MachineProvider, ProviderType};
use vitistack_api::reference::ObjectReference;
use vitistack_api::validate;
use vitistack_fault as fault;
use vitistack_protocol::Chain;
use vitistack_protocol::identity::AgentName;
use vitistack_protocol::message::intent::SecretRow;
use vitistack_protocol::message::report::MachineReport;

use super::{Error, Hub, reservations, say, write};
use crate::cache::uid_of;
use crate::dispatch::Received;
use crate::kinds::machine::compile::{self, Compiled, Sources};
use crate::kinds::machine::status::{Facts, Heard, Leaving, status};
use crate::kinds::machine::{Claim, claim};
use crate::kinds::{Outlook, Refusal, agents, credentials, is_deleting, placement, valid};
use crate::queue::{Key, Outcome};

/// Brings one Machine closer to its spec.
pub(super) async fn reconcile(hub: &Hub, key: &Key) -> Result<Outcome, Error> {
    let Some(machine) = hub.caches.machines.find(&key.namespace, &key.name) else {
        return Ok(Outcome::Done);
    };
    if is_deleting(machine.as_ref()) {
        return release::reconcile(hub, &machine).await;
    }
    let machine = if write::is_held(machine.as_ref()) {
        machine
    } else {
        Arc::new(write::hold(hub, machine.as_ref()).await?)
    };
    match place(hub, &machine).await? {
        Ok(home) => settle(hub, &machine, &home).await,
        Err(refusal) => {
            let known = known(hub, &machine);
            let facts = Facts {
                machine: &machine,
                placement: machine
                    .status
                    .as_ref()
                    .and_then(|status| status.placement.clone()),
                provider: None,
                host: None,
                agent: None,
                agent_is_connected: false,
                intent: None,
                inputs: None,
                refusal: Some(refusal),
                heard: known.as_ref().map(|known| &known.heard),
                leaving: Leaving::No,
            };
            say(hub, &machine, &facts).await?;
            Ok(Outcome::Done)
        }
    }
}

/// Where a Machine is.
struct Home {
    host: Arc<BareMetalHost>,
    placement: Placement,
}

/// Finds the host of the Machine, or claims one.
async fn place(hub: &Hub, machine: &Machine) -> Result<Result<Home, Refusal>, Error> {
    match claim(machine, &hub.caches.hosts.all()) {
        Err(refusal) => Ok(Err(refusal)),
        Ok(Claim::Held(host)) => Ok(Ok(Home {
            placement: placement_of(hub, machine, &host),
            host,
        })),
        Ok(Claim::Lost(host)) => {
            info!(host = %host.name_any(), "the claim was gone and is renewed");
            let host = Arc::new(take(hub, machine, &host).await?);
            Ok(Ok(Home {
                placement: placement_of(hub, machine, &host),
                host,
            }))
        }
        Ok(Claim::Adopt(host)) => {
            info!(host = %host.name_any(), "the installation of a previous Machine is taken over");
            let host = Arc::new(take(hub, machine, &host).await?);
            Ok(Ok(Home {
                placement: placement_of(hub, machine, &host),
                host,
            }))
        }
        Ok(Claim::Free) => match valid(&validate::machine(machine)) {
            Ok(()) => choose(hub, machine).await,
            Err(refusal) => Ok(Err(refusal)),
        },
    }
}

/// Chooses provider and host, and claims the host.
async fn choose(hub: &Hub, machine: &Machine) -> Result<Result<Home, Refusal>, Error> {
    let (host, placement) = match decide(hub, machine) {
        Ok(decided) => decided,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let host = match take(hub, machine, &host).await {
        Ok(host) => Arc::new(host),
        Err(error) => {
            hub.reservations.end(machine);
            return Err(error);
        }
    };
    info!(host = %host.name_any(), "placed");
    Ok(Ok(Home { host, placement }))
}

/// Decides where a Machine goes, so that the next decision counts it.
fn decide(hub: &Hub, machine: &Machine) -> Result<(BareMetalHost, Placement), Refusal> {
    let mut reserved = hub.reservations.lock();
    let mut field = hub.field();
    reservations::foresee(&mut field, &reserved);
    let chosen = placement::choose_provider(&field, machine)?;
    let kind = chosen.provider.spec.provider_type;
    if kind != ProviderType::Baremetal {
        return Err(Refusal::stalled(
            Reason::ProviderTypeNotSupported,
            format!(
                "MachineProvider {} is of type {}; this version drives baremetal",
                chosen.provider.name_any(),
                kind.as_str()
            ),
        ));
    }
    compile::image(machine, &chosen.provider)?;
    placement::check_quota(&field, &chosen)?;
    let host = placement::choose_host(&field, machine, &chosen.provider)?;
    let placement = Placement {
        machine_provider: Some(reference(chosen.provider.as_ref())),
        datacenter: chosen.datacenter.as_deref().map(reference),
        host: Some(placed(host)),
    };
    reserved.insert(machine.uid().unwrap_or_default(), placement.clone());
    Ok((host.clone(), placement))
}

/// The object as others refer to it.
fn reference<K: kube::Resource>(object: &K) -> ObjectReference {
    ObjectReference {
        name: object.name_any(),
        namespace: object.namespace(),
    }
}

fn placed(host: &BareMetalHost) -> PlacedHost {
    PlacedHost {
        name: host.name_any(),
        namespace: host.namespace().unwrap_or_default(),
        uid: host.uid().unwrap_or_default(),
    }
}

/// Compare-and-swap of `spec.consumerRef`: fails if anybody changed the host since it was read.
async fn take(hub: &Hub, machine: &Machine, host: &BareMetalHost) -> Result<BareMetalHost, Error> {
    let claim = json!({"spec": {"consumerRef": {
        "name": machine.name_any(),
        "namespace": machine.namespace(),
        "uid": machine.uid(),
    }}});
    fault::before("hub.claim.take");
    let taken = write::change(hub, host, claim, "claim").await;
    fault::after("hub.claim.take");
    taken
}

/// Where the Machine is, as status has it, or made from the claim if a crash came between the two writes.
fn placement_of(hub: &Hub, machine: &Machine, host: &BareMetalHost) -> Placement {
    let before = machine
        .status
        .as_ref()
        .and_then(|status| status.placement.clone());
    // A claim that was written by a reconcile that then failed.
    let decided = || {
        let uid = machine.metadata.uid.as_deref()?;
        hub.reservations.lock().get(uid).cloned()
    };
    let mut placement = before.or_else(decided).unwrap_or_default();
    placement.host = Some(placed(host));
    if placement.machine_provider.is_none() {
        placement.machine_provider = Some(ObjectReference {
            name: host.spec.machine_provider_ref.name.clone(),
            namespace: host.namespace(),
        });
    }
    if placement.datacenter.is_none()
        && !hub.caches.datacenters.all().is_empty()
        && let Ok(chosen) = placement::choose_provider(&hub.field(), machine)
        && let Some(datacenter) = chosen.datacenter
    {
        placement.datacenter = Some(reference(datacenter.as_ref()));
    }
    placement
}

/// What was reported of a Machine.
pub(super) struct Known {
    pub(super) received: Received,
    pub(super) heard: Heard,
}

/// The newest report of a Machine, if one is there and can be read.
pub(super) fn known(hub: &Hub, machine: &Machine) -> Option<Known> {
    let received = hub.dispatch.report(uid_of(machine)?)?;
    match received.report.read::<MachineReport>() {
        Ok(report) => Some(Known {
            heard: Heard::beside(machine.status.as_ref(), report, received.report.generation),
            received,
        }),
        Err(error) => {
            warn!(
                agent = %received.agent.name,
                error = %Chain(&error),
                "a report cannot be read"
            );
            None
        }
    }
}

/// A placed Machine: compile, allot the revision, say it, send it.
async fn settle(hub: &Hub, machine: &Machine, home: &Home) -> Result<Outcome, Error> {
    let provider = provider_of(hub, &home.host);
    let agent = agent_of(hub, machine, &home.host, provider.as_deref());
    let known = known(hub, machine);
    let heard = known.as_ref().map(|known| &known.heard);
    let compiled = provider
        .as_deref()
        .map_err(Clone::clone)
        .and_then(|provider| {
            valid(&validate::machine(machine))?;
            compile_present(hub, machine, &home.host, provider, heard)
        });
    let held = machine
        .status
        .as_ref()
        .and_then(|status| status.intent.as_ref());
    let (outgoing, refusal) = match (&agent, compiled) {
        (Ok(agent), Ok(compiled)) => {
            let inputs = compile::inputs(&compiled.intent);
            let allotted = hub.allot(held, compiled.intent);
            (Some((agent, allotted, compiled.rows, inputs)), None)
        }
        (Err(refusal), _) => (None, Some(refusal.clone())),
        (_, Err(refusal)) => (None, Some(refusal)),
    };
    if refusal
        .as_ref()
        .is_some_and(|refusal| refusal.outlook == Outlook::Looking)
    {
        return Ok(Outcome::Done);
    }
    let facts = Facts {
        machine,
        placement: Some(home.placement.clone()),
        provider: provider.as_deref().ok(),
        host: Some(&home.host),
        agent: agent.as_ref().ok(),
        agent_is_connected: agent.as_ref().is_ok_and(|agent| hub.is_connected(agent)),
        intent: outgoing
            .as_ref()
            .map(|(_, allotted, ..)| allotted.status.clone()),
        inputs: outgoing.as_ref().and_then(|(.., inputs)| *inputs),
        refusal,
        heard,
        leaving: Leaving::No,
    };
    say(hub, machine, &facts).await?;
    hub.reservations.end(machine);
    if let Some((agent, allotted, rows, _)) = outgoing {
        hub.send(agent, allotted, rows);
    }
    if let Some(known) = &known {
        accept(hub, &home.host, known);
    }
    Ok(Outcome::Done)
}

/// The agent may drop a report once everything that it says stands in the API: also the proof, which the host's
/// controller writes.
fn accept(hub: &Hub, host: &BareMetalHost, known: &Known) {
    let report = &known.received.report;
    if let Some(proof) = &known.heard.report.provisioned {
        let wanted = crate::kinds::host::status::as_status(proof);
        let stands = hub
            .caches
            .hosts
            .find(&host.namespace().unwrap_or_default(), &host.name_any())
            .is_some_and(|host| {
                host.status
                    .as_ref()
                    .and_then(|status| status.provisioned.as_ref())
                    == Some(&wanted)
            });
        if !stands {
            hub.wake_host(host);
            return;
        }
    }
    hub.dispatch.accepted(report.object.uid, report.sequence);
}

fn provider_of(hub: &Hub, host: &BareMetalHost) -> Result<Arc<MachineProvider>, Refusal> {
    let name = &host.spec.machine_provider_ref.name;
    let namespace = host.namespace().unwrap_or_default();
    hub.caches.providers.find(&namespace, name).ok_or_else(|| {
        Refusal::waits(
            Reason::ProviderNotFound,
            format!(
                "MachineProvider {namespace}/{name} of BareMetalHost {} does not exist",
                host.name_any()
            ),
        )
    })
}

/// The agent that acts for the Machine: it has to serve the namespace of the host and that of the Machine.
fn agent_of(
    hub: &Hub,
    machine: &Machine,
    host: &BareMetalHost,
    provider: Result<&MachineProvider, &Refusal>,
) -> Result<AgentName, Refusal> {
    let site = agents::site_of(provider.map_err(Clone::clone)?)?;
    let namespaces = [
        host.namespace().unwrap_or_default(),
        machine.namespace().unwrap_or_default(),
    ];
    let mut distinct: Vec<&str> = namespaces.iter().map(String::as_str).collect();
    distinct.dedup();
    // Machine and host are driven by the same agent.
    let held = machine
        .status
        .as_ref()
        .and_then(|status| status.agent.as_deref())
        .or_else(|| {
            host.status
                .as_ref()
                .and_then(|status| status.agent.as_deref())
        });
    agents::choose(&hub.caches.agents.all(), site, &distinct, held, |agent| {
        hub.is_connected(agent)
    })
}

fn compile_present(
    hub: &Hub,
    machine: &Machine,
    host: &Arc<BareMetalHost>,
    provider: &MachineProvider,
    heard: Option<&Heard>,
) -> Result<Compiled, Refusal> {
    let bmc = bmc_row(hub, host)?;
    let user_data = machine.spec.user_data_secret_ref.as_ref().map(|reference| {
        let namespace = machine.namespace().unwrap_or_default();
        hub.secrets.look(&namespace, &reference.name)
    });
    compile::present(&Sources {
        machine,
        host,
        provider,
        bmc: &bmc,
        heard: heard.map(|heard| &heard.report),
        user_data: user_data.as_ref().map(super::secrets::Known::sight),
    })
}

/// The credentials of a host's BMC.
pub(super) fn bmc_row(hub: &Hub, host: &BareMetalHost) -> Result<SecretRow, Refusal> {
    let field = "spec.bmc.credentialsRef";
    let reference = &host.spec.bmc.credentials_ref;
    let own = host.namespace().unwrap_or_default();
    let namespace = reference.namespace.as_deref().unwrap_or(&own);
    let name = reference
        .resolve()
        .map_err(|conflict| {
            Refusal::stalled(Reason::ValidationFailed, format!("{field}: {conflict}"))
        })?
        .ok_or_else(|| {
            Refusal::stalled(
                Reason::ValidationFailed,
                format!("{field}: name is required"),
            )
        })?;
    let known = hub.secrets.look(namespace, name);
    let secret = credentials::secret(known.sight(), namespace, name, &own, field)?;
    credentials::bmc(secret)
}

/// Writes the status and announces what changed.
async fn say(hub: &Hub, machine: &Machine, facts: &Facts<'_>) -> Result<(), Error> {
    let after = status(facts, &Time(jiff::Timestamp::now()));
    // The cache may hold the placement that was written a moment ago, which `machine` does not.
    let current = hub.caches.machines.find(
        &machine.namespace().unwrap_or_default(),
        &machine.name_any(),
    );
    let current = current
        .as_deref()
        .filter(|held| held.uid() == machine.uid())
        .unwrap_or(machine);
    let moved = say::say_since(hub, current, machine.status.as_ref(), &after).await?;
    match moved.map(|moved| (moved.from, moved.to)) {
        Some((Some(MachinePhase::Creating), Some(MachinePhase::Running))) => {
            hub.metrics.machines_provisioned.inc();
        }
        Some((_, Some(MachinePhase::Failed))) => {
            hub.metrics.machine_failures.inc();
        }
        Some(_) | None => {}
    }
    Ok(())
}
