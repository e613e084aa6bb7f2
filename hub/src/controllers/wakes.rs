//! Who has to look again when something changed.
//!
//! A wake is only a hint: too many cost a look at the caches, a missing one is healed by the resync. So these rules
//! prefer the wider circle where the exact one would have to be computed.

use std::sync::Arc;

use kube::ResourceExt as _;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use vitistack_api::agent::Agent;
use vitistack_api::datacenter::Datacenter;
use vitistack_api::host::BareMetalHost;
use vitistack_api::kubernetes_provider::KubernetesProvider;
use vitistack_api::machine::Machine;
use vitistack_api::machine_provider::MachineProvider;
use vitistack_protocol::identity::AgentName;
use vitistack_protocol::ids::Uid;

use super::object::Object;
use super::{Hub, RESYNC, RETURN};
use crate::dispatch::Change;
use crate::kinds::host::status::is_news;
use crate::kinds::is_deleting;
use crate::queue::{Key, Kind, Priority};

#[cfg(test)]
mod tests;

/// A kind whose changes wake others.
pub(super) trait Woken: Object {
    /// The object changed, or is new.
    fn changed(hub: &Hub, object: &Self, before: Option<&Self>);
    /// The object is gone.
    fn gone(hub: &Hub, object: &Self);
}

fn key<K: kube::Resource>(kind: Kind, object: &K) -> Key {
    Key {
        kind,
        namespace: object.meta().namespace.clone().unwrap_or_default(),
        name: object.meta().name.clone().unwrap_or_default(),
    }
}

fn urgency<K: kube::Resource>(object: &K, before: Option<&K>) -> Priority {
    let new = before.is_none_or(|before| before.meta().uid != object.meta().uid);
    if new || is_deleting(object) {
        Priority::NewOrDeleted
    } else {
        Priority::Update
    }
}

impl Hub {
    fn wake<K: kube::Resource>(&self, kind: Kind, object: &K) {
        self.queue.add(key(kind, object), Priority::Update);
    }

    fn wake_datacenters(&self, priority: Priority) {
        for datacenter in self.caches.datacenters.all() {
            let datacenter = key(Kind::Datacenter, datacenter.as_ref());
            self.queue.add(datacenter, priority);
        }
    }

    fn wake_kubernetes_providers(&self) {
        for provider in self.caches.kubernetes_providers.all() {
            self.wake(Kind::KubernetesProvider, provider.as_ref());
        }
    }

    fn wake_providers(&self, priority: Priority, choose: impl Fn(&MachineProvider) -> bool) {
        for provider in self.caches.providers.select(choose) {
            let provider = key(Kind::MachineProvider, provider.as_ref());
            self.queue.add(provider, priority);
        }
    }

    fn wake_hosts(&self, priority: Priority, choose: impl Fn(&BareMetalHost) -> bool) {
        for host in self.caches.hosts.select(choose) {
            let host = key(Kind::BareMetalHost, host.as_ref());
            self.queue.add(host, priority);
        }
    }

    fn wake_machines(&self, choose: impl Fn(&Machine) -> bool) {
        for machine in self.caches.machines.select(choose) {
            self.wake(Kind::Machine, machine.as_ref());
        }
    }

    /// Wakes everything, behind all other work.
    pub(super) fn queue_resync(&self) {
        let caches = &self.caches;
        let mut keys: Vec<Key> = Vec::new();
        keys.extend(
            caches
                .agents
                .all()
                .iter()
                .map(|object| key(Kind::Agent, object.as_ref())),
        );
        keys.extend(
            caches
                .providers
                .all()
                .iter()
                .map(|object| key(Kind::MachineProvider, object.as_ref())),
        );
        keys.extend(
            caches
                .datacenters
                .all()
                .iter()
                .map(|object| key(Kind::Datacenter, object.as_ref())),
        );
        keys.extend(
            caches
                .kubernetes_providers
                .all()
                .iter()
                .map(|object| key(Kind::KubernetesProvider, object.as_ref())),
        );
        keys.extend(
            caches
                .hosts
                .all()
                .iter()
                .map(|object| key(Kind::BareMetalHost, object.as_ref())),
        );
        keys.extend(
            caches
                .machines
                .all()
                .iter()
                .map(|object| key(Kind::Machine, object.as_ref())),
        );
        for key in keys {
            self.queue.add(key, Priority::Resync);
        }
    }

