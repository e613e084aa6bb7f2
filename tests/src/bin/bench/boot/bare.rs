//! The bare stand-in: what an installation takes with nothing but dnsmasq, a web server, curl and a shell script.
//!
//! The same server, BMC, kernel, modules and image; no checks, no digest, no reports. What is slower than this is ours.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use vitistack_tests::process::{Process, run};
use vitistack_tests::site::BMC_PASSWORD;
use vitistack_tests::world::{BOOT, World};
use vitistack_tests::{peer, wait};

use super::serial::now;
use crate::ramdisk;

const INIT: &str = include_str!("../ramdisk/bare.sh");
const ADDRESS: &str = "10.99.0.1";

/// Installs the tiny image on server 0 of `world`, whose agent is stopped; seconds from the first word to the BMC until
/// the guest is up.
pub(crate) fn install(world: &World) -> anyhow::Result<f64> {
    let server = world.site.server(0);
    if world.site.powered(0) {
        world.site.virsh(&["destroy", &server.name]);
    }
    let files = tempfile::tempdir()?;
    lay_out(files.path())?;
    speak_ipv6(world)?;
    let web = web_server(world, files.path());
    let _dhcp = dhcp_server(world, files.path());
    let system = format!("/Systems/{}", server.uuid);
    let reset = format!("{system}/Actions/ComputerSystem.Reset");

    let begun = now();
    let from = world.site.serial(0).len();
    bmc(world, "PATCH", &system, &boot_from("Pxe"))?;
    bmc(world, "POST", &reset, r#"{"ResetType":"On"}"#)?;
    until("the stand-in has written", || {
        web.log().contains("/done").then_some(())
    });
    bmc(world, "PATCH", &system, &boot_from("Hdd"))?;
    bmc(world, "POST", &reset, r#"{"ResetType":"ForceRestart"}"#)?;
    until("the stand-in's guest is up", || {
        let serial = world.site.serial(0);
        serial.get(from..)?.contains("tiny-os up").then_some(())
    });
    let taken = now() - begun;
    bmc(world, "POST", &reset, r#"{"ResetType":"ForceOff"}"#)?;
    Ok(taken)
}

/// A wait that looks often: its end is the end of the measurement.
fn until(what: &str, mut look: impl FnMut() -> Option<()>) {
    wait::until(what, BOOT, || {
        let close = std::time::Instant::now() + Duration::from_millis(240);
        while std::time::Instant::now() < close {
            if look().is_some() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("not yet".to_owned())
    });
}

fn boot_from(target: &str) -> String {
    format!(
        r#"{{"Boot":{{"BootSourceOverrideEnabled":"Once","BootSourceOverrideTarget":"{target}"}}}}"#
    )
}

fn lay_out(files: &Path) -> anyhow::Result<()> {
    for name in ["vmlinuz", "undionly.kpxe", "snponly.efi"] {
        std::fs::copy(peer::image("netboot").join(name), files.join(name))?;
    }
    std::fs::copy(peer::image("os/tiny.raw.gz"), files.join("tiny.raw.gz"))?;
    ramdisk::build(&files.join("initramfs"), INIT, &[])?;
    let script = format!(
        "#!ipxe\nkernel http://{ADDRESS}:8080/vmlinuz console=tty0 console=ttyS0,115200n8 initrd=initramfs\n\
         initrd --name initramfs http://{ADDRESS}:8080/initramfs\nboot\n"
    );
    std::fs::write(files.join("boot.ipxe"), script).context("the directory is writable")
}

/// dnsmasq advertises only where the interface has an address of the prefix; without that iPXE waits 16 s at each start.
fn speak_ipv6(world: &World) -> anyhow::Result<()> {
    let mut command = world.site.inside(Path::new("ip"));
    command
        .args(["addr", "replace", "fd99::1/64", "nodad", "dev"])
        .arg(&world.site.facts.bridge);
    run(&mut command)
        .map(drop)
        .map_err(|error| anyhow::anyhow!(error))
}

fn web_server(world: &World, files: &Path) -> Process {
    let mut command = world.site.inside(Path::new("python3"));
    command
        .args(["-u", "-m", "http.server", "8080", "--bind", ADDRESS])
        .arg("--directory")
        .arg(files);
    Process::start("bare-web", files, &mut command)
}

fn dhcp_server(world: &World, files: &Path) -> Process {
    let mut command = world.site.inside(Path::new("dnsmasq"));
    command
        .args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--port=0",
            "--bind-interfaces",
            "--no-ping",
            "--user=root",
            "--pid-file=",
            "--log-facility=-",
            "--dhcp-authoritative",
            "--enable-tftp",
            "--dhcp-match=set:ipxe,175",
            "--dhcp-match=set:bios,option:client-arch,0",
            "--dhcp-option-force=tag:ipxe,encap:175,176,1b",
            "--dhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe",
            "--dhcp-boot=tag:!ipxe,tag:!bios,snponly.efi",
            // iPXE waits for a router to speak.
            "--enable-ra",
            "--dhcp-range=fd99::,ra-only",
        ])
        .arg(format!(
            "--dhcp-boot=tag:ipxe,http://{ADDRESS}:8080/boot.ipxe"
        ))
        .arg(format!("--ra-param={},60,0", world.site.facts.bridge))
        .arg(format!("--interface={}", world.site.facts.bridge))
        .arg("--dhcp-range=10.99.0.50,10.99.0.90,255.255.255.0,10m")
        .arg(format!("--tftp-root={}", files.display()))
        .arg(format!(
            "--dhcp-leasefile={}",
            files.join("leases").display()
        ));
    Process::start("bare-dhcp", files, &mut command)
}

fn bmc(world: &World, method: &str, path: &str, body: &str) -> anyhow::Result<()> {
    let mut command = world.site.inside(Path::new("curl"));
    command
        .args(["-sSfk", "-X", method, "-u"])
        .arg(format!("admin:{BMC_PASSWORD}"))
        .args(["-H", "Content-Type: application/json", "-d", body])
        .arg(format!("https://127.0.0.1:8443/redfish/v1{path}"));
    run(&mut command)
        .map(drop)
        .map_err(|error| anyhow::anyhow!("{method} {path}: {error}"))
}
