//! Bad input ends in a refusal or in a condition that says what to do, and recovers by itself when the cause goes.

use std::time::{Duration, Instant};

use serde_json::Value;
use vitistack_tests::world::{BOOT, Dhcp, Mode, SOON, World};
use vitistack_tests::{manifest, site, wait};

const HOST: (&str, &str, &str) = ("vbmh", "default", "host-0");
const MACHINE: (&str, &str, &str) = ("machine", "default", "m1");
const MARK: &[u8] = b"somebody's data, with a partition table";

#[test]
fn wrong_bmc_password_then_the_right_one() {
    let world = World::start(Mode::Standalone, Dhcp::Own, &["name=s0,firmware=bios"]);
    world
        .hub
        .apply(&manifest::bmc_secret("admin", "wrong"))
        .expect("the Secret is accepted");
    world
        .hub
        .apply(&manifest::host("host-0", world.site.server(0)))
        .expect("the host is accepted");
    world
        .hub
        .wait_condition(HOST, ("Ready", "False", "BMCAuthenticationFailed"), SOON);
    let before = settled_intent(&world);
    world
        .hub
        .apply(&manifest::bmc_secret("admin", site::BMC_PASSWORD))
        .expect("the Secret is accepted");
    world.hub.wait_phase(HOST, "Available", BOOT);
    assert_eq!(
        settled_intent(&world),
        before,
        "a corrected password is no new revision"
    );
}

/// `status.intent` of the host, once nothing (the certificate that was seen first) changes it any more.
fn settled_intent(world: &World) -> Value {
    let mut seen = (Value::Null, Instant::now());
    wait::until("the host's intent settles", SOON, || {
        let (kind, namespace, name) = HOST;
        let host = world.hub.object(kind, namespace, name)?;
        let now = &host["status"]["intent"];
        if *now != seen.0 {
            seen = (now.clone(), Instant::now());
        }
        if now.is_object() && seen.1.elapsed() > Duration::from_secs(3) {
            Ok(now.clone())
        } else {
            Err(now.to_string())
        }
    })
}

#[test]
fn bmc_absent_then_back_and_with_another_certificate() {
    let world = World::start(Mode::Kubernetes, Dhcp::Own, &["name=s0,firmware=bios"]);
    world.site.stop_bmc();
    world
        .hub
        .apply(&manifest::host("host-0", world.site.server(0)))
        .expect("the host is accepted");
    world
        .hub
        .wait_condition(HOST, ("Ready", "False", "BMCUnreachable"), SOON);
    world.site.start_bmc();
    world.hub.wait_phase(HOST, "Available", BOOT);
    world.site.new_bmc_certificate();
    world
        .hub
        .wait_condition(HOST, ("Ready", "False", "BMCCertificateChanged"), BOOT);
}

#[test]
fn image_missing_or_changed_leaves_the_disk_alone() {
    let world = World::start(Mode::Standalone, Dhcp::Own, &["name=s0,firmware=bios"]);
    world.host_available(0);
    let (url, digest) = manifest::published("tiny");
    let before = world.site.disk_start(0, 1024 * 1024);

    world
        .hub
        .apply(&manifest::machine(
            "m1",
            &format!("{url}.missing"),
            &digest,
            "",
        ))
        .expect("the Machine is accepted");
    world
        .hub
        .wait_condition(MACHINE, ("Ready", "False", "ImageFetchFailed"), SOON);
    world
        .hub
        .kubectl(&["delete", "machine", "m1", "--wait=false"]);
    world.hub.wait_gone(MACHINE, BOOT);

    let other = format!("sha256:{}", "0".repeat(64));
    world
        .hub
        .apply(&manifest::machine("m1", &url, &other, ""))
        .expect("the Machine is accepted");
    world
        .hub
        .wait_condition(MACHINE, ("Ready", "False", "ImageDigestMismatch"), SOON);
    assert_eq!(before, world.site.disk_start(0, 1024 * 1024));
}

#[test]
fn a_disk_that_holds_data_is_not_overwritten_without_leave() {
    let world = World::start(Mode::Standalone, Dhcp::Own, &["name=s0,firmware=bios"]);
    // A DOS partition table with one entry, and data behind it.
    let mut sector = vec![0_u8; 2048];
    sector[446..462].copy_from_slice(&[0, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0]);
    sector[510..512].copy_from_slice(&[0x55, 0xaa]);
    sector.extend_from_slice(MARK);
    write_start(&world, &sector);
    world.host_available(0);
    world.machine("m1");
    world
        .hub
        .wait_condition(MACHINE, ("Ready", "False", "DiskNotEmpty"), BOOT);
    assert_eq!(world.site.disk_start(0, sector.len()), sector);
    world.hub.kubectl(&[
        "patch",
        "vbmh",
        "host-0",
        "--type=merge",
        "-p",
        r#"{"spec":{"allowWipe":true}}"#,
    ]);
    world.wait_running("m1", BOOT);
}

