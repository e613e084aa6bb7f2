//! sushy-tools with its fake driver: a Redfish service that is not ours, over TLS 1.2 with HTTP Basic, without servers
//! behind it. A power change becomes visible after 1 to 11 s, as on real BMCs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::{Process, run};
use crate::wait;

/// Its account.
pub const USERNAME: &str = "admin";
/// The password of [`USERNAME`].
pub const PASSWORD: &str = "correct-horse";

/// A running service. Dropped, it is stopped.
#[derive(Debug)]
pub struct FakeBmc {
    process: Process,
    port: u16,
    /// PEM of its certificate, which is its own authority.
    pub certificate: PathBuf,
}

impl FakeBmc {
    /// Starts it in `dir` with `systems` systems, all off and to boot from disk in UEFI mode.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start(dir: &Path, systems: usize) -> Self {
        let [port] = super::free_ports();
        let (certificate, key) = super::certificate(dir, "bmc");
        let passwords = run(Command::new("htpasswd").args(["-nbB", USERNAME, PASSWORD]))
            .unwrap_or_else(|error| panic!("{error}"));
        let htpasswd = dir.join("htpasswd");
        std::fs::write(&htpasswd, passwords.trim()).expect("the directory is writable");
        // The file is Python.
        let list: String = (0..systems)
            .map(|system| {
                format!(
                    "    {{'uuid': '{}', 'name': '{}', 'power_state': 'Off', \
                     'nics': [{{'mac': '52:54:00:fa:ce:{system:02x}', 'ip': '192.0.2.1'}}]}},\n",
                    uuid(system),
                    name(system),
                )
            })
            .collect();
        let config = dir.join("sushy.conf");
        std::fs::write(
            &config,
            format!(
                "SUSHY_EMULATOR_LISTEN_IP = '127.0.0.1'\n\
                 SUSHY_EMULATOR_LISTEN_PORT = {port}\n\
                 SUSHY_EMULATOR_SSL_CERT = '{}'\n\
                 SUSHY_EMULATOR_SSL_KEY = '{}'\n\
                 SUSHY_EMULATOR_AUTH_FILE = '{}'\n\
                 SUSHY_EMULATOR_STATE_DIR = '{}'\n\
                 SUSHY_EMULATOR_FAKE_DRIVER = True\n\
                 SUSHY_EMULATOR_FAKE_SYSTEMS = [\n{list}]\n",
                certificate.display(),
                key.display(),
                htpasswd.display(),
                dir.display(),
            ),
        )
        .expect("the directory is writable");
        let program = super::cache().join("sushy/bin/sushy-emulator");
        assert!(
            program.exists(),
            "{} is missing: deploy/install.sh tests",
            program.display()
        );
        let process = Process::start(
            "sushy-fake",
            dir,
            Command::new(program).arg("--config").arg(&config),
        );
        let mut bmc = Self {
            process,
            port,
            certificate,
        };
        wait::until("sushy-emulator answers", Duration::from_secs(30), || {
            bmc.process.alive()?;
            bmc.curl("/redfish/v1/")
        });
        bmc
    }

    /// Address of a system, for `spec.bmc.address`.
    #[must_use]
    pub fn address(&self, system: usize) -> String {
        self.address_of(&format!("/redfish/v1/Systems/{}", uuid(system)))
    }

    /// Address of what lies at `path`.
    #[must_use]
    pub fn address_of(&self, path: &str) -> String {
        format!("redfish+https://127.0.0.1:{}{path}", self.port)
    }

    /// What another client than ours reads at `path`.
    ///
    /// # Errors
    /// What curl printed.
    pub fn curl(&self, path: &str) -> Result<String, String> {
        run(Command::new("curl")
            .args(["-sS", "--fail", "--max-time", "10"])
            .arg("--cacert")
            .arg(&self.certificate)
            .args(["-u", &format!("{USERNAME}:{PASSWORD}")])
            .arg(format!("https://127.0.0.1:{}{path}", self.port)))
    }
}

/// UUID of a system.
#[must_use]
pub fn uuid(system: usize) -> String {
    format!("fa4e0000-0000-4000-8000-{system:012}")
}

/// Name of a system.
#[must_use]
pub fn name(system: usize) -> String {
    format!("fake-{system}")
}
