//! The provider: by reference, by Datacenter, by name, by type.

use std::sync::Arc;

use kube::{Resource, ResourceExt as _};
use vitistack_api::conditions::{Reason, is_true, types};
use vitistack_api::datacenter::Datacenter;
use vitistack_api::machine::Machine;
use vitistack_api::machine_provider::MachineProvider;
use vitistack_api::reference::{AllowedNamespaces, ObjectReference};
use vitistack_api::refs::{self, Target};

use super::Field;
use crate::kinds::{Refusal, is_deleting};

/// Where a Machine goes.
#[derive(Clone, Debug)]
pub(crate) struct Chosen {
    pub(crate) provider: Arc<MachineProvider>,
    /// The Datacenter that it counts in: the one that it names, or the only one that lists the provider.
    pub(crate) datacenter: Option<Arc<Datacenter>>,
}

/// Whether an object of namespace `from` may refer to this one.
///
/// # Errors
///
/// When it may not: names the field to set.
pub(crate) fn permit(
    field: &str,
    target: Target<'_>,
    allowed: Option<&AllowedNamespaces>,
    from: &str,
) -> Result<(), Refusal> {
    refs::object(target, allowed, from)
        .map_err(|error| Refusal::waits(Reason::RefNotPermitted, format!("{field}: {error}")))
}

fn permits(provider: &MachineProvider, from: &str) -> bool {
    let own = provider.namespace().unwrap_or_default();
    let target = Target {
        kind: "MachineProvider",
        namespace: &own,
        name: "",
    };
    refs::object(target, provider.spec.allowed_namespaces.as_ref(), from).is_ok()
}

/// Chooses the provider of a Machine that has none yet.
///
/// # Errors
///
/// When there is not exactly one: the reason, and the candidates.
pub(crate) fn choose(field: &Field, machine: &Machine) -> Result<Chosen, Refusal> {
    let spec = &machine.spec;
    let namespace = machine.namespace().unwrap_or_default();
    let datacenter = match &spec.datacenter_ref {
        Some(reference) => Some(named_datacenter(field, reference, &namespace)?),
        None => None,
    };
    let chosen = if let Some(reference) = &spec.machine_provider_ref {
        named_provider(field, reference, &namespace, datacenter.as_ref())?
    } else if let Some(datacenter) = &datacenter {
        listed_provider(field, machine, datacenter)?
    } else {
        configured_provider(field, machine, &namespace)?
    };
    let counted = datacenter.or_else(|| only_datacenter(field, &chosen));
    if spec
        .provider_config
        .as_ref()
        .is_some_and(|config| config.credentials_ref.is_some())
        && chosen.spec.allow_credentials_override != Some(true)
    {
        return Err(Refusal::stalled(
            Reason::CredentialsNotAllowed,
            format!(
                "spec.providerConfig.credentialsRef: MachineProvider {} does not allow other credentials than its \
                 own; remove it, or set spec.allowCredentialsOverride on the provider",
                chosen.name_any()
            ),
        ));
    }
    Ok(Chosen {
        provider: chosen,
        datacenter: counted,
    })
}

fn named_datacenter(
    field: &Field,
    reference: &ObjectReference,
    namespace: &str,
) -> Result<Arc<Datacenter>, Refusal> {
    let own = reference.namespace.as_deref().unwrap_or(namespace);
    let found = field
        .datacenters
        .iter()
        .find(|datacenter| is_named(datacenter.as_ref(), own, &reference.name))
        .ok_or_else(|| {
            Refusal::waits(
                Reason::DatacenterNotFound,
                format!(
                    "spec.datacenterRef: Datacenter {own}/{} does not exist",
                    reference.name
                ),
            )
        })?;
    let target = Target {
        kind: "Datacenter",
        namespace: own,
        name: &reference.name,
    };
    let allowed = found.spec.allowed_namespaces.as_ref();
    permit("spec.datacenterRef", target, allowed, namespace)?;
    Ok(found.clone())
}

