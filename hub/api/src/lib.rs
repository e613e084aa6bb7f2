//! The VitiStack resources: types, schemas, validation, conditions and names.
//!
//! Everything here is pure: no I/O, no clock, no client. The hub, the standalone API and the command line read the same
//! types and run the same checks. It must not know the agent, the protocol or an async runtime.

pub mod agent;
pub mod conditions;
pub mod crd;
pub mod datacenter;
pub mod host;
pub mod kubernetes_provider;
pub mod machine;
pub mod machine_provider;
pub mod names;
pub mod reference;
pub mod refs;
pub mod schema;
pub mod validate;
