//! The boot network: DHCP, TFTP and HTTP for servers that we know, and nothing for anybody else.
//!
//! The driver opens a [`slot::Slot`] for a MAC address; while it is open, that server (and only it) is given what the
//! slot says when it boots. What comes back (installer reports, leases, phone-home) is read by [`slot::Seen`].
//!
//! - [`handle`]: what the driver holds: open, close, look.
//! - `table`: the slots, what was seen and who may use which URL. Pure, time passed in; everything below reads it.
//! - `leases`: the addresses of the own mode. Pure; `lease_file` keeps them over a restart.
//! - `dhcp`: which packet gets which answer (`packet`, `decide`: pure; `serve`: sockets; `probe`: other servers).
//! - `tftp`: the two first boot programs, read only.
//! - `advertise`: router advertisements, which iPXE waits for.
//! - `http`: script, kernel, plan, image, reports, phone-home.
//! - `interface`, `frame`: the network interface and frames to clients that have no address yet.
//! - `error`: why it is not served.
//! - `service`: brings the above up on the interface, and again when the interface went away.
//!
//! Manners: an unknown MAC gets no packet at all, a foreign lease is never refused, the own mode is silent where
//! another DHCP server answers.
//!
//! It must not know what a Machine is, talk to a BMC or decide when a disk is written: a slot says that.

#![warn(clippy::indexing_slicing)]

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ring::signature::Ed25519KeyPair;

mod advertise;
mod dhcp;
mod error;
mod frame;
pub mod handle;
mod http;
mod interface;
mod lease_file;
mod leases;
pub mod outside;
pub mod service;
pub mod slot;
mod socket;
mod table;
mod tftp;

pub use error::Error;
pub use handle::{Handle, SlotTaken};
pub use service::{Tasks, start};
pub use slot::{PhonedHome, Seen, Service, Slot};

/// What the agent's file says of the boot network, and what the service needs from the agent.
#[derive(Debug)]
pub struct Config {
    /// Network interface that the servers boot on. It needs an IPv4 address.
    pub interface: String,
    /// Who gives the addresses.
    pub mode: Mode,
    /// Port of the HTTP service; 0 takes a free one (tests: URLs then do not survive a restart).
    pub http_port: u16,
    /// Whether iPXE's router solicitations are answered.
    pub router_advertisements: RouterAdvertisements,
    /// Directory with `vmlinuz`, `initramfs`, `undionly.kpxe` and `snponly.efi`.
    pub assets: PathBuf,
    /// Where the own mode keeps its leases. Its directory exists; the file need not.
    pub lease_file: PathBuf,
    /// The agent's key, which plans are signed with.
    pub signing_key: Arc<Ed25519KeyPair>,
}

/// Who gives the addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// This service: addresses of `range` to known servers, and only while no other DHCP server answers.
    Own {
        /// First and last address; inside the interface's network.
        range: RangeInclusive<Ipv4Addr>,
        /// How long a lease holds.
        lease: Duration,
        /// What a lease says beside the address.
        parameters: Parameters,
    },
    /// Another DHCP server on the same wire; this service adds what to boot.
    Proxy,
    /// Another DHCP server elsewhere; requests come here through a relay agent and are given what to boot.
    Relay,
}

/// What a server in the own mode is told of its network. Nothing is said of what is not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    /// The default route, of the interface's network. It may be this host.
    pub router: Option<Ipv4Addr>,
    /// Resolvers, the best first.
    pub dns: Vec<Ipv4Addr>,
    /// Where names without a dot are looked up.
    pub domain: Option<String>,
    /// Time servers, the best first.
    pub ntp: Vec<Ipv4Addr>,
}

/// Whether router solicitations of booting servers are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RouterAdvertisements {
    /// Unless a router speaks on the wire. iPXE waits 16 s for an answer that it does not get.
    Auto,
    /// Never.
    Off,
}
