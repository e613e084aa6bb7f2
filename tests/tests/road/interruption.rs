//! Programs die at bad moments; the Machine ends Running all the same, after one installation.

use std::time::Duration;

use vitistack_tests::wait;
use vitistack_tests::world::{BOOT, Dhcp, Mode, SOON, World};

/// How often the installer of server 0 began to write, by its own words on the serial port.
fn installations(world: &World) -> usize {
    world.site.serial(0).matches("installer: writing").count()
}

fn wait_writing(world: &World) {
    wait::until("the installer writes", BOOT, || {
        let machine = world.hub.object("machine", "default", "m1")?;
        let written = machine["status"]["progress"]["writtenBytes"]
            .as_i64()
            .unwrap_or(0);
        let seen = world.site.serial(0).contains("installer: writing");
        (written > 0 || seen)
            .then_some(())
            .ok_or_else(|| machine["status"].to_string())
    });
}

#[test]
fn the_hub_is_killed_after_the_intent_is_acked() {
    let mut world = World::start(Mode::Standalone, Dhcp::Own, &["name=s0,firmware=bios"]);
    world.host_available(0);
    world.machine("m1");
    world
        .hub
        .wait_phase(("machine", "default", "m1"), "Creating", SOON);
    wait::until("the agent boots the server on its own", SOON, || {
        world
            .site
            .powered(0)
            .then_some(())
            .ok_or_else(|| "still off".to_owned())
    });
    world.hub.kill();
    let said = world.site.serial(0).len();
    // The site goes on without the centre, up to the running guest.
    world.site.wait_serial(0, said, "tiny-os up", BOOT);
    world.hub.run();
    world.wait_running("m1", BOOT);
    assert_eq!(installations(&world), 1, "{}", world.site.serial(0));
}

#[test]
fn the_agent_is_killed_while_the_image_is_written() {
    let mut world = World::start(Mode::Kubernetes, Dhcp::Own, &["name=s0,firmware=bios"]);
    world.host_available(0);
    world.machine("m1");
    wait_writing(&world);
    world.kill_agent();
    std::thread::sleep(Duration::from_secs(2));
    world.run_agent();
    world.wait_running("m1", BOOT);
    assert_eq!(installations(&world), 1, "{}", world.site.serial(0));
    let machine = world
        .hub
        .object("machine", "default", "m1")
        .expect("the Machine is there");
    assert_eq!(machine["status"]["attempt"], 1, "{}", machine["status"]);
}

#[test]
fn hub_and_agent_stop_cleanly_when_asked() {
    let mut world = World::start(Mode::Standalone, Dhcp::Own, &["name=s0,firmware=bios"]);
    world.host_available(0);
    assert!(world.hub.stop().success(), "{}", world.hub.log());
    assert!(world.stop_agent().success(), "{}", world.agent_log());
    world.hub.run();
    world.run_agent();
    world.hub.wait_condition(
        ("machineprovider", "default", "edge"),
        ("Ready", "True", ""),
        SOON,
    );
}
