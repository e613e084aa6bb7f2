//! The disk below a measurement: that it has nothing left to write when one begins, and what a small durable write takes
//! on it meanwhile.
//!
//! Whatever syncs cannot be faster than such a write, and a disk that stalls shows here too.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// Between two writes: as often as intents are sent.
const EVERY: Duration = Duration::from_millis(20);

/// Bytes of one write: what a small commit takes.
const BYTES: usize = 4096;

/// One write with its sync.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Write {
    pub(crate) begun: Instant,
    pub(crate) took: Duration,
}

impl Write {
    /// Whether any part of it lies between `from` and `to`.
    pub(crate) fn meets(&self, from: Instant, to: Instant) -> bool {
        self.begun <= to && from <= self.begun + self.took
    }
}

/// Writes and syncs until it is asked for its times.
pub(crate) struct Probe {
    stop: Sender<()>,
    thread: JoinHandle<anyhow::Result<Vec<Write>>>,
}

impl Probe {
    /// Begins, with a file in `dir`.
    pub(crate) fn start(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("probe");
        let mut file =
            File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut writes = Vec::new();
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let begun = Instant::now();
                file.write_all(&[0; BYTES])?;
                file.sync_data()?;
                let took = begun.elapsed();
                writes.push(Write { begun, took });
            }
            Ok(writes)
        });
        Ok(Self { stop, thread })
    }

    /// Every write.
    pub(crate) fn end(self) -> anyhow::Result<Vec<Write>> {
        drop(self.stop);
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("the writer of the probe panicked"))?
    }
}

/// Lets the kernel write out what was left in memory before a measurement, by a thousand stores or by the group before:
/// where it does so by itself, it stalls the disk for half a second at a time, and with it whatever syncs then.
pub(crate) fn written_back() -> anyhow::Result<()> {
    let synced = Command::new("sync").status().context("cannot run sync")?;
    anyhow::ensure!(synced.success(), "sync failed");
    Ok(())
}
