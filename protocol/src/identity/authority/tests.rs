use super::*;
use crate::identity::key::AgentKey;
use crate::identity::{Leaf, name::DEFAULT_TRUST_DOMAIN};

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn authority() -> Authority {
    Authority::generate(DEFAULT_TRUST_DOMAIN, now()).unwrap()
}

fn name() -> AgentName {
    AgentName::new("edge-west", "edge-1").unwrap()
}

#[test]
fn a_signed_certificate_says_what_the_hub_decided() {
    let authority = authority();
    let request = AgentKey::generate().unwrap().request().unwrap();
    let chain = authority
        .sign_agent(&request, &name(), "0123456789", [7; 16], now())
        .unwrap();
    let leaf = Leaf::parse(&chain[0], DEFAULT_TRUST_DOMAIN).unwrap();
    assert_eq!(leaf.name, name());
    assert_eq!(leaf.enrolment, "0123456789");
    assert_eq!(leaf.not_after, now() + AGENT_LIFE);
    assert_eq!(leaf.not_before, now() - BACKDATE);
    assert!(Leaf::parse(&chain[0], "another").is_err());
}

#[test]
fn an_authority_survives_its_pem() {
    let first = authority();
    let again = Authority::from_pem(
        &first.certificate_pem(),
        &first.key_pem(),
        DEFAULT_TRUST_DOMAIN,
    )
    .unwrap();
    assert_eq!(again.hash(), first.hash());
    let request = AgentKey::generate().unwrap().request().unwrap();
    assert!(
        again
            .sign_agent(&request, &name(), "0", [0; 16], now())
            .is_ok()
    );
}

#[test]
fn a_request_that_its_key_did_not_sign_is_refused() {
    let mut request = AgentKey::generate().unwrap().request().unwrap();
    let last = request.len() - 1;
    request[last] ^= 1;
    assert!(matches!(
        authority().sign_agent(&request, &name(), "0", [0; 16], now()),
        Err(Error::Request { .. })
    ));
    assert!(matches!(
        authority().sign_agent(b"nonsense", &name(), "0", [0; 16], now()),
        Err(Error::Request { .. })
    ));
}

#[test]
fn a_request_cannot_ask_for_a_name() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["hub.vitistack".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::URI(
        "spiffe://vitistack/site/other/agent/other"
            .try_into()
            .unwrap(),
    ));
    let request = params.serialize_request(&key).unwrap();
    let chain = authority()
        .sign_agent(request.der(), &name(), "0", [0; 16], now())
        .unwrap();
    assert_eq!(
        Leaf::parse(&chain[0], DEFAULT_TRUST_DOMAIN).unwrap().name,
        name()
    );
}

#[test]
fn a_certificate_is_renewed_between_half_and_two_thirds_of_its_life() {
    let day = Duration::from_secs(24 * 3600);
    let leaf = Leaf {
        name: name(),
        enrolment: String::new(),
        not_before: now(),
        not_after: now() + 6 * day,
    };
    assert_eq!(leaf.renew_in(now(), 0.0), 3 * day);
    assert_eq!(leaf.renew_in(now(), 1.0), 4 * day);
    assert_eq!(leaf.renew_in(now() + 2 * day, 0.0), day);
    assert_eq!(leaf.renew_in(now() + 9 * day, 1.0), Duration::ZERO);
    assert_eq!(leaf.renew_in(now() - 9 * day, 0.0), 3 * day);
}
