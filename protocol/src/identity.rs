//! Who is who: trust domain, names, join tokens, certificates and the rules by which either side believes the other.
//!
//! Owns every decision about identity. Does no I/O: keys and certificates are handed in and out as bytes, time is an
//! argument. The road of an agent: a [`JoinToken`] pins the authority by hash and is redeemed once; the [`Authority`]
//! signs the agent's CSR with an [`AgentName`] as URI SAN; from then on the [`AgentVerifier`] decides at each handshake,
//! with the [`Roster`] of admitted agents.

pub mod authority;
pub mod key;
pub mod leaf;
pub mod name;
pub mod roster;
pub mod tls;
pub mod token;
pub mod verify;

pub use authority::Authority;
pub use leaf::Leaf;
pub use name::AgentName;
pub use roster::Roster;
pub use token::JoinToken;
pub use verify::AgentVerifier;

use std::time::Duration;

/// How long an agent's certificate is good. A site may be offline for days without an operator noticing.
pub const AGENT_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long after its end a certificate can still renew itself, and do nothing else.
pub const RENEWAL_GRACE: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long the hub's own certificate is good. It is made anew at each start and at half of its life.
pub const HUB_LIFE: Duration = Duration::from_secs(90 * 24 * 3600);

/// How long the authority is good. A change of it is a new enrolment of every agent, so it is rare.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How far a certificate's start lies in the past, for peers whose clock is behind.
pub const BACKDATE: Duration = Duration::from_secs(3600);

/// What can be wrong with keys, requests and certificates.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A key could not be made or read.
    #[error("cannot {operation} a key")]
    Key {
        /// `make` or `read`.
        operation: &'static str,
        /// Why.
        source: rcgen::Error,
    },
    /// The certificate request is malformed or its signature is wrong.
    #[error("the certificate request is not acceptable")]
    Request {
        /// Why.
        source: rcgen::Error,
    },
    /// A certificate could not be signed.
    #[error("cannot sign a certificate for {subject}")]
    Sign {
        /// For whom.
        subject: String,
        /// Why.
        source: rcgen::Error,
    },
    /// A certificate could not be read.
    #[error("cannot read the {which} certificate: {detail}")]
    Certificate {
        /// Whose.
        which: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// The name in a certificate is not one of ours.
    #[error("the certificate names no agent")]
    Name {
        /// Why.
        source: name::NameError,
    },
    /// TLS does not accept what we made.
    #[error("cannot set up TLS for {which}")]
    Tls {
        /// For what.
        which: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
