//! The agent: keeps intents on disk, carries them out through drivers, reports facts back.
//!
//! - [`config`]: what the agent's file may say; the only place that reads the environment.
//! - [`uplink`]: the line to the hub.
//! - [`store`]: what is on disk.
//! - [`executor`]: one worker an object, with a write-ahead journal.
//! - [`site`]: joins the three: what the uplink asks for, answered by store and executor.
//! - [`health`]: how the agent and its machine are.
//! - [`run`]: starts all of it and stops it in order.
//!
//! The agent knows nothing of Kubernetes resources, and its drivers nothing of uplink or store.

pub mod config;
pub mod executor;
pub mod health;
pub mod run;
pub mod site;
pub mod store;
pub mod uplink;
