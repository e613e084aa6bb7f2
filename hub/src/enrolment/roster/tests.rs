use std::collections::BTreeMap;

use vitistack_api::agent::AgentSpec;

use super::*;

fn agent(revoked: Option<bool>, enrolment: Option<&str>) -> Agent {
    let mut agent = Agent::new(
        "edge-1",
        AgentSpec {
            site: "edge-west".to_owned(),
            served_namespaces: Vec::new(),
            revoked,
        },
    );
    agent.metadata.annotations = enrolment
        .map(|enrolment| BTreeMap::from([(ENROLMENT_ANNOTATION.to_owned(), enrolment.to_owned())]));
    agent
}

#[test]
fn only_an_enrolled_agent_that_nobody_revoked_is_admitted() {
    let name = AgentName::new("edge-west", "edge-1").unwrap();
    let admitted = Some((name, "0123456789".to_owned()));
    assert_eq!(entry(&agent(None, Some("0123456789"))), admitted);
    assert_eq!(entry(&agent(Some(false), Some("0123456789"))), admitted);
    assert_eq!(entry(&agent(Some(true), Some("0123456789"))), None);
    // Somebody made the object by hand: it admits nobody until a token is used.
    assert_eq!(entry(&agent(None, None)), None);
}
