//! Kernel modules: finds what the devices ask for and loads it.
//!
//! It owns the files of `/lib/modules/<release>` and the set of aliases already tried. It has no list of hardware: what
//! is in the initramfs is loadable, and a device's modalias picks it. The same binary, called as `/sbin/modprobe` by the
//! kernel, serves its requests for algorithms.

pub mod index;

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};

use index::Index;

/// Between two looks at the devices: a loaded bus driver needs a moment to find what hangs on it.
const PAUSE: Duration = Duration::from_millis(100);
/// Loading does not go on longer than this in one piece.
const LIMIT: Duration = Duration::from_secs(30);

/// Loads modules; remembers what it tried.
#[derive(Debug)]
pub struct Loader {
    directory: PathBuf,
    index: Index,
    tried: BTreeSet<String>,
    loaded: BTreeSet<String>,
    /// When the last new device was seen.
    news: Instant,
}

impl Loader {
    /// Reads the module index of the running kernel.
    ///
    /// # Errors
    /// The kernel's release or the index cannot be read.
    pub fn open() -> io::Result<Self> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let directory = Path::new("/lib/modules").join(release.trim());
        let read = |name: &str| fs::read_to_string(directory.join(name));
        let index = Index::parse(
            &read("modules.alias")?,
            &read("modules.dep")?,
            &read("modules.softdep").unwrap_or_default(),
        );
        Ok(Self {
            directory,
            index,
            tried: BTreeSet::new(),
            loaded: BTreeSet::new(),
            news: Instant::now(),
        })
    }

    /// Loads whatever the devices ask for, until a look finds nothing new. Slow devices turn up later: whoever waits for
    /// one looks again. Blocks.
    pub fn settle(&mut self) {
        let start = Instant::now();
        while start.elapsed() < LIMIT && self.scan() {
            std::thread::sleep(PAUSE);
        }
    }

    /// When the last new device was seen.
    #[must_use]
    pub fn news(&self) -> Instant {
        self.news
    }

    /// Looks once at all devices. True if one was there that was not there before.
    pub fn scan(&mut self) -> bool {
        let mut found = BTreeSet::new();
        collect(Path::new("/sys/devices"), &mut found);
        let mut news = false;
        for alias in found {
            if self.tried.insert(alias.clone()) {
                news = true;
                self.load(&alias);
            }
        }
        if news {
            self.news = Instant::now();
        }
        news
    }

    /// Loads everything that `alias` (a device's or a module's name) stands for. What cannot be loaded is said on the
    /// console and left out: the device may not be needed.
    pub fn load(&mut self, alias: &str) {
        for module in self.index.resolve(alias) {
            for path in self.index.order(&module) {
                if self.loaded.insert(path.clone())
                    && let Err(error) = insert(&self.directory.join(&path))
                {
                    crate::console::say(format_args!("module {path} is not loaded: {error}"));
                }
            }
        }
    }
}

/// What the kernel calls: `modprobe -q -- ALIAS`.
///
/// # Errors
/// The module index cannot be read.
pub fn modprobe(arguments: impl Iterator<Item = String>) -> io::Result<()> {
    let mut loader = Loader::open()?;
    for alias in arguments.filter(|argument| !argument.starts_with('-')) {
        loader.load(&alias);
    }
    Ok(())
}

fn insert(path: &Path) -> Result<(), Errno> {
    const NO_PARAMETERS: &CStr = c"";
    let file = File::open(path)
        .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    match finit_module(file, NO_PARAMETERS, ModuleInitFlags::empty()) {
        Err(Errno::EEXIST) => Ok(()),
        other => other,
    }
}

/// All `modalias` files below a directory; links lead back up and are not followed.
fn collect(directory: &Path, found: &mut BTreeSet<String>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            collect(&entry.path(), found);
        } else if entry.file_name() == "modalias"
            && let Ok(alias) = fs::read_to_string(entry.path())
            && !alias.trim().is_empty()
        {
            found.insert(alias.trim().to_owned());
        }
    }
}
