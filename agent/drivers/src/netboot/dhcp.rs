//! DHCP for servers that we know: addresses in the own mode, what to boot in every mode.
//!
//! - `packet`: bytes to [`packet::Request`] and [`packet::Answer`] to bytes. Pure.
//! - `decide`: which request gets which answer. Pure.
//! - `watch`: when to look for another DHCP server and what was found. Pure.
//! - `serve`, `probe`: the socket loops around them.

pub(crate) mod decide;
pub(crate) mod packet;
pub(crate) mod probe;
pub(crate) mod serve;
pub(crate) mod watch;

/// Where DHCP servers listen.
pub(crate) const SERVER_PORT: u16 = 67;
/// Where DHCP clients listen.
pub(crate) const CLIENT_PORT: u16 = 68;
/// Where PXE clients ask a boot server that is not their DHCP server (PXE 2.1 section 2.2.1).
pub(crate) const PXE_PORT: u16 = 4011;
