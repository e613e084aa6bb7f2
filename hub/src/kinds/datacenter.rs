//! What is said of a Datacenter: its providers, its counts, its quota, and which sections nothing executes yet.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt as _;
use vitistack_api::conditions::{self, Condition, Reason, State, types};
use vitistack_api::datacenter::{
    Datacenter, DatacenterPhase, DatacenterStatus, ProviderReference, ProviderStatus,
    ProviderStatusType,
};
use vitistack_api::kubernetes_provider::KubernetesProvider;
use vitistack_api::refs::Target;
use vitistack_api::validate;

use super::placement::{self, Field, permit};
use super::{Refusal, Says, Verdict, generation_of, is_deleting, valid};

#[cfg(test)]
mod tests;

/// Everything that a status is made from.
pub(crate) struct Facts<'a> {
    pub(crate) datacenter: &'a Datacenter,
    pub(crate) field: &'a Field,
    pub(crate) kubernetes_providers: &'a [Arc<KubernetesProvider>],
}

/// How a referenced provider stands.
#[derive(Clone, Debug)]
struct Member {
    status: ProviderStatus,
    /// Why it is not usable.
    fault: Option<Fault>,
    /// It counts for `Ready`: nothing executes KubernetesProviders yet, so they do not.
    counts: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Missing,
    NotPermitted,
    NotReady,
}

/// The status that says it.
pub(crate) fn status(facts: &Facts<'_>, now: &Time) -> DatacenterStatus {
    let datacenter = facts.datacenter;
    let generation = generation_of(datacenter);
    let members = members(facts);
    let usage = placement::usage(facts.field, datacenter);
    let mut status = datacenter.status.clone().unwrap_or_default();
    let mut conditions = std::mem::take(&mut status.conditions);
    let mut says = Says {
        list: &mut conditions,
        generation,
        now,
    };
    let validated = valid(&validate::datacenter(datacenter));
    let verdict = match &validated {
        Ok(()) => verdict(&members),
        Err(refusal) => Verdict::from(refusal.clone()),
    };
    says.verdict(&verdict);
    let members_say = self::verdict(&members);
    let healthy = State::from(members_say.ready == State::True);
    says.set(
        types::PROVIDERS_HEALTHY,
        healthy,
        members_say.reason,
        members_say.message,
    );
    quota(&mut says, datacenter, usage.machines);
    sections(&mut says, datacenter);
    status.conditions = conditions;
    status.observed_generation = Some(generation);
    let there = |kind: ProviderStatusType| {
        let there = members.iter().filter(|member| {
            member.status.kind == kind
                && !matches!(member.fault, Some(Fault::Missing | Fault::NotPermitted))
        });
        i32::try_from(there.count()).ok()
    };
    status.machine_provider_count = there(ProviderStatusType::Machine);
    status.kubernetes_provider_count = there(ProviderStatusType::Kubernetes);
    status.active_machines = i32::try_from(usage.machines).ok();
    status.active_clusters = Some(0);
    status.phase = Some(match validated {
        Err(_) if !is_deleting(datacenter) => DatacenterPhase::Failed,
        _ => phase(datacenter, &members),
    });
    status.provider_statuses = members.into_iter().map(|member| member.status).collect();
    status
}

fn members(facts: &Facts<'_>) -> Vec<Member> {
    let spec = &facts.datacenter.spec;
    let home = facts.datacenter.namespace().unwrap_or_default();
    let mut members = Vec::new();
    for entry in spec
        .machine_providers
        .iter()
        .filter(|entry| entry.is_enabled())
    {
        let own = entry.namespace.as_deref().unwrap_or(&home);
        let found = facts.field.providers.iter().find(|provider| {
            provider.name_any() == entry.name && provider.namespace().as_deref() == Some(own)
        });
        members.push(member(
            entry,
            own,
            ProviderStatusType::Machine,
            found.map(|provider| Seen {
                permitted: permit(
                    "spec.machineProviders",
                    Target {
                        kind: "MachineProvider",
                        namespace: own,
                        name: &entry.name,
                    },
                    provider.spec.allowed_namespaces.as_ref(),
                    &home,
                ),
                conditions: provider.status.as_ref().map(|status| &status.conditions),
                phase: provider
                    .status
                    .as_ref()
                    .and_then(|status| status.phase)
                    .map(|phase| format!("{phase:?}")),
                carries: placement::provider_usage(&facts.field.machines, provider),
            }),
        ));
    }
    for entry in spec
        .kubernetes_providers
        .iter()
        .filter(|entry| entry.is_enabled())
    {
        let own = entry.namespace.as_deref().unwrap_or(&home);
        let found = facts.kubernetes_providers.iter().find(|provider| {
            provider.name_any() == entry.name && provider.namespace().as_deref() == Some(own)
        });
        members.push(member(
            entry,
            own,
            ProviderStatusType::Kubernetes,
            found.map(|provider| Seen {
                permitted: Ok(()),
                conditions: provider.status.as_ref().map(|status| &status.conditions),
                phase: provider
                    .status
                    .as_ref()
                    .and_then(|status| status.phase)
                    .map(|phase| format!("{phase:?}")),
                carries: 0,
            }),
        ));
    }
    members
}

/// What is there of a referenced provider.
struct Seen<'a> {
    /// Whether it lets this Datacenter in. A KubernetesProvider has no grants yet: nothing is placed through it.
    permitted: Result<(), Refusal>,
    conditions: Option<&'a Vec<Condition>>,
    phase: Option<String>,
    carries: i64,
}

