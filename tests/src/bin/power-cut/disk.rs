//! A filesystem whose power can be cut: ext4 in a sparse file, behind a loop device of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use vitistack_tests::process::run;

/// The file's size; what was never written takes no room.
const SIZE: u64 = 1 << 30;
/// ext4's own way to say "as if the power had gone": `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`. By perl,
/// which Debian always has, because an ioctl takes `unsafe` in Rust.
const SHUTDOWN: &str = "open(my $d, '<', $ARGV[0]) or die \"open: $!\"; my $flags = pack('I', 2); \
     ioctl($d, 0x8004587d, $flags) or die \"EXT4_IOC_SHUTDOWN: $!\"";

/// A mounted filesystem. Dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: tempfile::TempDir,
    mounted: bool,
}

impl Disk {
    /// Makes it and mounts it.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("viticut")
            .tempdir()
            .context("a directory for the disk")?;
        let mut disk = Self {
            dir,
            mounted: false,
        };
        let image = disk.image();
        std::fs::File::create(&image)
            .and_then(|file| file.set_len(SIZE))
            .with_context(|| format!("create {}", image.display()))?;
        std::fs::create_dir(disk.mount_point()).context("the mount point")?;
        order(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
        disk.mount()?;
        Ok(disk)
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("disk")
    }

    /// Where it is mounted.
    pub(crate) fn mount_point(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    /// Mounts it; the journal is replayed where it has to be.
    pub(crate) fn mount(&mut self) -> anyhow::Result<()> {
        let (image, place) = (self.image(), self.mount_point());
        order(
            Command::new("mount")
                .args(["-o", "loop"])
                .arg(image)
                .arg(place),
        )?;
        self.mounted = true;
        Ok(())
    }

    /// Cuts the power: from here on nothing more reaches the disk, not even what the journal holds in memory.
    pub(crate) fn cut(&self) -> anyhow::Result<()> {
        order(
            Command::new("perl")
                .args(["-e", SHUTDOWN])
                .arg(self.mount_point()),
        )
    }

    /// Takes it away from the tree. A process that was killed gives its files back a moment later.
    pub(crate) fn unmount(&mut self) -> anyhow::Result<()> {
        let end = Instant::now() + Duration::from_secs(10);
        while let Err(error) = unmount(&self.mount_point()) {
            anyhow::ensure!(Instant::now() < end, "{error}");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.mounted = false;
        Ok(())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted
            && let Err(error) = self.unmount()
        {
            eprintln!("{error}");
        }
    }
}

fn unmount(place: &Path) -> Result<String, String> {
    run(Command::new("umount").arg(place))
}

fn order(command: &mut Command) -> anyhow::Result<()> {
    run(command).map(drop).map_err(anyhow::Error::msg)
}