    /// Wakes a Machine by UID.
    pub(super) fn wake_machine(&self, uid: Uid) {
        if let Some(machine) = self.caches.machines.by_uid(uid) {
            self.wake(Kind::Machine, machine.as_ref());
        }
    }

    /// Wakes a host.
    pub(super) fn wake_host(&self, host: &BareMetalHost) {
        self.wake(Kind::BareMetalHost, host);
    }
}

fn is_unplaced(machine: &Machine) -> bool {
    machine
        .status
        .as_ref()
        .is_none_or(|status| status.placement.is_none())
}

impl Woken for Datacenter {
    fn changed(hub: &Hub, object: &Self, before: Option<&Self>) {
        hub.queue
            .add(key(Kind::Datacenter, object), urgency(object, before));
        if before.is_none_or(|before| before.spec != object.spec) {
            hub.wake_machines(is_unplaced);
            hub.wake_kubernetes_providers();
        }
    }

    fn gone(hub: &Hub, _: &Self) {
        hub.wake_machines(is_unplaced);
        hub.wake_kubernetes_providers();
    }
}

impl Woken for KubernetesProvider {
    fn changed(hub: &Hub, object: &Self, before: Option<&Self>) {
        hub.queue.add(
            key(Kind::KubernetesProvider, object),
            urgency(object, before),
        );
        hub.wake_datacenters(Priority::Update);
    }

    fn gone(hub: &Hub, _: &Self) {
        hub.wake_datacenters(Priority::Update);
    }
}

impl Woken for MachineProvider {
    fn changed(hub: &Hub, object: &Self, before: Option<&Self>) {
        hub.queue
            .add(key(Kind::MachineProvider, object), urgency(object, before));
        around_provider(hub, object);
    }

    fn gone(hub: &Hub, object: &Self) {
        around_provider(hub, object);
    }
}

fn around_provider(hub: &Hub, provider: &MachineProvider) {
    let (name, namespace) = (provider.name_any(), provider.namespace());
    hub.wake_hosts(Priority::Update, |host| {
        host.spec.machine_provider_ref.name == name && host.namespace() == namespace
    });
    hub.wake_machines(|machine| {
        let placement = machine
            .status
            .as_ref()
            .and_then(|status| status.placement.as_ref());
        match placement.and_then(|placement| placement.machine_provider.as_ref()) {
            None => true,
            Some(reference) => reference.name == name && reference.namespace == namespace,
        }
    });
    hub.wake_datacenters(Priority::Update);
    hub.wake_kubernetes_providers();
}

impl Woken for Agent {
    fn changed(hub: &Hub, object: &Self, before: Option<&Self>) {
        hub.queue
            .add(key(Kind::Agent, object), urgency(object, before));
        if before.is_none_or(|before| before.spec != object.spec) {
            around_agents(hub);
        }
    }

    fn gone(hub: &Hub, _: &Self) {
        around_agents(hub);
    }
}

fn around_agents(hub: &Hub) {
    hub.wake_providers(Priority::Update, |_| true);
    hub.wake_hosts(Priority::Update, |_| true);
    hub.wake_machines(|_| true);
}

