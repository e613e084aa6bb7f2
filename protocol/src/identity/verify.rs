//! The two verifiers of our own: which agents a hub lets in, and which hub a joining agent believes.
//!
//! Both leave signatures and chains to webpki and add only what it cannot know: the roster, the grace of an ended
//! certificate, the authority's hash in a token.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error as TlsError, RootCertStore,
    SignatureScheme,
};
use sha2::Digest as _;
use subtle::ConstantTimeEq as _;

use super::leaf::to_unix;
use super::{Authority, Error, Leaf, RENEWAL_GRACE, Roster};

/// Lets in agents that our authority signed and the roster admits. A certificate that has ended is checked as of its
/// end and let in within [`RENEWAL_GRACE`]; what it may then do is the session's matter (only renew). A peer without a
/// certificate passes the handshake, because the join protocol has none; any other protocol refuses it at once.
pub struct AgentVerifier {
    chain: Arc<dyn ClientCertVerifier>,
    trust_domain: String,
    roster: Roster,
}

impl AgentVerifier {
    /// A verifier for agents of `authority` that `roster` admits.
    ///
    /// # Errors
    /// When the authority's certificate cannot be a trust anchor.
    pub fn new(authority: &Authority, roster: Roster) -> Result<Self, Error> {
        let roots = anchors([authority.certificate().clone()])?;
        let chain = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .allow_unauthenticated()
            .build()
            .map_err(|source| Error::Tls {
                which: "agents' certificates",
                source: Box::new(source),
            })?;
        Ok(Self {
            chain,
            trust_domain: authority.trust_domain().to_owned(),
            roster,
        })
    }

    /// The trust domain that names must be of.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }
}

impl fmt::Debug for AgentVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentVerifier").finish_non_exhaustive()
    }
}

impl ClientCertVerifier for AgentVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Agents have one certificate; a hint would only tell strangers who we are.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        // The chain first: nothing is parsed further before our authority's signature is known to be on it.
        let as_of = |time| {
            self.chain
                .verify_client_cert(end_entity, intermediates, time)
        };
        let verified = match as_of(now) {
            Err(TlsError::InvalidCertificate(
                CertificateError::Expired | CertificateError::ExpiredContext { .. },
            )) => {
                let leaf = self.leaf(end_entity)?;
                let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(now.as_secs());
                if now > leaf.not_after + RENEWAL_GRACE {
                    return Err(TlsError::InvalidCertificate(CertificateError::Expired));
                }
                as_of(to_unix(leaf.not_after))?
            }
            other => other?,
        };
        let leaf = self.leaf(end_entity)?;
        if !self.roster.admits(&leaf.name, &leaf.enrolment) {
            return Err(TlsError::InvalidCertificate(CertificateError::Revoked));
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

impl AgentVerifier {
    fn leaf(&self, end_entity: &CertificateDer<'_>) -> Result<Leaf, TlsError> {
        Leaf::parse(end_entity, &self.trust_domain).map_err(|_| {
            TlsError::InvalidCertificate(CertificateError::ApplicationVerificationFailure)
        })
    }
}

/// Believes the hub whose chain holds the authority with the hash of a join token.
pub(super) struct PinnedAuthority {
    hash: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl PinnedAuthority {
    pub(super) fn new(hash: [u8; 32]) -> Self {
        Self {
            hash,
            provider: provider(),
        }
    }
}

impl fmt::Debug for PinnedAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedAuthority").finish_non_exhaustive()
    }
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let pinned = intermediates
            .iter()
            .find(|certificate| {
                let hash: [u8; 32] = sha2::Sha256::digest(certificate).into();
                bool::from(hash.ct_eq(&self.hash))
            })
            .ok_or(TlsError::InvalidCertificate(
                CertificateError::UnknownIssuer,
            ))?;
        let unknown = || TlsError::InvalidCertificate(CertificateError::UnknownIssuer);
        let roots = anchors([pinned.clone().into_owned()]).map_err(|_| unknown())?;
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider))
            .build()
            .map_err(|_| unknown())?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The provider of every TLS configuration of ours.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(super) fn anchors(
    certificates: impl IntoIterator<Item = CertificateDer<'static>>,
) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate).map_err(|source| Error::Tls {
            which: "a trust anchor",
            source: Box::new(source),
        })?;
    }
    Ok(roots)
}

#[cfg(test)]
mod tests;
