//! How a BMC's certificate is judged: an authority, a pin, first use, or not at all.
//!
//! The system's CA roots are never asked. The verifier writes down what it saw and why it refused, so that the reason of
//! a failed connection is a value and not a text.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use vitistack_protocol::ids::Digest;
use vitistack_protocol::message::intent::BmcTrust;

use super::error::Error;

/// What was seen of the BMC's certificate.
#[derive(Debug, Default)]
pub(super) struct Witness(Mutex<Sight>);

#[derive(Debug, Default)]
struct Sight {
    /// Fingerprint of the newest one that was accepted.
    accepted: Option<Digest>,
    refusal: Option<Refusal>,
}

/// Why the newest certificate was refused.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    Changed { pinned: Digest, seen: Digest },
    Untrusted { seen: Digest, problem: String },
}

impl Witness {
    /// Fingerprint of the newest certificate that was accepted.
    pub(super) fn accepted(&self) -> Option<Digest> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .accepted
    }

    /// Why the newest certificate was refused; taken, so that the next failure stands for itself.
    pub(super) fn take_refusal(&self) -> Option<Error> {
        let refusal = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .refusal
            .take()?;
        Some(match refusal {
            Refusal::Changed { pinned, seen } => Error::CertificateChanged { pinned, seen },
            Refusal::Untrusted { seen, problem } => Error::CertificateUntrusted { seen, problem },
        })
    }

    fn accept(&self, seen: Digest) {
        let mut sight = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sight.accepted = Some(seen);
        sight.refusal = None;
    }

    fn refuse(&self, refusal: Refusal) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .refusal = Some(refusal);
    }
}

#[derive(Debug)]
enum Rule {
    Authority(Arc<WebPkiServerVerifier>),
    Pin(Digest),
    FirstUse,
    Anything,
}

#[derive(Debug)]
struct Verifier {
    rule: Rule,
    provider: Arc<CryptoProvider>,
    witness: Arc<Witness>,
}

/// A TLS configuration that judges by `trust`, and what it will have seen.
pub(super) fn config(trust: &BmcTrust) -> Result<(ClientConfig, Arc<Witness>), Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let rule = match trust {
        BmcTrust { insecure: true, .. } => Rule::Anything,
        BmcTrust {
            pin: Some(digest), ..
        } => Rule::Pin(*digest),
        BmcTrust { ca_bundle, .. } if !ca_bundle.is_empty() => {
            Rule::Authority(authority(ca_bundle, &provider)?)
        }
        BmcTrust { .. } => Rule::FirstUse,
    };
    let witness = Arc::new(Witness::default());
    let verifier = Verifier {
        rule,
        provider: Arc::clone(&provider),
        witness: Arc::clone(&witness),
    };
    // TLS 1.2 as well: many BMCs speak nothing newer.
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12, &rustls::version::TLS13])
        .map_err(|problem| Error::CaBundle {
            problem: problem.to_string(),
        })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok((config, witness))
}

fn authority(
    bundle: &str,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(bundle.as_bytes()) {
        let certificate = certificate.map_err(|problem| Error::CaBundle {
            problem: problem.to_string(),
        })?;
        roots.add(certificate).map_err(|problem| Error::CaBundle {
            problem: problem.to_string(),
        })?;
    }
    if roots.is_empty() {
        return Err(Error::CaBundle {
            problem: "it holds no PEM certificate".to_owned(),
        });
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|problem| Error::CaBundle {
            problem: problem.to_string(),
        })
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let seen = Digest::of(end_entity);
        let pinned = match &self.rule {
            Rule::Authority(authority) => {
                return match authority.verify_server_cert(
                    end_entity,
                    intermediates,
                    server_name,
                    ocsp_response,
                    now,
                ) {
                    Ok(verified) => {
                        self.witness.accept(seen);
                        Ok(verified)
                    }
                    Err(error) => {
                        self.witness.refuse(Refusal::Untrusted {
                            seen,
                            problem: error.to_string(),
                        });
                        Err(error)
                    }
                };
            }
            Rule::Pin(pinned) => Some(*pinned),
            // The first one counts until the hub sends it back as a pin.
            Rule::FirstUse => self.witness.accepted(),
            Rule::Anything => None,
        };
        // A pinned certificate is judged by nothing else: BMC clocks and host names are wrong too often.
        match pinned {
            Some(pinned) if pinned != seen => {
                self.witness.refuse(Refusal::Changed { pinned, seen });
                Err(CertificateError::ApplicationVerificationFailure.into())
            }
            Some(_) | None => {
                self.witness.accept(seen);
                Ok(ServerCertVerified::assertion())
            }
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
