//! Who is who: trust domain, names, join tokens, certificates and the rules by which either side believes the other.
//!
//! Owns every decision about identity. Does no I/O: keys and certificates are handed in and out as bytes, time is an
//! argument.

pub mod name;

pub use name::AgentName;
