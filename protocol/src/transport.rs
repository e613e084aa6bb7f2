//! The QUIC line between hub and agent: the only module of the project that imports quinn.
//!
//! quinn's defaults are not ours. Reset and connection-ID keys are stable across restarts and resets are not rationed,
//! so that a killed hub is noticed at an agent's next keep-alive; windows are bounded; connecting has a time-out of its
//! own; handshakes are paced and the receive buffer is large, or a reconnect storm drops its own packets; no path MTU
//! probes, whose bytes a metered line would pay for.
//!
//! Streams of a session: the agent opens one bidirectional control stream and one one-way stream of report batches; the
//! hub opens a bidirectional stream an intent or secret. A joining agent opens one bidirectional stream.

mod connection;
mod connection_id;
mod dialer;
mod ending;
mod listener;
mod settings;

pub use connection::{Connection, Priority, Receiver, Sender, within};
pub use dialer::Dialer;
pub use ending::{CloseCode, Ending};
pub use listener::{Arrival, Incoming, Listener};
pub use settings::{EndpointKeys, INTENT_STREAMS, Line};

use std::net::SocketAddr;
use std::time::Duration;

use crate::codec;

/// How long a handshake may take, either side. quinn would wait for the whole idle time-out.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// What can go wrong with a line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The UDP socket could not be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The TLS configuration does not fit QUIC.
    #[error("cannot use the TLS configuration for QUIC")]
    Tls {
        /// Why.
        source: quinn::crypto::rustls::NoInitialCipherSuite,
    },
    /// Dialling could not begin.
    #[error("cannot dial {remote}")]
    Dial {
        /// Whom.
        remote: SocketAddr,
        /// Why.
        source: quinn::ConnectError,
    },
    /// No answer in time.
    #[error("no answer within {limit:?} while trying to {operation}")]
    Timeout {
        /// What was tried.
        operation: &'static str,
        /// How long.
        limit: Duration,
    },
    /// The connection ended.
    #[error("the connection ended while trying to {operation}: {ending}")]
    Ended {
        /// What was tried.
        operation: &'static str,
        /// How it ended.
        ending: Ending,
    },
    /// The peer gave up this stream, and only this one.
    #[error("the peer gave up the stream while this side tried to {operation}")]
    Stream {
        /// What was tried.
        operation: &'static str,
    },
    /// The peer sent, or we were about to send, something that is no frame of ours.
    #[error("a frame is not acceptable")]
    Frame {
        /// Why.
        #[from]
        source: codec::Error,
    },
    /// The peer showed no certificate where one is due.
    #[error("the peer showed no certificate")]
    Anonymous,
    /// The peer's certificate passed the handshake and names no agent.
    #[error("the peer's certificate cannot be used")]
    Identity {
        /// Why.
        source: crate::identity::Error,
    },
}

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Another try may do better.
    Retry,
    /// The peer does not keep the protocol: the connection is closed.
    Protocol,
    /// Only a change of configuration or enrolment helps.
    Fatal,
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Timeout { .. } | Self::Ended { .. } | Self::Stream { .. } | Self::Dial { .. } => {
                Class::Retry
            }
            Self::Frame { .. } => Class::Protocol,
            Self::Bind { .. } | Self::Tls { .. } | Self::Anonymous | Self::Identity { .. } => {
                Class::Fatal
            }
        }
    }

    /// How the connection ended, if it did.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        match self {
            Self::Ended { ending, .. } => Some(ending),
            Self::Bind { .. }
            | Self::Tls { .. }
            | Self::Dial { .. }
            | Self::Timeout { .. }
            | Self::Stream { .. }
            | Self::Frame { .. }
            | Self::Anonymous
            | Self::Identity { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
