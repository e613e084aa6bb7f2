use std::time::Duration;

use super::*;
use crate::identity::key::AgentKey;
use crate::identity::{AGENT_LIFE, AgentName, name::DEFAULT_TRUST_DOMAIN};

const ENROLMENT: &str = "0123456789";

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn name() -> AgentName {
    AgentName::new("edge-west", "edge-1").unwrap()
}

fn authority() -> Authority {
    Authority::generate(DEFAULT_TRUST_DOMAIN, now()).unwrap()
}

fn certificate(authority: &Authority) -> CertificateDer<'static> {
    let request = AgentKey::generate().unwrap().request().unwrap();
    let chain = authority
        .sign_agent(&request, &name(), ENROLMENT, [1; 16], now())
        .unwrap();
    CertificateDer::from(chain[0].clone())
}

fn check(
    verifier: &AgentVerifier,
    certificate: &CertificateDer<'_>,
    at: SystemTime,
) -> Result<(), TlsError> {
    verifier
        .verify_client_cert(certificate, &[], to_unix(at))
        .map(|_| ())
}

#[test]
fn an_ended_certificate_is_let_in_until_the_grace_is_over() {
    let (authority, roster) = (authority(), Roster::new());
    roster.admit(name(), ENROLMENT.to_owned());
    let verifier = AgentVerifier::new(&authority, roster).unwrap();
    let certificate = certificate(&authority);
    let end = now() + AGENT_LIFE;
    let second = Duration::from_secs(1);
    for (at, good) in [
        (now(), true),
        (end - second, true),
        (end + second, true),
        (end + RENEWAL_GRACE - second, true),
        (end + RENEWAL_GRACE + second, false),
        (now() - Duration::from_secs(86_400), false),
    ] {
        assert_eq!(check(&verifier, &certificate, at).is_ok(), good, "{at:?}");
    }
}

#[test]
fn only_agents_on_the_roster_are_let_in_ended_or_not() {
    let (authority, roster) = (authority(), Roster::new());
    let verifier = AgentVerifier::new(&authority, roster.clone()).unwrap();
    let certificate = certificate(&authority);
    let revoked = Err(TlsError::InvalidCertificate(CertificateError::Revoked));
    let ended = now() + AGENT_LIFE * 2;
    assert_eq!(check(&verifier, &certificate, now()), revoked);
    assert_eq!(check(&verifier, &certificate, ended), revoked);
    roster.admit(name(), ENROLMENT.to_owned());
    assert_eq!(check(&verifier, &certificate, now()), Ok(()));
    // The agent enrolled again, so the certificate of the first enrolment ends.
    roster.admit(name(), "9876543210".to_owned());
    assert_eq!(check(&verifier, &certificate, now()), revoked);
    roster.admit(name(), ENROLMENT.to_owned());
    roster.revoke(&name());
    assert_eq!(check(&verifier, &certificate, now()), revoked);
}

#[test]
fn a_certificate_of_another_authority_is_refused_even_when_it_has_ended() {
    let roster = Roster::new();
    roster.admit(name(), ENROLMENT.to_owned());
    let verifier = AgentVerifier::new(&authority(), roster).unwrap();
    let foreign = certificate(&authority());
    assert!(check(&verifier, &foreign, now()).is_err());
    assert!(check(&verifier, &foreign, now() + AGENT_LIFE * 2).is_err());
}

#[test]
fn the_hubs_own_certificate_is_no_agents() {
    let authority = authority();
    let verifier = AgentVerifier::new(&authority, Roster::new()).unwrap();
    let hub = authority.sign_hub([1; 16], now()).unwrap();
    assert!(check(&verifier, &hub.chain[0], now()).is_err());
}

#[test]
fn a_joining_agent_believes_only_the_pinned_authority() {
    let authority = authority();
    let hub = authority.sign_hub([1; 16], now()).unwrap();
    let server = ServerName::try_from("hub.vitistack").unwrap();
    let check = |pinned: [u8; 32], chain: &[CertificateDer<'static>]| {
        PinnedAuthority::new(pinned)
            .verify_server_cert(&chain[0], &chain[1..], &server, &[], to_unix(now()))
            .map(|_| ())
    };
    assert_eq!(check(authority.hash(), &hub.chain), Ok(()));
    assert!(check([0; 32], &hub.chain).is_err());
    // A man in the middle can show the pinned authority, but has no leaf that it signed.
    let other = self::authority().sign_hub([1; 16], now()).unwrap();
    let forged = [other.chain[0].clone(), hub.chain[1].clone()];
    assert!(check(authority.hash(), &forged).is_err());
    // Nor does an agent's certificate make a hub.
    let agent = [certificate(&authority), hub.chain[1].clone()];
    assert!(check(authority.hash(), &agent).is_err());
}
