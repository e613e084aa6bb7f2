//! Placements that were decided and do not stand in the API yet.
//!
//! A decision looks at quotas and free hosts, so two at once could both take the last place. The lock is held while one
//! is made, which is pure and short, and what was decided counts for the next one from then on: until the Machine's
//! status says it, or the claim was refused. So the writes of many Machines go on side by side.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::ResourceExt as _;
use vitistack_api::host::BareMetalHost;
use vitistack_api::machine::{Machine, Placement};
use vitistack_api::reference::{ConsumerReference, ObjectReference};

use crate::kinds::placement::Field;

#[cfg(test)]
mod tests;

/// By UID of the Machine.
pub(super) type Reserved = HashMap<String, Placement>;

/// The decisions.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    reserved: Mutex<Reserved>,
}

impl Reservations {
    /// For one decision.
    pub(super) fn lock(&self) -> MutexGuard<'_, Reserved> {
        // Entries go in and out whole, so what a panicking holder left is whole too.
        self.reserved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The API says it now, or it never will.
    pub(super) fn end(&self, machine: &Machine) {
        if let Some(uid) = &machine.metadata.uid {
            self.lock().remove(uid);
        }
    }
}

/// The field as it is once everything stands in the API that was decided: reserved hosts are claimed, and Machines with
/// a reservation or a claim are placed.
pub(super) fn foresee(field: &mut Field, reserved: &Reserved) {
    let claims: HashMap<&str, &BareMetalHost> = field
        .hosts
        .iter()
        .filter_map(|host| Some((host.spec.consumer_ref.as_ref()?.uid.as_str(), host.as_ref())))
        .collect();
    let mut taken: HashMap<&str, ConsumerReference> = HashMap::new();
    for machine in &mut field.machines {
        let Some(uid) = machine.metadata.uid.as_deref() else {
            continue;
        };
        let is_placed = machine
            .status
            .as_ref()
            .is_some_and(|status| status.placement.is_some());
        let decided = reserved.get(uid);
        if let Some(host) = decided.and_then(|placement| placement.host.as_ref()) {
            let consumer = ConsumerReference {
                name: machine.name_any(),
                namespace: machine.namespace().unwrap_or_default(),
                uid: uid.to_owned(),
            };
            taken.insert(&host.uid, consumer);
        }
        let placement = decided
            .cloned()
            .or_else(|| claims.get(uid).map(|host| by_claim(host)));
        if !is_placed && placement.is_some() {
            let mut placed = Machine::clone(machine);
            placed.status.get_or_insert_default().placement = placement;
            *machine = Arc::new(placed);
        }
    }
    for host in &mut field.hosts {
        let consumer = host
            .metadata
            .uid
            .as_deref()
            .and_then(|uid| taken.remove(uid));
        if host.spec.consumer_ref.is_none() && consumer.is_some() {
            let mut claimed = BareMetalHost::clone(host);
            claimed.spec.consumer_ref = consumer;
            *host = Arc::new(claimed);
        }
    }
}

/// As far as the claim tells.
fn by_claim(host: &BareMetalHost) -> Placement {
    Placement {
        machine_provider: Some(ObjectReference {
            name: host.spec.machine_provider_ref.name.clone(),
            namespace: host.namespace(),
        }),
        ..Placement::default()
    }
}
