//! The line to the hub: joining, dialling, one session at a time, and the certificate that it rests on.
//!
//! Owns the agent's identity on disk and the connection. Must not know how intents are stored or carried out; see
//! [`ports`] for what it asks of the rest of the agent.

pub mod ports;
