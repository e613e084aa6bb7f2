//! Hub and agent over real QUIC on loopback: the hub's dispatch and enrolment on a standalone API, the agent's uplink
//! with a store in memory. What is on disk and what is done with an intent is tested elsewhere.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows only #[test] functions as tests; here the helpers beside them may fail a test too"
)]

#[path = "wire/agent.rs"]
mod agent;
#[path = "wire/cuts.rs"]
mod cuts;
#[path = "wire/disk.rs"]
mod disk;
#[path = "wire/hub.rs"]
mod hub;
#[path = "wire/line.rs"]
mod line;

use std::time::{Duration, SystemTime};

use agent::Site;
use hub::{Hub, intent, report, secret};
use vitistack_agent::uplink::Link;
use vitistack_hub::dispatch::Conflict;
use vitistack_protocol::codec::Message;
use vitistack_protocol::identity::key::AgentKey;
use vitistack_protocol::identity::{AGENT_LIFE, AgentName};
use vitistack_protocol::ids::{HubEpoch, Sequence};
use vitistack_protocol::message::control::{Goodbye, Health, Unsupported, Welcome};
use vitistack_protocol::transport::{CloseCode, Ending, Priority};

/// Enough for a loaded machine; a test that fails takes this long, one that passes does not.
const SOON: Duration = Duration::from_secs(30);

fn name() -> AgentName {
    AgentName::new("edge-west", "edge-1").expect("a good name")
}

