//! An agent whose store is damaged goes on: it says so, the hub sends everything again, and nothing is made twice.

use std::path::Path;
use std::time::Duration;

use vitistack_tests::wait;
use vitistack_tests::world::{BOOT, Dhcp, Mode, SOON, World};

const HOST: (&str, &str, &str) = ("vbmh", "default", "host-0");
const MACHINE: (&str, &str, &str) = ("machine", "default", "m1");
/// All that the tiny image and its seed take.
const WRITTEN: usize = 24 << 20;

/// Turns a byte of every block over, as a disk that loses its mind does.
fn damage(file: &Path) {
    let mut bytes = std::fs::read(file).expect("the store has a database");
    for byte in bytes.iter_mut().skip(100).step_by(512) {
        *byte = !*byte;
    }
    std::fs::write(file, bytes).expect("the agent is not running");
}

#[test]
fn that_is_damaged_is_rebuilt_from_the_hub_and_the_machine_runs_on() {
    let mut world = World::start(Mode::Standalone, Dhcp::Own, &["name=s0,firmware=bios"]);
    world.host_available(0);
    world.machine("m1");
    world.wait_running("m1", BOOT);
    let before = world.site.disk_start(0, WRITTEN);
    let said = world.site.serial(0).len();

    world.kill_agent();
    damage(&world.hub.path("agent/store/db/db"));
    world.run_agent();
    wait::until("the agent says that its store is lost", SOON, || {
        let log = world.agent_log();
        log.contains("the store was lost and set aside")
            .then_some(())
            .ok_or(log)
    });
    assert!(
        world.hub.path("agent/store.lost").exists(),
        "what is damaged is kept for who wants to look at it"
    );
    let uid = world.uid("m1");
    wait::until("the agent has the Machine's intent again", SOON, || {
        let log = world.agent_log();
        let (_, since) = log.split_once("set aside").unwrap_or_default();
        let stored = |line: &str| line.contains("intent stored") && line.contains(&uid);
        since.lines().any(stored).then_some(()).ok_or(log)
    });
    // Long enough for a boot to begin, if one were to.
    wait::throughout("the Machine runs on", Duration::from_secs(30), || {
        let machine = world.hub.object(MACHINE.0, MACHINE.1, MACHINE.2)?;
        let phase = machine["status"]["phase"].as_str().unwrap_or_default();
        let new = world.site.serial(0).split_off(said);
        (phase == "Running" && world.site.powered(0) && new.is_empty())
            .then_some(())
            .ok_or_else(|| format!("{phase}, power {}, {new:?}", world.site.powered(0)))
    });
    assert!(
        world.site.disk_start(0, WRITTEN) == before,
        "the disk is as it was"
    );
    world
        .hub
        .kubectl(&["delete", MACHINE.0, MACHINE.2, "--wait=false"]);
    world.hub.wait_gone(MACHINE, BOOT);
    world.hub.wait_phase(HOST, "Available", SOON);
}
