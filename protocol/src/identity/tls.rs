//! TLS configurations: 1.3 only, ring, no resumption.
//!
//! No resumption, because a resumed handshake does not show the certificate again, and the roster and the certificate's
//! end are to be consulted each time. It also keeps 0-RTT away, whose frames could be replayed.

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{ClientConfig, ServerConfig};

use super::authority::HubIdentity;
use super::key::AgentKey;
use super::verify::{AgentVerifier, PinnedAuthority, anchors, provider};
use super::{Error, JoinToken};

/// ALPN of a session: names the framing.
pub const SESSION_ALPN: &[u8] = b"vitistack/1";

/// ALPN of the join protocol, in which only `Join` is understood.
pub const JOIN_ALPN: &[u8] = b"vitistack-join/1";

/// The hub's side, for both protocols.
///
/// # Errors
/// When rustls refuses the hub's own certificate.
pub fn hub(hub: &HubIdentity, verifier: Arc<AgentVerifier>) -> Result<ServerConfig, Error> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(hub.key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(wrong("the hub"))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(hub.chain.clone(), key)
        .map_err(wrong("the hub"))?;
    config.alpn_protocols = vec![SESSION_ALPN.to_vec(), JOIN_ALPN.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// An agent's side of a session: trusts `roots`, shows `chain`. All DER.
///
/// # Errors
/// When a root is no certificate or the key does not belong to the chain.
pub fn session(
    roots: &[Vec<u8>],
    chain: &[Vec<u8>],
    key: &AgentKey,
) -> Result<ClientConfig, Error> {
    let roots = anchors(roots.iter().cloned().map(CertificateDer::from))?;
    let chain = chain.iter().cloned().map(CertificateDer::from).collect();
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(wrong("a session"))?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key.to_der())
        .map_err(wrong("a session"))?;
    config.alpn_protocols = vec![SESSION_ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// An agent's side of joining: believes the hub by the token, shows no certificate.
///
/// # Errors
/// When rustls has no TLS 1.3.
pub fn join(token: &JoinToken) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(wrong("joining"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedAuthority::new(token.ca_hash())))
        .with_no_client_auth();
    config.alpn_protocols = vec![JOIN_ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn wrong(which: &'static str) -> impl Fn(rustls::Error) -> Error {
    move |source| Error::Tls {
        which,
        source: Box::new(source),
    }
}
