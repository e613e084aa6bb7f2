//! Datacenters: networks that nest and do not overlap, names that occur once, schedules that can be read.

use std::net::IpAddr;

use super::{Findings, net};
use crate::datacenter::{Datacenter, Firewall, Networking, ProviderReference, Vpc};
use crate::schema::FieldError;

/// Checks a Datacenter.
#[must_use]
pub fn datacenter(object: &Datacenter) -> Vec<FieldError> {
    let mut findings = Findings::default();
    let spec = &object.spec;
    let own = object.metadata.namespace.as_deref().unwrap_or_default();
    providers(
        &mut findings,
        "spec.machineProviders",
        &spec.machine_providers,
        own,
    );
    providers(
        &mut findings,
        "spec.kubernetesProviders",
        &spec.kubernetes_providers,
        own,
    );
    if let Some(allowed) = &spec.allowed_namespaces {
        findings.namespaces(allowed.names.iter().map(String::as_str));
    }
    if let Some(networking) = &spec.networking {
        networks(&mut findings, networking);
    }
    if let Some(backup) = &spec.backup {
        findings.cron("spec.backup.schedule", backup.schedule.as_deref());
        let names = backup.destinations.iter().map(|one| one.name.as_str());
        findings.unique("spec.backup.destinations", "name", names);
        let target = backup
            .disaster_recovery
            .as_ref()
            .and_then(|recovery| recovery.target_datacenter.as_deref());
        if let Some(target) = target
            && object.metadata.name.as_deref() == Some(target)
        {
            findings.invalid(
                "spec.backup.disasterRecovery.targetDatacenter",
                target,
                "must be another Datacenter",
            );
        }
    }
    findings.found
}

fn providers(findings: &mut Findings, path: &str, list: &[ProviderReference], own: &str) {
    let names: Vec<String> = list
        .iter()
        .map(|one| {
            let namespace = one.namespace.as_deref().filter(|name| !name.is_empty());
            match namespace {
                Some(namespace) if namespace != own => format!("{namespace}/{}", one.name),
                _ => one.name.clone(),
            }
        })
        .collect();
    findings.unique(path, "name", names.iter().map(String::as_str));
}

fn networks(findings: &mut Findings, networking: &Networking) {
    let Networking {
        vpcs,
        load_balancers,
        dns,
        firewall,
    } = networking;
    let path = "spec.networking.vpcs";
    findings.unique(path, "name", vpcs.iter().map(|vpc| vpc.name.as_str()));
    let mut known: Vec<(&str, net::Cidr)> = Vec::new();
    let mut default: Option<&str> = None;
    for (index, vpc) in vpcs.iter().enumerate() {
        let place = format!("{path}[{index}]");
        if vpc.default == Some(true) {
            if let Some(other) = default {
                let allowed = format!("at most one network is the default, and {other:?} is");
                findings.invalid(&format!("{place}.default"), true, allowed);
            }
            default = Some(&vpc.name);
        }
        let cidr = findings.cidr(&format!("{place}.cidr"), &vpc.cidr);
        if let Some(cidr) = cidr {
            no_overlap(findings, &place, &vpc.cidr, cidr, &known);
            known.push((&vpc.name, cidr));
        }
        subnets(findings, &place, vpc, cidr);
    }
    let names = load_balancers.iter().map(|one| one.name.as_str());
    findings.unique("spec.networking.loadBalancers", "name", names);
    for (index, server) in dns.iter().flat_map(|dns| &dns.servers).enumerate() {
        if server.parse::<IpAddr>().is_err() {
            let place = format!("spec.networking.dns.servers[{index}]");
            findings.invalid(&place, server.as_str(), "must be an IP address");
        }
    }
    if let Some(firewall) = firewall {
        rules(findings, firewall);
    }
}

fn subnets(findings: &mut Findings, place: &str, vpc: &Vpc, outer: Option<net::Cidr>) {
    let path = format!("{place}.subnets");
    let names = vpc.subnets.iter().map(|one| one.name.as_str());
    findings.unique(&path, "name", names);
    let mut known: Vec<(&str, net::Cidr)> = Vec::new();
    for (index, subnet) in vpc.subnets.iter().enumerate() {
        let place = format!("{path}[{index}]");
        let Some(cidr) = findings.cidr(&format!("{place}.cidr"), &subnet.cidr) else {
            continue;
        };
        if outer.is_some_and(|outer| !outer.contains(&cidr)) {
            let allowed = format!("must lie inside {}, the network's own", vpc.cidr);
            findings.invalid(&format!("{place}.cidr"), subnet.cidr.as_str(), allowed);
        }
        no_overlap(findings, &place, &subnet.cidr, cidr, &known);
        known.push((&subnet.name, cidr));
    }
}

fn no_overlap(
    findings: &mut Findings,
    place: &str,
    text: &str,
    cidr: net::Cidr,
    known: &[(&str, net::Cidr)],
) {
    if let Some((name, _)) = known.iter().find(|(_, other)| other.overlaps(&cidr)) {
        let allowed = format!("must not overlap that of {name:?}");
        findings.invalid(&format!("{place}.cidr"), text, allowed);
    }
}

fn rules(findings: &mut Findings, firewall: &Firewall) {
    let path = "spec.networking.firewall.rules";
    let names = firewall.rules.iter().map(|rule| rule.name.as_str());
    findings.unique(path, "name", names);
    for (index, rule) in firewall.rules.iter().enumerate() {
        if let Some(port) = rule.port.as_deref()
            && !net::is_ports(port)
        {
            findings.invalid(
                &format!("{path}[{index}].port"),
                port,
                "must be a port from 1 to 65535, a range such as 8000-8080, or a list of these with commas",
            );
        }
        for (field, text) in [("source", &rule.source), ("destination", &rule.destination)] {
            if let Some(text) = text
                && !net::is_address_or_range(text)
            {
                findings.invalid(
                    &format!("{path}[{index}].{field}"),
                    text.as_str(),
                    "must be an address, a network such as 10.0.0.0/16, or a range first-last",
                );
            }
        }
    }
}
