//! KubernetesProviders.

use std::net::IpAddr;

use super::Findings;
use crate::kubernetes_provider::{Authentication, KubernetesNetwork, KubernetesProvider, NodePool};
use crate::schema::{FieldError, FieldReason};

/// Checks a KubernetesProvider.
#[must_use]
pub fn kubernetes_provider(object: &KubernetesProvider) -> Vec<FieldError> {
    let mut findings = Findings::default();
    let spec = &object.spec;
    let names = spec.node_pools.iter().map(|pool| pool.name.as_str());
    findings.unique("spec.nodePools", "name", names);
    for (index, pool) in spec.node_pools.iter().enumerate() {
        node_pool(&mut findings, &format!("spec.nodePools[{index}]"), pool);
    }
    if let Some(network) = &spec.network {
        networks(&mut findings, network);
    }
    if let Some(etcd) = &spec.cluster.etcd {
        findings.cron(
            "spec.cluster.etcd.backupSchedule",
            etcd.backup_schedule.as_deref(),
        );
    }
    if let Some(backup) = &spec.backup {
        findings.cron("spec.backup.schedule", backup.schedule.as_deref());
    }
    if let Some(addons) = &spec.addons {
        let names = addons.additional.iter().map(|addon| addon.name.as_str());
        findings.unique("spec.addons.additional", "name", names);
    }
    if let Some(authentication) = &spec.authentication {
        secrets(&mut findings, authentication);
    }
    findings.found
}

fn node_pool(findings: &mut Findings, place: &str, pool: &NodePool) {
    let (least, wanted, most) = (pool.min_nodes, pool.desired_nodes, pool.max_nodes);
    if least > most {
        let allowed = format!("must be at most maxNodes, {most}");
        findings.invalid(&format!("{place}.minNodes"), least, allowed);
    } else if !(least..=most).contains(&wanted) {
        let allowed = format!("must lie between minNodes, {least}, and maxNodes, {most}");
        findings.invalid(&format!("{place}.desiredNodes"), wanted, allowed);
    }
    let mut known = std::collections::BTreeSet::new();
    for (index, taint) in pool.taints.iter().enumerate() {
        if !known.insert((&taint.key, &taint.effect)) {
            findings.found.push(FieldError::new(
                format!("{place}.taints[{index}].key"),
                FieldReason::Duplicate,
                Some(&taint.key.as_str().into()),
                "",
            ));
        }
        if !["NoSchedule", "PreferNoSchedule", "NoExecute"].contains(&taint.effect.as_str()) {
            findings.found.push(FieldError {
                path: format!("{place}.taints[{index}].effect"),
                reason: FieldReason::NotSupported,
                value: Some(taint.effect.as_str().into()),
                detail: r#"supported values: "NoSchedule", "PreferNoSchedule", "NoExecute""#
                    .to_owned(),
            });
        }
    }
}

fn networks(findings: &mut Findings, network: &KubernetesNetwork) {
    let path = "spec.network";
    let mut cidr = |field: &str, text: Option<&str>| {
        text.and_then(|text| findings.cidr(&format!("{path}.{field}"), text))
    };
    let pods = cidr("podCIDR", network.pod_cidr.as_deref());
    let services = cidr("serviceCIDR", network.service_cidr.as_deref());
    if let (Some(pods), Some(services)) = (pods, services)
        && pods.overlaps(&services)
    {
        findings.invalid(
            &format!("{path}.serviceCIDR"),
            network.service_cidr.clone(),
            "must not overlap podCIDR",
        );
    }
    if let Some(text) = network.dns_service_ip.as_deref() {
        let address: Option<IpAddr> = text.parse().ok();
        let inside = |address| services.is_none_or(|services| services.holds(address));
        if !address.is_some_and(inside) {
            findings.invalid(
                &format!("{path}.dnsServiceIP"),
                text,
                "must be an IP address inside serviceCIDR",
            );
        }
    }
}

fn secrets(findings: &mut Findings, authentication: &Authentication) {
    let Authentication {
        oidc,
        ldap,
        service_account,
        providers,
    } = authentication;
    let path = "spec.authentication";
    let secret = oidc
        .as_ref()
        .and_then(|oidc| oidc.client_secret_ref.as_ref());
    findings.secret(&format!("{path}.oidc.clientSecretRef"), secret);
    let secret = ldap
        .as_ref()
        .and_then(|ldap| ldap.bind_password_ref.as_ref());
    findings.secret(&format!("{path}.ldap.bindPasswordRef"), secret);
    let secret = service_account
        .as_ref()
        .and_then(|account| account.signing_key_ref.as_ref());
    findings.secret(&format!("{path}.serviceAccount.signingKeyRef"), secret);
    let names = providers.iter().map(|provider| provider.name.as_str());
    findings.unique(&format!("{path}.providers"), "name", names);
}
