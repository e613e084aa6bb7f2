//! A line that is silent for a day, and an agent whose disk is that of yesterday. What was made stays as it is.

use std::process::Command;
use std::time::Duration;

use vitistack_tests::process::run;
use vitistack_tests::wait;
use vitistack_tests::world::{BOOT, Dhcp, Mode, SOON, World};

const HOST: (&str, &str, &str) = ("vbmh", "default", "host-0");
const MACHINE: (&str, &str, &str) = ("machine", "default", "m1");
/// Debian's libfaketime, for programs with threads.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// The site's end of the line, `up` or `down`.
fn line(world: &World, state: &str) {
    let site = &world.site.facts.namespace;
    run(Command::new("ip").args(["-n", site, "link", "set", "uplink", state]))
        .unwrap_or_else(|error| panic!("{error}"));
}

fn observed(world: &World) -> Result<(), String> {
    let host = world.hub.object(HOST.0, HOST.1, HOST.2)?;
    let (wanted, seen) = (
        &host["metadata"]["generation"],
        &host["status"]["observedGeneration"],
    );
    let power = &host["status"]["powerState"];
    (wanted == seen && power == "On")
        .then_some(())
        .ok_or_else(|| format!("generation {wanted}, observed {seen}, power {power}"))
}

#[test]
fn a_day_of_silence_ends_with_what_was_wanted_and_what_was_seen_meanwhile() {
    let mut world = World::start(Mode::Standalone, Dhcp::Own, &["name=s0,firmware=bios"]);
    world.host_available(0);
    // From here on hub and agent have clocks that can be stepped.
    let clock = world.hub.path("clock");
    std::fs::write(&clock, "+0").expect("the directory is writable");
    let stepped = [
        ("LD_PRELOAD".to_owned(), FAKETIME.to_owned()),
        ("FAKETIME_NO_CACHE".to_owned(), "1".to_owned()),
        (
            "FAKETIME_TIMESTAMP_FILE".to_owned(),
            clock.display().to_string(),
        ),
    ];
    assert!(world.stop_agent().success(), "{}", world.agent_log());
    assert!(world.hub.stop().success(), "{}", world.hub.log());
    world.agent_environment.extend(stepped.clone());
    world.hub.environment.extend(stepped);
    world.hub.run();
    world.run_agent();
    let connected = |world: &World, status: &str| {
        world.hub.wait_condition(
            ("machineprovider", "default", "edge"),
            ("Ready", status, ""),
            BOOT,
        );
    };
    connected(&world, "True");

    line(&world, "down");
    connected(&world, "False");
    world.hub.kubectl(&[
        "patch",
        "vbmh",
        "host-0",
        "--type=merge",
        "-p",
        r#"{"spec":{"maintenance":true}}"#,
    ]);
    let server = world.site.server(0).name.clone();
    world.site.virsh(&["start", &server]);
    std::fs::write(&clock, "+1d").expect("the directory is writable");
    // Timers of a day fire; nobody may fall over.
    std::thread::sleep(Duration::from_secs(5));
    line(&world, "up");
    connected(&world, "True");
    wait::until("the host is as wanted and seen meanwhile", SOON, || {
        observed(&world)
    });
    let day = jiff::Timestamp::now() + Duration::from_secs(23 * 3600);
    let log = world.agent_log();
    let last = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|line| line["timestamp"].as_str()?.parse::<jiff::Timestamp>().ok())
        .max();
    assert!(
        last.is_some_and(|last| last > day),
        "the agent's clock was not stepped: {last:?}"
    );
    assert!(world.stop_agent().success(), "{}", world.agent_log());
    assert!(world.hub.stop().success(), "{}", world.hub.log());
}

#[test]
fn an_agent_with_yesterdays_store_installs_nothing_again() {
    let mut world = World::start(Mode::Standalone, Dhcp::Own, &["name=s0,firmware=bios"]);
    world.host_available(0);
    assert!(world.stop_agent().success(), "{}", world.agent_log());
    let (data, yesterday) = (world.hub.path("agent"), world.hub.path("agent.yesterday"));
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        run(Command::new("cp").arg("-a").arg(from).arg(to))
            .unwrap_or_else(|error| panic!("{error}"));
    };
    copy(&data, &yesterday);
    world.run_agent();
    world.machine("m1");
    world.wait_running("m1", BOOT);
    let uid = world.uid("m1");

    world.kill_agent();
    std::fs::remove_dir_all(&data).expect("the agent is not running");
    copy(&yesterday, &data);
    world.run_agent();
    // Long enough for a boot to begin, if one were to.
    wait::throughout("the server is left alone", Duration::from_secs(20), || {
        let serial = world.site.serial(0);
        let begun = serial.matches("installer: writing").count();
        (begun == 1 && world.site.powered(0))
            .then_some(())
            .ok_or_else(|| format!("{begun} installations, power {}", world.site.powered(0)))
    });
    // The guest phones home at a boot, and that was yesterday too: until it is probed nobody says that it runs. That the
    // hub hears the agent is seen by the end.
    assert_eq!(world.uid("m1"), uid);
    world
        .hub
        .kubectl(&["delete", MACHINE.0, MACHINE.2, "--wait=false"]);
    world.hub.wait_gone(MACHINE, BOOT);
    world.hub.wait_phase(HOST, "Available", SOON);
}
