//! An API, a hub, a site and an agent, joined as a user would join them.

mod hub;

use std::process::Command;
use std::time::Duration;

use crate::neighbours::{dnsmasq, image_server};
use crate::peer;
use crate::process::Process;
use crate::site::Site;
use crate::{manifest, wait};

pub use hub::{ALLOCATOR, Hub, Logs, Mode};

/// Bound for what needs no boot: an API call, a reconcile, a session.
pub const SOON: Duration = Duration::from_secs(45);
/// Bound for a boot under emulation: four times what it takes on an idle machine with two cores.
pub const BOOT: Duration = Duration::from_secs(300);
/// Where the agent finds images, inside the site.
pub const IMAGE_SERVER: &str = "http://127.0.0.1:8088";

/// For a hub without a site.
pub const LOOPBACK: &str = "127.0.0.1";

/// How the agent's boot network is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dhcp {
    /// The agent's own DHCP server.
    Own,
    /// Beside another one (dnsmasq).
    Proxy,
}

/// A hub, a site and an agent that has joined.
#[derive(Debug)]
pub struct World {
    agent: Option<Process>,
    // They run inside the site and end before it does.
    _helpers: Vec<Process>,
    /// Environment of the agent from its next start on.
    pub agent_environment: Vec<(String, String)>,
    /// The servers.
    pub site: Site,
    /// The hub and its API.
    pub hub: Hub,
}

impl World {
    /// Everything up, the agent enrolled with a token and connected, provider `edge` and BMC Secret applied in `default`.
    #[must_use]
    pub fn start(mode: Mode, dhcp: Dhcp, servers: &[&str]) -> Self {
        Self::start_logging(mode, dhcp, servers, Logs::Usual)
    }

    /// The same, with hub and agent logging as much as `logs` says.
    #[must_use]
    pub fn start_logging(mode: Mode, dhcp: Dhcp, servers: &[&str], logs: Logs) -> Self {
        let base = tempfile::Builder::new()
            .prefix("vsite")
            .tempdir_in("/tmp")
            .expect("/tmp is writable");
        let site = Site::up(&base.keep(), servers);
        let hub = Hub::start_logging(mode, &site.facts.hub_address, logs);
        let mut helpers = vec![image_server(&site, &hub)];
        if dhcp == Dhcp::Proxy {
            let mut inside = Command::new("nsenter");
            inside.arg(format!("--net=/run/netns/{}", site.facts.namespace));
            helpers.push(dnsmasq(&mut inside, &site.facts.bridge, &hub));
        }
        let mut world = Self {
            agent: None,
            _helpers: helpers,
            agent_environment: logs.environment("VITISTACK_LOG"),
            site,
            hub,
        };
        world.write_agent_config(dhcp);
        world.enrol("edge-west", "default");
        world.run_agent();
        wait::until("the agent is connected", SOON, || {
            world.agent.as_mut().map_or(Ok(()), Process::alive)?;
            let agents = world.hub.viti(&["agents", "-o", "json"])?;
            agents.contains("edge-1").then_some(()).ok_or(agents)
        });
        world
            .hub
            .apply(&manifest::provider("edge-west"))
            .unwrap_or_else(|error| panic!("{error}"));
        world
            .hub
            .apply(&manifest::bmc_secret("admin", crate::site::BMC_PASSWORD))
            .unwrap_or_else(|error| panic!("{error}"));
        world.hub.wait_condition(
            ("machineprovider", "default", "edge"),
            ("Ready", "True", ""),
            SOON,
        );
        world
    }

    /// Makes a token for `site` and puts it where the agent looks.
    pub fn enrol(&self, site: &str, namespaces: &str) {
        let token = self
            .hub
            .viti(&[
                "token",
                "create",
                "--site",
                site,
                "--namespaces",
                namespaces,
                "--ttl",
                "10m",
            ])
            .unwrap_or_else(|error| panic!("{error}"));
        std::fs::write(self.hub.path("token"), token.trim()).expect("the directory is writable");
    }