fn named_provider(
    field: &Field,
    reference: &ObjectReference,
    namespace: &str,
    datacenter: Option<&Arc<Datacenter>>,
) -> Result<Arc<MachineProvider>, Refusal> {
    let own = reference.namespace.as_deref().unwrap_or(namespace);
    let found = field
        .providers
        .iter()
        .find(|provider| is_named(provider.as_ref(), own, &reference.name))
        .ok_or_else(|| {
            Refusal::waits(
                Reason::ProviderNotFound,
                format!(
                    "spec.machineProviderRef: MachineProvider {own}/{} does not exist",
                    reference.name
                ),
            )
        })?;
    let target = Target {
        kind: "MachineProvider",
        namespace: own,
        name: &reference.name,
    };
    let allowed = found.spec.allowed_namespaces.as_ref();
    permit("spec.machineProviderRef", target, allowed, namespace)?;
    if let Some(datacenter) = datacenter
        && !lists(datacenter, found)
    {
        return Err(Refusal::stalled(
            Reason::ProviderNotFound,
            format!(
                "Datacenter {} does not list MachineProvider {own}/{} as enabled in spec.machineProviders",
                datacenter.name_any(),
                reference.name
            ),
        ));
    }
    Ok(found.clone())
}

/// The enabled and healthy providers of the Datacenter, in `priority` order, that fit.
fn listed_provider(
    field: &Field,
    machine: &Machine,
    datacenter: &Arc<Datacenter>,
) -> Result<Arc<MachineProvider>, Refusal> {
    let home = datacenter.namespace().unwrap_or_default();
    let mut entries: Vec<_> = datacenter
        .spec
        .machine_providers
        .iter()
        .filter(|entry| entry.is_enabled())
        .collect();
    entries.sort_by_key(|entry| (entry.rank(), entry.name.clone()));
    let mut unfit = Vec::new();
    for entry in entries {
        let own = entry.namespace.as_deref().unwrap_or(&home);
        let found = field
            .providers
            .iter()
            .find(|provider| is_named(provider.as_ref(), own, &entry.name));
        let Some(provider) = found else {
            unfit.push(format!("{own}/{} does not exist", entry.name));
            continue;
        };
        let judged = if !permits(provider, &home) {
            Err(format!(
                "does not let namespace {home} in (spec.allowedNamespaces)"
            ))
        } else if !is_healthy(provider) {
            Err("is not Ready".to_owned())
        } else {
            fits(provider, machine).and_then(|()| has_room(field, provider))
        };
        match judged {
            Ok(()) => return Ok(provider.clone()),
            Err(why) => unfit.push(format!("{own}/{} {why}", entry.name)),
        }
    }
    let why = if unfit.is_empty() {
        "it lists no enabled MachineProvider".to_owned()
    } else {
        unfit.join("; ")
    };
    Err(Refusal::waits(
        Reason::ProviderNotFound,
        format!(
            "Datacenter {home}/{} has no provider for this Machine: {why}",
            datacenter.name_any()
        ),
    ))
}

/// `providerConfig.name`: a name in the Machine's namespace, then a name among those that allow it, then a type.
fn configured_provider(
    field: &Field,
    machine: &Machine,
    namespace: &str,
) -> Result<Arc<MachineProvider>, Refusal> {
    let config = machine.spec.provider_config.clone().unwrap_or_default();
    let Some(wanted) = config.name.as_deref() else {
        return Err(Refusal::stalled(
            Reason::ProviderNotFound,
            "set one of spec.machineProviderRef, spec.datacenterRef and spec.providerConfig.name",
        ));
    };
    let open: Vec<&Arc<MachineProvider>> = field
        .providers
        .iter()
        .filter(|provider| permits(provider, namespace) && !is_deleting(provider.as_ref()))
        .collect();
    if let Some(own) = open
        .iter()
        .find(|provider| is_named(&****provider, namespace, wanted))
    {
        return Ok(Arc::clone(own));
    }
    let by_name: Vec<_> = open
        .iter()
        .filter(|provider| provider.name_any() == wanted)
        .collect();
    if !by_name.is_empty() {
        return exactly_one(&by_name, &format!("the name {wanted:?}"));
    }
    let of_type: Vec<_> = open
        .iter()
        .filter(|provider| provider.spec.provider_type.as_str() == wanted)
        .filter(|provider| {
            config
                .region
                .as_ref()
                .is_none_or(|region| *region == provider.spec.region)
        })
        .collect();
    if of_type.is_empty() {
        let known: Vec<String> = open.iter().map(|provider| describe(provider)).collect();
        let known = if known.is_empty() {
            "none lets this namespace in".to_owned()
        } else {
            known.join(", ")
        };
        let region = config
            .region
            .map_or_else(String::new, |region| format!(" in region {region}"));
        return Err(Refusal::waits(
            Reason::ProviderNotFound,
            format!(
                "spec.providerConfig.name {wanted:?} is neither the name nor the type of a MachineProvider{region}; \
                 candidates: {known}"
            ),
        ));
    }
    exactly_one(&of_type, &format!("the type {wanted:?}"))
}

