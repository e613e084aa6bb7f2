use super::*;

#[test]
fn names_are_labels_and_the_second_is_unique() {
    for (wish, names) in [
        ("edge-1", ["edge-1", "edge-1-0123456789"]),
        ("Edge_1.example.net", ["edge-1", "edge-1-0123456789"]),
        ("", ["agent", "agent-0123456789"]),
        ("../../x", ["agent", "agent-0123456789"]),
    ] {
        assert_eq!(candidates(wish, "0123456789"), names, "{wish}");
    }
    let long = candidates(&"a".repeat(80), "0123456789");
    assert!(long.iter().all(|name| name.len() <= 63), "{long:?}");
}

#[test]
fn only_an_idle_agent_of_the_same_site_is_taken_over() {
    let grant = Grant {
        site: "edge-west".to_owned(),
        namespaces: vec!["production".to_owned()],
    };
    let spec = |site: &str, revoked| AgentSpec {
        site: site.to_owned(),
        served_namespaces: Vec::new(),
        revoked,
    };
    for (known, connected, may) in [
        (spec("edge-west", None), false, true),
        (spec("edge-west", Some(false)), false, true),
        (spec("edge-west", None), true, false),
        (spec("edge-east", None), false, false),
        (spec("edge-west", Some(true)), false, false),
    ] {
        assert_eq!(may_take_over(&known, &grant, connected), may, "{known:?}");
    }
}
