//! A Machine that is switched off and on by its spec: the guest is asked, and its disk stays as it is, also when the
//! Machine goes and nothing is to be cleaned.

use std::time::Duration;

use vitistack_tests::manifest;
use vitistack_tests::wait;
use vitistack_tests::world::{BOOT, Dhcp, Mode, SOON, World};

const HOST: (&str, &str, &str) = ("vbmh", "default", "host-0");
const MACHINE: (&str, &str, &str) = ("machine", "default", "m1");
/// What a guest says when it was asked and goes. A forced power-off has no words.
const FAREWELL: &str = "reboot: Power down";
/// Less than a guest that does not listen is given.
const ASKED: Duration = Duration::from_secs(60);

fn switch(world: &World, state: &str) {
    let patch = format!("{{\"spec\": {{\"powerState\": {state:?}}}}}");
    world
        .hub
        .kubectl(&["patch", MACHINE.0, MACHINE.2, "--type=merge", "-p", &patch]);
}

#[test]
fn follows_the_spec_and_the_disk_is_kept() {
    let world = World::start(Mode::Standalone, Dhcp::Own, &["name=s0,firmware=bios"]);
    world.host_available(0);
    let (url, digest) = manifest::published("tiny");
    let machine = manifest::machine("m1", &url, &digest, "  cleaning: None\n");
    world
        .hub
        .apply(&machine)
        .unwrap_or_else(|error| panic!("{error}"));
    world.wait_running("m1", BOOT);

    let said = world.site.serial(0).len();
    switch(&world, "Off");
    world.site.wait_serial(0, said, FAREWELL, ASKED);
    wait::until("the Machine is off", SOON, || {
        let machine = world.hub.object(MACHINE.0, MACHINE.1, MACHINE.2)?;
        let status = &machine["status"];
        (status["powerState"] == "Off" && !world.site.powered(0))
            .then_some(())
            .ok_or_else(|| status.to_string())
    });
    let said = world.site.serial(0).len();
    switch(&world, "On");
    let up = format!("tiny-os up uid={}", world.uid("m1"));
    world.site.wait_serial(0, said, &up, BOOT);
    world.wait_running("m1", SOON);

    let said = world.site.serial(0).len();
    let disk = world.site.disk_start(0, 1 << 20);
    world
        .hub
        .kubectl(&["delete", MACHINE.0, MACHINE.2, "--wait=false"]);
    world.site.wait_serial(0, said, FAREWELL, ASKED);
    world.hub.wait_gone(MACHINE, SOON);
    world.hub.wait_phase(HOST, "Available", SOON);
    world.wait_off(0);
    assert!(
        world.site.disk_start(0, 1 << 20) == disk,
        "the disk is kept"
    );
    let serial = world.site.serial(0);
    assert_eq!(serial.matches("installer: operation").count(), 1);
}
