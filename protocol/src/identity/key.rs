//! Private keys and PEM, as both sides keep them on disk or in a Secret.

use base64::Engine as _;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::Error;

/// An agent's private key (ECDSA P-256). It has no `Debug`.
pub struct AgentKey {
    pair: KeyPair,
}

impl AgentKey {
    /// A fresh key.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self, Error> {
        let pair = KeyPair::generate().map_err(|source| Error::Key {
            operation: "make",
            source,
        })?;
        Ok(Self { pair })
    }

    /// Reads what [`AgentKey::to_pem`] wrote.
    ///
    /// # Errors
    /// When it is no such key.
    pub fn from_pem(pem: &str) -> Result<Self, Error> {
        let pair = KeyPair::from_pem(pem).map_err(|source| Error::Key {
            operation: "read",
            source,
        })?;
        Ok(Self { pair })
    }

    /// PKCS#8 in PEM.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.pair.serialize_pem())
    }

    /// A PKCS#10 request, DER, that proves possession of this key. It names nobody: the hub decides the name.
    ///
    /// # Errors
    /// When signing fails.
    pub fn request(&self) -> Result<Vec<u8>, Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params
            .serialize_request(&self.pair)
            .map(|request| request.der().to_vec())
            .map_err(|source| Error::Request { source })
    }

    /// For a TLS configuration.
    pub(super) fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.pair.serialize_der()))
    }
}

/// Certificates as PEM, in the order given.
#[must_use]
pub fn certificates_to_pem(certificates: &[Vec<u8>]) -> String {
    let mut pem = String::new();
    for certificate in certificates {
        let text = base64::engine::general_purpose::STANDARD.encode(certificate);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let mut rest = text.as_str();
        while !rest.is_empty() {
            // Base64 is ASCII, so every index is a character boundary.
            let (line, tail) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = tail;
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

/// Every certificate of a PEM text, DER, in order.
///
/// # Errors
/// When the text holds none, or something that is no certificate.
pub fn certificates_from_pem(pem: &str) -> Result<Vec<Vec<u8>>, Error> {
    let wrong = |detail: String| Error::Certificate {
        which: "PEM",
        detail,
    };
    let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(|found| found.map(|der| der.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|error| wrong(error.to_string()))?;
    if certificates.is_empty() {
        return Err(wrong("there is none".to_owned()));
    }
    Ok(certificates)
}
