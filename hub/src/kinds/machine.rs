//! Machine: what goes to the agent ([`compile`]), and what is said of it ([`status`]).

pub(crate) mod compile;
pub(crate) mod status;

use std::sync::Arc;

use kube::ResourceExt as _;
use vitistack_api::conditions::Reason;
use vitistack_api::host::BareMetalHost;
use vitistack_api::machine::Machine;
use vitistack_api::names::ANNOTATION_ADOPT;
use vitistack_api::reference::ConsumerReference;

use super::{Refusal, annotated};

#[cfg(test)]
mod tests;

/// How a Machine and the hosts stand to one another. `BareMetalHost.spec.consumerRef` is the truth of placement.
#[derive(Clone, Debug)]
pub(crate) enum Claim {
    /// This host is claimed by the Machine.
    Held(Arc<BareMetalHost>),
    /// This host was, as status says, and nobody claims it now: the claim is renewed.
    Lost(Arc<BareMetalHost>),
    /// This host carries a Machine of the same name and another UID, and may be taken over.
    Adopt(Arc<BareMetalHost>),
    /// None; it can be placed.
    Free,
}

fn consumer(host: &BareMetalHost) -> Option<&ConsumerReference> {
    host.spec.consumer_ref.as_ref()
}

/// Finds the host of a Machine.
///
/// # Errors
///
/// When its host is gone or carries a previous Machine of its name, so that nothing may be written anywhere.
pub(crate) fn claim(machine: &Machine, hosts: &[Arc<BareMetalHost>]) -> Result<Claim, Refusal> {
    let uid = machine.uid().unwrap_or_default();
    let name = machine.name_any();
    let namespace = machine.namespace().unwrap_or_default();
    if let Some(held) = hosts
        .iter()
        .find(|host| consumer(host).is_some_and(|consumer| consumer.uid == uid))
    {
        return Ok(Claim::Held(held.clone()));
    }
    let status = machine.status.as_ref();
    if let Some(placed) = status
        .and_then(|status| status.placement.as_ref())
        .and_then(|placement| placement.host.as_ref())
    {
        let host = hosts
            .iter()
            .find(|host| host.uid().as_deref() == Some(placed.uid.as_str()));
        return match host {
            Some(host) if host.spec.consumer_ref.is_none() => Ok(Claim::Lost(host.clone())),
            Some(_) | None => Err(Refusal::stalled(
                Reason::HostNotFound,
                format!(
                    "BareMetalHost {}/{} that carried this Machine is gone or claimed by another one",
                    placed.namespace, placed.name
                ),
            )),
        };
    }
    let previous = hosts.iter().find(|host| {
        // A quarantined host waits for its cleaning; a new Machine of that name is a new Machine.
        let held_back = host
            .status
            .as_ref()
            .is_some_and(|status| status.quarantine.is_some());
        !held_back
            && consumer(host)
                .is_some_and(|consumer| consumer.name == name && consumer.namespace == namespace)
    });
    let Some(host) = previous else {
        return Ok(Claim::Free);
    };
    let old = consumer(host)
        .map(|consumer| consumer.uid.clone())
        .unwrap_or_default();
    if annotated(machine, ANNOTATION_ADOPT, &old) {
        return Ok(Claim::Adopt(host.clone()));
    }
    Err(Refusal::stalled(
        Reason::HostClaimedByPrevious,
        format!(
            "BareMetalHost {}/{} carries a previous Machine of this name with UID {old}; to take its installation over \
             set the annotation {ANNOTATION_ADOPT}={old} on this Machine",
            host.namespace().unwrap_or_default(),
            host.name_any()
        ),
    ))
}
