//! What a controller says of its object: the status, and an Event where that is a transition.
//!
//! The one road from a computed status to the API, the same for every kind.

use std::fmt::Debug;

use kube::core::object::HasStatus;
use serde::Serialize;
use tracing::info;
use vitistack_api::agent::{AgentPhase, AgentStatus};
use vitistack_api::conditions::Condition;
use vitistack_api::datacenter::{DatacenterPhase, DatacenterStatus};
use vitistack_api::host::{BareMetalHostStatus, HostPhase};
use vitistack_api::kubernetes_provider::{KubernetesPhase, KubernetesProviderStatus};
use vitistack_api::machine::{MachinePhase, MachineStatus};
use vitistack_api::machine_provider::{MachineProviderStatus, ProviderPhase};

use super::wakes::Woken;
use super::{Error, Hub, events, write};

/// What every status has.
pub(super) trait Status: Serialize + Sync {
    /// The kind's phases.
    type Phase: Copy + Debug + PartialEq + Send;

    /// Where the object is.
    fn phase(&self) -> Option<Self::Phase>;

    /// How it is.
    fn conditions(&self) -> &[Condition];
}

/// A change of phase that was written.
pub(super) struct Moved<P> {
    pub(super) from: Option<P>,
    pub(super) to: Option<P>,
}

/// Writes the status of `object` if `after` differs from it, and announces the transition.
pub(super) async fn say<K>(
    hub: &Hub,
    object: &K,
    after: &K::Status,
) -> Result<Option<Moved<<K::Status as Status>::Phase>>, Error>
where
    K: Woken + HasStatus,
    K::Status: Status,
{
    say_since(hub, object, object.status(), after).await
}

/// The same where `object` was written to in between without a word: `heard` is what was announced last.
pub(super) async fn say_since<K>(
    hub: &Hub,
    object: &K,
    heard: Option<&K::Status>,
    after: &K::Status,
) -> Result<Option<Moved<<K::Status as Status>::Phase>>, Error>
where
    K: Woken + HasStatus,
    K::Status: Status,
{
    let written = write::status(hub, object, object.status(), after).await?;
    if written.is_none() {
        return Ok(None);
    }
    let (from, to) = (heard.and_then(Status::phase), after.phase());
    let announcement = events::transition(
        object.object_ref(&()),
        (from, to),
        heard.map_or(&[], Status::conditions),
        after.conditions(),
    );
    if let Some(announcement) = announcement {
        hub.events.announce(announcement);
    }
    if from == to {
        return Ok(None);
    }
    let text = |phase: Option<_>| phase.map(|phase| format!("{phase:?}"));
    let generation = object.meta().generation;
    info!(generation, old = text(from), new = text(to), "phase");
    Ok(Some(Moved { from, to }))
}

impl Status for AgentStatus {
    type Phase = AgentPhase;

    fn phase(&self) -> Option<AgentPhase> {
        self.phase
    }

    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Status for BareMetalHostStatus {
    type Phase = HostPhase;

    fn phase(&self) -> Option<HostPhase> {
        self.phase
    }

    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Status for DatacenterStatus {
    type Phase = DatacenterPhase;

    fn phase(&self) -> Option<DatacenterPhase> {
        self.phase
    }

    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Status for KubernetesProviderStatus {
    type Phase = KubernetesPhase;

    fn phase(&self) -> Option<KubernetesPhase> {
        self.phase
    }

    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Status for MachineProviderStatus {
    type Phase = ProviderPhase;

    fn phase(&self) -> Option<ProviderPhase> {
        self.phase
    }

    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Status for MachineStatus {
    type Phase = MachinePhase;

    fn phase(&self) -> Option<MachinePhase> {
        self.phase
    }

    fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}
