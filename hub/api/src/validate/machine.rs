//! Machines, as far as their provider does not matter.

use std::net::IpAddr;

use super::{Findings, LABEL_KEY, image, is_label_key};
use crate::machine::{Machine, MachineSpec, Network};
use crate::schema::{FieldError, FieldReason};

/// Checks a Machine.
#[must_use]
pub fn machine(object: &Machine) -> Vec<FieldError> {
    let mut findings = Findings::default();
    let spec = &object.spec;
    if let Some(name) = spec.name.as_deref()
        && !is_host_name(name)
    {
        findings.invalid(
            "spec.name",
            name,
            "must be a host name: letters, digits, - and ., at most 253 of them",
        );
    }
    disks(&mut findings, spec);
    if let Some(network) = &spec.network {
        networks(&mut findings, network);
    }
    for (key, value) in &spec.tags {
        if key.starts_with("vitistack.io/") {
            // By these the agent finds again what it made.
            findings.forbidden(
                &format!("spec.tags[{key}]"),
                value.as_str(),
                "tags that begin with vitistack.io/ are the agent's own",
            );
        }
    }
    if let Some(selector) = &spec.host_selector {
        let path = "spec.hostSelector.matchLabels";
        findings.label_keys(path, selector.match_labels.keys());
        for (index, one) in selector.match_expressions.iter().enumerate() {
            if !is_label_key(&one.key) {
                let place = format!("spec.hostSelector.matchExpressions[{index}].key");
                findings.invalid(&place, one.key.as_str(), LABEL_KEY);
            }
        }
    }
    findings.unique(
        "spec.sshKeys",
        "",
        spec.ssh_keys.iter().map(|key| key.trim()),
    );
    if let Some(id) = spec.os.as_ref().and_then(|os| os.image_id.as_deref())
        && id.contains("://")
        && !image::is_url(id)
    {
        findings.invalid(
            "spec.os.imageID",
            id,
            "a URL must be http or https, with a host",
        );
    }
    if let Some(config) = &spec.provider_config {
        findings.secret(
            "spec.providerConfig.credentialsRef",
            config.credentials_ref.as_ref(),
        );
    }
    for (index, key) in spec.ssh_keys.iter().enumerate() {
        if key.trim().is_empty() || key.trim_end().contains(['\n', '\r']) {
            let place = format!("spec.sshKeys[{index}]");
            findings.invalid(&place, key.as_str(), "must be one line of authorized_keys");
        }
    }
    if let Some(backup) = &spec.backup {
        findings.cron("spec.backup.schedule", backup.schedule.as_deref());
    }
    findings.found
}

fn disks(findings: &mut Findings, spec: &MachineSpec) {
    let mut boot: Option<usize> = None;
    let mut names: Vec<&str> = Vec::new();
    for (index, disk) in spec.disks.iter().enumerate() {
        if disk.boot == Some(true) {
            if let Some(other) = boot {
                let allowed = format!("at most one disk boots, and disks[{other}] does");
                findings.invalid(&format!("spec.disks[{index}].boot"), true, allowed);
            }
            boot = boot.or(Some(index));
        }
        let Some(name) = disk.name.as_deref() else {
            continue;
        };
        if names.contains(&name) {
            let place = format!("spec.disks[{index}].name");
            findings.invalid(&place, name, "must not occur twice");
        }
        names.push(name);
    }
}

fn networks(findings: &mut Findings, network: &Network) {
    let path = "spec.network";
    // A public address may be the provider's name of one, a private one may not.
    if let Some(text) = network.private_ip.as_deref()
        && text.parse::<IpAddr>().is_err()
    {
        findings.invalid(&format!("{path}.privateIP"), text, "must be an IP address");
    }
    let mut names = std::collections::BTreeSet::new();
    for (index, interface) in network.interfaces.iter().enumerate() {
        if let Some(name) = interface.name.as_deref()
            && !names.insert(name)
        {
            let place = format!("{path}.interfaces[{index}].name");
            findings.found.push(FieldError::new(
                place,
                FieldReason::Duplicate,
                Some(&name.into()),
                "",
            ));
        }
    }
    let mut primary: Option<usize> = None;
    for (index, interface) in network.interfaces.iter().enumerate() {
        if interface.primary == Some(true) {
            if let Some(other) = primary {
                let place = format!("{path}.interfaces[{index}].primary");
                let allowed = format!("at most one interface is, and interfaces[{other}] is");
                findings.invalid(&place, true, allowed);
            }
            primary = primary.or(Some(index));
        }
    }
}

fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        })
}
