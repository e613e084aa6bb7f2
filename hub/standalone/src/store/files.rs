//! Files beside the database: private ones, the ballast, and how much room there is.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::error::{Error, file};

/// What is given up where the disk is full, because sled cannot even delete then; and the free bytes below which no new
/// object is taken.
pub(super) const BALLAST_BYTES: u64 = 4 << 20;

/// Makes a directory of mode 0700, and those above it, unless they are there.
pub(super) fn make_dir(path: &Path) -> Result<(), Error> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(file("create", path))
}

/// Makes names in a directory durable.
pub(super) fn sync_dir(path: &Path) -> Result<(), Error> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(file("sync", path))
}

/// Writes a file of mode 0600 so that after a crash either nothing or all of it is there.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    make_dir(parent)?;
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(true).mode(0o600);
    open.open(&beside)
        .and_then(|mut handle| {
            handle.write_all(bytes)?;
            handle.sync_all()
        })
        .map_err(file("write", &beside))?;
    std::fs::rename(&beside, path).map_err(file("rename", path))?;
    sync_dir(parent)
}

/// Removes a directory with everything in it; that there is none is fine.
pub(super) fn remove_dir(path: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(path) {
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(file("remove", path)),
    }
}

/// Free bytes for us on the filesystem of `path`; `u64::MAX` where it cannot be asked, so that nothing is refused.
pub(super) fn free_bytes(path: &Path) -> u64 {
    nix::sys::statvfs::statvfs(path).map_or(u64::MAX, |stat| {
        stat.blocks_available().saturating_mul(stat.fragment_size())
    })
}

/// Takes the ballast, where there is room for it and more, and says whether it is held. Written and not only allotted: an
/// allotment may be lazy.
pub(super) fn hold_ballast(path: &Path) -> bool {
    let held = std::fs::metadata(path).is_ok_and(|found| found.len() == BALLAST_BYTES);
    let parent = path.parent().unwrap_or_else(|| Path::new("."));
    if held || free_bytes(parent) < BALLAST_BYTES.saturating_mul(4) {
        return held;
    }
    let write = || -> std::io::Result<()> {
        let mut handle = File::create(path)?;
        let chunk = [0x5a; 64 << 10];
        for _ in 0..BALLAST_BYTES / chunk.len() as u64 {
            handle.write_all(&chunk)?;
        }
        handle.sync_all()
    };
    match write() {
        Ok(()) => true,
        Err(error) => {
            // Half a ballast is of no use and takes what little there is.
            drop(std::fs::remove_file(path));
            tracing::warn!(path = %path.display(), %error, "no ballast could be taken");
            false
        }
    }
}
