//! Servers through their BMC.
//!
//! - [`redfish`]: the client.

pub mod redfish;