fn write_start(world: &World, bytes: &[u8]) {
    use std::io::Write as _;
    std::fs::File::options()
        .write(true)
        .open(&world.site.server(0).disk)
        .and_then(|mut file| file.write_all(bytes))
        .expect("the disk's file is writable");
}

#[test]
fn two_disks_without_hints_are_ambiguous_and_a_hint_decides() {
    let world = World::start(
        Mode::Standalone,
        Dhcp::Own,
        &["name=s0,firmware=bios,disks=2,size=256M"],
    );
    world.host_available(0);
    world.machine("m1");
    world
        .hub
        .wait_condition(MACHINE, ("Ready", "False", "RootDiskAmbiguous"), BOOT);
    let hint = r#"{"spec":{"rootDeviceHints":{"serialNumber":"D1-s0"}}}"#;
    world
        .hub
        .kubectl(&["patch", "vbmh", "host-0", "--type=merge", "-p", hint]);
    world.wait_running("m1", BOOT);
    let other = world.site.server(0).disk.with_file_name("s0-2.img");
    let other = std::fs::read(other).expect("the other disk is readable");
    assert!(
        other.iter().all(|byte| *byte == 0),
        "the other disk is untouched"
    );
}

#[test]
fn a_disk_that_is_too_small() {
    let world = World::start(
        Mode::Standalone,
        Dhcp::Own,
        &["name=s0,firmware=bios,size=16M"],
    );
    world.host_available(0);
    world.machine("m1");
    world
        .hub
        .wait_condition(MACHINE, ("Ready", "False", "ImageTooLarge"), BOOT);
    assert!(
        world
            .site
            .disk_start(0, 1024 * 1024)
            .iter()
            .all(|byte| *byte == 0)
    );
}

#[test]
fn a_bmc_that_drops_or_reverts_the_boot_override() {
    let world = World::start(Mode::Standalone, Dhcp::Own, &["name=s0,firmware=bios"]);
    let old = vec![0xa5_u8; 4096];
    for lie in ["drop", "revert"] {
        let proxy = world.lying_bmc(lie);
        let server = world.site.server(0);
        let host = manifest::host_at("host-0", &proxy.address(server), &server.mac, "Legacy")
            .replace("  bootMode", "  inspect: Never\n  bootMode");
        write_start(&world, &old);
        world.hub.apply(&host).expect("the host is accepted");
        world.hub.wait_phase(HOST, "Available", BOOT);
        world.machine("m1");
        world
            .hub
            .wait_condition(MACHINE, ("Ready", "False", "BootOverrideIgnored"), BOOT);
        assert_eq!(
            world.site.disk_start(0, old.len()),
            old,
            "no disk is written"
        );
        world
            .hub
            .kubectl(&["delete", "machine", "m1", "--wait=false"]);
        world.hub.wait_gone(MACHINE, BOOT);
        world
            .hub
            .kubectl(&["delete", "vbmh", "host-0", "--wait=false"]);
        world.hub.wait_gone(HOST, BOOT);
    }
}

#[test]
fn a_second_dhcp_server_silences_ours_until_it_is_gone() {
    let mut world = World::start(Mode::Standalone, Dhcp::Own, &["name=s0,firmware=bios"]);
    world.host_available(0);
    assert!(world.stop_agent().success(), "{}", world.agent_log());
    let foreign = world.foreign_dhcp_server();
    world.run_agent();
    world.machine("m1");
    world
        .hub
        .wait_condition(MACHINE, ("Ready", "False", "ForeignDHCPServer"), BOOT);
    drop(foreign);
    world.wait_running("m1", BOOT);
}

#[test]
fn a_stranger_on_the_boot_network_gets_no_packet() {
    let world = World::start(
        Mode::Standalone,
        Dhcp::Own,
        &["name=s0,firmware=bios", "name=s1,firmware=uefi"],
    );
    world.host_available(0);
    let capture = world.capture_to(&world.site.server(1).mac);
    world.site.virsh(&["start", "s1"]);
    wait::throughout("a stranger is left alone", Duration::from_secs(30), || {
        let seen = capture.log();
        let answers: Vec<&str> = seen.lines().filter(|line| line.contains(" > ")).collect();
        if answers.is_empty() {
            Ok(())
        } else {
            Err(answers.join("\n"))
        }
    });
    assert!(world.site.powered(1), "the stranger was on all the time");
    assert!(
        capture.log().contains("listening on"),
        "the capture ran: {}",
        capture.log()
    );
}
