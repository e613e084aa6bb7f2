//! What was typed and what the environment says, resolved into settings.
//!
//! The only module that reads the environment.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

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
        /// What it is sealed with.
        key_file: PathBuf,
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
            key_file,
            api,
            service,
        } = arguments;
        let credentials = variable("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let api = Api::Standalone {
            key_file: key_file.unwrap_or_else(|| default_key(&data_dir, credentials.as_deref())),
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

/// The credential that systemd hands in, if it does; else beside the data directory, never in it.
fn default_key(data_dir: &Path, credentials: Option<&Path>) -> PathBuf {
    let handed_in = credentials
        .map(|directory| directory.join("seal.key"))
        .filter(|file| file.exists());
    handed_in.unwrap_or_else(|| {
        // Without the slash that may stand at its end, the name would be that of a file inside.
        let mut name: std::ffi::OsString = data_dir.components().as_path().as_os_str().to_owned();
        name.push(".key");
        name.into()
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "this module is where the environment is read"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_the_credential_or_lies_beside_the_data() {
        let credentials = tempfile::tempdir().unwrap();
        let data = Path::new("/var/lib/vitistack-hub/");
        let beside = PathBuf::from("/var/lib/vitistack-hub.key");
        assert_eq!(default_key(data, None), beside);
        assert_eq!(default_key(data, Some(credentials.path())), beside, "none");
        let file = credentials.path().join("seal.key");
        std::fs::write(&file, [0; 32]).unwrap();
        assert_eq!(default_key(data, Some(credentials.path())), file);
    }
}
