use vitistack_api::agent::AgentSpec;
use vitistack_api::conditions::{find, is_true};
use vitistack_protocol::ids::{Fence, HubEpoch, Revision};

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

fn fence(epoch: u64, revision: u64) -> Fence {
    Fence {
        epoch: HubEpoch(epoch),
        revision: Revision(revision),
    }
}

fn behind() -> Conflict {
    Conflict {
        object: None,
        hub: fence(3, 0),
        agent: fence(9, 0),
    }
}

fn session(conflict: Option<Conflict>, problems: &[&str]) -> Session {
    Session {
        build: "0.1.0".into(),
        certificate_until: None,
        conflict,
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
    let behind = session(Some(behind()), &[]);
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

#[test]
fn that_a_new_agent_has_not_dialled_yet_is_no_news_and_everything_else_is() {
    let now = Time(jiff::Timestamp::UNIX_EPOCH);
    let well = session(None, &[]);
    let (new, revoked) = (agent(false), agent(true));
    let mut known = agent(false);
    known.status = Some(status(&known, Some(&well), &now));
    for (name, agent, session, from) in [
        ("made", &new, None, Some(AgentPhase::Disconnected)),
        ("dialled at once", &new, Some(&well), None),
        ("made and revoked", &revoked, None, None),
        ("gone", &known, None, Some(AgentPhase::Connected)),
        (
            "still there",
            &known,
            Some(&well),
            Some(AgentPhase::Connected),
        ),
    ] {
        let after = status(agent, session, &now);
        let heard = heard(agent, &after).and_then(|heard| heard.phase);
        assert_eq!(heard, from, "{name}");
    }
}

#[test]
fn a_choice_is_acted_on_until_hub_and_agent_agree() {
    let (paused, well) = (session(Some(behind()), &[]), session(None, &[]));
    let hub = Some(resume::ACCEPT_HUB);
    for (name, chosen, session, unsettled, expected) in [
        ("nobody chose", None, Some(&paused), 3, Resumption::None),
        ("the agent is away", hub, None, 0, Resumption::Waits),
        (
            "a word that is not known",
            Some("yes"),
            Some(&paused),
            0,
            Resumption::Waits,
        ),
        (
            "chosen",
            hub,
            Some(&paused),
            3,
            Resumption::Begin(Accept::Hub),
        ),
        (
            "the other side",
            Some(resume::ACCEPT_AGENTS),
            Some(&paused),
            3,
            Resumption::Begin(Accept::Agents),
        ),
        (
            "objects are open",
            hub,
            Some(&well),
            1,
            Resumption::UnderWay(Accept::Hub),
        ),
        ("done", hub, Some(&well), 0, Resumption::Over),
    ] {
        let mut agent = agent(false);
        if let Some(chosen) = chosen {
            let annotations = agent.metadata.annotations.get_or_insert_default();
            annotations.insert(ANNOTATION_RESUME.to_owned(), chosen.to_owned());
        }
        assert_eq!(resumption(&agent, session, unsettled), expected, "{name}");
    }
}

#[test]
fn the_pause_names_both_positions_and_a_word_that_is_not_known() {
    let mut agent = agent(false);
    let annotations = agent.metadata.annotations.get_or_insert_default();
    annotations.insert(ANNOTATION_RESUME.to_owned(), "yes".to_owned());
    let said = paused(&agent, &behind());
    for part in ["epoch 3", "epoch 9", "\"yes\"", "accept-agents"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
