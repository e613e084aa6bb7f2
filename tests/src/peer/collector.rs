//! The garbage collector of a real cluster: a kube-controller-manager that runs nothing else.

use std::path::Path;
use std::process::Command;

use crate::peer::kube_controller_manager;
use crate::process::Process;

/// A kube-controller-manager with its garbage collector alone.
#[derive(Debug)]
pub struct Collector {
    process: Process,
}

impl Collector {
    /// Starts it in `dir` for the API that `kubeconfig` names. It learns the kinds at its start and then every 30 s, so
    /// definitions must be served before; that it collects is seen only by what it collects.
    #[must_use]
    pub fn start(dir: &Path, kubeconfig: &Path) -> Self {
        let process = Process::start(
            "kube-controller-manager",
            dir,
            Command::new(kube_controller_manager())
                .arg(format!("--kubeconfig={}", kubeconfig.display()))
                .arg("--controllers=garbage-collector-controller")
                .arg("--leader-elect=false")
                // It serves nothing, so that it needs neither a port nor certificates.
                .arg("--secure-port=0")
                .arg("--authentication-skip-lookup")
                // The usual 20 requests a second make a queue of what a suite deletes.
                .args(["--kube-api-qps=500", "--kube-api-burst=500"]),
        );
        Self { process }
    }

    /// `Err` with the end of the log if it has ended.
    ///
    /// # Errors
    /// The exit status and the last lines of the log.
    pub fn alive(&mut self) -> Result<(), String> {
        self.process.alive()
    }
}
