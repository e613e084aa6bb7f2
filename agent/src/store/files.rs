//! Files beside the database: content-addressed values, the marker, the ballast, private files.
//!
//! A file is complete and synced before a row may name it: written under a temporary name, synced, renamed, its
//! directory synced. Whatever no row names is removed at the next start.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use vitistack_fault as fault;
use vitistack_protocol::ids::Digest;

use super::error::Error;

/// The directory of content-addressed values.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    dir: PathBuf,
}

impl Files {
    /// Makes the directory if there is none.
    pub(crate) fn open(dir: PathBuf) -> Result<Self, Error> {
        make_dir(&dir)?;
        Ok(Self { dir })
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(hex::encode(digest.0))
    }

    /// Puts `bytes` under the name of their digest, durably.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        let path = self.path(digest);
        if !path.exists() {
            write_private(&path, bytes)?;
        }
        Ok(digest)
    }

    /// The bytes of `digest`; `None` if the file is missing or holds others.
    pub(crate) fn read(&self, digest: Digest) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(digest);
        match fs::read(&path) {
            Ok(bytes) => Ok((Digest::of(&bytes) == digest).then_some(bytes)),
            Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(file("reading", &path, source)),
        }
    }

    /// Removes the file of `digest`; that it is gone already is fine. Not synced: a file too many is harmless.
    pub(crate) fn remove(&self, digest: Digest) {
        let path = self.path(digest);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a file of the store that nothing names stays");
        }
    }

    /// Removes every file that `named` does not hold, among them temporary ones of a crash.
    pub(crate) fn sweep(&self, named: impl Fn(Digest) -> bool) -> Result<(), Error> {
        let entries =
            fs::read_dir(&self.dir).map_err(|source| file("listing", &self.dir, source))?;
        for entry in entries {
            let entry = entry.map_err(|source| file("listing", &self.dir, source))?;
            let name = entry.file_name();
            let mut digest = [0; 32];
            let known = name
                .to_str()
                .is_some_and(|name| hex::decode_to_slice(name, &mut digest).is_ok())
                && named(Digest(digest));
            if !known {
                let path = entry.path();
                fs::remove_file(&path).map_err(|source| file("removal", &path, source))?;
            }
        }
        Ok(())
    }
}

/// Writes a file of mode 0600 so that after a crash either nothing or all of it is there.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let parent = path.parent().unwrap_or_else(|| Path::new("."));
    make_dir(parent)?;
    let temporary = path.with_extension("new");
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(true).mode(0o600);
    open.open(&temporary)
        .and_then(|mut handle| {
            handle.write_all(bytes)?;
            fault::before("agent.file.fsync");
            handle.sync_all()?;
            fault::after("agent.file.fsync");
            Ok(())
        })
        .map_err(|source| file("writing", &temporary, source))?;
    fault::before("agent.file.rename");
    fs::rename(&temporary, path).map_err(|source| file("renaming", path, source))?;
    fault::after("agent.file.rename");
    sync_dir(parent)?;
    fault::after("agent.file.dir-fsync");
    Ok(())
}

/// Makes a directory of mode 0700, and those above it, unless they are there.
pub(crate) fn make_dir(dir: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| file("creation", dir, source))
}

/// Makes renames and creations in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|source| file("syncing", dir, source))
}

/// The error of an operation on a file.
pub(crate) fn file(operation: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::File {
        operation,
        path: path.to_owned(),
        source,
    }
}

/// Free bytes for us on the filesystem of `path`; `u64::MAX` where it cannot be asked, so that nothing is refused.
pub fn free_bytes(path: &Path) -> u64 {
    nix::sys::statvfs::statvfs(path).map_or(u64::MAX, |stat| {
        stat.blocks_available().saturating_mul(stat.fragment_size())
    })
}

/// Takes `size` bytes out of the filesystem, to be given back when it is full: neither sled nor anybody else can even
/// delete on a full disk. Written and not only allotted, because an allotment may be lazy.
pub(crate) fn hold_ballast(path: &Path, size: u64) -> Result<(), Error> {
    if fs::metadata(path).is_ok_and(|found| found.len() == size) {
        return Ok(());
    }
    let chunk = [0x5a_u8; 64 * 1024];
    let write = || -> std::io::Result<()> {
        let mut handle = File::create(path)?;
        let mut left = size;
        while left > 0 {
            let length = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
            let (part, _) = chunk.split_at(length);
            handle.write_all(part)?;
            left -= length as u64;
        }
        handle.sync_all()
    };
    write().map_err(|source| {
        // Half a ballast is of no use and only takes what little there is.
        drop(fs::remove_file(path));
        file("writing", path, source)
    })
}
