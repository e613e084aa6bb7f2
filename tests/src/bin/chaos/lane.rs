//! One site with one server, and the life of one Machine after the other on it, with programs that die on the way.

mod checks;
mod inspection;
mod join;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use vitistack_tests::world::{BOOT, Dhcp, Mode, SOON, World};
use vitistack_tests::{manifest, peer};

use crate::initramfs;
use crate::keeper::Keeper;
use crate::point::{Hits, Phase, Program, program};
use crate::witness::{self, Meter};

/// For an installation with deaths in it.
const BOUND: Duration = Duration::from_secs(3 * BOOT.as_secs() / 2);
/// Between two looks at the API: kubectl is not cheap.
const LOOK: Duration = Duration::from_millis(700);
/// Longer than an inline row of the agent's store, so that it goes into a file.
const USER_DATA: usize = 6 << 10;

/// One death that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kill {
    pub(crate) point: String,
    /// Hits to let pass.
    pub(crate) skip: u32,
}

/// What is done on a site without a Machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    /// The free server is booted to be looked into.
    Inspect,
    /// The agent has lost its identity and joins with a new token.
    Join,
}

impl Errand {
    pub(crate) const ALL: [Self; 2] = [Self::Inspect, Self::Join];

    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Inspect => Phase::Inspect,
            Self::Join => Phase::Join,
        }
    }
}

/// What is to happen in the life of one Machine, or instead of one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    /// Points of the programs' start.
    pub(crate) start: Vec<Kill>,
    /// From apply to Running.
    pub(crate) install: Vec<Kill>,
    /// From delete to a free host.
    pub(crate) delete: Vec<Kill>,
    /// Whether the disk is cleaned at the end.
    pub(crate) wipe: bool,
    /// No Machine is made, but this is done, and these die meanwhile.
    pub(crate) errand: Option<(Errand, Vec<Kill>)>,
}

impl Orders {
    /// The same deaths, each at the first hit of its point.
    pub(crate) fn at_first_hits(&self) -> Self {
        let mut orders = self.clone();
        let Self {
            start,
            install,
            delete,
            wipe: _,
            errand,
        } = &mut orders;
        let errand = errand.iter_mut().flat_map(|(_, kills)| kills);
        for kill in start.iter_mut().chain(install).chain(delete).chain(errand) {
            kill.skip = 0;
        }
        orders
    }
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Where programs died.
    pub(crate) killed: Vec<String>,
    /// Points that were asked for and not reached.
    pub(crate) missed: Vec<String>,
    /// What must not be.
    pub(crate) wrong: Vec<String>,
    /// Bytes that installers wrote, by QEMU's count.
    pub(crate) written: u64,
    pub(crate) hits: Hits,
    pub(crate) took: Duration,
}

/// A site with its programs.
pub(crate) struct Lane {
    // Dropped in this order: what keeps programs running before the world that they run in.
    agent: Keeper,
    hub: Keeper,
    meter: Meter,
    world: World,
    assets: PathBuf,
    number: u32,
}

/// Where a phase began in everything that only grows.
struct Mark {
    agent_hits: usize,
    hub_hits: usize,
    agent_killed: usize,
    hub_killed: usize,
    collapses: usize,
    serial: usize,
}

impl Lane {
    /// A site with one free host, its hub and agent being the ones that can be killed.
    pub(crate) fn start(mode: Mode) -> Self {
        let mut world = World::start(mode, Dhcp::Own, &["name=s0,firmware=bios"]);
        world.host_available(0);
        world.kill_agent();
        world.hub.kill();
        let assets = world.hub.path("assets");
        initramfs::assets(&peer::root().join("target/fault/netboot"), &assets);
        let config = world.hub.path("agent.toml");
        let text = std::fs::read_to_string(&config).expect("the agent has a configuration");
        let own = format!("{:?}", peer::image("netboot"));
        std::fs::write(&config, text.replace(&own, &format!("{assets:?}")))
            .expect("the directory is writable");
        let dir = world.hub.path(".");
        let hub = Keeper::start("hub", &dir, world.hub.command());
        let agent = Keeper::start("agent", &dir, world.agent_command());
        let meter = Meter::start(&world.site, 0);
        let lane = Self {
            agent,
            hub,
            meter,
            world,
            assets,
            number: 0,
        };
        lane.wait("the agent is back", SOON, || {
            lane.ready("machineprovider", "edge")
        })
        .unwrap_or_else(|error| panic!("{error}"));
        lane
    }

    /// One Machine from apply to a free host.
    pub(crate) fn life(&mut self, orders: &Orders) -> Outcome {
        let began = Instant::now();
        let mut outcome = Outcome::default();
        if let Err(error) = self.live(orders, &mut outcome) {
            outcome.wrong.push(error);
        }
        outcome.took = began.elapsed();
        outcome
    }

