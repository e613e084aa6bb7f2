//! A BareMetalHost as an intent describes it: how to reach its BMC and which NIC boots.

use vitistack_api::conditions::Reason;
use vitistack_api::host::{BareMetalHost, BootMode, RootDeviceHints};
use vitistack_protocol::ids::{Digest, ObjectRef, OperationId, Uid};
use vitistack_protocol::message::intent::{
    BmcTrust, HostTarget, Provisioned, RootHints, SecretName,
};
use vitistack_protocol::message::numbered;

use super::Refusal;
use crate::cache::uid_of;

/// The object as intents and reports name it; `None` for one that the API has not given a UID.
pub(crate) fn reference<K: kube::Resource>(object: &K) -> Option<ObjectRef> {
    Some(ObjectRef {
        uid: uid_of(object)?,
        namespace: object.meta().namespace.clone().unwrap_or_default(),
        name: object.meta().name.clone().unwrap_or_default(),
    })
}

/// The target of both bodies. `credentials` is the UID of the Secret with those of the BMC.
///
/// # Errors
///
/// When the boot MAC is none, which the schema refuses.
pub(crate) fn target(
    host: &BareMetalHost,
    credentials: Option<Uid>,
) -> Result<HostTarget, Refusal> {
    let spec = &host.spec;
    let boot_mac = spec.boot_mac_bytes().ok_or_else(|| {
        Refusal::stalled(
            Reason::ValidationFailed,
            format!(
                "spec.bootMAC {:?} is not six hexadecimal bytes with colons",
                spec.boot_mac
            ),
        )
    })?;
    Ok(HostTarget {
        host: reference(host).ok_or_else(no_uid)?,
        bmc_address: spec.bmc.address.clone(),
        credentials,
        trust: trust(host),
        boot_mac,
        boot_mode: match spec.wanted_boot_mode() {
            BootMode::Uefi => numbered::BootMode::Uefi,
            BootMode::Legacy => numbered::BootMode::Legacy,
        },
        maintenance: spec.maintenance.unwrap_or(false),
    })
}

/// What an intent lists for the credentials that its target names.
pub(crate) fn credentials(uid: Option<Uid>) -> Vec<SecretName> {
    uid.map(SecretName::of_credentials).into_iter().collect()
}

pub(crate) fn no_uid() -> Refusal {
    Refusal::stalled(Reason::InternalError, "the object has no metadata.uid")
}

/// With neither a bundle nor a fingerprint in the spec, the certificate that was seen first is the pin.
fn trust(host: &BareMetalHost) -> BmcTrust {
    let tls = host.spec.bmc.tls.clone().unwrap_or_default();
    let ca_bundle = tls.ca_bundle.clone().unwrap_or_default();
    let insecure = tls.insecure.unwrap_or(false);
    let pinned = || {
        let status = host.status.as_ref()?;
        status.bmc_certificate.as_ref()?.sha256.parse().ok()
    };
    let pin = match tls.fingerprint() {
        Some(fingerprint) => Some(Digest(fingerprint)),
        None if insecure || !ca_bundle.is_empty() => None,
        None => pinned(),
    };
    BmcTrust {
        ca_bundle,
        pin,
        insecure,
    }
}

/// Root device hints as the agent takes them.
pub(crate) fn root_hints(hints: Option<&RootDeviceHints>) -> RootHints {
    let Some(hints) = hints else {
        return RootHints::default();
    };
    let RootDeviceHints {
        device_name,
        hctl,
        model,
        vendor,
        serial_number,
        wwn,
        min_size_gigabytes,
        rotational,
    } = hints.clone();
    RootHints {
        device_name,
        hctl,
        model,
        vendor,
        serial_number,
        wwn,
        min_size_gigabytes: min_size_gigabytes
            .map(|size| u32::try_from(size.max(0)).unwrap_or(u32::MAX)),
        rotational,
    }
}

/// The proof in `status.provisioned`, as it goes back with every intent. One that cannot be read counts as none.
pub(crate) fn provisioned(host: &BareMetalHost) -> Option<Provisioned> {
    let held = host.status.as_ref()?.provisioned.as_ref()?;
    Some(Provisioned {
        machine: held.machine_uid.parse().ok()?,
        operation: operation(&held.operation_id)?,
        image: held.image_digest.parse().ok()?,
        disk: held.disk.clone(),
    })
}

/// Reads an operation id as `Display` writes it.
fn operation(text: &str) -> Option<OperationId> {
    let mut id = [0; 16];
    hex::decode_to_slice(text, &mut id).ok()?;
    Some(OperationId(id))
}
