//! The boot network: DHCP, TFTP and HTTP for servers that we know, and nothing for anybody else.
//!
//! The driver opens a [`Slot`] for a MAC address; while it is open, that server (and only it) is given what the slot
//! says when it boots. What comes back (installer reports, leases, phone-home) is read by [`Seen`].

pub mod slot;
