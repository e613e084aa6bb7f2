//! The containers of hub and agent, `FROM scratch`, each started and made to work over HTTPS with a real peer: nothing is
//! in them but the program and CA certificates, and what is not trusted is refused.
//!
//! `tests/run.sh` builds them (`images/*/build.sh`) and runs this; needs root and buildah.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use vitistack_tests::peer::sushy::{self, FakeBmc};
use vitistack_tests::peer::{self, ApiServer};
use vitistack_tests::process::{Process, run};
use vitistack_tests::wait;
use vitistack_tests::world::SOON;

/// Seconds that a container may take: unpacking it, and what it waits for inside.
const BOUND: &str = "180";

/// Where every image has its CA certificates.
const BUNDLE: &str = "/etc/ssl/certs/ca-certificates.crt";

/// One of our containers, and a directory that it sees as `/check`.
struct Container {
    archive: PathBuf,
    dir: tempfile::TempDir,
}

impl Container {
    fn of(component: &str) -> Self {
        let dir = tempfile::tempdir().expect("/tmp is writable");
        // The hub is not root in its container.
        let open = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(dir.path(), open).expect("the directory is ours");
        Self {
            archive: peer::image(&format!("containers/{component}.tar")),
            dir,
        }
    }

    /// A file that the container sees as `/check/NAME`.
    fn give(&self, name: &str, content: &[u8]) {
        std::fs::write(self.dir.path().join(name), content).expect("the directory is writable");
    }

    /// Runs the program of the container to its end.
    fn run(&self, args: &[&str]) -> Result<String, String> {
        run(&mut self.command(args))
    }

    fn command(&self, args: &[&str]) -> Command {
        // Ends the script and everything that it started, should the time be over.
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=10", BOUND])
            .arg(peer::root().join("images/check-container.sh"))
            .arg(&self.archive)
            .args(args)
            .env("CHECK_DIR", self.dir.path());
        command
    }
}

/// A web server with TLS that gives what lies in `dir`.
fn https_server(dir: &Path, certificate: &Path, key: &Path) -> (Process, u16) {
    let [port] = peer::free_ports();
    let mut command = Command::new("openssl");
    command
        .args(["s_server", "-quiet", "-WWW", "-accept"])
        .arg(format!("127.0.0.1:{port}"))
        .arg("-cert")
        .arg(certificate)
        .arg("-key")
        .arg(key)
        .current_dir(dir);
    let mut server = Process::start("https", dir, &mut command);
    wait::until("the web server listens", SOON, || {
        server.alive()?;
        std::net::TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())
    });
    (server, port)
}

#[test]
fn each_container_starts_and_says_its_version() {
    for component in ["hub", "agent"] {
        let said = Container::of(component)
            .run(&["--version"])
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(
            said.starts_with(&format!("vitistack-{component} ")),
            "{said}"
        );
    }
}

#[test]
fn the_hub_works_with_an_api_whose_authority_it_was_given_and_with_no_other() {
    let dir = tempfile::tempdir().expect("/tmp is writable");
    let api = ApiServer::start(dir.path());
    let container = Container::of("hub");
    let authority = dir.path().join("certs/apiserver.crt");
    let pem = std::fs::read(&authority).expect("kube-apiserver made itself a certificate");
    container.give("ca.crt", &pem);
    let kubeconfig = std::fs::read_to_string(&api.kubeconfig).expect("the kubeconfig is there");
    let checked_by = |authority: &str| {
        let text = kubeconfig.replace("insecure-skip-tls-verify: true", authority);
        assert_ne!(text, kubeconfig);
        text.into_bytes()
    };
    container.give("named", &checked_by("certificate-authority: /check/ca.crt"));
    container.give("unnamed", &checked_by("insecure-skip-tls-verify: false"));
    let apply = ["crd", "apply", "--kubeconfig"];
    let with = |kubeconfig| [&apply[..], &[kubeconfig]].concat();

    // Nobody named the authority, and it is none of those in the image.
    let refused = container
        .run(&with("/check/unnamed"))
        .expect_err("the authority is not known");
    assert!(refused.contains("UnknownIssuer"), "{refused}");

    let applied = container
        .run(&with("/check/named"))
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(
        applied.contains("machines.vitistack.io created"),
        "{applied}"
    );
    let seen = run(Command::new("kubectl")
        .arg("--kubeconfig")
        .arg(&api.kubeconfig)
        .args(["get", "crd", "-o", "name"]))
    .unwrap_or_else(|error| panic!("{error}"));
    assert!(seen.contains("machines.vitistack.io"), "{seen}");

    // The certificates in the image are the ones that count: with this authority among them none need be named.
    let mut bundled = container.command(&with("/check/unnamed"));
    let applied =
        run(bundled.env("CHECK_BUNDLE", &authority)).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        applied.contains("machines.vitistack.io unchanged"),
        "{applied}"
    );
}

#[test]
fn the_agent_fetches_from_an_image_server_whose_authority_it_was_given_and_from_no_other() {
    let container = Container::of("agent");
    let dir = tempfile::tempdir().expect("/tmp is writable");
    let (certificate, key) = peer::certificate(dir.path(), "images");
    std::fs::write(dir.path().join("os.raw"), "an operating system").expect("/tmp is writable");
    let (_server, port) = https_server(dir.path(), &certificate, &key);
    let pem = std::fs::read(&certificate).expect("the certificate is there");
    container.give("ca.crt", &pem);
    // By name: a program that is linked statically resolves it by itself.
    let url = format!("https://localhost:{port}/os.raw");
    let check = |flags: &[&str]| container.run(&[&["check-image", &url], flags].concat());

    let seen =
        check(&["--ca", "/check/ca.crt", "-o", "json"]).unwrap_or_else(|error| panic!("{error}"));
    let seen: Value = serde_json::from_str(&seen).expect("it is JSON");
    assert_eq!(seen["ok"], true, "{seen}");

    // The image's own certificates are whole, and this authority is not among them.
    for flags in [&[][..], &["--ca", BUNDLE]] {
        let refused = check(flags).expect_err("the authority is not known");
        assert!(
            refused.contains("the server's certificate is not trusted")
                && refused.contains("UnknownIssuer"),
            "{refused}"
        );
    }
}

#[test]
fn the_agent_talks_to_a_bmc_whose_authority_it_was_given_and_to_no_other() {
    let container = Container::of("agent");
    let dir = tempfile::tempdir().expect("/tmp is writable");
    let bmc = FakeBmc::start(dir.path(), 1);
    let pem = std::fs::read(&bmc.certificate).expect("the certificate is there");
    container.give("ca.crt", &pem);
    container.give("password", sushy::PASSWORD.as_bytes());
    let address = bmc.address(0);
    let check = |ca: &str| {
        let account = ["--username", sushy::USERNAME, "--password-file"];
        let command = [&["check-bmc", &address][..], &account].concat();
        container.run(&[&command[..], &["/check/password", "--ca", ca]].concat())
    };
    let seen = check("/check/ca.crt").unwrap_or_else(|error| panic!("{error}"));
    assert!(seen.contains("power Off"), "{seen}");
    let refused = check(BUNDLE).expect_err("the authority is not known");
    assert!(refused.contains("does not fit the caBundle"), "{refused}");
}
