//! What was typed and what the environment says, resolved into settings.
//!
//! The only module that reads the environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::args::{RunArguments, ServiceArguments, StandaloneArguments};

/// Settings of a hub.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the Kubernetes API is.
    pub api: Api,
    /// The hub's own namespace.
    pub namespace: String,
    /// Where agents dial in.
    pub listen: SocketAddr,
    /// What agents are told to dial; `None` means the listening address.
    pub advertise: Option<String>,
    /// Where operators' pages are.
    pub http: SocketAddr,
    /// Written once everything listens.
    pub ready_file: Option<PathBuf>,
    /// Under which name this replica leads. Two processes never share one.
    pub identity: String,
}

/// Where the Kubernetes API is.
#[derive(Clone, Debug)]
pub enum Api {
    /// Somebody else's.
    Cluster {
        /// By this file, else in-cluster, else the usual kubeconfig.
        kubeconfig: Option<PathBuf>,
    },
    /// Served by this process.
    Standalone {
        /// Where everything is kept.
        data_dir: PathBuf,
        /// Where it listens.
        listen: SocketAddr,
    },
}

impl Config {
    /// Settings of `run`.
    #[must_use]
    pub fn of_run(arguments: RunArguments) -> Self {
        let RunArguments {
            kubeconfig,
            service,
        } = arguments;
        let api = Api::Cluster { kubeconfig };
        Self::new(api, service, &replica())
    }

    /// Settings of `standalone`. Its API refuses a second process on the same directory, so one identity is enough, and
    /// a hub that was killed leads again at once.
    #[must_use]
    pub fn of_standalone(arguments: StandaloneArguments) -> Self {
        let StandaloneArguments {
            data_dir,
            api,
            service,
        } = arguments;
        let api = Api::Standalone {
            data_dir,
            listen: api,
        };
        Self::new(api, service, "standalone")
    }

    fn new(api: Api, service: ServiceArguments, identity: &str) -> Self {
        let ServiceArguments {
            namespace,
            listen,
            advertise,
            http,
            ready_file,
            log_format: _,
        } = service;
        Self {
            api,
            namespace,
            listen,
            advertise,
            http,
            ready_file,
            identity: identity.to_owned(),
        }
    }
}

/// The filter of log lines: `RUST_LOG`, else what an operator wants to read. The client library warns of each broken
/// watch itself; we say it once and with the kind.
#[must_use]
pub fn log_filter() -> String {
    variable("RUST_LOG").unwrap_or_else(|| "info,kube_runtime=error,kube_client=error".to_owned())
}

/// The pod's name where there is one; else something that no other process has.
fn replica() -> String {
    variable("POD_NAME").unwrap_or_else(|| format!("hub-{}", uuid::Uuid::new_v4().as_simple()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module is where the environment is read"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
