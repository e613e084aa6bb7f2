//! Every delete ends.

use vitistack_tests::wait;
use vitistack_tests::world::{BOOT, Dhcp, Mode, SOON, World};

const MACHINE: (&str, &str, &str) = ("machine", "default", "m1");

fn installing(servers: &[&str], mode: Mode) -> World {
    let world = World::start(mode, Dhcp::Own, servers);
    world.host_available(0);
    world.machine("m1");
    wait::until("the installer is on its way", BOOT, || {
        let serial = world.site.serial(0);
        serial
            .contains(": install")
            .then_some(())
            .ok_or_else(|| "no installer yet".to_owned())
    });
    world
}

#[test]
fn during_installation() {
    let world = installing(&["name=s0,firmware=bios"], Mode::Standalone);
    world
        .hub
        .kubectl(&["delete", "machine", "m1", "--wait=false"]);
    world.hub.wait_gone(MACHINE, BOOT);
    world
        .hub
        .wait_phase(("vbmh", "default", "host-0"), "Available", SOON);
    world.wait_off(0);
}

#[test]
fn with_the_bmc_dead_by_force_and_the_host_is_quarantined() {
    let world = installing(&["name=s0,firmware=bios"], Mode::Kubernetes);
    world.site.stop_bmc();
    world
        .hub
        .kubectl(&["delete", "machine", "m1", "--wait=false"]);
    world
        .hub
        .wait_condition(MACHINE, ("Ready", "False", "BMCUnreachable"), BOOT);
    let force = format!("vitistack.io/force-delete={}", world.uid("m1"));
    world.hub.kubectl(&["annotate", "machine", "m1", &force]);
    world.hub.wait_gone(MACHINE, SOON);
    world
        .hub
        .wait_phase(("vbmh", "default", "host-0"), "Quarantined", SOON);
    // The tombstone stays with the agent: when the BMC is back, the host is cleaned and free again.
    world.site.start_bmc();
    world
        .hub
        .wait_phase(("vbmh", "default", "host-0"), "Available", BOOT);
}

#[test]
fn with_the_bmc_dead_by_itself_once_it_is_back() {
    let world = installing(&["name=s0,firmware=bios"], Mode::Standalone);
    world.site.stop_bmc();
    world
        .hub
        .kubectl(&["delete", "machine", "m1", "--wait=false"]);
    world
        .hub
        .wait_condition(MACHINE, ("Ready", "False", "BMCUnreachable"), BOOT);
    world.site.start_bmc();
    world.hub.wait_gone(MACHINE, BOOT);
}

#[test]
fn with_the_site_offline_ends_when_it_is_back() {
    let mut world = installing(&["name=s0,firmware=bios"], Mode::Standalone);
    world.kill_agent();
    world
        .hub
        .kubectl(&["delete", "machine", "m1", "--wait=false"]);
    world.hub.wait_condition(
        ("machineprovider", "default", "edge"),
        ("Ready", "False", ""),
        SOON,
    );
    world.run_agent();
    world.hub.wait_gone(MACHINE, BOOT);
}

#[test]
fn of_a_whole_namespace_in_any_order() {
    for mode in [Mode::Standalone, Mode::Kubernetes] {
        let world = installing(&["name=s0,firmware=bios"], mode);
        // Everything that the Machine needs goes before it does; a kube-apiserver without its controller manager does
        // not empty a namespace, so each kind is deleted by hand, the worst order first.
        for kind in ["secret", "machineprovider", "vbmh", "machine", "datacenter"] {
            world
                .hub
                .kubectl(&["delete", kind, "--all", "-n", "default", "--wait=false"]);
        }
        for what in [
            MACHINE,
            ("vbmh", "default", "host-0"),
            ("machineprovider", "default", "edge"),
        ] {
            world.hub.wait_gone(what, BOOT);
        }
        world.wait_off(0);
    }
}
