//! What an API server does with an object of a custom kind, without an API server.
//!
//! The standalone API and `kubectl viti validate -f` run this against our own definitions. The order of a write is
//! [`unknown_fields`] (strict clients) or [`prune`], then [`default_into`], then [`check`]. All of it is pure, works on
//! any structural schema, and words its findings as the API server does. `apiVersion`, `kind` and `metadata` of the
//! root belong to Kubernetes: they are known everywhere and not checked here.

mod cel;
mod check;
mod error;
mod shape;
#[cfg(test)]
mod tests;

pub use self::cel::has_rules;
pub use self::check::{check, check_status};
pub use self::error::{FieldError, FieldReason};
pub use self::shape::{default_into, prune, unknown_fields};
