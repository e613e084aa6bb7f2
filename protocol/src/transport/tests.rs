use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::SystemTime;

use super::*;
use crate::codec::samples;
use crate::identity::authority::hub_name;
use crate::identity::key::AgentKey;
use crate::identity::name::DEFAULT_TRUST_DOMAIN;
use crate::identity::{
    AGENT_LIFE, AgentName, AgentVerifier, Authority, JoinToken, Leaf, RENEWAL_GRACE, Roster, tls,
};
use crate::message::control::{Goodbye, Health, Hello};

const ENROLMENT: &str = "0123456789";

struct Hub {
    authority: Authority,
    roster: Roster,
    listener: Listener,
}

fn name() -> AgentName {
    AgentName::new("edge-west", "edge-1").unwrap()
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn hub() -> Hub {
    let authority = Authority::generate(DEFAULT_TRUST_DOMAIN, SystemTime::now()).unwrap();
    let roster = Roster::new();
    roster.admit(name(), ENROLMENT.to_owned());
    let listener = listen(&authority, &roster, 0);
    Hub {
        authority,
        roster,
        listener,
    }
}

fn listen(authority: &Authority, roster: &Roster, port: u16) -> Listener {
    let verifier = Arc::new(AgentVerifier::new(authority, roster.clone()).unwrap());
    let identity = authority.sign_hub([1; 16], SystemTime::now()).unwrap();
    let keys = EndpointKeys::new([7; 32]);
    Listener::bind(loopback(port), &keys, &identity, verifier).unwrap()
}

/// A client configuration with a certificate that `authority` signed `age` ago.
fn agent(authority: &Authority, trusted: &Authority, age: Duration) -> rustls::ClientConfig {
    let key = AgentKey::generate().unwrap();
    let chain = authority
        .sign_agent(
            &key.request().unwrap(),
            &name(),
            ENROLMENT,
            [2; 16],
            SystemTime::now() - age,
        )
        .unwrap();
    tls::session(&trusted.roots(), &chain, &key).unwrap()
}

/// Both ends of one attempt. TLS 1.3 lets the agent finish first, so its side is only what `dial` says.
async fn meet(
    hub: &Hub,
    config: rustls::ClientConfig,
) -> (Result<Arrival, Error>, Result<Connection, Error>) {
    meet_from(&mut Dialer::default(), hub, config).await
}

/// The same from a dialer that may have dialled before.
async fn meet_from(
    dialer: &mut Dialer,
    hub: &Hub,
    config: rustls::ClientConfig,
) -> (Result<Arrival, Error>, Result<Connection, Error>) {
    let address = hub.listener.address().unwrap();
    let server = hub_name(DEFAULT_TRUST_DOMAIN);
    let accept = async { hub.listener.accept().await.unwrap().handshake().await };
    let dial = dialer.dial(address, &server, config, Line::Normal, 0.5);
    tokio::join!(accept, dial)
}

async fn session(hub: &Hub) -> (Connection, Connection) {
    session_from(&mut Dialer::default(), hub).await
}

async fn session_from(dialer: &mut Dialer, hub: &Hub) -> (Connection, Connection) {
    let config = agent(&hub.authority, &hub.authority, Duration::ZERO);
    match meet_from(dialer, hub, config).await {
        (Ok(Arrival::Session { connection, .. }), Ok(agent)) => (connection, agent),
        (Ok(Arrival::Join { .. }), _) => panic!("not a session"),
        (hub, agent) => panic!("{:?} {:?}", hub.err(), agent.err()),
    }
}

#[tokio::test]
async fn a_session_names_its_agent_and_carries_messages_both_ways() {
    let hub = hub();
    let config = agent(&hub.authority, &hub.authority, Duration::ZERO);
    let (Ok(Arrival::Session { connection, leaf }), Ok(agent)) = meet(&hub, config).await else {
        panic!("no session");
    };
    assert_eq!((leaf.name, leaf.enrolment.as_str()), (name(), ENROLMENT));
    let (mut send, mut receive) = agent.open(Priority::Control).await.unwrap();
    send.send(&samples::hello()).await.unwrap();
    let (mut answer, mut asked) = connection.accept(Priority::Control).await.unwrap();
    assert_eq!(asked.receive::<Hello>().await.unwrap(), samples::hello());
    answer.send(&samples::goodbye()).await.unwrap();
    answer.finish();
    assert_eq!(
        receive.receive::<Goodbye>().await.unwrap(),
        samples::goodbye()
    );
    assert!(receive.frame().await.unwrap().is_none());
}

#[tokio::test]
async fn a_certificate_of_a_foreign_authority_is_refused() {
    let hub = hub();
    let foreign = Authority::generate(DEFAULT_TRUST_DOMAIN, SystemTime::now()).unwrap();
    let config = agent(&foreign, &hub.authority, Duration::ZERO);
    let (arrival, agent) = meet(&hub, config).await;
    assert!(matches!(
        arrival.err().unwrap().ending(),
        Some(Ending::Refused { .. })
    ));
    if let Ok(agent) = agent {
        assert!(matches!(agent.closed().await, Ending::Refused { .. }));
    }
}

#[tokio::test]
async fn an_agent_refuses_a_hub_of_a_foreign_authority() {
    let hub = hub();
    let foreign = Authority::generate(DEFAULT_TRUST_DOMAIN, SystemTime::now()).unwrap();
    let config = agent(&hub.authority, &foreign, Duration::ZERO);
    let (arrival, agent) = meet(&hub, config).await;
    assert!(arrival.is_err());
    assert!(matches!(
        agent.err().unwrap().ending(),
        Some(Ending::Refused { .. })
    ));
}

#[tokio::test]
async fn a_foreign_protocol_is_refused() {
    let hub = hub();
    let mut config = agent(&hub.authority, &hub.authority, Duration::ZERO);
    config.alpn_protocols = vec![b"h3".to_vec()];
    let (arrival, agent) = meet(&hub, config).await;
    assert!(arrival.is_err());
    assert!(agent.is_err());
}

#[tokio::test]
async fn joining_needs_the_right_authority_and_no_certificate() {
    let hub = hub();
    let token = JoinToken::from_random([1; 5], [2; 16], hub.authority.hash());
    let (arrival, agent) = meet(&hub, tls::join(&token).unwrap()).await;
    assert!(matches!(arrival, Ok(Arrival::Join { .. })));
    assert!(agent.is_ok());
    let token = JoinToken::from_random([1; 5], [2; 16], [9; 32]);
    let (arrival, agent) = meet(&hub, tls::join(&token).unwrap()).await;
    assert!(arrival.is_err());
    assert!(agent.is_err());
}

#[tokio::test]
async fn a_session_without_a_certificate_is_closed_at_once() {
    let hub = hub();
    let token = JoinToken::from_random([1; 5], [2; 16], hub.authority.hash());
    let mut config = tls::join(&token).unwrap();
    config.alpn_protocols = vec![tls::SESSION_ALPN.to_vec()];
    let (arrival, agent) = meet(&hub, config).await;
    assert!(matches!(arrival, Err(Error::Anonymous)));
    assert!(matches!(
        agent.unwrap().closed().await,
        Ending::Closed {
            code: Some(CloseCode::Anonymous),
            ..
        }
    ));
}

#[tokio::test]
async fn an_ended_certificate_connects_within_the_grace_and_says_that_it_has_ended() {
    let hub = hub();
    let day = Duration::from_secs(24 * 3600);
    let config = agent(&hub.authority, &hub.authority, AGENT_LIFE + day);
    let (Ok(Arrival::Session { leaf, .. }), Ok(_)) = meet(&hub, config).await else {
        panic!("no session");
    };
    assert!(leaf.is_over(SystemTime::now()));
    let config = agent(
        &hub.authority,
        &hub.authority,
        AGENT_LIFE + RENEWAL_GRACE + day,
    );
    assert!(meet(&hub, config).await.0.is_err());
}

#[tokio::test]
async fn a_revoked_agent_is_refused() {
    let hub = hub();
    hub.roster.revoke(&name());
    let config = agent(&hub.authority, &hub.authority, Duration::ZERO);
    assert!(meet(&hub, config).await.0.is_err());
}

/// What the hub makes of raw bytes on the control stream.
async fn after_raw(bytes: Vec<u8>) -> Result<Option<codec::Frame>, Error> {
    let hub = hub();
    let (ours, agent) = session(&hub).await;
    let (mut send, _receive) = agent.open(Priority::Control).await.unwrap();
    send.raw(&bytes).await;
    let (_answer, mut asked) = ours.accept(Priority::Control).await.unwrap();
    asked.frame().await
}

fn raw(length: u32, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_be_bytes());
    bytes.extend_from_slice(&1_u16.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

#[tokio::test]
async fn an_oversized_frame_is_refused_before_its_payload() {
    let error = after_raw(raw(u32::MAX, 1, b"")).await.err().unwrap();
    assert_eq!(error.class(), Class::Protocol);
    assert!(matches!(
        error,
        Error::Frame {
            source: codec::Error::TooLong { .. }
        }
    ));
}

#[tokio::test]
async fn a_malformed_frame_is_an_error_and_an_unknown_one_is_not() {
    let malformed = after_raw(raw(3, 5, &[0xff; 3])).await.unwrap().unwrap();
    assert!(matches!(
        malformed.decode::<Health>(),
        Err(codec::Error::Decode { .. })
    ));
    let unknown = after_raw(raw(3, 999, &[0xff; 3])).await.unwrap().unwrap();
    assert!(unknown.header.spec().is_none());
    assert_eq!(unknown.header.kind, 999);
}

#[tokio::test]
async fn a_frame_that_is_cut_short_is_an_error() {
    let hub = hub();
    let (ours, agent) = session(&hub).await;
    let (mut send, _receive) = agent.open(Priority::Control).await.unwrap();
    send.raw(&raw(100, 5, &[1; 10])).await;
    send.finish();
    let (_answer, mut asked) = ours.accept(Priority::Control).await.unwrap();
    assert!(matches!(asked.frame().await, Err(Error::Stream { .. })));
}

#[tokio::test]
async fn each_attempt_of_a_dialer_comes_from_a_socket_of_its_own() {
    let hub = hub();
    let mut dialer = Dialer::default();
    let mut from = BTreeSet::new();
    for _ in 0..3 {
        let (served, agent) = session_from(&mut dialer, &hub).await;
        from.insert(served.remote().port());
        agent.close(CloseCode::Done, "again");
        let closed = tokio::time::timeout(Duration::from_secs(5), served.closed()).await;
        assert!(matches!(closed, Ok(Ending::Closed { .. })), "{closed:?}");
    }
    assert_eq!(from.len(), 3, "{from:?}");
}

#[test]
fn a_hub_that_was_killed_and_restarted_is_noticed_at_the_next_keep_alive() {
    let authority = Authority::generate(DEFAULT_TRUST_DOMAIN, SystemTime::now()).unwrap();
    let roster = Roster::new();
    roster.admit(name(), ENROLMENT.to_owned());
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let (first, second, own) = (runtime(), runtime(), runtime());
    let listener = {
        let _inside = first.enter();
        listen(&authority, &roster, 0)
    };
    let address = listener.address().unwrap();
    let serving = first.spawn(async move {
        let arrival = listener.accept().await.unwrap().handshake().await;
        (listener, arrival)
    });
    let config = agent(&authority, &authority, Duration::ZERO);
    let server = hub_name(DEFAULT_TRUST_DOMAIN);
    let mut dialer = Dialer::default();
    let connection = own
        .block_on(dialer.dial(address, &server, config, Line::Normal, 0.0))
        .unwrap();
    let served = own.block_on(serving).unwrap();
    // Let the line fall silent first, so that nothing but a keep-alive can find out.
    own.block_on(async { tokio::time::sleep(Duration::from_secs(2)).await });
    // The runtime goes first, so that nobody is left to say goodbye: that is what kill -9 looks like from outside.
    first.shutdown_timeout(Duration::from_secs(1));
    drop(served);
    let _again = {
        let _inside = second.enter();
        listen(&authority, &roster, address.port())
    };
    let ending = own.block_on(async {
        tokio::time::timeout(Duration::from_secs(8), connection.closed())
            .await
            .expect("noticed before any idle time-out")
    });
    assert_eq!(ending, Ending::Reset);
}

#[test]
fn every_close_code_has_a_number_of_its_own() {
    for code in CloseCode::ALL {
        assert_eq!(
            CloseCode::from_number(u64::from(code.number())),
            Some(*code)
        );
    }
    assert_eq!(CloseCode::from_number(9999), None);
}

#[test]
fn keep_alives_stay_in_their_ranges() {
    for (line, low, high) in [(Line::Normal, 3.0, 4.0), (Line::Metered, 15.0, 25.0)] {
        for jitter in [0.0, 0.3, 1.0, 7.0] {
            let seconds = line.keep_alive(jitter).as_secs_f64();
            assert!((low..=high).contains(&seconds), "{line:?} {seconds}");
            assert!(line.idle() > line.keep_alive(jitter) * 3, "{line:?}");
        }
    }
}

#[test]
fn a_leaf_is_over_only_after_its_end() {
    let now = SystemTime::now();
    let leaf = Leaf {
        name: name(),
        enrolment: String::new(),
        not_before: now,
        not_after: now,
    };
    assert!(!leaf.is_over(now));
    assert!(leaf.is_over(now + Duration::from_secs(1)));
}
