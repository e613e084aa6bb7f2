//! What can go wrong with a BMC, and what that means for who asked.

use std::time::Duration;

use vitistack_protocol::ids::Digest;
use vitistack_protocol::message::numbered::Reason;

use super::address::AddressError;
use crate::driver::Class;

/// A call to a BMC failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address in the intent cannot be used.
    #[error("the BMC address {address:?} cannot be used")]
    Address {
        /// As the intent spells it.
        address: String,
        /// Why.
        #[source]
        source: AddressError,
    },
    /// The trust settings in the intent cannot be used.
    #[error("the BMC's caBundle cannot be used: {problem}")]
    CaBundle {
        /// What is wrong with it.
        problem: String,
    },
    /// The HTTP client could not be made.
    #[error("prepare the client for the BMC")]
    Prepare(#[source] reqwest::Error),
    /// No connection, or it broke.
    #[error("{method} {path}: the BMC did not answer")]
    Unreachable {
        /// Of the request.
        method: &'static str,
        /// Of the request.
        path: String,
        /// What the client saw.
        #[source]
        source: reqwest::Error,
    },
    /// No answer in time.
    #[error("{method} {path}: no answer from the BMC within {after:?}")]
    Timeout {
        /// Of the request.
        method: &'static str,
        /// Of the request.
        path: String,
        /// The deadline.
        after: Duration,
    },
    /// Another certificate than the pinned one.
    #[error("the BMC shows the certificate {seen}, pinned is {pinned}")]
    CertificateChanged {
        /// What was trusted.
        pinned: Digest,
        /// What was shown.
        seen: Digest,
    },
    /// The certificate does not chain to the authorities of the intent.
    #[error("the BMC's certificate {seen} does not fit the caBundle: {problem}")]
    CertificateUntrusted {
        /// What was shown.
        seen: Digest,
        /// What the verifier says.
        problem: String,
    },
    /// The credentials were refused.
    #[error("{method} {path}: the BMC refused the credentials (status {status})")]
    Unauthenticated {
        /// Of the request.
        method: &'static str,
        /// Of the request.
        path: String,
        /// 401 or 403.
        status: u16,
    },
    /// The BMC answered with an error status.
    #[error("{method} {path}: the BMC answered {status}{}", ids(.messages))]
    Refused {
        /// Of the request.
        method: &'static str,
        /// Of the request.
        path: String,
        /// HTTP status.
        status: u16,
        /// Names of the Redfish messages, without registry and version.
        messages: Vec<String>,
        /// What the BMC asks to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is not what Redfish promises.
    #[error("{method} {path}: {problem}")]
    Protocol {
        /// Of the request.
        method: &'static str,
        /// Of the request.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The boot override was accepted and is not there.
    #[error(
        "the BMC accepted the boot override {wanted} and reports {found}; \
         set it by hand, update the BMC's firmware, or check that it is not in lockdown"
    )]
    BootOverrideIgnored {
        /// What was sent.
        wanted: String,
        /// What was read back.
        found: String,
    },
    /// The power action was accepted and nothing changed.
    #[error("the BMC accepted {action} and still reports power {found} after {after:?}")]
    PowerActionIgnored {
        /// What was sent.
        action: &'static str,
        /// What was read back.
        found: String,
        /// How long it was given.
        after: Duration,
    },
}

fn ids(messages: &[String]) -> String {
    if messages.is_empty() {
        String::new()
    } else {
        format!(" ({})", messages.join(", "))
    }
}

/// Redfish messages that say "not now" whatever the status is: iDRAC during a job, iLO and others during POST.
const NOT_NOW: &[&str] = &[
    "SYS518",
    "InvalidOperationForSystemState",
    "UnableToModifyDuringSystemPOST",
    "ActionParameterValueConflict",
    "ResourceInUse",
    "ServiceTemporarilyUnavailable",
    "ServiceInUnknownState",
];

impl Error {
    /// What happens next.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Address { .. }
            | Self::CaBundle { .. }
            | Self::Prepare(_)
            | Self::CertificateChanged { .. }
            | Self::CertificateUntrusted { .. } => Class::Invalid,
            Self::Unauthenticated { .. } => Class::Unauthenticated,
            Self::Refused {
                status,
                messages,
                retry_after,
                ..
            } => refused(*status, messages, *retry_after),
            Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Protocol { .. }
            | Self::BootOverrideIgnored { .. }
            | Self::PowerActionIgnored { .. } => Class::Retry,
        }
    }

    /// What people are told.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => Reason::BmcUnreachable,
            Self::CertificateChanged { .. } => Reason::BmcCertificateChanged,
            Self::CertificateUntrusted { .. } | Self::CaBundle { .. } => {
                Reason::BmcCertificateUntrusted
            }
            Self::Unauthenticated { .. } => Reason::BmcAuthenticationFailed,
            Self::Address { .. }
            | Self::Prepare(_)
            | Self::Refused { .. }
            | Self::Protocol { .. } => Reason::BmcProtocolError,
            Self::BootOverrideIgnored { .. } => Reason::BootOverrideIgnored,
            Self::PowerActionIgnored { .. } => Reason::PowerActionIgnored,
        }
    }

    /// The BMC did not like the body or the place of a write, so another form may do.
    pub(super) fn is_about_the_request(&self) -> bool {
        match self {
            Self::Refused { status, .. } => {
                matches!(status, 400 | 404 | 405 | 415 | 422 | 501) && self.class() != Class::Retry
            }
            _ => false,
        }
    }
}

fn refused(status: u16, messages: &[String], retry_after: Option<Duration>) -> Class {
    if let Some(after) = retry_after {
        // A BMC's clock or a bug must not park a server for days.
        return Class::Throttled {
            after: after.min(Duration::from_secs(600)),
        };
    }
    if messages.iter().any(|id| NOT_NOW.contains(&id.as_str())) {
        return Class::Retry;
    }
    match status {
        404 | 410 => Class::NotFound,
        409 | 412 | 428 => Class::Conflict,
        429 => Class::Throttled {
            after: Duration::from_secs(30),
        },
        // Not implemented and not allowed stay so; every other 5xx is the BMC's mood.
        400..=499 | 501 | 505 => Class::Invalid,
        _ => Class::Retry,
    }
}
