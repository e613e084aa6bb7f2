//! The agent's data directory is deleted while one Machine runs and another is half installed.
//!
//! The one that runs is believed on the proof that the hub holds. Of the other nobody knows how far it came, so it stops
//! with `InstallStateUnknown`. Nothing is written to either disk.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use vitistack_tests::wait;
use vitistack_tests::world::{BOOT, Dhcp, Mode, SOON, World};

use crate::witness::{self, Meter};

/// How long nothing may happen.
const STILL: Duration = Duration::from_secs(75);

/// What came of it.
pub(crate) struct Lost {
    wrong: Vec<String>,
}

impl Lost {
    pub(crate) fn is_good(&self) -> bool {
        self.wrong.is_empty()
    }

    pub(crate) fn line(&self) -> String {
        if self.is_good() {
            "agent's data deleted: the Machine that ran runs, the other says InstallStateUnknown, nothing was written"
                .to_owned()
        } else {
            format!("agent's data deleted: {}", self.wrong.join("; "))
        }
    }
}

pub(crate) fn run() -> Lost {
    let outcome = catch_unwind(AssertUnwindSafe(scene));
    let wrong = outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>();
        vec![text.map_or_else(|| "a check panicked".to_owned(), Clone::clone)]
    });
    Lost { wrong }
}

fn scene() -> Vec<String> {
    let mut world = World::start(
        Mode::Standalone,
        Dhcp::Own,
        &["name=s0,firmware=bios", "name=s1,firmware=bios"],
    );
    world.host_available(0);
    world.machine("runs");
    world.wait_running("runs", BOOT);
    world.host_available(1);
    let meters = [Meter::start(&world.site, 0), Meter::start(&world.site, 1)];
    world.machine("half");
    // Once it has its plan: the image of the tests is on the disk sooner than anybody could look again.
    wait::until("the second installer has its plan", BOOT, || {
        let serial = world.site.serial(1);
        serial
            .contains("installer: operation")
            .then_some(())
            .ok_or_else(|| "not yet".to_owned())
    });
    world.kill_agent();
    std::fs::remove_dir_all(world.hub.path("agent")).expect("the agent's data can be deleted");
    let begun = [0, 1].map(|index| world.site.serial(index).matches("installer: ").count());
    world.enrol("edge-west", "default");
    world.run_agent();
    // The agent that joins has a name of its own, and takes over only once the one that is lost was revoked.
    wait::until("the agent joined again", SOON, || {
        let agents = world.hub.viti(&["agents", "-o", "json"])?;
        agents.contains("edge-1-").then_some(()).ok_or(agents)
    });
    let revoke = r#"{"spec": {"revoked": true}}"#;
    world.hub.kubectl(&[
        "patch",
        "agents.vitistack.io",
        "-n",
        "vitistack-system",
        "edge-1",
        "--type=merge",
        "-p",
        revoke,
    ]);
    let mut wrong = Vec::new();
    world.hub.wait_condition(
        ("machine", "default", "half"),
        ("Ready", "False", "InstallStateUnknown"),
        BOOT,
    );
    world.wait_running("runs", SOON);
    let written = meters
        .each_ref()
        .map(|meter| meter.starts().iter().sum::<u64>());
    std::thread::sleep(STILL);
    for (index, meter) in meters.iter().enumerate() {
        let now: u64 = meter.starts().iter().sum();
        let before = written.get(index).copied().unwrap_or_default();
        if now != before {
            wrong.push(format!(
                "{} bytes were written to disk {index}",
                now - before
            ));
        }
        let serial = world.site.serial(index);
        for word in ["installer: writing", "installer: wiping"] {
            let allowed = usize::from(word.ends_with("writing"));
            let seen = serial.matches(word).count();
            if seen > allowed {
                wrong.push(format!("server {index} said {word:?} {seen} times"));
            }
        }
    }
    // The agent has long reported by now: that the guest was heard is what the hub remembers.
    let runs = world.hub.object("machine", "default", "runs");
    let phase = runs.as_ref().ok().and_then(|runs| {
        let phase = runs.pointer("/status/phase")?;
        phase.as_str()
    });
    if phase != Some("Running") {
        wrong.push(format!("the Machine that runs went on to {phase:?}"));
    }
    let half = world.hub.object("machine", "default", "half");
    let reason = half.as_ref().ok().and_then(|half| {
        let conditions = half.pointer("/status/conditions")?.as_array()?;
        let ready = conditions.iter().find(|one| one["type"] == "Ready")?;
        ready["reason"].as_str()
    });
    if reason != Some("InstallStateUnknown") {
        wrong.push(format!("the half installed Machine went on to {reason:?}"));
    }
    let log = world.agent_log();
    let started = log.matches("\"step\":\"start-installer\"").count();
    if started != 2 {
        wrong.push(format!(
            "installers were started {started} times for two Machines"
        ));
    }
    if begun.contains(&0) {
        wrong.push("an installer did not speak before the data was deleted".to_owned());
    }
    // The installer's mark stands in the last block.
    if !witness::is_empty(&world.site.server(1).disk, (1 << 20) - 4096) {
        wrong.push("the half installed disk would boot".to_owned());
    }
    if !world.site.powered(0) {
        wrong.push("the server of the Machine that ran is off".to_owned());
    }
    wrong
}
