//! BareMetalHosts.

use super::Findings;
use crate::host::{BareMetalHost, RootDeviceHints};
use crate::schema::FieldError;

/// Checks a BareMetalHost.
#[must_use]
pub fn bare_metal_host(object: &BareMetalHost) -> Vec<FieldError> {
    let mut findings = Findings::default();
    let spec = &object.spec;
    // The lowest bit of the first byte marks a group address.
    let single = |mac: [u8; 6]| mac != [0; 6] && mac[0] & 1 == 0;
    if spec.boot_mac_bytes().is_some_and(|mac| !single(mac)) {
        findings.invalid(
            "spec.bootMAC",
            spec.boot_mac.as_str(),
            "must be the address of one NIC",
        );
    }
    let bmc = &spec.bmc;
    if let Some(port) = port(&bmc.address)
        && !port.parse::<u16>().is_ok_and(|port| port > 0)
    {
        findings.invalid(
            "spec.bmc.address",
            bmc.address.as_str(),
            "its port must be a number from 1 to 65535",
        );
    }
    findings.secret("spec.bmc.credentialsRef", Some(&bmc.credentials_ref));
    if let Some(tls) = &bmc.tls {
        if tls
            .ca_bundle
            .as_deref()
            .is_some_and(|pem| !pem.contains("-----BEGIN CERTIFICATE-----"))
        {
            findings.invalid(
                "spec.bmc.tls.caBundle",
                "…",
                "must hold at least one PEM certificate",
            );
        }
        if bmc.address.starts_with("redfish+http://")
            && (tls.ca_bundle.is_some() || tls.sha256.is_some())
        {
            findings.invalid(
                "spec.bmc.address",
                bmc.address.as_str(),
                "tls checks a certificate, and redfish+http:// shows none",
            );
        }
    }
    findings.label_keys("spec.labels", spec.labels.keys());
    if let Some(hints) = &spec.root_device_hints {
        root_device_hints(&mut findings, hints);
    }
    findings.found
}

/// The port in an address, if it names one; an IPv6 address stands in brackets.
fn port(address: &str) -> Option<&str> {
    let authority = address.split_once("://")?.1.split('/').next()?;
    let after = authority
        .rsplit_once(']')
        .map_or(authority, |(_, after)| after);
    after.rsplit_once(':').map(|(_, port)| port)
}

fn root_device_hints(findings: &mut Findings, hints: &RootDeviceHints) {
    let path = "spec.rootDeviceHints";
    if let Some(name) = hints.device_name.as_deref()
        && (!name.starts_with("/dev/") || name.len() == "/dev/".len())
    {
        let place = format!("{path}.deviceName");
        findings.invalid(&place, name, "must be a name below /dev/");
    }
    if let Some(hctl) = hints.hctl.as_deref() {
        let parts: Vec<_> = hctl.split(':').map(str::parse::<u32>).collect();
        if parts.len() != 4 || parts.iter().any(Result::is_err) {
            let place = format!("{path}.hctl");
            findings.invalid(&place, hctl, "must be four numbers, host:bus:target:lun");
        }
    }
    for (field, text) in [
        ("model", &hints.model),
        ("vendor", &hints.vendor),
        ("serialNumber", &hints.serial_number),
        ("wwn", &hints.wwn),
    ] {
        // An empty hint would match every disk.
        if text.as_deref().is_some_and(|text| text.trim().is_empty()) {
            findings.invalid(&format!("{path}.{field}"), "", "must not be empty");
        }
    }
}
