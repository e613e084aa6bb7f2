//! What a small durable write takes on this disk while something else is measured.
//!
//! Whatever syncs cannot be faster than this, and a disk that stalls shows here too.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::sample::millis;

/// Between two writes: as often as intents are sent.
const EVERY: Duration = Duration::from_millis(20);

/// Bytes of one write: what a small commit takes.
const BYTES: usize = 4096;

/// Writes and syncs until it is asked for its times.
pub(crate) struct Probe {
    stop: Sender<()>,
    thread: JoinHandle<anyhow::Result<Vec<f64>>>,
}

impl Probe {
    /// Begins, with a file in `dir`.
    pub(crate) fn start(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("probe");
        let mut file =
            File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut times = Vec::new();
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let begun = Instant::now();
                file.write_all(&[0; BYTES])?;
                file.sync_data()?;
                times.push(millis(begun.elapsed()));
            }
            Ok(times)
        });
        Ok(Self { stop, thread })
    }

    /// How long each write took, ms.
    pub(crate) fn end(self) -> anyhow::Result<Vec<f64>> {
        drop(self.stop);
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("the writer of the probe panicked"))?
    }
}
