//! The hub's certificate authority: signs agents' requests and the hub's own certificate.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _,
    SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};
use sha2::Digest as _;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::key::{certificates_from_pem, certificates_to_pem};
use super::{AGENT_LIFE, AUTHORITY_LIFE, AgentName, BACKDATE, Error, HUB_LIFE};

/// An authority with its key. It has no `Debug`.
pub struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    trust_domain: String,
}

/// What the hub shows to agents.
pub struct HubIdentity {
    /// Leaf first, then the authority, so that a joining agent can find it by its hash.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: KeyPair,
}

/// The server name of every hub of a trust domain. Agents dial whatever address they were given and expect this name,
/// so an address can change without a new certificate.
#[must_use]
pub fn hub_name(trust_domain: &str) -> String {
    format!("hub.{trust_domain}")
}

impl Authority {
    /// A new authority.
    ///
    /// # Errors
    /// When key or certificate cannot be made.
    pub fn generate(trust_domain: &str, now: SystemTime) -> Result<Self, Error> {
        let key = KeyPair::generate().map_err(|source| Error::Key {
            operation: "make",
            source,
        })?;
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&format!("VitiStack hub of {trust_domain}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        validity(&mut params, now, AUTHORITY_LIFE);
        let certificate = params
            .self_signed(&key)
            .map_err(|source| Error::Sign {
                subject: "the authority".to_owned(),
                source,
            })?
            .der()
            .clone();
        Self::with(certificate, key, trust_domain)
    }

    /// Reads what [`Authority::certificate_pem`] and [`Authority::key_pem`] gave.
    ///
    /// # Errors
    /// When either cannot be read.
    pub fn from_pem(certificate: &str, key: &str, trust_domain: &str) -> Result<Self, Error> {
        let certificate = certificates_from_pem(certificate)?
            .into_iter()
            .next()
            .ok_or_else(|| Error::Certificate {
                which: "authority's",
                detail: "there is none".to_owned(),
            })?;
        let key = KeyPair::from_pem(key).map_err(|source| Error::Key {
            operation: "read",
            source,
        })?;
        Self::with(CertificateDer::from(certificate), key, trust_domain)
    }

    fn with(
        certificate: CertificateDer<'static>,
        key: KeyPair,
        trust_domain: &str,
    ) -> Result<Self, Error> {
        let issuer =
            Issuer::from_ca_cert_der(&certificate, key).map_err(|source| Error::Certificate {
                which: "authority's",
                detail: source.to_string(),
            })?;
        Ok(Self {
            certificate,
            issuer,
            trust_domain: trust_domain.to_owned(),
        })
    }

    /// The trust domain that it signs for.
    #[must_use]
    pub fn trust_domain(&self) -> &str {
        &self.trust_domain
    }

    /// Its certificate, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> String {
        certificates_to_pem(&self.roots())
    }

    /// Its key, PEM. Goes into a Secret and nowhere else.
    #[must_use]
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// SHA-256 of its certificate, DER: what join tokens carry.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        sha2::Sha256::digest(&self.certificate).into()
    }

    /// What agents shall trust, DER.
    #[must_use]
    pub fn roots(&self) -> Vec<Vec<u8>> {
        vec![self.certificate.to_vec()]
    }

    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Signs an agent's request. Of the request only the public key counts, and that its signature proves possession;
    /// every name comes from the arguments. `serial` is random. Answers the chain, DER, leaf first.
    ///
    /// # Errors
    /// When the request is malformed or not signed by its own key.
    pub fn sign_agent(
        &self,
        request: &[u8],
        name: &AgentName,
        enrolment: &str,
        serial: [u8; 16],
        now: SystemTime,
    ) -> Result<Vec<Vec<u8>>, Error> {
        let request =
            CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
                .map_err(|source| Error::Request { source })?;
        let uri = name.to_uri(&self.trust_domain);
        let mut params = leaf(&name.name, serial);
        params
            .distinguished_name
            .push(DnType::OrganizationalUnitName, enrolment);
        params.subject_alt_names = vec![SanType::URI(
            uri.as_str()
                .try_into()
                .map_err(|source| Error::Request { source })?,
        )];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        validity(&mut params, now, AGENT_LIFE);
        let certificate = params
            .signed_by(&request.public_key, &self.issuer)
            .map_err(|source| Error::Sign {
                subject: uri,
                source,
            })?;
        Ok(vec![certificate.der().to_vec()])
    }

    /// A fresh key and certificate for the hub itself.
    ///
    /// # Errors
    /// When key or certificate cannot be made.
    pub fn sign_hub(&self, serial: [u8; 16], now: SystemTime) -> Result<HubIdentity, Error> {
        let key = KeyPair::generate().map_err(|source| Error::Key {
            operation: "make",
            source,
        })?;
        let name = hub_name(&self.trust_domain);
        let mut params = leaf(&name, serial);
        params.subject_alt_names = vec![SanType::DnsName(
            name.as_str()
                .try_into()
                .map_err(|source| Error::Request { source })?,
        )];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        validity(&mut params, now, HUB_LIFE);
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(|source| Error::Sign {
                subject: name,
                source,
            })?;
        Ok(HubIdentity {
            chain: vec![certificate.der().clone(), self.certificate.clone()],
            key,
        })
    }
}

/// SHA-256 of the public key that a request asks for, which its signature proves to be the asker's.
///
/// # Errors
/// When the request is malformed or not signed by its own key.
pub fn key_of_request(request: &[u8]) -> Result<[u8; 32], Error> {
    let request =
        CertificateSigningRequestParams::from_der(&CertificateSigningRequestDer::from(request))
            .map_err(|source| Error::Request { source })?;
    Ok(sha2::Sha256::digest(request.public_key.der_bytes()).into())
}

fn leaf(common: &str, serial: [u8; 16]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(common);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    let mut serial = serial;
    if let Some(first) = serial.first_mut() {
        // RFC 5280 4.1.2.2: positive, and not zero.
        *first = (*first & 0x7f) | 0x40;
    }
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params
}

fn common_name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn validity(params: &mut CertificateParams, now: SystemTime, life: Duration) {
    params.not_before = OffsetDateTime::from(now - BACKDATE);
    params.not_after = OffsetDateTime::from(now + life);
}

#[cfg(test)]
mod tests;
