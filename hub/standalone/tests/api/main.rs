//! The standalone API, driven by the clients that it is for: kube-rs and kubectl.
//!
//! Each test has a server of its own on a free port, in a directory of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test, helpers included"
)]

mod full;
mod kubectl;
mod lifecycle;
mod objects;
mod support;
mod watches;
