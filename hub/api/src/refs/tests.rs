use super::*;

fn allowed(from: NamespacesFrom, names: &[&str]) -> AllowedNamespaces {
    AllowedNamespaces {
        from,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    }
}

#[test]
fn an_object_is_open_to_its_own_namespace_and_to_those_that_it_lists() {
    let target = Target {
        kind: "MachineProvider",
        namespace: "suppliers",
        name: "rack",
    };
    let same = allowed(NamespacesFrom::Same, &[]);
    let all = allowed(NamespacesFrom::All, &[]);
    let list = allowed(NamespacesFrom::List, &["team-a"]);
    for (name, grant, from, expected) in [
        ("own, no grant", None, "suppliers", true),
        ("other, no grant", None, "team-a", false),
        ("other, Same", Some(&same), "team-a", false),
        ("other, All", Some(&all), "team-b", true),
        ("listed", Some(&list), "team-a", true),
        ("not listed", Some(&list), "team-b", false),
        ("own, not listed", Some(&list), "suppliers", true),
    ] {
        assert_eq!(object(target, grant, from).is_ok(), expected, "{name}");
    }
    let refused = object(target, None, "team-a").expect_err("no grant");
    assert!(refused.to_string().contains("spec.allowedNamespaces"));
}

#[test]
fn a_secret_is_open_to_its_own_namespace_and_to_those_in_its_annotation() {
    let annotations = BTreeMap::from([(
        ANNOTATION_ALLOW_FROM.to_owned(),
        "team-a, team-b".to_owned(),
    )]);
    for (name, annotations, from, expected) in [
        ("own", None, "suppliers", true),
        ("other", None, "team-a", false),
        ("listed", Some(&annotations), "team-b", true),
        ("part of a listed name", Some(&annotations), "team", false),
    ] {
        assert_eq!(
            secret("suppliers", "key", annotations, from).is_ok(),
            expected,
            "{name}"
        );
    }
    let refused = secret("suppliers", "key", None, "team-a").expect_err("no grant");
    assert!(refused.to_string().contains(ANNOTATION_ALLOW_FROM));
}
