//! The shell of the KubernetesProvider controller: references → status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use vitistack_api::conditions::Reason;
use vitistack_api::kubernetes_provider::KubernetesProvider;
use vitistack_api::reference::ObjectReference;
use vitistack_api::refs::Target;

use super::say::say;
use super::{Error, Hub};
use crate::kinds::Refusal;
use crate::kinds::kubernetes_provider::status;
use crate::kinds::placement::permit;
use crate::queue::{Key, Outcome};

/// Says how the KubernetesProvider is.
pub(super) async fn reconcile(hub: &Hub, key: &Key) -> Result<Outcome, Error> {
    let Some(provider) = hub
        .caches
        .kubernetes_providers
        .find(&key.namespace, &key.name)
    else {
        return Ok(Outcome::Done);
    };
    let now = Time(jiff::Timestamp::now());
    let after = status(&provider, references(hub, &provider), &now);
    say(hub, provider.as_ref(), &after).await?;
    Ok(Outcome::Done)
}

/// Whether the objects that the spec names are there and let this one in.
fn references(hub: &Hub, provider: &KubernetesProvider) -> Result<(), Refusal> {
    let home = provider.namespace().unwrap_or_default();
    let spec = &provider.spec;
    if let Some(reference) = &spec.datacenter_ref {
        let (field, kind) = ("spec.datacenterRef", "Datacenter");
        let own = reference.namespace.as_deref().unwrap_or(&home);
        let found = hub.caches.datacenters.find(own, &reference.name);
        let found = found
            .ok_or_else(|| missing(field, kind, Reason::DatacenterNotFound, reference, own))?;
        let allowed = found.spec.allowed_namespaces.as_ref();
        permit(field, target(kind, own, reference), allowed, &home)?;
    }
    if let Some(reference) = &spec.machine_provider_ref {
        let (field, kind) = ("spec.machineProviderRef", "MachineProvider");
        let own = reference.namespace.as_deref().unwrap_or(&home);
        let found = hub.caches.providers.find(own, &reference.name);
        let found =
            found.ok_or_else(|| missing(field, kind, Reason::ProviderNotFound, reference, own))?;
        let allowed = found.spec.allowed_namespaces.as_ref();
        permit(field, target(kind, own, reference), allowed, &home)?;
    }
    Ok(())
}

fn target<'a>(
    kind: &'static str,
    namespace: &'a str,
    reference: &'a ObjectReference,
) -> Target<'a> {
    Target {
        kind,
        namespace,
        name: &reference.name,
    }
}

fn missing(
    field: &str,
    kind: &str,
    reason: Reason,
    reference: &ObjectReference,
    own: &str,
) -> Refusal {
    Refusal::waits(
        reason,
        format!("{field}: {kind} {own}/{} does not exist", reference.name),
    )
}