impl Woken for Machine {
    fn changed(hub: &Hub, object: &Self, before: Option<&Self>) {
        hub.queue
            .add(key(Kind::Machine, object), urgency(object, before));
        // What a host tells of a Machine on its way in is an account; on the way out the host's release hangs on it.
        let priority = if is_deleting(object) {
            Priority::Update
        } else {
            Priority::Account
        };
        around_claim(hub, object, priority);
        let place = |machine: &Self| machine.status.as_ref()?.placement.clone();
        let phase = |machine: &Self| machine.status.as_ref()?.phase;
        if before
            .is_none_or(|before| place(before) != place(object) || phase(before) != phase(object))
        {
            around_count(hub, object);
        }
    }

    fn gone(hub: &Hub, object: &Self) {
        hub.reservations.end(object);
        around_claim(hub, object, Priority::Update);
        around_count(hub, object);
        // A place in a quota may have become free.
        hub.wake_machines(is_unplaced);
    }
}

fn around_claim(hub: &Hub, machine: &Machine, priority: Priority) {
    let uid = machine.uid().unwrap_or_default();
    hub.wake_hosts(priority, |host| {
        is_claimed_by(host, &uid) || is_quarantined_for(host, &uid)
    });
}

fn is_claimed_by(host: &BareMetalHost, machine: &str) -> bool {
    let consumer = host.spec.consumer_ref.as_ref();
    consumer.is_some_and(|consumer| consumer.uid == machine)
}

fn is_quarantined_for(host: &BareMetalHost, machine: &str) -> bool {
    let status = host.status.as_ref();
    status
        .and_then(|status| status.quarantine.as_ref())
        .is_some_and(|quarantine| quarantine.machine_uid == machine)
}

fn around_count(hub: &Hub, machine: &Machine) {
    let placement = machine
        .status
        .as_ref()
        .and_then(|status| status.placement.clone());
    if let Some(reference) = placement.and_then(|placement| placement.machine_provider) {
        hub.wake_providers(Priority::Account, |provider| {
            provider.name_any() == reference.name && provider.namespace() == reference.namespace
        });
    }
    hub.wake_datacenters(Priority::Account);
}

/// A claim is news for the Machine. The host only tells it again, to the API and to the agent, which goes by the Machine's
/// own intent; often with what the site reports next, in one write.
fn host_urgency(host: &BareMetalHost, before: Option<&BareMetalHost>) -> Priority {
    let was_free = before.is_some_and(|before| before.spec.consumer_ref.is_none());
    match urgency(host, before) {
        Priority::Update if was_free && host.spec.consumer_ref.is_some() => Priority::Account,
        urgency => urgency,
    }
}

impl Woken for BareMetalHost {
    fn changed(hub: &Hub, object: &Self, before: Option<&Self>) {
        hub.queue.add(
            key(Kind::BareMetalHost, object),
            host_urgency(object, before),
        );
        let consumer = |host: &Self| host.spec.consumer_ref.clone();
        for uid in [consumer(object), before.and_then(consumer)]
            .into_iter()
            .flatten()
            .filter_map(|consumer| consumer.uid.parse().ok())
        {
            hub.wake_machine(uid);
        }
        if consumer(object).is_none() {
            hub.wake_machines(is_unplaced);
        }
    }

    fn gone(hub: &Hub, object: &Self) {
        let consumer = object.spec.consumer_ref.as_ref();
        if let Some(uid) = consumer.and_then(|consumer| consumer.uid.parse().ok()) {
            hub.wake_machine(uid);
        }
        hub.wake_machines(is_unplaced);
    }
}

/// A Secret changed.
pub(super) fn secret(hub: &Hub, namespace: &str, name: &str) {
    around_secret(hub, namespace, |named| named == Some(name));
}

/// Anything may have changed about the Secrets of a namespace.
pub(super) fn secrets_of(hub: &Hub, namespace: &str) {
    around_secret(hub, namespace, |_| true);
}

