//! Why the boot network is not served.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::driver::Class;

/// Most addresses of a range: searching a free one looks at all.
pub(super) const LARGEST_RANGE: u32 = 65_536;

/// Why the boot network is not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configured range is empty, reversed or absurdly large.
    #[error("the address range must hold 1 to {LARGEST_RANGE} addresses, first to last")]
    Range,
    /// The configured lease is too short for firmware, or longer than the protocol can say.
    #[error("a lease must last from a minute to a year")]
    Lease,
    /// The interface is not there or has no address.
    #[error("look at the boot network's interface")]
    Interface(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A configured address that no host of the interface's network can have.
    #[error(
        "netboot.{key} = {value}: must be inside {network}, the network of interface {interface}"
    )]
    Outside {
        /// Under `[netboot]` in the agent's file.
        key: &'static str,
        /// What stands there.
        value: String,
        /// Address and prefix length.
        network: String,
        /// Its name.
        interface: String,
    },
    /// A socket cannot be bound.
    #[error("bind {what} {address}")]
    Bind {
        /// Protocol.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A socket cannot be opened.
    #[error("open a {what}")]
    Open {
        /// Which.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// A socket that worked does not any more.
    #[error("receive from the {what}")]
    Receive {
        /// Which.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The lease file cannot be read or written.
    #[error("keep the leases in {path}")]
    LeaseFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The interface changed its address.
    #[error("interface {interface} changed")]
    InterfaceChanged {
        /// Its name.
        interface: String,
    },
}

impl Error {
    /// How to go on.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Range | Self::Lease | Self::Outside { .. } => Class::Invalid,
            Self::Interface(_)
            | Self::Bind { .. }
            | Self::Open { .. }
            | Self::Receive { .. }
            | Self::LeaseFile { .. }
            | Self::InterfaceChanged { .. } => Class::Retry,
        }
    }
}
