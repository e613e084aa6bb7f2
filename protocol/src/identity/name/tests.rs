use super::*;

#[test]
fn a_name_survives_its_uri() {
    let name = AgentName::new("edge-west", "edge-1").unwrap();
    let uri = name.to_uri(DEFAULT_TRUST_DOMAIN);
    assert_eq!(uri, "spiffe://vitistack/site/edge-west/agent/edge-1");
    assert_eq!(
        AgentName::from_uri(&uri, DEFAULT_TRUST_DOMAIN).unwrap(),
        name
    );
}

#[test]
fn a_uri_that_is_not_exactly_ours_is_refused() {
    for uri in [
        "",
        "spiffe://vitistack",
        "spiffe://vitistack-evil/site/a/agent/b",
        "spiffe://other/site/a/agent/b",
        "spiffe://vitistack/site/a",
        "spiffe://vitistack/site//agent/b",
        "spiffe://vitistack/site/a/agent/",
        "spiffe://vitistack/site/a/agent/b/c",
        "spiffe://vitistack/site/a/agent/b/agent/c",
        "spiffe://vitistack/site/A/agent/b",
        "spiffe://vitistack/site/a/agent/b?x",
        "https://vitistack/site/a/agent/b",
        "spiffe://vitistack/hub",
    ] {
        assert!(AgentName::from_uri(uri, "vitistack").is_err(), "{uri}");
    }
}

#[test]
fn host_names_become_labels() {
    for (host, label) in [
        ("edge-1.example.net", "edge-1"),
        ("Rack_07", "rack-07"),
        ("-x-", "x"),
        ("", ""),
        ("é", ""),
    ] {
        assert_eq!(label_of(host), label, "{host}");
    }
    assert_eq!(label_of(&"a".repeat(99)).len(), 63);
}