    fn live(&mut self, orders: &Orders, outcome: &mut Outcome) -> Result<(), String> {
        self.number += 1;
        match &orders.errand {
            None => {}
            Some((Errand::Inspect, kills)) => return self.look_into(kills, outcome),
            Some((Errand::Join, kills)) => return self.join(kills, outcome),
        }
        let name = format!("m{}", self.number);
        self.prepare(&orders.install);
        let mark = self.mark();
        if !orders.start.is_empty() {
            self.arm(&orders.start);
            self.agent.down();
            self.hub.down();
            self.hub.up();
            self.agent.up();
            // A replica that died with the Lease is followed once that has run out.
            self.wait("the programs are back", BOUND, || {
                self.ready("machineprovider", "edge")?;
                self.unarmed()
            })?;
        }
        let mark = self.close(mark, Phase::Start, &orders.start, outcome);
        self.arm(&orders.install);
        let operation = self.install(&name, orders.wipe, outcome)?;
        // Points at the very end of an installation may be reached a moment after it is seen.
        self.wait("every point is reached", SOON, || self.unarmed())
            .ok();
        self.check_installed(&name, &operation, &mark, outcome)?;
        let mark = self.close(mark, Phase::Install, &orders.install, outcome);
        self.meter.clear();
        self.arm(&orders.delete);
        self.delete(&name)?;
        self.wait("every point is reached", SOON, || self.unarmed())
            .ok();
        self.check_free(orders, &mark, outcome);
        let phase = if orders.wipe {
            Phase::Wipe
        } else {
            Phase::Release
        };
        self.close(mark, phase, &orders.delete, outcome);
        Ok(())
    }

    /// An empty disk, and nothing of what a point to come needs to be missing.
    fn prepare(&self, kills: &[Kill]) {
        witness::empty_disk(&self.world.site.server(0).disk);
        let about = |word: &str| kills.iter().any(|kill| kill.point.contains(word));
        if about("agent.image.") || about("agent.lease.") {
            self.agent.down();
            let data = self.world.hub.path("agent");
            std::fs::remove_dir_all(data.join("images")).ok();
            std::fs::remove_file(data.join("leases")).ok();
            self.agent.up();
        }
        self.meter.clear();
    }

    fn mark(&self) -> Mark {
        Mark {
            agent_hits: self.agent.hits().len(),
            hub_hits: self.hub.hits().len(),
            agent_killed: self.agent.killed().len(),
            hub_killed: self.hub.killed().len(),
            collapses: self.agent.collapses().len() + self.hub.collapses().len(),
            serial: self.world.site.serial(0).len(),
        }
    }

    /// Serial output since `mark`.
    fn serial(&self, mark: &Mark) -> String {
        let serial = self.world.site.serial(0);
        serial.get(mark.serial..).unwrap_or_default().to_owned()
    }

    /// Arms each program with its share of `kills`, in their order.
    fn arm(&self, kills: &[Kill]) {
        let of = |wanted: Program| -> Vec<(&str, u32)> {
            kills
                .iter()
                .filter(|kill| program(&kill.point) == Some(wanted))
                .map(|kill| (kill.point.as_str(), kill.skip))
                .collect()
        };
        self.agent.arm(&of(Program::Agent));
        self.hub.arm(&of(Program::Hub));
        initramfs::arm(&self.assets, &of(Program::Installer));
    }

    /// The installer's points are in the initramfs; once one was reached the next boot gets the rest.
    fn heed_installer(&self) {
        let serial = self.world.site.serial(0);
        initramfs::used(&self.assets, serial.matches("fault: killed ").count());
    }

    fn unarmed(&self) -> Result<(), String> {
        let mut left = self.agent.armed();
        left.extend(self.hub.armed());
        left.extend(initramfs::armed(&self.assets));
        if left.is_empty() {
            Ok(())
        } else {
            Err(left.join(", "))
        }
    }

    /// Ends a phase: who died, what was hit, what was not reached.
    fn close(&self, mark: Mark, phase: Phase, kills: &[Kill], outcome: &mut Outcome) -> Mark {
        let serial = self.serial(&mark);
        let mut killed: Vec<String> = Vec::new();
        killed.extend(self.agent.killed().into_iter().skip(mark.agent_killed));
        killed.extend(self.hub.killed().into_iter().skip(mark.hub_killed));
        let mut hits: Vec<String> = Vec::new();
        hits.extend(self.agent.hits().into_iter().skip(mark.agent_hits));
        hits.extend(self.hub.hits().into_iter().skip(mark.hub_hits));
        for line in serial.lines() {
            let said = line.trim().strip_prefix("fault: ").unwrap_or_default();
            if let Some(point) = said.strip_prefix("killed ") {
                killed.push(point.to_owned());
                hits.push(point.to_owned());
            } else if let Some(point) = said.strip_prefix("hit ") {
                hits.push(point.to_owned());
            }
        }
        for point in &hits {
            outcome.hits.add(point, phase);
        }
        for kill in kills {
            if !killed.contains(&kill.point) {
                outcome.missed.push(kill.point.clone());
            }
        }
        outcome.killed.extend(killed);
        let collapses = self.agent.collapses().len() + self.hub.collapses().len();
        if collapses > mark.collapses {
            outcome.wrong.push(format!(
                "a program ended by itself: agent {:?}, hub {:?}",
                self.agent.collapses(),
                self.hub.collapses()
            ));
        }
        self.arm(&[]);
        self.mark()
    }

