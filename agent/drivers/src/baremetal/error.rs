//! What can go wrong in either bare-metal driver.

use vitistack_protocol::message::numbered::Reason;
use vitistack_protocol::message::report::Cause;

use super::redfish;
use crate::cause::chain;
use crate::driver::Class;
use crate::netboot::SlotTaken;

/// A bare-metal driver could not observe or act.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The intent's body cannot be read.
    #[error("read the body of the intent")]
    Body(#[source] postcard::Error),
    /// The credentials of the BMC are not here.
    #[error("the Secret with the BMC's credentials has not arrived at this agent")]
    CredentialsMissing,
    /// The credentials of the BMC cannot be read.
    #[error("read the BMC's credentials")]
    CredentialsMalformed(#[source] postcard::Error),
    /// These very credentials were refused a short while ago.
    #[error(
        "the BMC refused these credentials; they are tried again in {minutes} min, other ones at once"
    )]
    CredentialsRefused {
        /// Until the next knock.
        minutes: u64,
    },
    /// The BMC.
    #[error("talk to the BMC")]
    Bmc(#[source] redfish::Error),
    /// Another object's boot slot is open for the MAC address.
    #[error("open the boot slot")]
    Slot(#[source] SlotTaken),
    /// The boot network went away between plan and act.
    #[error("the boot network has no address")]
    NoBootNetwork,
    /// The user data went away between plan and act.
    #[error("the user data has not arrived at this agent")]
    UserDataMissing,
    /// The image went away between plan and act.
    #[error("the image is not in the cache any more")]
    ImageMissing,
    /// No randomness.
    #[error("the operating system has no randomness to give")]
    Random,
}

impl Error {
    /// How the executor goes on.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Body(_) | Self::CredentialsMalformed(_) => Class::Invalid,
            Self::CredentialsRefused { .. } => Class::Unauthenticated,
            Self::Bmc(error) => error.class(),
            Self::Slot(_) => Class::Conflict,
            Self::CredentialsMissing
            | Self::NoBootNetwork
            | Self::UserDataMissing
            | Self::ImageMissing
            | Self::Random => Class::Retry,
        }
    }

    /// What people are told.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::CredentialsMissing => Reason::CredentialsMissing,
            Self::CredentialsMalformed(_) | Self::CredentialsRefused { .. } => {
                Reason::BmcAuthenticationFailed
            }
            Self::Bmc(error) => error.reason(),
            Self::Slot(_) => Reason::BootConflict,
            Self::NoBootNetwork => Reason::NetbootDisabled,
            Self::Body(_) | Self::UserDataMissing | Self::ImageMissing | Self::Random => {
                Reason::Progressing
            }
        }
    }

    /// For a report.
    #[must_use]
    pub fn cause(&self) -> Cause {
        // The outermost text of a wrapped error only repeats what the reason says.
        let message = match self {
            Self::Bmc(error) => chain(error),
            Self::Slot(error) => chain(error),
            other => chain(other),
        };
        Cause {
            reason: self.reason(),
            message,
        }
    }
}

/// The BMC could not be asked: an observation that plans can be right about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// For the report.
    pub cause: Cause,
    /// Decides how long to leave it alone.
    pub class: Class,
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        Self {
            cause: error.cause(),
            class: error.class(),
        }
    }
}
