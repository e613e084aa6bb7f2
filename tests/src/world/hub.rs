//! An API and a hub: what a user has before the first site.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{LOOPBACK, SOON};
use crate::peer::{self, ApiServer};
use crate::process::{Process, run};
use crate::wait;

/// How the files in `deploy/` set up the C library's allocator for a hub.
pub const ALLOCATOR: [(&str, &str); 2] = [
    ("MALLOC_ARENA_MAX", "1"),
    ("MALLOC_MMAP_THRESHOLD_", "131072"),
];

/// Port of the hub on its end of the line to the site.
const HUB_PORT: u16 = 7443;

/// Which Kubernetes API the hub works with. Every scenario holds in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A real kube-apiserver with etcd.
    Kubernetes,
    /// The hub's own API.
    Standalone,
}

/// An API and a hub.
#[derive(Debug)]
pub struct Hub {
    // Dropped top down: the hub before the API that it talks to, the directory last.
    process: Option<Process>,
    /// The real API server, in that mode.
    _api: Option<ApiServer>,
    /// Environment of the hub from its next start on.
    pub environment: Vec<(String, String)>,
    mode: Mode,
    pub(super) listen: String,
    api_port: u16,
    kubeconfig: PathBuf,
    pub(super) dir: tempfile::TempDir,
}

/// How much hub and agent log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Logs {
    /// As they are started by default.
    #[default]
    Usual,
    /// Everything that they and their libraries have to say.
    Trace,
}

impl Logs {
    /// The environment of a program that reads its filter from `variable`.
    pub(super) fn environment(self, variable: &str) -> Vec<(String, String)> {
        match self {
            Self::Usual => Vec::new(),
            Self::Trace => vec![(variable.to_owned(), "trace".to_owned())],
        }
    }
}

impl Hub {
    /// Starts the API of `mode` and a hub that listens on `address` for agents.
    #[must_use]
    pub fn start(mode: Mode, address: &str) -> Self {
        Self::start_logging(mode, address, Logs::Usual)
    }

    pub(super) fn start_logging(mode: Mode, address: &str, logs: Logs) -> Self {
        // Short: unix sockets of the peers lie below it.
        let dir = tempfile::Builder::new()
            .prefix("viti")
            .tempdir_in("/tmp")
            .expect("/tmp is writable");
        let api = (mode == Mode::Kubernetes).then(|| ApiServer::start(dir.path()));
        let kubeconfig = api.as_ref().map_or_else(
            || dir.path().join("hub/kubeconfig"),
            |api| api.kubeconfig.clone(),
        );
        let mut hub = Self {
            process: None,
            _api: api,
            environment: logs.environment("RUST_LOG"),
            mode,
            // The line to a site is that site's alone; loopback is shared by every test.
            listen: if address == LOOPBACK {
                format!("{address}:{}", free_port())
            } else {
                format!("{address}:{HUB_PORT}")
            },
            api_port: free_port(),
            kubeconfig,
            dir,
        };
        if mode == Mode::Kubernetes {
            hub.kubectl(&["create", "namespace", "vitistack-system"]);
            let crds = peer::root().join("deploy/crds");
            hub.kubectl(&["create", "-f", &crds.display().to_string()]);
            hub.kubectl(&[
                "wait",
                "--for=condition=Established",
                "crd",
                "--all",
                "--timeout=30s",
            ]);
        }
        hub.run();
        hub
    }

    /// Starts the hub process; after [`Hub::kill`] the same hub again.
    pub fn run(&mut self) {
        let ready = self.path("hub.ready");
        std::fs::remove_file(&ready).ok();
        let mut process = Process::start("hub", self.dir.path(), &mut self.command());
        wait::until("the hub is ready", SOON, || {
            process.alive()?;
            ready
                .exists()
                .then_some(())
                .ok_or_else(|| "no ready file yet".to_owned())
        });
        self.process = Some(process);
    }

