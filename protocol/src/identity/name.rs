//! Who an agent is: the site and the name that its certificate carries, and nothing that a message says.

use std::fmt;

/// The trust domain of every certificate, unless the operator names another.
pub const DEFAULT_TRUST_DOMAIN: &str = "vitistack";

/// A DNS label: what sites and agents are called.
const MAX_LABEL: usize = 63;

/// An agent, as the URI SAN of its certificate names it. Nothing else makes one outside enrolment and tests.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentName {
    /// The site, a DNS label.
    pub site: String,
    /// The agent at that site, a DNS label.
    pub name: String,
}

/// A name that cannot be an identity.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// Not a DNS label.
    #[error("{field} {text:?} is not a DNS label: 1 to 63 of a-z, 0-9 and -, no - at the ends")]
    Label {
        /// `site` or `agent name`.
        field: &'static str,
        /// What was given.
        text: String,
    },
    /// Not an identity of an agent of this trust domain.
    #[error("{uri:?} is not spiffe://{trust_domain}/site/<site>/agent/<name>")]
    Uri {
        /// What the certificate carries.
        uri: String,
        /// The trust domain that counts here.
        trust_domain: String,
    },
}

impl AgentName {
    /// Checks both parts.
    ///
    /// # Errors
    /// When one of them is no DNS label.
    pub fn new(site: &str, name: &str) -> Result<Self, NameError> {
        Ok(Self {
            site: label("site", site)?,
            name: label("agent name", name)?,
        })
    }

    /// The URI SAN: `spiffe://<trust domain>/site/<site>/agent/<name>`.
    #[must_use]
    pub fn to_uri(&self, trust_domain: &str) -> String {
        format!(
            "spiffe://{trust_domain}/site/{}/agent/{}",
            self.site, self.name
        )
    }

    /// Reads a URI SAN.
    ///
    /// # Errors
    /// When it is of another trust domain or of another shape.
    pub fn from_uri(uri: &str, trust_domain: &str) -> Result<Self, NameError> {
        let wrong = || NameError::Uri {
            uri: uri.to_owned(),
            trust_domain: trust_domain.to_owned(),
        };
        let path = uri
            .strip_prefix("spiffe://")
            .and_then(|rest| rest.strip_prefix(trust_domain))
            .and_then(|rest| rest.strip_prefix("/site/"))
            .ok_or_else(wrong)?;
        let (site, name) = path.split_once("/agent/").ok_or_else(wrong)?;
        Self::new(site, name)
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.site, self.name)
    }
}

impl fmt::Debug for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Makes a DNS label of anything that somebody calls a machine: the first label, lower case, the rest dropped.
#[must_use]
pub fn label_of(text: &str) -> String {
    let first = text.split('.').next().unwrap_or_default();
    let kept: String = first
        .chars()
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c == '_' { '-' } else { c })
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
        .take(MAX_LABEL)
        .collect();
    kept.trim_matches('-').to_owned()
}

fn label(field: &'static str, text: &str) -> Result<String, NameError> {
    let fits = (1..=MAX_LABEL).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if fits {
        Ok(text.to_owned())
    } else {
        Err(NameError::Label {
            field,
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
