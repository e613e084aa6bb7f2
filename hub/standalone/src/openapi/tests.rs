use super::{document, index};
use crate::resource::Registry;

#[test]
fn the_index_leads_to_every_document() {
    let registry = Registry::new(Vec::new());
    let index = index(&registry, "abc");
    let paths = index["paths"].as_object().unwrap();
    assert_eq!(
        paths["api/v1"]["serverRelativeURL"],
        "/openapi/v3/api/v1?hash=abc"
    );
    for path in paths.keys() {
        let parts: Vec<&str> = path.split('/').collect();
        let (group, version) = if parts[0] == "api" {
            ("", parts[1])
        } else {
            (parts[1], parts[2])
        };
        assert!(document(&registry, group, version).is_some(), "{path}");
    }
    assert_eq!(document(&registry, "apps", "v1"), None);
}

#[test]
fn a_patch_names_its_kind_and_field_validation() {
    let registry = Registry::new(Vec::new());
    let document = document(&registry, "", "v1").unwrap();
    let patch = &document["paths"]["/api/v1/namespaces/{namespace}/secrets/{name}"]["patch"];
    assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Secret");
    let names: Vec<&str> = patch["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["name"].as_str().unwrap())
        .collect();
    assert!(
        names.contains(&"fieldValidation") && names.contains(&"dryRun"),
        "{names:?}"
    );
}