    /// Applies the Machine and waits until it runs. Returns every operation id that its status ever showed.
    fn install(
        &self,
        name: &str,
        wipe: bool,
        outcome: &mut Outcome,
    ) -> Result<BTreeSet<String>, String> {
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: default}}\n\
             stringData: {{userData: {:?}}}\n",
            user_data(name)
        );
        let (url, digest) = manifest::published("tiny");
        let cleaning = if wipe { "Metadata" } else { "None" };
        let more = format!(
            "  userDataSecretRef: {{name: {name}, key: userData}}\n  cleaning: {cleaning}\n"
        );
        let machine = manifest::machine(name, &url, &digest, &more);
        // A user whose line broke applies again.
        self.wait("the Machine is applied", SOON, || {
            self.world.hub.apply(&secret)?;
            self.world.hub.apply(&machine)
        })?;
        let mut operations = BTreeSet::new();
        let mut attempts = 0;
        self.wait(&format!("{name} runs"), BOUND, || {
            let machine = self.world.hub.object("machine", "default", name)?;
            let status = &machine["status"];
            operations.extend(status["operationID"].as_str().map(str::to_owned));
            attempts = attempts.max(status["attempt"].as_i64().unwrap_or(0));
            let is_ready = condition(&machine, "Ready") == Some("True");
            if is_ready && status["phase"] == "Running" {
                Ok(())
            } else {
                Err(status.to_string())
            }
        })?;
        if attempts > 1 {
            outcome
                .wrong
                .push(format!("{name}: attempt {attempts}; one was to be enough"));
        }
        Ok(operations)
    }

    fn delete(&self, name: &str) -> Result<(), String> {
        let args = [
            "delete",
            "machine",
            name,
            "--wait=false",
            "--ignore-not-found",
        ];
        self.wait("the Machine is deleted", SOON, || {
            self.world.hub.try_kubectl(&args)
        })?;
        self.wait(&format!("{name} is gone"), BOUND, || {
            match self.world.hub.object("machine", "default", name) {
                Err(text) if text.contains("NotFound") => Ok(()),
                Err(text) => Err(text),
                Ok(object) => Err(object["status"].to_string()),
            }
        })?;
        self.wait("the host is available", SOON, || {
            let host = self.world.hub.object("vbmh", "default", "host-0")?;
            let is_free = host["spec"]["consumerRef"].is_null()
                && host["status"]["provisioned"].is_null()
                && host["status"]["phase"] == "Available";
            is_free
                .then_some(())
                .ok_or_else(|| host["status"].to_string())
        })?;
        self.wait("the secret is deleted", SOON, || {
            self.world
                .hub
                .try_kubectl(&["delete", "secret", name, "--ignore-not-found"])
        })
        .map(drop)
    }

    fn ready(&self, kind: &str, name: &str) -> Result<(), String> {
        let object = self.world.hub.object(kind, "default", name)?;
        if condition(&object, "Ready") == Some("True") {
            Ok(())
        } else {
            Err(object["status"].to_string())
        }
    }

    fn retry<T>(&self, look: impl FnMut() -> Result<T, String>) -> Result<T, String> {
        self.wait("the API answers", SOON, look)
    }

    /// Asks `look` until it gives something, and hands the installer's next points out meanwhile.
    fn wait<T>(
        &self,
        what: &str,
        bound: Duration,
        mut look: impl FnMut() -> Result<T, String>,
    ) -> Result<T, String> {
        let end = Instant::now() + bound;
        loop {
            let last = match look() {
                Ok(value) => return Ok(value),
                Err(last) => last,
            };
            if Instant::now() >= end {
                let seconds = bound.as_secs();
                return Err(format!("{what}: not within {seconds} s; last seen: {last}"));
            }
            let next = Instant::now() + LOOK;
            while Instant::now() < next {
                self.heed_installer();
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// Where its programs write what they do.
    pub(crate) fn logs(&self) -> [PathBuf; 3] {
        [
            self.world.hub.path("agent.log"),
            self.world.hub.path("hub.log"),
            self.world.site.server(0).serial.clone(),
        ]
    }
}

fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object
        .pointer("/status/conditions")?
        .as_array()?
        .iter()
        .find(|condition| condition["type"] == name)?["status"]
        .as_str()
}

/// What the guest of `name` gets, too long for one row of the agent's store and different for each.
fn user_data(name: &str) -> String {
    let mut text = format!("#cloud-config\n# {name}\n");
    while text.len() < USER_DATA {
        text.push_str("# as long as it takes\n");
    }
    text
}

/// Puts what the lane's programs wrote beside the other logs.
pub(crate) fn keep_logs(files: &[PathBuf], into: &Path) {
    std::fs::create_dir_all(into).ok();
    for file in files {
        if let Some(name) = file.file_name() {
            std::fs::copy(file, into.join(name)).ok();
        }
    }
}