fn member(
    entry: &ProviderReference,
    own: &str,
    kind: ProviderStatusType,
    seen: Option<Seen<'_>>,
) -> Member {
    let (fault, message) = match &seen {
        None => (Some(Fault::Missing), Some("does not exist".to_owned())),
        Some(Seen {
            permitted: Err(refusal),
            ..
        }) => (Some(Fault::NotPermitted), Some(refusal.message.clone())),
        Some(seen) => {
            let ready = seen
                .conditions
                .and_then(|conditions| conditions::find(conditions, types::READY));
            match ready {
                Some(ready) if ready.status == State::True.as_str() => (None, None),
                Some(ready) => (
                    Some(Fault::NotReady),
                    Some(format!("{}: {}", ready.reason, ready.message)),
                ),
                None => (Some(Fault::NotReady), Some("not looked at yet".to_owned())),
            }
        }
    };
    let permitted = fault != Some(Fault::NotPermitted);
    Member {
        status: ProviderStatus {
            name: entry.name.clone(),
            kind,
            namespace: Some(own.to_owned()),
            healthy: Some(fault.is_none()),
            phase: seen
                .as_ref()
                .filter(|_| permitted)
                .and_then(|seen| seen.phase.clone()),
            message,
            resources_managed: seen
                .filter(|_| permitted)
                .and_then(|seen| i32::try_from(seen.carries).ok()),
            last_health_check: None,
        },
        fault,
        counts: kind == ProviderStatusType::Machine || fault != Some(Fault::NotReady),
    }
}

fn verdict(members: &[Member]) -> Verdict {
    if members.is_empty() {
        return Verdict::ready(Reason::NoProviders, Reason::NoProviders.meaning());
    }
    let ill: Vec<&Member> = members
        .iter()
        .filter(|member| member.counts && member.fault.is_some())
        .collect();
    let named = ill
        .iter()
        .map(|member| {
            format!(
                "{} {}/{}: {}",
                match member.status.kind {
                    ProviderStatusType::Machine => "MachineProvider",
                    ProviderStatusType::Kubernetes => "KubernetesProvider",
                },
                member.status.namespace.as_deref().unwrap_or_default(),
                member.status.name,
                member.status.message.as_deref().unwrap_or_default()
            )
        })
        .collect::<Vec<_>>()
        .join("; ");
    let has = |fault: Fault| ill.iter().any(|member| member.fault == Some(fault));
    if ill.is_empty() {
        Verdict::ready(Reason::ProvidersHealthy, Reason::ProvidersHealthy.meaning())
    } else if has(Fault::NotPermitted) {
        Verdict::reconciling(Reason::RefNotPermitted, named)
    } else if has(Fault::Missing) {
        Verdict::reconciling(Reason::ProviderNotFound, named)
    } else {
        Verdict::reconciling(Reason::ProvidersUnhealthy, named)
    }
}

fn phase(datacenter: &Datacenter, members: &[Member]) -> DatacenterPhase {
    if is_deleting(datacenter) {
        return DatacenterPhase::Deleting;
    }
    let counted = || members.iter().filter(|member| member.counts);
    if counted().all(|member| member.fault.is_none()) {
        DatacenterPhase::Ready
    } else if counted().any(|member| member.fault.is_none()) {
        DatacenterPhase::Degraded
    } else {
        DatacenterPhase::Provisioning
    }
}

fn quota(says: &mut Says<'_>, datacenter: &Datacenter, used: i64) {
    let Some(quotas) = &datacenter.spec.resource_quotas else {
        says.set(types::QUOTA_AVAILABLE, State::True, Reason::NoQuota, "");
        return;
    };
    // Said with the quota that is enforced, so that nobody takes the others for enforced.
    let mut ignored = Vec::new();
    for (name, is_set) in [
        ("maxClusters", quotas.max_clusters.is_some()),
        ("maxCPUCores", quotas.max_cpu_cores.is_some()),
        ("maxMemoryGB", quotas.max_memory_gb.is_some()),
        ("maxStorageGB", quotas.max_storage_gb.is_some()),
        (
            "maxNetworkInterfaces",
            quotas.max_network_interfaces.is_some(),
        ),
    ] {
        if is_set {
            ignored.push(name);
        }
    }
    let ignored = if ignored.is_empty() {
        String::new()
    } else {
        format!("; nothing enforces {} in this version", ignored.join(", "))
    };
    match quotas.max_machines.map(i64::from) {
        None => says.set(
            types::QUOTA_AVAILABLE,
            State::True,
            Reason::NoQuota,
            format!("maxMachines is not set{ignored}"),
        ),
        Some(limit) => {
            let (state, reason) = if used < limit {
                (State::True, Reason::QuotaAvailable)
            } else {
                (State::False, Reason::QuotaExceeded)
            };
            let message = format!("{used} of {limit} Machines{ignored}");
            says.set(types::QUOTA_AVAILABLE, state, reason, message);
        }
    }
}

/// The one table of sections that nothing executes yet. They do not count for `Ready`.
fn sections(says: &mut Says<'_>, datacenter: &Datacenter) {
    let spec = &datacenter.spec;
    for (kind, is_set, section) in [
        (
            types::NETWORKING_READY,
            spec.networking.is_some(),
            "spec.networking",
        ),
        (
            types::SECURITY_COMPLIANT,
            spec.security.is_some(),
            "spec.security",
        ),
        (
            types::MONITORING_READY,
            spec.monitoring.is_some(),
            "spec.monitoring",
        ),
        (types::BACKUP_READY, spec.backup.is_some(), "spec.backup"),
    ] {
        says.not_supported(kind, is_set.then_some(section));
    }
}
