//! The hub: watches the VitiStack resources, sends intents to the agents, and writes back what they report.
//!
//! - [`args`], [`config`], [`run`], [`telemetry`]: the process. [`definitions`], [`resume`]: its other verbs.
//! - `kinds`: the pure core, one module a kind: what to do and what to say.
//! - `controllers`: the shell around it: watches, the queue, the one writer of each status.
//! - [`dispatch`]: sessions and desired state. [`enrolment`]: the authority and join tokens.
//! - `http`, `metrics`, `leader`: what operators and other replicas see.
//!
//! It is a library so that the integration tests can run a hub inside their own process.

pub mod args;
pub mod config;
pub mod definitions;
pub mod dispatch;
pub mod enrolment;
pub mod resume;
pub mod run;
pub mod telemetry;

mod cache;
mod controllers;
mod http;
mod kinds;
mod leader;
mod merge;
mod metrics;
mod queue;
