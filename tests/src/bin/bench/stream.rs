//! An image onto a disk: the installer beside `curl | dd conv=fsync` in the same guest, a moment before.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use vitistack_tests::process::{Process, run as command};
use vitistack_tests::world::{BOOT, Dhcp, Mode, World};
use vitistack_tests::{manifest, peer, wait};

use crate::context::Context;
use crate::figure::{Figure, Must};
use crate::ramdisk;
use crate::sample::percentile;

const INIT: &str = include_str!("ramdisk/peer.sh");
/// Where guest and agent find the image.
const IMAGE: &str = "http://10.99.0.1:8081/image.raw";
const MIB: u64 = 1 << 20;

/// What one installation said.
struct Streamed {
    /// Seconds of the peer.
    peer: f64,
    /// Seconds of the installer.
    own: f64,
    /// What the installer held at most, in KiB.
    memory: f64,
}

/// Several installations of one image, then a small and a large one for the memory.
pub(crate) fn run(context: &Context) -> anyhow::Result<Vec<Figure>> {
    let bench = Bench::start()?;
    let (size, rounds) = (context.size(256, 64), context.size(5, 1));
    let digest = bench.publish(size)?;
    let mut runs = Vec::new();
    for _ in 0..rounds {
        runs.push(bench.install(&digest)?);
    }
    let rates: Vec<f64> = runs.iter().map(|run| run.peer / run.own).collect();
    let median =
        |pick: fn(&Streamed) -> f64| percentile(&runs.iter().map(pick).collect::<Vec<_>>(), 50.0);
    let rate = Figure::told(
        "image streamed, verified and synced, beside curl | dd conv=fsync",
        percentile(&rates, 50.0),
        "times its rate",
    )
    .must(Must::AtLeast(0.9))
    .part("installer, MiB/s", size as f64 / median(|run| run.own))
    .part("curl | dd, MiB/s", size as f64 / median(|run| run.peer))
    .note(format!(
        "median of {rounds}, {size} MiB, raw; the disk's file is written before, so that neither is first"
    ));
    let mut figures = vec![rate];
    if !context.short {
        figures.push(bench.memory(64, 2048)?);
    }
    Ok(figures)
}

/// A site whose netboot image streams twice.
struct Bench {
    world: World,
    files: tempfile::TempDir,
    _web: Process,
}

impl Bench {
    fn start() -> anyhow::Result<Self> {
        let mut world = World::start(Mode::Standalone, Dhcp::Own, &["name=s0,firmware=bios"]);
        let files = tempfile::tempdir()?;
        let assets = files.path().join("netboot");
        std::fs::create_dir(&assets)?;
        for name in ["vmlinuz", "undionly.kpxe", "snponly.efi"] {
            std::fs::copy(peer::image("netboot").join(name), assets.join(name))?;
        }
        ramdisk::build(&assets.join("initramfs"), INIT, &["curl"])?;
        let config = world.hub.path("agent.toml");
        let text = std::fs::read_to_string(&config)?;
        let own = format!("assets = {:?}", peer::image("netboot"));
        anyhow::ensure!(text.contains(&own), "the agent's file names no assets");
        std::fs::write(&config, text.replace(&own, &format!("assets = {assets:?}")))?;
        world.stop_agent();
        world.run_agent();
        let mut server = world.site.inside(Path::new("python3"));
        server
            .args(["-m", "http.server", "8081", "--bind", "10.99.0.1"])
            .arg("--directory")
            .arg(files.path());
        let web = Process::start("stream-web", files.path(), &mut server);
        world.host_available(0);
        // Every installation but the first finds the one before on the disk: nothing is cleaned in between.
        world.hub.kubectl(&[
            "patch",
            "vbmh",
            "host-0",
            "--type=merge",
            "-p",
            r#"{"spec":{"allowWipe":true}}"#,
        ]);
        Ok(Self {
            world,
            files,
            _web: web,
        })
    }

    fn image(&self) -> PathBuf {
        self.files.path().join("image.raw")
    }

