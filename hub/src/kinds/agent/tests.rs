use vitistack_api::agent::AgentSpec;
use vitistack_api::conditions::{find, is_true};

use super::*;

fn agent(revoked: bool) -> Agent {
    Agent::new(
        "edge-1",
        AgentSpec {
            site: "edge-west".into(),
            revoked: revoked.then_some(true),
            ..AgentSpec::default()
        },
    )
}

fn session(conflict: Option<&str>, problems: &[&str]) -> Session {
    Session {
        build: "0.1.0".into(),
        certificate_until: None,
        conflict: conflict.map(str::to_owned),
        problems: problems
            .iter()
            .map(|problem| (*problem).to_owned())
            .collect(),
    }
}

#[test]
fn the_phase_and_ready_follow_the_session() {
    let now = Time(jiff::Timestamp::UNIX_EPOCH);
    let full = session(None, &["StoreFull"]);
    let behind = session(Some("hub is behind"), &[]);
    let well = session(None, &["SomethingNew"]);
    for (name, agent, session, phase, ready, reason) in [
        (
            "away",
            agent(false),
            None,
            AgentPhase::Disconnected,
            false,
            Reason::AgentDisconnected,
        ),
        (
            "well",
            agent(false),
            Some(&well),
            AgentPhase::Connected,
            true,
            Reason::AgentConnected,
        ),
        (
            "full",
            agent(false),
            Some(&full),
            AgentPhase::Connected,
            false,
            Reason::StoreFull,
        ),
        (
            "behind",
            agent(false),
            Some(&behind),
            AgentPhase::Connected,
            false,
            Reason::ConflictPaused,
        ),
        (
            "revoked",
            agent(true),
            Some(&well),
            AgentPhase::Revoked,
            false,
            Reason::AgentRevoked,
        ),
    ] {
        let status = status(&agent, session, &now);
        assert_eq!(status.phase, Some(phase), "{name}");
        assert_eq!(is_true(&status.conditions, types::READY), ready, "{name}");
        let known = find(&status.conditions, types::READY).expect("Ready is always there");
        assert_eq!(known.reason, reason.as_str(), "{name}");
    }
}
