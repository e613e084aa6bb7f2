//! What an agent's certificate says, once a verifier has found that our authority signed it.

use std::time::{Duration, SystemTime};

use rustls::pki_types::UnixTime;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::{AgentName, Error};

/// The claims of an agent's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// From the URI SAN. Authorises; nothing that a message says does.
    pub name: AgentName,
    /// Which enrolment it goes back to: the id of the join token. Enrolling again under the same name ends the
    /// certificates of the enrolment before.
    pub enrolment: String,
    /// Its start.
    pub not_before: SystemTime,
    /// Its end.
    pub not_after: SystemTime,
}

impl Leaf {
    /// Reads a certificate whose signature is checked elsewhere.
    ///
    /// # Errors
    /// When it is not a certificate of one agent of this trust domain.
    pub fn parse(der: &[u8], trust_domain: &str) -> Result<Self, Error> {
        let wrong = |detail: String| Error::Certificate {
            which: "agent's",
            detail,
        };
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|error| wrong(error.to_string()))?;
        let san = certificate
            .subject_alternative_name()
            .map_err(|error| wrong(error.to_string()))?
            .ok_or_else(|| wrong("it has no subject alternative name".to_owned()))?;
        let [GeneralName::URI(uri)] = san.value.general_names.as_slice() else {
            return Err(wrong(
                "it does not have exactly one subject alternative name, a URI".to_owned(),
            ));
        };
        let name =
            AgentName::from_uri(uri, trust_domain).map_err(|source| Error::Name { source })?;
        let enrolment = certificate
            .subject()
            .iter_organizational_unit()
            .next()
            .and_then(|unit| unit.as_str().ok())
            .ok_or_else(|| wrong("it names no enrolment".to_owned()))?
            .to_owned();
        let validity = certificate.validity();
        Ok(Self {
            name,
            enrolment,
            not_before: from_unix(validity.not_before.timestamp()),
            not_after: from_unix(validity.not_after.timestamp()),
        })
    }

    /// Whether it has ended at `now`; such a session may only renew.
    #[must_use]
    pub fn is_over(&self, now: SystemTime) -> bool {
        now > self.not_after
    }

    /// How long after `now` it is to be renewed: at half to two thirds of its life, `at` of 0..1 choosing between. Zero
    /// if that is past. A certificate that begins in the future (the clock was set back) is renewed by its length.
    #[must_use]
    pub fn renew_in(&self, now: SystemTime, at: f64) -> Duration {
        let life = self
            .not_after
            .duration_since(self.not_before)
            .unwrap_or_default();
        let share = 0.5 + at.clamp(0.0, 1.0) / 6.0;
        let age = now.duration_since(self.not_before).unwrap_or_default();
        life.mul_f64(share).saturating_sub(age)
    }
}

/// Seconds since 1970, which certificates count in.
pub(super) fn from_unix(seconds: i64) -> SystemTime {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// For rustls.
pub(super) fn to_unix(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(
        time.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default(),
    )
}