    /// What starts the hub.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(peer::program("vitistack-hub"));
        match self.mode {
            Mode::Kubernetes => command.arg("run").arg("--kubeconfig").arg(&self.kubeconfig),
            Mode::Standalone => command
                .arg("standalone")
                .arg("--data-dir")
                .arg(self.path("hub"))
                .args(["--api", &format!("127.0.0.1:{}", self.api_port)]),
        };
        command
            .args(["--listen", &self.listen, "--advertise", &self.listen])
            .args(["--http", "127.0.0.1:0"])
            .arg("--ready-file")
            .arg(self.path("hub.ready"));
        command.envs(ALLOCATOR).envs(self.environment.clone());
        command
    }

    /// Kills the hub as a power cut would.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill(&mut self) {
        self.process.take().expect("the hub runs").kill();
    }

    /// Its process id.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("the hub runs").id()
    }

    /// Asks the hub to stop and waits.
    ///
    /// # Panics
    /// If it does not run, or does not stop in time.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        self.process
            .take()
            .expect("the hub runs")
            .stop(Duration::from_secs(20))
    }

    /// Where agents dial.
    #[must_use]
    pub fn listen(&self) -> &str {
        &self.listen
    }

    /// How clients reach the API.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A path in this world's directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The API as it is on the wire.
    #[must_use]
    pub fn raw(&self) -> crate::raw::Raw {
        crate::raw::Raw::connect(&self.kubeconfig)
    }

    /// What the hub logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("hub.log")).unwrap_or_default()
    }

    /// The addresses that the hub listens on.
    ///
    /// # Panics
    /// If its ready file is not JSON.
    #[must_use]
    pub fn addresses(&self) -> Value {
        let text = std::fs::read(self.path("hub.ready")).expect("a running hub has a ready file");
        serde_json::from_slice(&text).expect("the ready file is JSON")
    }

    /// kubectl against this world's API; `Err` with its words when it refuses.
    ///
    /// # Errors
    /// What kubectl printed.
    pub fn try_kubectl(&self, args: &[&str]) -> Result<String, String> {
        run(Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(args))
    }

    /// kubectl against this world's API.
    ///
    /// # Panics
    /// When it refuses.
    #[track_caller]
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.try_kubectl(args)
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// `kubectl viti`.
    ///
    /// # Errors
    /// What it printed.
    pub fn viti(&self, args: &[&str]) -> Result<String, String> {
        run(Command::new(peer::program("kubectl-viti"))
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(args))
    }

    /// Applies a manifest, strictly.
    ///
    /// # Errors
    /// What kubectl printed.
    pub fn apply(&self, manifest: &str) -> Result<String, String> {
        let file =
            tempfile::NamedTempFile::new_in(self.dir.path()).expect("the directory is writable");
        std::fs::write(file.path(), manifest).expect("the directory is writable");
        self.try_kubectl(&[
            "apply",
            "--validate=strict",
            "-f",
            &file.path().display().to_string(),
        ])
    }

    /// One object as JSON; `Err` if it is not there.
    ///
    /// # Errors
    /// What kubectl printed.
    pub fn object(&self, kind: &str, namespace: &str, name: &str) -> Result<Value, String> {
        let text = self.try_kubectl(&["get", kind, "-n", namespace, name, "-o", "json"])?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }

    /// Waits until a condition of an object has `status`, and its reason where `reason` is not empty.
    /// Returns the condition's message.
    #[track_caller]
    pub fn wait_condition(
        &self,
        (kind, namespace, name): (&str, &str, &str),
        (condition, status, reason): (&str, &str, &str),
        bound: Duration,
    ) -> String {
        let what = format!("{kind} {name} has {condition}={status} {reason}");
        wait::until(&what, bound, || {
            let object = self.object(kind, namespace, name)?;
            let conditions = object
                .pointer("/status/conditions")
                .cloned()
                .unwrap_or_default();
            let fits = conditions.as_array().into_iter().flatten().find(|one| {
                one["type"] == condition
                    && one["status"] == status
                    && (reason.is_empty() || one["reason"] == reason)
            });
            fits.map(|one| one["message"].as_str().unwrap_or_default().to_owned())
                .ok_or_else(|| {
                    format!(
                        "phase {}, conditions {conditions}",
                        object["status"]["phase"]
                    )
                })
        })
    }

    /// Waits until an object's phase is `phase`.
    #[track_caller]
    pub fn wait_phase(
        &self,
        (kind, namespace, name): (&str, &str, &str),
        phase: &str,
        bound: Duration,
    ) {
        wait::until(&format!("{kind} {name} is {phase}"), bound, || {
            let object = self.object(kind, namespace, name)?;
            if object["status"]["phase"] == phase {
                return Ok(());
            }
            Err(format!("{}", object["status"]))
        });
    }

    /// Waits until an object is gone.
    #[track_caller]
    pub fn wait_gone(&self, (kind, namespace, name): (&str, &str, &str), bound: Duration) {
        wait::until(&format!("{kind} {name} is gone"), bound, || {
            match self.object(kind, namespace, name) {
                Err(text) if text.contains("NotFound") || text.contains("not found") => Ok(()),
                Err(text) => Err(text),
                Ok(object) => Err(format!("{} {}", object["metadata"], object["status"])),
            }
        });
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port()
}