    /// The tiny image with `size` MiB of noise behind its partitions; its digest. The disk's file is filled as far.
    fn publish(&self, size: u64) -> anyhow::Result<String> {
        let (tiny, image) = (peer::image("os/tiny.raw"), self.image());
        std::fs::copy(&tiny, &image)?;
        let rest = size * MIB - tiny.metadata()?.len();
        let fill = format!(
            "set -o pipefail; openssl enc -aes-128-ctr -pass pass:noise -nosalt -pbkdf2 </dev/zero 2>/dev/null | \
             head -c {rest} >>{image:?} || [ $? = 141 ]; dd if=/dev/zero of={:?} bs=1M count={size} conv=notrunc status=none",
            self.world.site.server(0).disk,
        );
        command(Command::new("bash").args(["-c", &fill]))
            .map_err(|error| anyhow::anyhow!(error))?;
        let sum = command(Command::new("sha256sum").arg(&image))
            .map_err(|error| anyhow::anyhow!(error))?;
        let digest = sum.split(' ').next().context("sha256sum prints a digest")?;
        Ok(format!("sha256:{digest}"))
    }

    /// One installation; the Machine is gone afterwards.
    fn install(&self, digest: &str) -> anyhow::Result<Streamed> {
        let world = &self.world;
        let from = world.site.serial(0).len();
        // No cleaning: it would be one more boot of the ramdisk that streams.
        let machine = manifest::machine("stream", IMAGE, digest, "  cleaning: None\n");
        world
            .hub
            .apply(&machine)
            .map_err(|error| anyhow::anyhow!(error))?;
        wait::until("the machine runs", 4 * BOOT, || {
            let status = world.hub.object("machine", "default", "stream")?["status"].take();
            assert_ne!(
                status["phase"], "Failed",
                "the machine has failed: {status}"
            );
            (status["phase"] == "Running")
                .then_some(())
                .ok_or_else(|| status.to_string())
        });
        let serial = world.site.serial(0);
        let said = serial.get(from..).unwrap_or_default().to_owned();
        world
            .hub
            .kubectl(&["delete", "machine", "stream", "--wait=false"]);
        world.hub.wait_gone(("machine", "default", "stream"), BOOT);
        wait::until("the host is free", BOOT, || {
            let host = world.hub.object("vbmh", "default", "host-0")?;
            let phase = host["status"]["phase"].as_str().unwrap_or_default();
            (phase == "Available")
                .then_some(())
                .ok_or_else(|| phase.to_owned())
        });
        read(&said).with_context(|| format!("the guest did not say it all:\n{said}"))
    }

    /// What the installer holds for a large image beside what it holds for a small one.
    fn memory(&self, small: u64, large: u64) -> anyhow::Result<Figure> {
        let held = |size| {
            let digest = self.publish(size)?;
            anyhow::Ok(self.install(&digest)?.memory)
        };
        let (little, much) = (held(small)?, held(large)?);
        Ok(Figure::told(
            format!("installer's memory, image of {large} MiB beside one of {small} MiB"),
            (much / little - 1.0).abs() * 100.0,
            "% apart",
        )
        .must(Must::AtMost(5.0))
        .part(format!("{small} MiB, KiB"), little)
        .part(format!("{large} MiB, KiB"), much))
    }
}

/// Reads both figures from what the guest printed.
fn read(serial: &str) -> Option<Streamed> {
    let peer = serial
        .lines()
        .find_map(|line| line.trim().strip_prefix("peer: streamed from "))?;
    let (begun, ended) = peer.split_once(" to ")?;
    let peer = ended.trim().parse::<f64>().ok()? - begun.parse::<f64>().ok()?;
    let own = serial
        .lines()
        .find_map(|line| line.split_once("written, verified and synced in "))?
        .1;
    let (seconds, rest) = own.split_once(" s, ")?;
    let memory = rest.split(' ').next()?;
    Some(Streamed {
        peer,
        own: seconds.parse().ok()?,
        memory: memory.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn the_guest_tells_both_figures() {
        let said = "peer: streamed from 4.25 to 9.75\r\n\
                    installer: 67108864 bytes written, verified and synced in 6.10 s, 9000 KiB of memory at most\r\n";
        let read = read(said).unwrap();
        assert!((read.peer - 5.5).abs() < 1e-9);
        assert!((read.own - 6.1).abs() < 1e-9);
        assert!((read.memory - 9000.0).abs() < 1e-9);
    }
}
