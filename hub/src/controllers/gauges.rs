//! Gauges of the objects' states, computed from the caches when somebody reads `/metrics`.

use kube::ResourceExt as _;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use vitistack_api::conditions::{Condition, is_true, types};

use super::{Hub, WORKERS};
use crate::kinds::placement;
use crate::metrics::{Controller, QueueName};
use crate::queue::Kind;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DatacenterLabel {
    namespace: String,
    datacenter: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MemberLabel {
    namespace: String,
    datacenter: String,
    provider: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProviderLabel {
    namespace: String,
    provider: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AgentLabel {
    site: String,
    agent: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DepthLabel {
    controller: &'static str,
    queue_type: &'static str,
}

fn family<
    L: Clone + std::fmt::Debug + Eq + std::hash::Hash + EncodeLabelSet + Send + Sync + 'static,
>(
    registry: &mut Registry,
    name: &str,
    help: &str,
) -> Family<L, Gauge> {
    let family = Family::default();
    registry.register(name, help, family.clone());
    family
}

fn ready(conditions: Option<&Vec<Condition>>) -> i64 {
    i64::from(conditions.is_some_and(|conditions| is_true(conditions, types::READY)))
}

/// Registers every gauge with its value of now.
pub(crate) fn compute(hub: &Hub, registry: &mut Registry) {
    queues(hub, registry);
    datacenters(hub, registry);
    providers(hub, registry);
    machines(hub, registry);
    agents(hub, registry);
}

fn queues(hub: &Hub, registry: &mut Registry) {
    let depth = family(registry, "workqueue_depth", "Keys that wait for a worker");
    let ours = family(
        registry,
        "vitistack_queue_depth",
        "Keys that wait for a worker",
    );
    let most = family(
        registry,
        "controller_runtime_max_concurrent_reconciles",
        "Most reconciles at a time; all controllers share them",
    );
    for kind in Kind::ALL {
        let controller = kind.controller();
        let keys = i64::try_from(hub.queue.depth(kind)).unwrap_or(i64::MAX);
        depth
            .get_or_create(&QueueName { name: controller })
            .set(keys);
        let queue_type = "reconcile";
        ours.get_or_create(&DepthLabel {
            controller,
            queue_type,
        })
        .set(keys);
        let workers = i64::try_from(WORKERS).unwrap_or(i64::MAX);
        most.get_or_create(&Controller { controller }).set(workers);
    }
}

fn datacenters(hub: &Hub, registry: &mut Registry) {
    let is_ready = family(
        registry,
        "vitistack_datacenter_ready",
        "Whether the Datacenter is Ready",
    );
    let healthy = family(
        registry,
        "vitistack_datacenter_provider_healthy",
        "Whether a provider of the Datacenter is usable",
    );
    let carried = family(
        registry,
        "vitistack_datacenter_machines",
        "Machines that count in it",
    );
    for datacenter in hub.caches.datacenters.all() {
        let label = DatacenterLabel {
            namespace: datacenter.namespace().unwrap_or_default(),
            datacenter: datacenter.name_any(),
        };
        let Some(status) = &datacenter.status else {
            is_ready.get_or_create(&label).set(0);
            continue;
        };
        is_ready
            .get_or_create(&label)
            .set(ready(Some(&status.conditions)));
        let machines = i64::from(status.active_machines.unwrap_or(0));
        carried.get_or_create(&label).set(machines);
        for member in &status.provider_statuses {
            let member_label = MemberLabel {
                namespace: label.namespace.clone(),
                datacenter: label.datacenter.clone(),
                provider: member.name.clone(),
            };
            healthy
                .get_or_create(&member_label)
                .set(i64::from(member.healthy == Some(true)));
        }
    }
}

fn providers(hub: &Hub, registry: &mut Registry) {
    let used = family(
        registry,
        "vitistack_provider_quota_used",
        "Machines of the provider",
    );
    let limit = family(
        registry,
        "vitistack_provider_quota_limit",
        "Machines that it may carry",
    );
    let is_ready = family(
        registry,
        "vitistack_provider_ready",
        "Whether the provider is Ready",
    );
    let machines = hub.caches.machines.all();
    for provider in hub.caches.providers.all() {
        let label = ProviderLabel {
            namespace: provider.namespace().unwrap_or_default(),
            provider: provider.name_any(),
        };
        used.get_or_create(&label)
            .set(placement::provider_usage(&machines, &provider));
        let offers = provider.spec.capabilities.as_ref();
        if let Some(most) = offers.and_then(|offers| offers.max_machines) {
            limit.get_or_create(&label).set(most);
        }
        let conditions = provider.status.as_ref().map(|status| &status.conditions);
        is_ready.get_or_create(&label).set(ready(conditions));
    }
}

fn machines(hub: &Hub, registry: &mut Registry) {
    let machines = family(registry, "vitistack_machines", "Machines by phase");
    for machine in hub.caches.machines.all() {
        let phase = machine.status.as_ref().and_then(|status| status.phase);
        let phase = phase.map_or_else(|| "Unknown".to_owned(), |phase| format!("{phase:?}"));
        machines.get_or_create(&PhaseLabel { phase }).inc();
    }
    let hosts = family(
        registry,
        "vitistack_baremetalhosts",
        "BareMetalHosts by phase",
    );
    for host in hub.caches.hosts.all() {
        let phase = host.status.as_ref().and_then(|status| status.phase);
        let phase = phase.map_or_else(|| "Unknown".to_owned(), |phase| format!("{phase:?}"));
        hosts.get_or_create(&PhaseLabel { phase }).inc();
    }
}

fn agents(hub: &Hub, registry: &mut Registry) {
    let connected = family(
        registry,
        "vitistack_agent_connected",
        "Whether a session is open",
    );
    let outbox = family(
        registry,
        "vitistack_agent_outbox_reports",
        "Reports that wait at the agent",
    );
    let objects = family(
        registry,
        "vitistack_agent_objects",
        "Objects that the agent holds",
    );
    let free = family(
        registry,
        "vitistack_agent_data_free_bytes",
        "Free bytes of its data directory",
    );
    for agent in hub.caches.agents.all() {
        let label = AgentLabel {
            site: agent.spec.site.clone(),
            agent: agent.name_any(),
        };
        connected.get_or_create(&label).set(0);
    }
    for session in hub.dispatch.sessions() {
        let label = AgentLabel {
            site: session.agent.site,
            agent: session.agent.name,
        };
        connected.get_or_create(&label).set(1);
        let Some(health) = session.health else {
            continue;
        };
        outbox.get_or_create(&label).set(i64::from(health.outbox));
        objects.get_or_create(&label).set(i64::from(health.objects));
        free.get_or_create(&label)
            .set(i64::try_from(health.data_free_bytes).unwrap_or(i64::MAX));
    }
}
