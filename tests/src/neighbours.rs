//! Who else is on a site's network: the image server, other DHCP servers, a BMC that lies, a listener.

use std::path::Path;
use std::process::Command;

use crate::process::{Process, run};
use crate::site::Site;
use crate::world::{Hub, SOON, World};
use crate::{peer, wait};

impl World {
    /// A BMC that lies about boot overrides (`drop` or `revert`), in front of the site's.
    #[must_use]
    pub fn lying_bmc(&self, lie: &str) -> LyingBmc {
        let mut command = self.site.inside(&peer::program("lying-bmc"));
        command.args([LyingBmc::LISTEN, "https://127.0.0.1:8443", lie]);
        LyingBmc {
            _process: Process::start("lying-bmc", &self.hub.path("."), &mut command),
        }
    }

    /// Puts a machine with a DHCP server of its own on the boot network.
    ///
    /// # Panics
    /// If it cannot be made.
    #[must_use]
    pub fn foreign_dhcp_server(&self) -> ForeignServer {
        let (site, own) = (
            &self.site.facts.namespace,
            format!("{}-f", self.site.facts.namespace),
        );
        for command in [
            format!("netns add {own}"),
            format!("-n {site} link add foreign type veth peer name eth0 netns {own}"),
            format!(
                "-n {site} link set foreign master {} up",
                self.site.facts.bridge
            ),
            format!("-n {own} addr add 10.99.0.2/24 dev eth0"),
            format!("-n {own} link set eth0 up"),
        ] {
            run(Command::new("ip").args(command.split(' ')))
                .unwrap_or_else(|error| panic!("{error}"));
        }
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{own}"));
        let process = dnsmasq(&mut command, "eth0", &self.hub);
        ForeignServer {
            process: Some(process),
            namespace: own,
        }
    }

    /// Everything that is sent to `mac` over IP, printed by tcpdump.
    #[must_use]
    pub fn capture_to(&self, mac: &str) -> Process {
        let mut command = self.site.inside(Path::new("tcpdump"));
        command
            .args([
                "-i",
                &self.site.facts.bridge,
                "-n",
                "-l",
                "--immediate-mode",
            ])
            .arg(format!(
                "ether dst {mac} or (ether broadcast and udp src port 67)"
            ));
        let capture = Process::start("tcpdump", &self.hub.path("."), &mut command);
        wait::until("tcpdump listens", SOON, || {
            capture
                .log()
                .contains("listening on")
                .then_some(())
                .ok_or_else(|| capture.log())
        });
        capture
    }
}

/// A machine on the boot network that answers DHCP. Dropped, it is gone with its network.
#[derive(Debug)]
pub struct ForeignServer {
    process: Option<Process>,
    namespace: String,
}

impl Drop for ForeignServer {
    fn drop(&mut self) {
        self.process.take();
        run(Command::new("ip").args(["netns", "del", &self.namespace])).ok();
    }
}

/// A Redfish proxy that lies.
#[derive(Debug)]
pub struct LyingBmc {
    _process: Process,
}

impl LyingBmc {
    const LISTEN: &str = "127.0.0.1:9443";

    /// Address of `server` behind the proxy, for `spec.bmc.address`.
    #[must_use]
    pub fn address(&self, server: &crate::site::Server) -> String {
        format!(
            "redfish+http://{}/redfish/v1/Systems/{}",
            Self::LISTEN,
            server.uuid
        )
    }
}

pub(crate) fn image_server(site: &Site, hub: &Hub) -> Process {
    let mut command = site.inside(Path::new("python3"));
    command
        .args([
            "-m",
            "http.server",
            "8088",
            "--bind",
            "127.0.0.1",
            "--directory",
        ])
        .arg(peer::image("os"));
    Process::start("images", &hub.path("."), &mut command)
}

/// The DHCP server that a site may have already.
pub(crate) fn dnsmasq(inside: &mut Command, interface: &str, hub: &Hub) -> Process {
    inside
        .arg("dnsmasq")
        .args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--port=0",
            "--bind-interfaces",
            "--no-ping",
        ])
        .args([
            "--user=root",
            "--pid-file=",
            "--log-dhcp",
            "--log-facility=-",
            "--dhcp-authoritative",
        ])
        .arg(format!("--interface={interface}"))
        .arg("--dhcp-range=10.99.0.50,10.99.0.90,255.255.255.0,10m")
        .arg(format!(
            "--dhcp-leasefile={}",
            hub.path("dnsmasq.leases").display()
        ));
    Process::start("dnsmasq", &hub.path("."), inside)
}
