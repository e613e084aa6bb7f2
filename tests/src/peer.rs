//! Where programs and images are, a kube-apiserver with its etcd, the garbage collector beside it ([`collector`]), and
//! sushy-tools with its fake driver ([`sushy`]).
//!
//! `deploy/install.sh tests` puts the programs there; nothing is skipped when one is missing, the test fails and says so.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::process::{Process, run};
use crate::wait;

pub mod collector;
pub mod sushy;

/// The project's root.
///
/// # Panics
/// Never: this crate lies one folder below it.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests/ has a parent")
        .to_owned()
}

/// The folder of the Kubernetes programs that `deploy/install.sh` built.
const KUBERNETES: &str = "kubernetes-1.36.3";

/// Where [`program`] looks first.
static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();

/// From now on [`program`] takes what `dir` holds before what was built beside the test. The first call counts.
pub fn use_programs(dir: &Path) {
    PROGRAMS.get_or_init(|| dir.to_owned());
}

/// One of our own programs: built beside the running test, or where [`use_programs`] said.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    if let Some(other) = PROGRAMS.get().map(|dir| dir.join(name))
        && other.exists()
    {
        return other;
    }
    let own = std::env::current_exe().expect("a test knows its own path");
    let dir = own.parent().expect("a program lies in a folder");
    // Tests are built into target/<profile>/deps, programs of the tests beside the others.
    let dir = match dir.file_name() {
        Some(name) if name == "deps" => dir.parent().expect("deps is no root"),
        Some(_) | None => dir,
    };
    let path = dir.join(name);
    assert!(
        path.exists(),
        "{} is missing: cargo build --workspace --bins",
        path.display()
    );
    path
}

/// The kube-apiserver of the tests: `KUBEBUILDER_ASSETS` or the user's cache.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn kube_apiserver() -> PathBuf {
    asset("TEST_ASSET_KUBE_APISERVER", "kube-apiserver")
}

/// The kube-controller-manager of the tests: a variable of its own, as envtest's assets do not have it, or the user's cache.
fn kube_controller_manager() -> PathBuf {
    let name = "kube-controller-manager";
    let own = variable("TEST_ASSET_KUBE_CONTROLLER_MANAGER").map(PathBuf::from);
    there(own.unwrap_or_else(|| cache().join(KUBERNETES).join(name)))
}

fn asset(own: &str, name: &str) -> PathBuf {
    let path = variable(own)
        .map(PathBuf::from)
        .or_else(|| variable("KUBEBUILDER_ASSETS").map(|dir| Path::new(&dir).join(name)))
        .unwrap_or_else(|| cache().join(KUBERNETES).join(name));
    there(path)
}

fn there(path: PathBuf) -> PathBuf {
    assert!(
        path.exists(),
        "{} is missing: deploy/install.sh tests",
        path.display()
    );
    path
}

/// Where built peers are kept.
fn cache() -> PathBuf {
    variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".cache")))
        .expect("HOME or XDG_CACHE_HOME is set")
        .join("vitistack")
}

/// An image that `tests/run.sh` built: `target/images/<path>`.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn image(path: &str) -> PathBuf {
    let file = root().join("target/images").join(path);
    assert!(
        file.exists(),
        "{} is missing: tests/run.sh --setup builds it",
        file.display()
    );
    file
}

#[expect(
    clippy::disallowed_methods,
    reason = "the harness is told by envtest's variables where its peers are"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A kube-apiserver with an etcd of its own.
#[derive(Debug)]
pub struct ApiServer {
    // Dropped in this order: an API server without its etcd hangs on SIGTERM.
    api: Option<Process>,
    _etcd: Process,
    /// A kubeconfig of a `system:masters` user.
    pub kubeconfig: PathBuf,
    /// Where its etcd listens, as a URL: that also takes JSON.
    pub etcd_url: String,
}