    fn write_agent_config(&self, dhcp: Dhcp) {
        let netboot = match dhcp {
            Dhcp::Own => format!(
                "mode = \"own\"\nrange = [\"10.99.0.100\", \"10.99.0.200\"]\nrouter = {0:?}\ndns = [{0:?}]\n",
                self.site.facts.boot_address,
            ),
            Dhcp::Proxy => "mode = \"proxy\"\n".to_owned(),
        };
        let config = format!(
            "data_dir = {:?}\nhub = {:?}\ntoken_file = {:?}\nname = \"edge-1\"\n\
             [netboot]\ninterface = {:?}\nassets = {:?}\n{netboot}",
            self.hub.path("agent"),
            self.hub.listen,
            self.hub.path("token"),
            self.site.facts.bridge,
            peer::image("netboot"),
        );
        std::fs::write(self.hub.path("agent.toml"), config).expect("the directory is writable");
    }

    /// Starts the agent; after [`World::kill_agent`] the same agent again.
    pub fn run_agent(&mut self) {
        let mut command = self.agent_command();
        self.agent = Some(Process::start("agent", self.hub.dir.path(), &mut command));
    }

    /// What starts the agent.
    #[must_use]
    pub fn agent_command(&self) -> Command {
        let mut command = self.site.inside(&peer::program("vitistack-agent"));
        command
            .arg("run")
            .arg("--config")
            .arg(self.hub.path("agent.toml"));
        command.envs(self.agent_environment.clone());
        command
    }

    /// Kills the agent as a power cut would.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill_agent(&mut self) {
        self.agent.take().expect("the agent runs").kill();
    }

    /// Its process id.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn agent_id(&self) -> u32 {
        self.agent.as_ref().expect("the agent runs").id()
    }

    /// Asks the agent to stop and waits.
    ///
    /// # Panics
    /// If it does not run, or does not stop in time.
    pub fn stop_agent(&mut self) -> std::process::ExitStatus {
        self.agent
            .take()
            .expect("the agent runs")
            .stop(Duration::from_secs(20))
    }

    /// What the agent logged.
    #[must_use]
    pub fn agent_log(&self) -> String {
        std::fs::read_to_string(self.hub.path("agent.log")).unwrap_or_default()
    }

    /// Applies the site's server `index` as BareMetalHost `host-<index>` and waits until it is available, without the boot
    /// that an inspection takes.
    #[track_caller]
    pub fn host_available(&self, index: usize) {
        self.host_comes_up(index, "  inspect: Never\n");
    }

    /// The same with an inspection by booting the server.
    #[track_caller]
    pub fn host_inspected(&self, index: usize) {
        self.host_comes_up(index, "");
    }

    #[track_caller]
    fn host_comes_up(&self, index: usize, more: &str) {
        let name = format!("host-{index}");
        self.hub
            .apply(&(manifest::host(&name, self.site.server(index)) + more))
            .unwrap_or_else(|error| panic!("{error}"));
        self.hub
            .wait_phase(("vbmh", "default", &name), "Available", BOOT);
    }

    /// Applies Machine `name` with the tiny image.
    #[track_caller]
    pub fn machine(&self, name: &str) {
        self.hub
            .apply(&manifest::tiny_machine(name))
            .unwrap_or_else(|error| panic!("{error}"));
    }

    /// Waits until Machine `name` is Running and Ready.
    #[track_caller]
    pub fn wait_running(&self, name: &str, bound: Duration) {
        self.hub
            .wait_condition(("machine", "default", name), ("Ready", "True", ""), bound);
        self.hub
            .wait_phase(("machine", "default", name), "Running", SOON);
    }

    /// Waits until libvirt says that server `index` is off, as a free host is.
    #[track_caller]
    pub fn wait_off(&self, index: usize) {
        wait::until("the server is off", SOON, || {
            (!self.site.powered(index))
                .then_some(())
                .ok_or_else(|| "on".to_owned())
        });
    }

    /// `metadata.uid` of a Machine.
    ///
    /// # Panics
    /// If it is not there.
    #[track_caller]
    #[must_use]
    pub fn uid(&self, name: &str) -> String {
        let machine = self
            .hub
            .object("machine", "default", name)
            .unwrap_or_else(|error| panic!("{error}"));
        machine["metadata"]["uid"]
            .as_str()
            .expect("every object has a UID")
            .to_owned()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- agent log ---\n{}", tail(&self.agent_log(), 60));
            eprintln!("--- hub log ---\n{}", tail(&self.hub.log(), 40));
            for server in &self.site.facts.servers {
                let serial = std::fs::read(&server.serial).unwrap_or_default();
                eprintln!(
                    "--- serial of {} ---\n{}",
                    server.name,
                    tail(&String::from_utf8_lossy(&serial), 25)
                );
            }
        }
        self.agent.take();
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..)
        .unwrap_or_default()
        .join("\n")
}
