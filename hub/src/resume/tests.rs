use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use vitistack_api::agent::{AgentSpec, AgentStatus};

use super::*;

fn agent(name: &str, reason: Reason) -> Agent {
    let mut agent = Agent::new(name, AgentSpec::default());
    agent.status = Some(AgentStatus {
        conditions: vec![Condition {
            type_: types::READY.to_owned(),
            status: "False".to_owned(),
            reason: reason.as_str().to_owned(),
            message: "in words".to_owned(),
            last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
            observed_generation: None,
        }],
        ..AgentStatus::default()
    });
    agent
}

#[test]
fn only_paused_agents_are_resumed() {
    let agents = [
        agent("a", Reason::ConflictPaused),
        agent("b", Reason::AgentConnected),
        agent("c", Reason::ConflictPaused),
    ];
    for (names, expected) in [
        (&[][..], Ok(&["a", "c"][..])),
        (&["c"], Ok(&["c"])),
        (&["b"], Err("Agent \"b\" is not paused: in words")),
        (&["a", "nobody"], Err("there is no Agent \"nobody\"")),
    ] {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let chosen = choose(&agents, &names);
        match (chosen, expected) {
            (Ok(chosen), Ok(expected)) => {
                let chosen: Vec<_> = chosen.iter().map(|agent| agent.name_any()).collect();
                assert_eq!(chosen, expected, "{names:?}");
            }
            (Err(error), Err(expected)) => assert_eq!(error.to_string(), expected),
            (chosen, expected) => panic!("{names:?}: {chosen:?}, not {expected:?}"),
        }
    }
}
