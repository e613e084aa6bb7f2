//! What the controllers need of every kind, whichever it is.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;
use vitistack_api::agent::Agent;
use vitistack_api::datacenter::Datacenter;
use vitistack_api::host::BareMetalHost;
use vitistack_api::kubernetes_provider::KubernetesProvider;
use vitistack_api::machine::Machine;
use vitistack_api::machine_provider::MachineProvider;

use super::Hub;
use crate::cache::Cache;

/// What every kind of ours is.
pub(super) trait Object:
    Resource<DynamicType = (), Scope = NamespaceResourceScope>
    + Clone
    + Debug
    + DeserializeOwned
    + Serialize
    + Send
    + Sync
{
    /// The controller that writes it, for metrics.
    const CONTROLLER: &'static str;

    /// The cache of its kind.
    fn cache(hub: &Hub) -> &Cache<Self>;
}

impl Object for Datacenter {
    const CONTROLLER: &'static str = "datacenter";

    fn cache(hub: &Hub) -> &Cache<Self> {
        &hub.caches.datacenters
    }
}

impl Object for MachineProvider {
    const CONTROLLER: &'static str = "machineprovider";

    fn cache(hub: &Hub) -> &Cache<Self> {
        &hub.caches.providers
    }
}

impl Object for KubernetesProvider {
    const CONTROLLER: &'static str = "kubernetesprovider";

    fn cache(hub: &Hub) -> &Cache<Self> {
        &hub.caches.kubernetes_providers
    }
}

impl Object for Machine {
    const CONTROLLER: &'static str = "machine";

    fn cache(hub: &Hub) -> &Cache<Self> {
        &hub.caches.machines
    }
}

impl Object for BareMetalHost {
    const CONTROLLER: &'static str = "baremetalhost";

    fn cache(hub: &Hub) -> &Cache<Self> {
        &hub.caches.hosts
    }
}

impl Object for Agent {
    const CONTROLLER: &'static str = "agent";

    fn cache(hub: &Hub) -> &Cache<Self> {
        &hub.caches.agents
    }
}
