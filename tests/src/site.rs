//! QEMU servers behind sushy-tools in a network namespace of their own, made by `deploy/site.sh`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::process::run;
use crate::{peer, wait};

/// Password of every BMC of the site.
pub const BMC_PASSWORD: &str = "correct-horse";

/// A site that is up. Dropped, it is taken down.
#[derive(Debug)]
pub struct Site {
    dir: PathBuf,
    /// What `site.sh up` wrote.
    pub facts: Facts,
}

/// `site.json`.
#[derive(Clone, Debug, Deserialize)]
pub struct Facts {
    /// The network namespace.
    pub namespace: String,
    /// The boot network's bridge inside it.
    pub bridge: String,
    /// This machine's end of the line to the site.
    pub hub_address: String,
    /// The site's end of that line.
    pub agent_address: String,
    /// The bridge's address.
    pub boot_address: String,
    /// Where virsh finds the site's libvirt.
    pub libvirt_uri: String,
    /// The servers, in the order they were asked for.
    pub servers: Vec<Server>,
}

/// One server.
#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    /// Name of the libvirt domain.
    pub name: String,
    /// SMBIOS and Redfish UUID.
    pub uuid: String,
    /// MAC address of the boot NIC.
    pub mac: String,
    /// `uefi` or `bios`.
    pub firmware: String,
    /// Address for `spec.bmc.address`.
    pub bmc: String,
    /// The file behind the first disk.
    pub disk: PathBuf,
    /// What the server prints on its serial port.
    pub serial: PathBuf,
}

impl Site {
    /// Brings a site up with one server a `spec` (see `deploy/site.sh`).
    ///
    /// # Panics
    /// If it does not come up; the message is the script's.
    #[must_use]
    pub fn up(dir: &Path, specs: &[&str]) -> Self {
        let mut command = script("up", dir);
        for spec in specs {
            command.args(["--server", spec]);
        }
        command.env("VITISTACK_BMC_PASSWORD", BMC_PASSWORD);
        run(&mut command).unwrap_or_else(|error| panic!("bring the site up: {error}"));
        let text = std::fs::read(dir.join("site.json")).expect("site.sh up writes site.json");
        let facts = serde_json::from_slice(&text).expect("site.json is JSON");
        Self {
            dir: dir.to_owned(),
            facts,
        }
    }

    /// A command that runs inside the site's network.
    #[must_use]
    pub fn inside(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.facts.namespace))
            .arg(program);
        command
    }

    /// Runs virsh against the site's libvirt.
    ///
    /// # Panics
    /// If virsh refuses.
    pub fn virsh(&self, args: &[&str]) -> String {
        run(Command::new("virsh")
            .args(["-q", "-c", &self.facts.libvirt_uri])
            .args(args))
        .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Whether libvirt says that the server runs: a witness that is not our own.
    #[must_use]
    pub fn powered(&self, server: usize) -> bool {
        self.virsh(&["domstate", &self.server(server).name]).trim() == "running"
    }

    /// A power cycle by hand with the disk first and no network boot: the boot path is cut.
    pub fn restart_from_disk(&self, server: usize) {
        let name = &self.server(server).name;
        if self.powered(server) {
            self.virsh(&["destroy", name]);
        }
        let xml = self.virsh(&["dumpxml", "--inactive", name]);
        let cut: String = xml
            .lines()
            .filter(|line| !line.contains("<boot "))
            .map(|line| line.replace("</os>", "  <boot dev='hd'/>\n  </os>") + "\n")
            .collect();
        let file = self.dir.join(format!("{name}.from-disk.xml"));
        std::fs::write(&file, cut).expect("the site's directory is writable");
        self.virsh(&["define", &file.display().to_string()]);
        self.virsh(&["start", name]);
    }

    /// The server's own words on its serial port.
    #[must_use]
    pub fn serial(&self, server: usize) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.server(server).serial).unwrap_or_default())
            .into_owned()
    }

    /// Waits until the server prints `text` after the first `from` bytes of its serial log.
    pub fn wait_serial(&self, server: usize, from: usize, text: &str, bound: Duration) {
        wait::until(&format!("serial port prints {text:?}"), bound, || {
            let serial = self.serial(server);
            let new = serial.get(from..).unwrap_or_default();
            if new.contains(text) {
                return Ok(());
            }
            Err(new.lines().rev().take(8).collect::<Vec<_>>().join(" | "))
        });
    }

    /// The first `length` bytes of the server's first disk.
    ///
    /// # Panics
    /// If the disk's file cannot be read.
    #[must_use]
    pub fn disk_start(&self, server: usize, length: usize) -> Vec<u8> {
        use std::io::Read as _;
        let mut bytes = vec![0; length];
        std::fs::File::open(&self.server(server).disk)
            .and_then(|mut file| file.read_exact(&mut bytes))
            .unwrap_or_else(|error| panic!("read the disk of server {server}: {error}"));
        bytes
    }

    /// Stops every BMC of the site.
    ///
    /// # Panics
    /// If the script refuses.
    pub fn stop_bmc(&self) {
        run(&mut script("bmc-stop", &self.dir)).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Starts the BMCs again.
    ///
    /// # Panics
    /// If the script refuses.
    pub fn start_bmc(&self) {
        run(&mut script("bmc-start", &self.dir)).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Gives every BMC another certificate.
    ///
    /// # Panics
    /// If openssl or the script refuses.
    pub fn new_bmc_certificate(&self) {
        self.stop_bmc();
        // What `site.sh` calls its own.
        let (_certificate, _key) = peer::certificate(&self.dir, "bmc");
        self.start_bmc();
    }

    /// The server at `index`.
    ///
    /// # Panics
    /// If the site has fewer.
    #[must_use]
    pub fn server(&self, index: usize) -> &Server {
        self.facts
            .servers
            .get(index)
            .expect("the test asks for a server that it made")
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(error) = run(&mut script("down", &self.dir)) {
            eprintln!("take the site down: {error}");
        }
        if !std::thread::panicking() {
            std::fs::remove_dir_all(&self.dir).ok();
        }
    }
}

fn script(verb: &str, dir: &Path) -> Command {
    let mut command = Command::new(peer::root().join("deploy/site.sh"));
    command.arg(verb).arg("--dir").arg(dir);
    command
}