fn around_secret(hub: &Hub, namespace: &str, is_named: impl Fn(Option<&str>) -> bool) {
    let names = |reference: &vitistack_api::reference::SecretReference, own: &str| {
        reference.namespace.as_deref().unwrap_or(own) == namespace
            && is_named(reference.resolve().ok().flatten())
    };
    for host in hub.caches.hosts.all() {
        if names(
            &host.spec.bmc.credentials_ref,
            &host.namespace().unwrap_or_default(),
        ) {
            hub.wake(Kind::BareMetalHost, host.as_ref());
            let consumer = host.spec.consumer_ref.as_ref();
            if let Some(uid) = consumer.and_then(|consumer| consumer.uid.parse().ok()) {
                hub.wake_machine(uid);
            }
        }
    }
    hub.wake_machines(|machine| {
        machine.namespace().as_deref() == Some(namespace)
            && machine
                .spec
                .user_data_secret_ref
                .as_ref()
                .is_some_and(|reference| is_named(Some(&reference.name)))
    });
    hub.wake_providers(Priority::Update, |provider| {
        let own = provider.namespace().unwrap_or_default();
        let authentication = provider.spec.authentication.as_ref();
        authentication
            .and_then(|authentication| authentication.credentials_ref.as_ref())
            .is_some_and(|reference| names(reference, &own))
    });
}

/// Listens to dispatch, and wakes everything now and then, until `cancel`.
pub(super) async fn run(hub: Arc<Hub>, cancel: CancellationToken) {
    let mut changes = hub.dispatch.changes();
    // Whoever was waited for and is not back counts as away from now on.
    let waited = tokio::time::sleep_until(hub.started + RETURN);
    tokio::pin!(waited);
    let mut resync = tokio::time::interval(RESYNC);
    resync.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            // All arms are cancel-safe per tokio's documentation.
            () = cancel.cancelled() => return,
            () = &mut waited, if !waited.is_elapsed() => hub.queue_resync(),
            _ = resync.tick() => hub.queue_resync(),
            change = changes.recv() => match change {
                Ok(Change::Report(uid) | Change::Ahead(uid)) => reported(&hub, uid),
                Ok(Change::Session(agent)) => session(&hub, &agent),
                // What an agent stored shows in its next report; a refusal shows in its session.
                Ok(Change::Acked(..)) => {}
                Err(RecvError::Lagged(_)) => hub.queue_resync(),
                Err(RecvError::Closed) => return cancel.cancelled().await,
            },
        }
    }
}

fn reported(hub: &Hub, uid: Uid) {
    hub.wake_machine(uid);
    if let Some(host) = hub.caches.hosts.by_uid(uid) {
        hub.wake_host(&host);
    }
    let text = uid.to_string();
    let report = hub.dispatch.report(uid);
    let concerned = hub
        .caches
        .hosts
        .select(|host| is_claimed_by(host, &text) || is_quarantined_for(host, &text));
    for host in concerned {
        let is_news = is_quarantined_for(&host, &text)
            || report.as_ref().is_none_or(|received| {
                let read = received.report.read().ok();
                read.is_none_or(|report| is_news(&host, &report, received.report.gone))
            });
        let priority = if is_news {
            Priority::Update
        } else {
            Priority::Account
        };
        hub.queue
            .add(key(Kind::BareMetalHost, host.as_ref()), priority);
    }
}

fn session(hub: &Hub, agent: &AgentName) {
    hub.queue.add(
        Key {
            kind: Kind::Agent,
            namespace: hub.namespace.clone(),
            name: agent.name.clone(),
        },
        Priority::Update,
    );
    hub.wake_providers(Priority::Update, |provider| {
        crate::kinds::agents::site_of(provider).is_ok_and(|site| site == agent.site)
    });
    hub.wake_hosts(Priority::Update, |host| {
        belongs(
            host.status
                .as_ref()
                .and_then(|status| status.agent.as_ref()),
            agent,
        )
    });
    hub.wake_machines(|machine| {
        belongs(
            machine
                .status
                .as_ref()
                .and_then(|status| status.agent.as_ref()),
            agent,
        )
    });
}

fn belongs(held: Option<&String>, agent: &AgentName) -> bool {
    held.is_none_or(|held| *held == agent.name)
}
