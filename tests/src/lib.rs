//! The harness of the integration and end-to-end tests: the real peers, each in directories, ports and network
//! namespaces of its own.
//!
//! - [`process`]: a child process that dies with its owner and leaves its log behind.
//! - [`wait`]: waiting on a condition with a bound.
//! - [`peer`]: where programs and images are; kube-apiserver with etcd; sushy-tools with its fake driver.
//! - [`site`]: QEMU servers behind sushy-tools in a network namespace, by `deploy/site.sh`.
//! - [`raw`]: requests as they go over the wire.
//! - [`neighbours`]: who else is on a site's network.
//! - [`world`]: an API, a hub, a site and an agent, joined.
//! - [`manifest`]: the objects that the tests apply.
//!
//! Nothing here stands in for a peer that exists. What needs root, QEMU or a built kube-apiserver lives in test binaries
//! that plain `cargo test` does not run; `tests/run.sh` does.

pub mod manifest;
pub mod neighbours;
pub mod peer;
pub mod process;
pub mod raw;
pub mod site;
pub mod wait;
pub mod world;
