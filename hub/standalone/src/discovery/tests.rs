use super::{core, group, groups, resources};
use crate::resource::Registry;

#[test]
fn every_group_leads_to_its_resources() {
    let registry = Registry::new(Vec::new());
    assert_eq!(core()["versions"][0], "v1");
    let list = groups(&registry);
    let names: Vec<&str> = list["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| g["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"coordination.k8s.io") && names.contains(&"events.k8s.io"));
    for name in names {
        let group = group(&registry, name).unwrap();
        let version = group["preferredVersion"]["version"].as_str().unwrap();
        assert!(
            resources(&registry, name, version).is_some(),
            "{name}/{version}"
        );
    }
    assert_eq!(group(&registry, "apps"), None);
    assert_eq!(resources(&registry, "apps", "v1"), None);
}

#[test]
fn resources_tell_their_verbs_and_short_names() {
    let registry = Registry::new(Vec::new());
    let list = resources(&registry, "", "v1").unwrap();
    let find = |name: &str| {
        list["resources"]
            .as_array()
            .unwrap()
            .iter()
            .find(|r| r["name"] == name)
            .cloned()
    };
    let namespaces = find("namespaces").unwrap();
    assert_eq!(namespaces["shortNames"][0], "ns");
    assert_eq!(namespaces["namespaced"], false);
    assert!(find("namespaces/status").is_some());
    assert!(find("secrets/status").is_none());
}
