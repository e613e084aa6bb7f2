use super::*;

#[test]
fn a_secret_is_found_by_either_spelling() {
    for (name, secret_name, expected) in [
        (None, None, Ok(None)),
        (Some("a"), None, Ok(Some("a"))),
        (None, Some("a"), Ok(Some("a"))),
        (Some("a"), Some("a"), Ok(Some("a"))),
        (Some(""), Some("a"), Ok(Some("a"))),
        (Some("a"), Some("b"), Err(())),
    ] {
        let reference = SecretReference {
            name: name.map(str::to_owned),
            secret_name: secret_name.map(str::to_owned),
            namespace: None,
        };
        let resolved = reference.resolve().map_err(|_| ());
        assert_eq!(resolved, expected, "{name:?}, {secret_name:?}");
    }
}

#[test]
fn an_omitted_namespace_is_the_referrers_own() {
    let reference = |namespace: Option<&str>| ObjectReference {
        name: "n".to_owned(),
        namespace: namespace.map(str::to_owned),
    };
    assert_eq!(reference(None).namespace_or("own"), "own");
    assert_eq!(reference(Some("")).namespace_or("own"), "own");
    assert_eq!(reference(Some("other")).namespace_or("own"), "other");
}