/// Asks `look` until it gives something, for at most `bound`.
async fn until<T>(bound: Duration, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let end = tokio::time::Instant::now() + bound;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(
            tokio::time::Instant::now() < end,
            "{what}: not within {bound:?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn connected(hub: &Hub) {
    until(SOON, "the agent is connected", async || {
        hub.handle
            .sessions()
            .iter()
            .any(|session| session.agent == name())
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_joins_takes_what_is_desired_and_its_reports_are_acked() {
    let hub = Hub::start().await;
    let row = secret(7, "calvin");
    hub.handle.secret(&name(), row.clone());
    let mut wanted = intent(1, hub.handle.epoch(), 1);
    wanted.secrets = vec![row.name];
    hub.handle.desire(&name(), wanted.clone(), None);
    let site = Site::start(&hub, hub::token_in(Duration::from_secs(600))).await;
    connected(&hub).await;

    let object = hub.agent("edge-1").await.expect("the hub made an Agent");
    assert_eq!(object.spec.site, "edge-west");
    assert_eq!(object.spec.served_namespaces, ["production"]);
    until(SOON, "the token is gone for good", async || {
        hub.token_secrets().await.is_empty().then_some(())
    })
    .await;

    until(SOON, "the intent is held", async || {
        (hub.handle.held(wanted.object.uid) == Some(wanted.fence)).then_some(())
    })
    .await;
    assert_eq!(site.store.order(), ["secret", "intent"]);
    assert_eq!(site.store.intents(), [wanted.clone()]);

    site.store.add(report(&wanted, 1));
    let received = until(SOON, "the report arrived", async || {
        hub.handle.report(wanted.object.uid)
    })
    .await;
    assert_eq!(received.agent, name());
    assert_eq!(site.store.acked(), Sequence(0), "nothing was accepted yet");
    hub.handle
        .accepted(wanted.object.uid, received.report.sequence);
    until(SOON, "the report is acked", async || {
        (site.store.acked() == received.report.sequence).then_some(())
    })
    .await;
    until(SOON, "health arrived", async || {
        hub.handle.sessions().first().and_then(|s| s.health.clone())
    })
    .await;
    site.stop().await;
    until(SOON, "the session is over", async || {
        hub.handle.sessions().is_empty().then_some(())
    })
    .await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_hub_sends_only_what_differs_and_learns_the_reports_again() {
    let mut hub = Hub::start().await;
    let (same, changed) = (
        intent(1, hub.handle.epoch(), 1),
        intent(2, hub.handle.epoch(), 1),
    );
    hub.handle.desire(&name(), same.clone(), None);
    hub.handle.desire(&name(), changed.clone(), None);
    let site = Site::start(&hub, hub::token_in(Duration::from_secs(600))).await;
    until(SOON, "both are held", async || {
        (site.store.intents().len() == 2).then_some(())
    })
    .await;
    site.store.add(report(&same, 1));
    until(SOON, "the report arrived", async || {
        hub.handle.report(same.object.uid)
    })
    .await;
    hub.handle.accepted(same.object.uid, Sequence(1));
    until(SOON, "the report is acked", async || {
        (site.store.acked() == Sequence(1)).then_some(())
    })
    .await;

    hub.restart().await;
    assert_eq!(hub.handle.epoch(), HubEpoch(2));
    let mut newer = intent(2, hub.handle.epoch(), 2);
    newer.body.push(9);
    let mut same_again = same.clone();
    same_again.fence.epoch = hub.handle.epoch();
    hub.handle.desire(&name(), same_again, None);
    hub.handle.desire(&name(), newer.clone(), None);
    until(SOON, "the newer one is held", async || {
        (hub.handle.held(newer.object.uid) == Some(newer.fence)).then_some(())
    })
    .await;
    // Each goes on a stream of its own, so the first two may overtake each other.
    let mut taken = site.store.intents();
    if let Some(first) = taken.get_mut(..2) {
        first.sort_by_key(|intent| intent.object.uid);
    }
    assert_eq!(taken, [same.clone(), changed, newer], "each was sent once");
    let again = until(SOON, "the report came again", async || {
        hub.handle.report(same.object.uid)
    })
    .await;
    assert_eq!(again.report.sequence, Sequence(2));
    site.stop().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_travels_without_its_intent_and_not_again_after_a_reconnect() {
    let mut hub = Hub::start().await;
    let (old, new) = (secret(7, "calvin"), secret(7, "hobbes"));
    let mut wanted = intent(1, hub.handle.epoch(), 1);
    wanted.secrets = vec![old.name];
    hub.handle.secret(&name(), old);
    hub.handle.desire(&name(), wanted.clone(), None);
    let site = Site::start(&hub, hub::token_in(Duration::from_secs(600))).await;
    until(SOON, "the intent is held", async || {
        (hub.handle.held(wanted.object.uid) == Some(wanted.fence)).then_some(())
    })
    .await;
    hub.handle.secret(&name(), new.clone());
    until(SOON, "the new password arrived", async || {
        (site.store.order() == ["secret", "intent", "secret"]).then_some(())
    })
    .await;

    hub.restart().await;
    wanted.fence.epoch = hub.handle.epoch();
    hub.handle.secret(&name(), new);
    hub.handle.desire(&name(), wanted, None);
    let later = intent(2, hub.handle.epoch(), 1);
    hub.handle.desire(&name(), later.clone(), None);
    until(SOON, "what came later is held", async || {
        (hub.handle.held(later.object.uid) == Some(later.fence)).then_some(())
    })
    .await;
    assert_eq!(
        site.store.order(),
        ["secret", "intent", "secret", "intent"],
        "each was sent once"
    );
    site.stop().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_agent_is_cut_within_seconds_and_does_not_come_back() {
    let hub = Hub::start().await;
    let site = Site::start(&hub, hub::token_in(Duration::from_secs(600))).await;
    connected(&hub).await;
    hub.delete_agent("edge-1").await;
    until(Duration::from_secs(5), "the session is cut", async || {
        hub.handle.sessions().is_empty().then_some(())
    })
    .await;
    until(SOON, "the agent knows", async || {
        (site.link() == Link::Down).then_some(())
    })
    .await;
    // Its certificate is good for days yet. The handshake itself refuses it.
    let refused = site.dial_once(&hub).await;
    assert!(matches!(refused, Ending::Refused { .. }), "{refused}");
    site.stop().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_agent_is_cut_within_seconds_and_does_not_come_back() {
    let hub = Hub::start().await;
    let site = Site::start(&hub, hub::token_in(Duration::from_secs(600))).await;
    connected(&hub).await;
    hub.revoke_agent("edge-1").await;
    until(Duration::from_secs(5), "the session is cut", async || {
        hub.handle.sessions().is_empty().then_some(())
    })
    .await;
    let refused = site.dial_once(&hub).await;
    assert!(matches!(refused, Ending::Refused { .. }), "{refused}");
    let wanted = intent(1, hub.handle.epoch(), 1);
    hub.handle.desire(&name(), wanted, None);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(site.store.intents().is_empty(), "it is told nothing more");
    assert!(hub.handle.sessions().is_empty());
    site.stop().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_behind_its_agent_is_paused_and_says_so() {
    let hub = Hub::start().await;
    let wanted = intent(1, hub.handle.epoch(), 1);
    hub.handle.desire(&name(), wanted.clone(), None);
    let site =
        Site::start_at_epoch(&hub, hub::token_in(Duration::from_secs(600)), HubEpoch(7)).await;
    let conflict = until(SOON, "the conflict shows", async || {
        hub.handle.sessions().first().and_then(|s| s.conflict)
    })
    .await;
    let Conflict {
        object,
        hub: ours,
        agent,
    } = conflict;
    assert_eq!(
        (object, ours.epoch, agent.epoch),
        (None, HubEpoch(1), HubEpoch(7))
    );
    until(SOON, "the agent is paused", async || {
        let paused = Link::Paused {
            hub: HubEpoch(1),
            accepted: HubEpoch(7),
        };
        (site.link() == paused).then_some(())
    })
    .await;
    assert!(site.store.intents().is_empty());
    site.stop().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_refused_and_a_good_one_in_its_place_is_found() {
    let hub = Hub::start().await;
    let expired = hub.token(hub::token_in(Duration::ZERO)).await;
    let refusal = agent::join_once(&hub, &expired)
        .await
        .expect_err("it has expired");
    assert!(refusal.contains("expired"), "{refusal}");
    assert_eq!(
        hub.token_secrets().await.len(),
        1,
        "a refusal uses nothing up"
    );

    let site = Site::start_with(&hub, &expired, HubEpoch(0));
    let good = hub.token(hub::token_in(Duration::from_secs(600))).await;
    site.put_token(&good);
    connected(&hub).await;
    let refusal = agent::join_once(&hub, &good)
        .await
        .expect_err("it is used up");
    assert!(refusal.contains("used already"), "{refusal}");
    assert_eq!(hub.agents().await, ["edge-1"]);
    site.stop().await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_agents_with_one_token_exactly_one_joins() {
    let hub = Hub::start().await;
    let token = hub.token(hub::token_in(Duration::from_secs(600))).await;
    let joins = (0..24).map(|_| agent::join_once(&hub, &token));
    let answers = futures::future::join_all(joins).await;
    let (joined, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert_eq!((joined.len(), refused.len()), (1, 23));
    for refusal in refused {
        let refusal = refusal.expect_err("sorted so");
        assert!(refusal.contains("used already"), "{refusal}");
    }
    assert_eq!(hub.agents().await.len(), 1);
    assert_eq!(
        hub.token_secrets().await.len(),
        1,
        "bound to the one, which has had no session"
    );
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_that_asks_many_times_at_once_is_one_agent() {
    let hub = Hub::start().await;
    let token = hub.token(hub::token_in(Duration::from_secs(600))).await;
    let key = AgentKey::generate().unwrap();
    let joins = (0..24).map(|_| agent::join_with(&hub, &token, &key, "edge-1"));
    let names: Vec<String> = futures::future::join_all(joins)
        .await
        .into_iter()
        .map(|joined| joined.expect("it is its key").name)
        .collect();
    assert_eq!(names, ["edge-1"; 24]);
    assert_eq!(hub.agents().await, ["edge-1"]);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_deleted_does_not_come_back_by_the_token_that_made_it() {
    let hub = Hub::start().await;
    let token = hub.token(hub::token_in(Duration::from_secs(600))).await;
    let key = AgentKey::generate().unwrap();
    agent::join_with(&hub, &token, &key, "edge-1")
        .await
        .expect("a good token");
    hub.delete_agent("edge-1").await;
    let refusal = agent::join_with(&hub, &token, &key, "edge-1")
        .await
        .expect_err("it was deleted");
    assert!(refusal.contains("used already"), "{refusal}");
    assert!(hub.agents().await.is_empty());
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_lost_the_answer_asks_again_with_its_key_and_nobody_else_does() {
    let hub = Hub::start().await;
    let token = hub.token(hub::token_in(Duration::from_secs(600))).await;
    let key = AgentKey::generate().unwrap();
    let first = agent::join_with(&hub, &token, &key, "edge-1").await;
    let again = agent::join_with(&hub, &token, &key, "edge-1").await;
    let names = [first, again].map(|joined| joined.expect("it is its key").name);
    assert_eq!(names, ["edge-1", "edge-1"]);
    let refusal = agent::join_once(&hub, &token)
        .await
        .expect_err("another key");
    assert!(refusal.contains("used already"), "{refusal}");
    let refusal = agent::join_with(&hub, &token, &key, "edge-2")
        .await
        .expect_err("another name");
    assert!(refusal.contains("used already"), "{refusal}");
    assert_eq!(hub.agents().await, ["edge-1"], "one agent, one name");
    hub.revoke_agent("edge-1").await;
    let refusal = agent::join_with(&hub, &token, &key, "edge-1")
        .await
        .expect_err("it was revoked");
    assert!(refusal.contains("used already"), "{refusal}");
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_in_time_over_the_session_and_after_their_end_in_a_session_of_their_own()
 {
    let day = Duration::from_secs(24 * 3600);
    for (case, age) in [
        ("past two thirds of its life", AGENT_LIFE * 5 / 7),
        ("ended yesterday", AGENT_LIFE + day),
    ] {
        let hub = Hub::start().await;
        let site = Site::start_enrolled(&hub, SystemTime::now() - age).await;
        connected(&hub).await;
        until(SOON, case, async || {
            let fresh = SystemTime::now() + AGENT_LIFE - day;
            (site.certificate_end() > fresh).then_some(())
        })
        .await;
        site.stop().await;
        hub.stop().await;
    }
}

/// A message of a version that is still to come.
#[derive(serde::Serialize, serde::Deserialize)]
struct Unheard(u8);

impl Message for Unheard {
    const KIND: u16 = 900;
    const VERSION: u16 = 1;
    const CAP: u32 = 64;
    const NAME: &'static str = "unheard";
}

/// Bytes that call themselves a Health and are none.
#[derive(serde::Serialize, serde::Deserialize)]
struct Malformed([u8; 3]);

impl Message for Malformed {
    const KIND: u16 = Health::KIND;
    const VERSION: u16 = Health::VERSION;
    const CAP: u32 = Health::CAP;
    const NAME: &'static str = "malformed";
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_frame_is_answered_and_a_malformed_one_ends_the_session() {
    let hub = Hub::start().await;
    let connection = agent::enrolled_connection(&hub).await;
    let (mut send, mut receive) = connection.open(Priority::Control).await.expect("a stream");
    send.send(&agent::hello()).await.expect("sent");
    let welcome: Welcome = receive.receive().await.expect("a welcome");
    assert_eq!(welcome.epoch, hub.handle.epoch());
    send.send(&Unheard(1)).await.expect("sent");
    let answer: Unsupported = receive.receive().await.expect("an answer");
    assert_eq!(
        answer,
        Unsupported {
            kind: 900,
            version: 1
        }
    );
    connected(&hub).await;
    send.send(&Malformed([0xff; 3])).await.expect("sent");
    let Ending::Closed { code, .. } = connection.closed().await else {
        panic!("the hub did not close the session");
    };
    assert_eq!(code, Some(CloseCode::Protocol));
    until(SOON, "the session is over", async || {
        hub.handle.sessions().is_empty().then_some(())
    })
    .await;
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_a_later_protocol_is_told_so() {
    let hub = Hub::start().await;
    let connection = agent::enrolled_connection(&hub).await;
    let (mut send, mut receive) = connection.open(Priority::Control).await.expect("a stream");
    let mut later = agent::hello();
    (later.min_version, later.max_version) = (2, 3);
    send.send(&later).await.expect("sent");
    let goodbye: Goodbye = receive.receive().await.expect("an answer");
    assert_eq!(goodbye.code, CloseCode::Version.number());
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_authority_is_reported_and_never_replaced() {
    let hub = Hub::start().await;
    assert!(hub.open_authority().await.is_ok());
    hub.damage_authority().await;
    let error = hub.open_authority().await.err().expect("it is damaged");
    assert!(error.to_string().contains("vitistack-ca"), "{error}");
    assert!(hub.open_authority().await.is_err(), "a new one was made");
    hub.stop().await;
}
