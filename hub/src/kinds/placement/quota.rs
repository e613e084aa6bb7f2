//! Quotas: how many Machines a Datacenter and a provider carry, and whether there is room for one more.

use std::sync::Arc;

use kube::ResourceExt as _;
use vitistack_api::conditions::Reason;
use vitistack_api::datacenter::Datacenter;
use vitistack_api::machine::Machine;
use vitistack_api::machine_provider::MachineProvider;

use super::Field;
use super::provider::{Chosen, lists};
use crate::kinds::Refusal;

/// What a Datacenter carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) machines: i64,
}

/// Machines that count in `datacenter`: those placed in it, and those of a provider that it lists and that count in no
/// other one.
pub(crate) fn usage(field: &Field, datacenter: &Datacenter) -> Usage {
    let listed: Vec<&Arc<MachineProvider>> = field
        .providers
        .iter()
        .filter(|provider| lists(datacenter, provider))
        .collect();
    let counted = field.machines.iter().filter(|machine| {
        let Some(placement) = machine
            .status
            .as_ref()
            .and_then(|status| status.placement.as_ref())
        else {
            return false;
        };
        match &placement.datacenter {
            Some(reference) => {
                reference.name == datacenter.name_any()
                    && reference.namespace == datacenter.namespace()
            }
            None => placement
                .machine_provider
                .as_ref()
                .is_some_and(|reference| {
                    listed.iter().any(|provider| {
                        reference.name == provider.name_any()
                            && reference.namespace == provider.namespace()
                    })
                }),
        }
    });
    Usage {
        machines: i64::try_from(counted.count()).unwrap_or(i64::MAX),
    }
}

/// Machines placed on `provider`.
pub(crate) fn provider_usage(machines: &[Arc<Machine>], provider: &MachineProvider) -> i64 {
    let counted = machines.iter().filter(|machine| {
        let placement = machine
            .status
            .as_ref()
            .and_then(|status| status.placement.as_ref());
        placement
            .and_then(|placement| placement.machine_provider.as_ref())
            .is_some_and(|reference| {
                reference.name == provider.name_any() && reference.namespace == provider.namespace()
            })
    });
    i64::try_from(counted.count()).unwrap_or(i64::MAX)
}

/// Whether there is room for one more Machine.
///
/// # Errors
///
/// When a quota of the Datacenter, of any Datacenter that lists the provider if the Machine counts in none, or of the
/// provider itself is used up.
pub(crate) fn check(field: &Field, chosen: &Chosen) -> Result<(), Refusal> {
    let concerned: Vec<&Arc<Datacenter>> = match &chosen.datacenter {
        Some(datacenter) => vec![datacenter],
        None => field
            .datacenters
            .iter()
            .filter(|datacenter| lists(datacenter, &chosen.provider))
            .collect(),
    };
    for datacenter in concerned {
        let quotas = datacenter.spec.resource_quotas.as_ref();
        let Some(limit) = quotas.and_then(|quotas| quotas.max_machines).map(i64::from) else {
            continue;
        };
        let used = usage(field, datacenter).machines;
        if used >= limit {
            return Err(Refusal::waits(
                Reason::QuotaExceeded,
                format!(
                    "Datacenter {}/{} carries {used} Machines, spec.resourceQuotas.maxMachines is {limit}",
                    datacenter.namespace().unwrap_or_default(),
                    datacenter.name_any()
                ),
            ));
        }
    }
    let offers = chosen.provider.spec.capabilities.as_ref();
    if let Some(limit) = offers.and_then(|offers| offers.max_machines) {
        let used = provider_usage(&field.machines, &chosen.provider);
        if used >= limit {
            return Err(Refusal::waits(
                Reason::InsufficientCapacity,
                format!(
                    "MachineProvider {} carries {used} Machines, spec.capabilities.maxMachines is {limit}",
                    chosen.provider.name_any()
                ),
            ));
        }
    }
    Ok(())
}