fn exactly_one(
    found: &[&&Arc<MachineProvider>],
    by: &str,
) -> Result<Arc<MachineProvider>, Refusal> {
    match found {
        [only] => Ok(Arc::clone(**only)),
        several => {
            let names: Vec<String> = several.iter().map(|provider| describe(provider)).collect();
            Err(Refusal::stalled(
                Reason::ProviderAmbiguous,
                format!(
                    "spec.providerConfig: {by} fits more than one MachineProvider: {}; name one in \
                     spec.machineProviderRef",
                    names.join(", ")
                ),
            ))
        }
    }
}

fn describe(provider: &MachineProvider) -> String {
    format!(
        "{}/{} ({}, {})",
        provider.namespace().unwrap_or_default(),
        provider.name_any(),
        provider.spec.provider_type.as_str(),
        provider.spec.region
    )
}

/// Zone, instance type and operating system, where the provider says what it has. What it does not say is no limit.
fn fits(provider: &MachineProvider, machine: &Machine) -> Result<(), String> {
    let spec = &machine.spec;
    let zone = spec
        .provider_config
        .as_ref()
        .and_then(|config| config.zone.as_ref());
    if let Some(zone) = zone
        && !provider.spec.zones.is_empty()
        && !provider.spec.zones.contains(zone)
    {
        return Err(format!("has no zone {zone}"));
    }
    let Some(offers) = &provider.spec.capabilities else {
        return Ok(());
    };
    if let Some(wanted) = &spec.instance_type
        && !offers.instance_types.is_empty()
        && !offers
            .instance_types
            .iter()
            .any(|offer| offer.name == *wanted)
    {
        return Err(format!("has no instance type {wanted}"));
    }
    let wanted = spec.os.as_ref().and_then(|os| os.distribution.as_ref());
    if let Some(wanted) = wanted
        && !offers.operating_systems.is_empty()
        && !offers
            .operating_systems
            .iter()
            .any(|offer| offer.distribution == *wanted)
    {
        return Err(format!("has no operating system {wanted}"));
    }
    Ok(())
}

fn has_room(field: &Field, provider: &MachineProvider) -> Result<(), String> {
    let limit = provider
        .spec
        .capabilities
        .as_ref()
        .and_then(|offers| offers.max_machines);
    match limit {
        Some(limit) if super::provider_usage(&field.machines, provider) >= limit => {
            Err(format!("is full ({limit} Machines)"))
        }
        _ => Ok(()),
    }
}

fn is_healthy(provider: &MachineProvider) -> bool {
    let status = provider.status.as_ref();
    !is_deleting(provider) && status.is_some_and(|status| is_true(&status.conditions, types::READY))
}

/// The Datacenter that lists the provider, if exactly one does.
fn only_datacenter(field: &Field, provider: &MachineProvider) -> Option<Arc<Datacenter>> {
    let mut listing = field
        .datacenters
        .iter()
        .filter(|datacenter| lists(datacenter, provider));
    let first = listing.next()?;
    listing.next().is_none().then(|| first.clone())
}

/// Whether the Datacenter lists the provider as enabled, and the provider lets it.
pub(super) fn lists(datacenter: &Datacenter, provider: &MachineProvider) -> bool {
    let home = datacenter.namespace().unwrap_or_default();
    let own = provider.namespace().unwrap_or_default();
    permits(provider, &home)
        && datacenter.spec.machine_providers.iter().any(|entry| {
            entry.is_enabled()
                && entry.name == provider.name_any()
                && entry.namespace.as_deref().unwrap_or(&home) == own
        })
}

fn is_named<K: Resource>(object: &K, namespace: &str, name: &str) -> bool {
    object.meta().namespace.as_deref() == Some(namespace)
        && object.meta().name.as_deref() == Some(name)
}
