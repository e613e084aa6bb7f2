//! What is said of a KubernetesProvider: whether its references hold, and that nothing makes clusters yet.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use vitistack_api::conditions::{Reason, State, types};
use vitistack_api::kubernetes_provider::{
    KubernetesPhase, KubernetesProvider, KubernetesProviderStatus,
};
use vitistack_api::validate;

use super::{Refusal, Says, Verdict, generation_of, valid};

#[cfg(test)]
mod tests;

/// The status that says it. `references` tells what is wrong with the objects that the spec names.
pub(crate) fn status(
    provider: &KubernetesProvider,
    references: Result<(), Refusal>,
    now: &Time,
) -> KubernetesProviderStatus {
    let generation = generation_of(provider);
    let mut status = provider.status.clone().unwrap_or_default();
    let checked = valid(&validate::kubernetes_provider(provider)).and(references);
    let verdict = match checked {
        Err(refusal) => Verdict::from(refusal),
        Ok(()) => Verdict::stalled(
            Reason::NotSupported,
            "nothing makes Kubernetes clusters in this version; the references of the spec hold",
        ),
    };
    let mut conditions = std::mem::take(&mut status.conditions);
    let mut says = Says {
        list: &mut conditions,
        generation,
        now,
    };
    says.verdict(&verdict);
    let spec = &provider.spec;
    for (kind, is_set, section) in [
        (types::API_SERVER_READY, true, "spec.cluster"),
        (
            types::NODES_READY,
            !spec.node_pools.is_empty(),
            "spec.nodePools",
        ),
        (types::ADDONS_READY, spec.addons.is_some(), "spec.addons"),
        (
            types::SECURITY_READY,
            spec.security.is_some(),
            "spec.security",
        ),
        (types::BACKUP_READY, spec.backup.is_some(), "spec.backup"),
    ] {
        says.not_supported(kind, is_set.then_some(section));
    }
    says.set(
        types::HEALTHY,
        State::Unknown,
        verdict.reason,
        verdict.message.clone(),
    );
    status.conditions = conditions;
    status.observed_generation = Some(generation);
    status.phase = Some(KubernetesPhase::Pending);
    status.message = Some(verdict.message);
    status
}
