use serde_json::json;
use vitistack_api::conditions::{find, is_true};

use super::*;
use crate::kinds::fixtures::provider;

#[test]
fn a_provider_is_ready_when_its_agent_is_connected_and_its_credentials_are_there() {
    let rack = provider("edge", "rack", json!({}));
    let cloud = provider("edge", "cloud", json!({"spec": {"providerType": "aws"}}));
    let agent = AgentName::new("edge-west", "edge-1").expect("a name");
    let missing = || Refusal::waits(Reason::AgentNotFound, "no agent");
    let secret = || Refusal::waits(Reason::SecretNotFound, "no Secret");
    let now = Time(jiff::Timestamp::UNIX_EPOCH);
    for (name, provider, agent, connected, credentials, phase, reason) in [
        (
            "connected",
            &rack,
            Ok(&agent),
            true,
            None,
            ProviderPhase::Ready,
            Reason::AgentConnected,
        ),
        (
            "away",
            &rack,
            Ok(&agent),
            false,
            None,
            ProviderPhase::Offline,
            Reason::AgentDisconnected,
        ),
        (
            "no agent",
            &rack,
            Err(missing()),
            false,
            None,
            ProviderPhase::Pending,
            Reason::AgentNotFound,
        ),
        (
            "no Secret",
            &rack,
            Ok(&agent),
            true,
            Some(Err(secret())),
            ProviderPhase::Failed,
            Reason::SecretNotFound,
        ),
        (
            "no driver",
            &cloud,
            Err(missing()),
            false,
            None,
            ProviderPhase::Failed,
            Reason::ProviderTypeNotSupported,
        ),
    ] {
        let facts = Facts {
            provider,
            site: Ok("edge-west"),
            agent,
            agent_is_connected: connected,
            credentials,
            machines: 0,
        };
        let status = status(&facts, &now);
        assert_eq!(status.phase, Some(phase), "{name}");
        let ready = find(&status.conditions, types::READY).expect("Ready is always there");
        assert_eq!(ready.reason, reason.as_str(), "{name}");
        assert_eq!(
            ready.status == "True",
            phase == ProviderPhase::Ready,
            "{name}"
        );
    }
}

#[test]
fn a_full_provider_says_so_and_stays_ready() {
    let full = provider(
        "edge",
        "rack",
        json!({"spec": {"capabilities": {"maxMachines": 2}}}),
    );
    let agent = AgentName::new("edge-west", "edge-1").expect("a name");
    let facts = Facts {
        provider: &full,
        site: Ok("edge-west"),
        agent: Ok(&agent),
        agent_is_connected: true,
        credentials: None,
        machines: 2,
    };
    let status = status(&facts, &Time(jiff::Timestamp::UNIX_EPOCH));
    assert!(is_true(&status.conditions, types::READY));
    assert!(!is_true(&status.conditions, types::QUOTA_VALID));
    assert_eq!(status.quota.and_then(|quota| quota.instance_used), Some(2));
}
