//! What the program prints about the API, how it brings a cluster's definitions to those ([`apply`]), and the check that an
//! API serves our kinds.

pub mod apply;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Client, ResourceExt as _};
use vitistack_api::crd::crds;
use vitistack_api::names::{GROUP, VERSION};

/// All definitions as one YAML stream.
#[must_use]
pub fn yaml() -> String {
    vitistack_api::crd::crds_yaml()
}

/// Every condition reason with what it means and what to do, as markdown.
#[must_use]
pub fn reasons() -> String {
    vitistack_api::conditions::Reason::table()
}

/// Writes one file a kind into `directory`, named by the plural.
///
/// # Errors
///
/// When a file cannot be written.
pub fn write_into(directory: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("make directory {}", directory.display()))?;
    for crd in crds() {
        let path = directory.join(format!("{}.yaml", crd.spec.names.plural));
        std::fs::write(&path, vitistack_api::crd::yaml(&crd))
            .with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// Checks that the API serves every kind, namespaced. An API serves a kind from when its definition is Established.
///
/// # Errors
///
/// When the API does not answer, or a kind is missing or of another scope: says what to apply.
pub(crate) async fn check_served(client: &Client) -> anyhow::Result<()> {
    let version = format!("{GROUP}/{VERSION}");
    let served = match client.list_api_group_resources(&version).await {
        Ok(list) => list.resources,
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => {
            return Err(error)
                .with_context(|| format!("ask the API which kinds of {version} it has"));
        }
    };
    let scopes: BTreeMap<String, bool> = served
        .into_iter()
        .map(|resource| (resource.name, resource.namespaced))
        .collect();
    missing(&crds(), &scopes).map_or(Ok(()), |message| Err(anyhow::anyhow!(message)))
}

/// What keeps the hub from running, if anything does.
fn missing(
    definitions: &[CustomResourceDefinition],
    served: &BTreeMap<String, bool>,
) -> Option<String> {
    let mut absent = Vec::new();
    let mut foreign = Vec::new();
    for definition in definitions {
        match served.get(&definition.spec.names.plural) {
            Some(true) => {}
            Some(false) => foreign.push(definition.name_any()),
            None => absent.push(definition.name_any()),
        }
    }
    if !foreign.is_empty() {
        return Some(format!(
            "the API has {} with cluster scope, as a later upstream defines them; ours are namespaced, and a scope \
             cannot be changed: `vitistack-hub crd apply` prints the steps to migrate",
            foreign.join(", ")
        ));
    }
    (!absent.is_empty()).then(|| {
        format!(
            "the API does not serve {}; apply the definitions and start again: vitistack-hub crd apply",
            absent.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_to_be_served_with_our_scope() {
        let all: BTreeMap<String, bool> = crds()
            .iter()
            .map(|crd| (crd.spec.names.plural.clone(), true))
            .collect();
        assert_eq!(missing(&crds(), &all), None);
        let mut without = all.clone();
        without.remove("machines");
        let message = missing(&crds(), &without).expect("one is missing");
        assert!(message.contains("machines.vitistack.io"), "{message}");
        let mut other = all;
        other.insert("datacenters".into(), false);
        let message = missing(&crds(), &other).expect("one has another scope");
        assert!(message.contains("cluster scope"), "{message}");
    }
}
