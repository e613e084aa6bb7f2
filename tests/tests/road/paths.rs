//! Every boot path that is claimed, to the end: the guest reports the Machine's UID from its own disk.

use vitistack_tests::manifest;
use vitistack_tests::world::{BOOT, Dhcp, Mode, SOON, World};

/// Installs the tiny image on server 0 and proves it from the installed disk: the boot path is cut, the server is
/// power-cycled by hand, and the guest says the Machine's UID, which it can only know from its own NoCloud data.
fn installs_and_runs(mode: Mode, dhcp: Dhcp, server: &str) {
    let world = World::start(mode, dhcp, &[server]);
    world.host_inspected(0);
    let host = world
        .hub
        .object("vbmh", "default", "host-0")
        .expect("the host is there");
    assert_eq!(
        host["status"]["hardware"]["storage"]
            .as_array()
            .map(Vec::len),
        Some(1),
        "{}",
        host["status"]
    );
    world.machine("m1");
    world.wait_running("m1", BOOT);

    let machine = world
        .hub
        .object("machine", "default", "m1")
        .expect("the Machine is there");
    assert_eq!(
        machine["status"]["powerState"], "On",
        "{}",
        machine["status"]
    );
    assert!(
        !machine["status"]["addresses"]
            .as_array()
            .expect("addresses are a list")
            .is_empty()
    );
    let host = world
        .hub
        .object("vbmh", "default", "host-0")
        .expect("the host is there");
    assert_eq!(host["status"]["phase"], "Provisioned");
    assert_eq!(
        host["status"]["provisioned"]["machineUID"],
        world.uid("m1").as_str()
    );
    assert_eq!(host["spec"]["consumerRef"]["name"], "m1");

    let said = world.site.serial(0).len();
    world.site.restart_from_disk(0);
    world
        .site
        .wait_serial(0, said, &format!("uid={}", world.uid("m1")), BOOT);

    delete_and_see_the_host_free(&world);
}

fn delete_and_see_the_host_free(world: &World) {
    world
        .hub
        .kubectl(&["delete", "machine", "m1", "--wait=false"]);
    world.hub.wait_gone(("machine", "default", "m1"), BOOT);
    world
        .hub
        .wait_phase(("vbmh", "default", "host-0"), "Available", SOON);
    let host = world
        .hub
        .object("vbmh", "default", "host-0")
        .expect("the host is there");
    assert!(
        host["spec"].get("consumerRef").is_none(),
        "{}",
        host["spec"]
    );
    world.wait_off(0);
    let start = world.site.disk_start(0, 1024 * 1024);
    assert!(
        start.iter().all(|byte| *byte == 0),
        "cleaning removes the partition table"
    );
}

#[test]
fn uefi_pxe_standalone() {
    installs_and_runs(Mode::Standalone, Dhcp::Own, "name=s0,firmware=uefi");
}

#[test]
fn uefi_pxe_kubernetes() {
    installs_and_runs(Mode::Kubernetes, Dhcp::Own, "name=s0,firmware=uefi");
}

#[test]
fn bios_with_e1000e_and_sata_standalone() {
    installs_and_runs(
        Mode::Standalone,
        Dhcp::Own,
        "name=s0,firmware=bios,nic=e1000e,disk=sata",
    );
}

#[test]
fn uefi_http_boot() {
    installs_and_runs(
        Mode::Standalone,
        Dhcp::Own,
        "name=s0,firmware=uefi,http=yes",
    );
}

#[test]
fn proxy_dhcp_beside_another_server() {
    installs_and_runs(Mode::Standalone, Dhcp::Proxy, "name=s0,firmware=bios");
}

#[test]
fn debian_with_user_data_and_ssh_key_has_a_route_and_a_resolver() {
    let world = World::start(
        Mode::Standalone,
        Dhcp::Own,
        &["name=s0,firmware=uefi,size=6G"],
    );
    world.host_available(0);
    let key = world.hub.path("id");
    vitistack_tests::process::run(
        std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key),
    )
    .expect("ssh-keygen makes a key");
    let public = std::fs::read_to_string(key.with_extension("pub")).expect("ssh-keygen wrote it");
    let (url, digest) = manifest::published("debian");
    let more = format!(
        "  sshKeys: [{:?}]\n  userData: |\n    #cloud-config\n    write_files:\n    - {{path: /etc/motto, content: from user data}}\n",
        public.trim()
    );
    world
        .hub
        .apply(&manifest::machine("m1", &url, &digest, &more))
        .unwrap_or_else(|error| panic!("{error}"));
    world.wait_running("m1", BOOT * 2);

    let machine = world
        .hub
        .object("machine", "default", "m1")
        .expect("the Machine is there");
    let address = machine["status"]["ipAddresses"][0]
        .as_str()
        .expect("an address")
        .to_owned();
    let said = vitistack_tests::wait::until("ssh answers", BOOT, || {
        vitistack_tests::process::run(
            world
                .site
                .inside(std::path::Path::new("ssh"))
                .args([
                    "-o",
                    "StrictHostKeyChecking=no",
                    "-o",
                    "UserKnownHostsFile=/dev/null",
                ])
                .args(["-o", "ConnectTimeout=10", "-i"])
                .arg(&key)
                .arg(format!("debian@{address}"))
                .arg("cat /etc/motto /run/systemd/resolve/resolv.conf; ip -4 route show default"),
        )
    });
    let router = &world.site.facts.boot_address;
    for expected in [
        "from user data".to_owned(),
        format!("nameserver {router}"),
        format!("default via {router} "),
    ] {
        assert!(said.contains(&expected), "no {expected:?} in {said}");
    }
}
