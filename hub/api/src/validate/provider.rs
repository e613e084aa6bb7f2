//! MachineProviders.

use super::{Findings, image, is_label};
use crate::machine_provider::{
    Capabilities, MachineProvider, MachineProviderSpec, ProviderNetwork, ProviderType, Range,
};
use crate::schema::FieldError;

impl MachineProviderSpec {
    /// The site whose agent drives it: `site`, else `region` where that is a DNS label.
    #[must_use]
    pub fn resolved_site(&self) -> Option<&str> {
        self.site
            .as_deref()
            .or_else(|| Some(self.region.as_str()).filter(|region| is_label(region)))
    }
}

/// Checks a MachineProvider.
#[must_use]
pub fn machine_provider(object: &MachineProvider) -> Vec<FieldError> {
    let mut findings = Findings::default();
    let spec = &object.spec;
    if spec.resolved_site().is_none() && spec.provider_type == ProviderType::Baremetal {
        findings.required(
            "spec.site",
            "region is no DNS label and cannot stand for it",
        );
    }
    findings.unique("spec.zones", "", spec.zones.iter().map(String::as_str));
    if let Some(allowed) = &spec.allowed_namespaces {
        findings.namespaces(allowed.names.iter().map(String::as_str));
    }
    if let Some(url) = spec
        .endpoint
        .as_ref()
        .and_then(|endpoint| endpoint.url.as_deref())
        && !image::is_url(url)
    {
        findings.invalid("spec.endpoint.url", url, "must be an http or https URL");
    }
    if let Some(authentication) = &spec.authentication {
        let path = "spec.authentication";
        findings.secret(
            &format!("{path}.credentialsRef"),
            authentication.credentials_ref.as_ref(),
        );
        let key = authentication
            .service_account
            .as_ref()
            .and_then(|account| account.key_ref.as_ref());
        findings.secret(&format!("{path}.serviceAccount.keyRef"), key);
    }
    if let Some(capabilities) = &spec.capabilities {
        offers(&mut findings, capabilities, spec.provider_type);
    }
    if let Some(network) = &spec.network {
        networks(&mut findings, network);
    }
    if let Some(storage) = &spec.storage {
        let names = storage.storage_classes.iter().map(|one| one.name.as_str());
        findings.unique("spec.storage.storageClasses", "name", names);
    }
    findings.found
}

fn offers(findings: &mut Findings, capabilities: &Capabilities, kind: ProviderType) {
    let path = "spec.capabilities";
    let names = capabilities
        .instance_types
        .iter()
        .map(|one| one.name.as_str());
    findings.unique(&format!("{path}.instanceTypes"), "name", names);
    let names = capabilities
        .storage_types
        .iter()
        .map(|one| one.name.as_str());
    findings.unique(&format!("{path}.storageTypes"), "name", names);
    for (index, storage) in capabilities.storage_types.iter().enumerate() {
        for (field, range) in [
            ("iopsRange", &storage.iops_range),
            ("throughputRange", &storage.throughput_range),
        ] {
            if let Some(Range { min, max }) = range
                && min > max
            {
                let place = format!("{path}.storageTypes[{index}].{field}.min");
                findings.invalid(&place, *min, format!("must be at most max, {max}"));
            }
        }
    }
    if kind != ProviderType::Baremetal {
        return;
    }
    for (index, offer) in capabilities.operating_systems.iter().enumerate() {
        if let Some(id) = offer.default_image_id.as_deref()
            && !image::is_url(id)
        {
            let place = format!("{path}.operatingSystems[{index}].defaultImageID");
            findings.invalid(&place, id, "must be an http or https URL on bare metal");
        }
    }
}

fn networks(findings: &mut Findings, network: &ProviderNetwork) {
    let path = "spec.network.availableVPCs";
    let ids = network.available_vpcs.iter().map(|vpc| vpc.id.as_str());
    findings.unique(path, "id", ids);
    for (index, vpc) in network.available_vpcs.iter().enumerate() {
        let place = format!("{path}[{index}]");
        let outer = findings.cidr(&format!("{place}.cidr"), &vpc.cidr);
        let ids = vpc.subnets.iter().map(|subnet| subnet.id.as_str());
        findings.unique(&format!("{place}.subnets"), "id", ids);
        for (index, subnet) in vpc.subnets.iter().enumerate() {
            let place = format!("{place}.subnets[{index}].cidr");
            let Some(cidr) = findings.cidr(&place, &subnet.cidr) else {
                continue;
            };
            if outer.is_some_and(|outer| !outer.contains(&cidr)) {
                let allowed = format!("must lie inside {}, the network's own", vpc.cidr);
                findings.invalid(&place, subnet.cidr.as_str(), allowed);
            }
        }
    }
}
