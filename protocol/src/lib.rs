//! The contract of hub and agent: what they say to one another, how it is framed, who they are, and the QUIC line.
//!
//! - [`ids`]: the names and counters that both sides fence with.
//! - [`message`]: every message of protocol version 1. Frozen: a change is a new version or a new extension tag.
//! - [`codec`]: frames (`u32 length | u16 type | u16 version | payload`), caps a type, postcard payloads.
//! - [`identity`]: trust domain, SPIFFE names, CSRs, certificates, join tokens.
//! - [`transport`]: the only module of the project that imports quinn.
//!
//! This crate knows nothing of Kubernetes, of stores or of drivers.

#![warn(clippy::indexing_slicing)]

pub mod codec;
pub mod identity;
pub mod ids;
pub mod message;
pub mod transport;

mod chain;

pub use chain::Chain;
