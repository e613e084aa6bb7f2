//! How a connection ends, as numbers that both sides know.

use std::fmt;

/// Why one side closed a connection. The numbers are part of the protocol and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// The side stops; dial again.
    Shutdown = 1,
    /// A later session of the same agent has taken over.
    Superseded = 2,
    /// The agent is not, or no longer, admitted.
    Revoked = 3,
    /// The peer sent something that is no frame of ours.
    Protocol = 4,
    /// A session needs a certificate.
    Anonymous = 5,
    /// The join token is unknown, used up or expired.
    JoinRefused = 6,
    /// No protocol version in common.
    Version = 7,
    /// The peer did not answer in time.
    Timeout = 8,
    /// What the connection was for is done.
    Done = 9,
    /// Something is wrong on this side; dial again later.
    Internal = 10,
}

impl CloseCode {
    /// Every variant, for the test that no number is missing.
    pub const ALL: &'static [Self] = &[
        Self::Shutdown,
        Self::Superseded,
        Self::Revoked,
        Self::Protocol,
        Self::Anonymous,
        Self::JoinRefused,
        Self::Version,
        Self::Timeout,
        Self::Done,
        Self::Internal,
    ];

    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The code with this number; `None` for one of a later version.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| u64::from(code.number()) == number)
    }
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The peer closed it and said why. `None` is a code of a later version.
    Closed {
        /// Why.
        code: Option<CloseCode>,
        /// Why, for people.
        message: String,
    },
    /// The peer has forgotten the connection: it was restarted.
    Reset,
    /// Nothing was heard for too long.
    Silent,
    /// The handshake failed: wrong certificate, wrong protocol, wrong peer.
    Refused {
        /// The TLS alert or QUIC error, for people.
        message: String,
    },
    /// This side closed it.
    Local,
}

impl Ending {
    pub(super) fn of(error: &quinn::ConnectionError) -> Self {
        use quinn::ConnectionError as E;
        match error {
            E::ApplicationClosed(closed) => Self::Closed {
                code: CloseCode::from_number(closed.error_code.into_inner()),
                message: String::from_utf8_lossy(&closed.reason).into_owned(),
            },
            E::Reset => Self::Reset,
            E::TimedOut => Self::Silent,
            E::LocallyClosed => Self::Local,
            E::TransportError(error) => Self::Refused {
                message: error.to_string(),
            },
            // quinn's word for "too many handshakes wait here": a matter of time, not of who we are.
            E::ConnectionClosed(closed)
                if closed.error_code == quinn::TransportErrorCode::CONNECTION_REFUSED =>
            {
                Self::Closed {
                    code: Some(CloseCode::Internal),
                    message: "too busy to shake hands".to_owned(),
                }
            }
            E::ConnectionClosed(closed) => Self::Refused {
                message: closed.to_string(),
            },
            E::VersionMismatch => Self::Refused {
                message: "no QUIC version in common".to_owned(),
            },
            E::CidsExhausted => Self::Refused {
                message: "connection IDs are exhausted".to_owned(),
            },
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed { code, message } => match code {
                Some(code) => write!(f, "the peer closed it ({code:?}: {message})"),
                None => write!(f, "the peer closed it ({message})"),
            },
            Self::Reset => f.write_str("the peer was restarted"),
            Self::Silent => f.write_str("the peer was silent for too long"),
            Self::Refused { message } => write!(f, "refused ({message})"),
            Self::Local => f.write_str("this side closed it"),
        }
    }
}
