use vitistack_api::agent::AgentSpec;

use super::*;

fn agent(name: &str, served: &[&str]) -> Arc<Agent> {
    Arc::new(Agent::new(
        name,
        AgentSpec {
            site: "edge-west".into(),
            served_namespaces: served.iter().map(|served| (*served).to_owned()).collect(),
            revoked: None,
        },
    ))
}

fn chosen(
    agents: &[Arc<Agent>],
    belongs_to: Option<&str>,
    connected: &str,
) -> Result<String, Reason> {
    choose(agents, "edge-west", &["edge"], belongs_to, |name| {
        name.name == connected
    })
    .map(|name| name.name)
    .map_err(|refusal| refusal.reason)
}

#[test]
fn a_connected_agent_is_preferred_but_an_object_does_not_move_away_from_its_own() {
    let agents = [agent("a", &["edge"]), agent("b", &["edge"])];
    assert_eq!(chosen(&agents, None, "b").as_deref(), Ok("b"));
    assert_eq!(chosen(&agents, None, "nobody").as_deref(), Ok("a"));
    assert_eq!(chosen(&agents, Some("a"), "b").as_deref(), Ok("a"));
}

#[test]
fn a_revoked_agent_hands_over_and_none_serves_a_namespace_that_it_was_not_given() {
    let mut revoked = agent("a", &["edge"]).as_ref().clone();
    revoked.spec.revoked = Some(true);
    let revoked = Arc::new(revoked);
    let agents = [revoked.clone(), agent("b", &["edge"])];
    assert_eq!(chosen(&agents, Some("a"), "a").as_deref(), Ok("b"));
    assert_eq!(chosen(&[revoked], None, "a"), Err(Reason::AgentNotFound));
    assert_eq!(
        chosen(&[agent("a", &["other"])], None, "a"),
        Err(Reason::AgentNotFound)
    );
    assert_eq!(
        chosen(&[agent("a", &[])], None, "a"),
        Err(Reason::AgentNotFound)
    );
    assert_eq!(chosen(&[], None, "a"), Err(Reason::AgentNotFound));
}
