//! BareMetalHost: what goes to the agent, what is said of it, and who may have it.
//!
//! Attachment (`consumerRef`) and health are facts of their own; the phase is derived from both for people.

pub(crate) mod status;

use kube::ResourceExt as _;
use vitistack_api::host::{BareMetalHost, Inspect, Quarantine};
use vitistack_api::machine::Machine;
use vitistack_api::names::{ANNOTATION_ACCEPT, ANNOTATION_FORCE_DELETE, ANNOTATION_INSPECT};
use vitistack_api::validate;
use vitistack_protocol::ids::{Fence, Generation, HubEpoch, ObjectRef, OperationId, Revision, Uid};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::body::encode;
use vitistack_protocol::message::intent::{HostIntent, Intent};
use vitistack_protocol::message::numbered::{BodyKind, Inspection};

use super::target::{self, no_uid};
use super::{Refusal, annotated, annotation_of, generation_of, is_deleting, valid};

#[cfg(test)]
mod tests;

/// The intent of a host, still without its fence. A tombstone is the same with `absent`, and the only one that may do
/// without `bmc`, the UID of the Secret with the BMC's credentials.
///
/// # Errors
///
/// When the spec holds what is not allowed.
pub(crate) fn compile(
    host: &BareMetalHost,
    bmc: Option<Uid>,
    absent: bool,
) -> Result<Intent, Refusal> {
    if !absent {
        valid(&validate::bare_metal_host(host))?;
    }
    let object = target::reference(host).ok_or_else(no_uid)?;
    let token = annotation_of(host, ANNOTATION_INSPECT).unwrap_or_default();
    let consumer = host.spec.consumer_ref.as_ref();
    let wanted = HostIntent {
        target: target::target(host, bmc)?,
        inspection: match host.spec.inspect {
            Some(Inspect::Reboot) => Inspection::Reboot,
            Some(Inspect::Never) => Inspection::Never,
            Some(Inspect::WhenOff) | None => Inspection::WhenOff,
        },
        inspection_operation: OperationId::derive(object.uid, "inspect", token),
        claimed_by: consumer.and_then(|consumer| consumer.uid.parse::<Uid>().ok()),
        provisioned: target::provisioned(host),
        externally_provisioned: host.spec.externally_provisioned.unwrap_or(false),
        extensions: Extensions::default(),
    };
    Ok(Intent {
        fence: Fence {
            epoch: HubEpoch::default(),
            revision: Revision::default(),
        },
        object,
        generation: Generation(generation_of(host)),
        kind: BodyKind::Host,
        body: encode(&wanted),
        absent,
        secrets: target::credentials(bmc),
        extensions: Extensions::default(),
    })
}

/// Whether a Machine that may have been at work is being removed by force, so that its host is held back from now on.
pub(crate) fn is_forced_out(machine: &Machine) -> bool {
    let uid = machine.uid().unwrap_or_default();
    is_deleting(machine)
        && annotated(machine, ANNOTATION_FORCE_DELETE, &uid)
        && machine
            .status
            .as_ref()
            .is_some_and(|status| status.intent.is_some())
}

/// How a quarantine goes on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Hold {
    /// Nothing is held back.
    None,
    /// The host is held back.
    Held(Quarantine),
    /// The site says that nothing is left, or a person accepts what is: the host is given free.
    Ends {
        /// UID of the Machine that was removed.
        machine: String,
    },
}

/// Decides about the quarantine. `is_gone` tells whether the site reported that nothing of a Machine is left.
pub(crate) fn hold(
    host: &BareMetalHost,
    consumer: Option<&Machine>,
    is_gone: impl Fn(&str) -> bool,
) -> Hold {
    let held = host
        .status
        .as_ref()
        .and_then(|status| status.quarantine.clone());
    let Some(held) = held else {
        return match consumer {
            Some(machine) if is_forced_out(machine) => Hold::Held(Quarantine {
                machine_uid: machine.uid().unwrap_or_default(),
                intent: machine
                    .status
                    .as_ref()
                    .and_then(|status| status.intent.clone()),
            }),
            Some(_) | None => Hold::None,
        };
    };
    let machine_is_there =
        consumer.is_some_and(|machine| machine.uid().as_ref() == Some(&held.machine_uid));
    let ended = is_gone(&held.machine_uid) || annotated(host, ANNOTATION_ACCEPT, &held.machine_uid);
    // The Machine goes first: its finalizer waits for nothing but the quarantine.
    if ended && !machine_is_there {
        Hold::Ends {
            machine: held.machine_uid,
        }
    } else {
        Hold::Held(held)
    }
}

/// The Machine of a quarantine as its tombstone names it. Its name is known from the claim, where that is still there.
pub(crate) fn quarantined(host: &BareMetalHost, quarantine: &Quarantine) -> Option<ObjectRef> {
    let uid = quarantine.machine_uid.parse().ok()?;
    let consumer = host
        .spec
        .consumer_ref
        .clone()
        .filter(|consumer| consumer.uid == quarantine.machine_uid)
        .unwrap_or_default();
    Some(ObjectRef {
        uid,
        namespace: consumer.namespace,
        name: consumer.name,
    })
}

/// Whether the host is held back because of this Machine.
pub(crate) fn is_quarantined_for(host: &BareMetalHost, machine: &str) -> bool {
    let status = host.status.as_ref();
    status
        .and_then(|status| status.quarantine.as_ref())
        .is_some_and(|quarantine| quarantine.machine_uid == machine)
}