impl ApiServer {
    /// Starts both in `dir` and waits until the API is ready.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start(dir: &Path) -> Self {
        let [client, raft, secure] = free_ports();
        run(Command::new("openssl")
            .args(["genrsa", "-out"])
            .arg(dir.join("sa.key"))
            .arg("2048"))
        .unwrap_or_else(|error| panic!("{error}"));
        std::fs::write(
            dir.join("tokens.csv"),
            "test-token,admin,admin,\"system:masters\"\n",
        )
        .expect("the test's directory is writable");
        let etcd = Process::start(
            "etcd",
            dir,
            Command::new(asset("TEST_ASSET_ETCD", "etcd"))
                .arg("--data-dir")
                .arg(dir.join("etcd"))
                .args([
                    "--listen-client-urls",
                    &format!("http://127.0.0.1:{client}"),
                ])
                .args([
                    "--advertise-client-urls",
                    &format!("http://127.0.0.1:{client}"),
                ])
                .args(["--listen-peer-urls", &format!("http://127.0.0.1:{raft}")])
                .arg("--unsafe-no-fsync"),
        );
        let mut api = Process::start(
            "kube-apiserver",
            dir,
            Command::new(kube_apiserver())
                .arg(format!("--etcd-servers=http://127.0.0.1:{client}"))
                .arg(format!("--cert-dir={}", dir.join("certs").display()))
                .arg(format!("--secure-port={secure}"))
                .arg("--bind-address=127.0.0.1")
                .arg(format!(
                    "--service-account-key-file={}",
                    dir.join("sa.key").display()
                ))
                .arg(format!(
                    "--service-account-signing-key-file={}",
                    dir.join("sa.key").display()
                ))
                .arg("--service-account-issuer=https://kubernetes.default.svc")
                .arg(format!(
                    "--token-auth-file={}",
                    dir.join("tokens.csv").display()
                ))
                .arg("--authorization-mode=RBAC")
                .arg("--service-cluster-ip-range=10.96.0.0/16")
                .arg("--disable-admission-plugins=ServiceAccount"),
        );
        let kubeconfig = dir.join("apiserver.kubeconfig");
        std::fs::write(
            &kubeconfig,
            format!(
                "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
                 clusters: [{{name: test, cluster: {{server: \"https://127.0.0.1:{secure}\", insecure-skip-tls-verify: true}}}}]\n\
                 users: [{{name: test, user: {{token: test-token}}}}]\n\
                 contexts: [{{name: test, context: {{cluster: test, user: test}}}}]\n"
            ),
        )
        .expect("the test's directory is writable");
        wait::until("kube-apiserver is ready", Duration::from_secs(90), || {
            api.alive()?;
            run(Command::new("kubectl")
                .arg(format!("--kubeconfig={}", kubeconfig.display()))
                .args(["get", "--raw", "/readyz"]))
        });
        Self {
            api: Some(api),
            _etcd: etcd,
            kubeconfig,
            etcd_url: format!("http://127.0.0.1:{client}"),
        }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        if let Some(api) = self.api.take() {
            api.kill();
        }
    }
}

/// A new certificate for `127.0.0.1` and `localhost`, which is its own authority, and its key: PEM files `NAME.crt` and
/// `NAME.key` in `dir`.
///
/// # Panics
/// If openssl refuses.
#[must_use]
pub fn certificate(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    let certificate = dir.join(format!("{name}.crt"));
    let key = dir.join(format!("{name}.key"));
    let request = "req -batch -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30";
    run(Command::new("openssl")
        .args(request.split(' '))
        .args(["-subj", &format!("/CN={name}")])
        // An authority's own certificate is refused as a server's.
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate))
    .unwrap_or_else(|error| panic!("{error}"));
    (certificate, key)
}

/// Ports that were free a moment ago, all different.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn free_ports<const N: usize>() -> [u16; N] {
    let sockets: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    sockets.map(|socket| {
        socket
            .local_addr()
            .expect("a bound socket has an address")
            .port()
    })
}
