//! What a serial port prints, and when.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Between two looks; what the stamps are good to.
const LOOK: Duration = Duration::from_millis(10);

/// A serial log that is being read.
pub(crate) struct Serial {
    stop: Arc<AtomicBool>,
    reader: JoinHandle<std::io::Result<Vec<(f64, String)>>>,
}

/// Seconds since the epoch.
pub(crate) fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}

impl Serial {
    /// Reads what is appended to `path` from now on.
    pub(crate) fn follow(path: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (path, told) = (path.to_owned(), Arc::clone(&stop));
        let from = path.metadata().map_or(0, |found| found.len());
        let reader = std::thread::spawn(move || read(&path, from, &told));
        Self { stop, reader }
    }

    /// Every line with the time at which its end was seen.
    pub(crate) fn stop(self) -> anyhow::Result<Vec<(f64, String)>> {
        self.stop.store(true, Ordering::Relaxed);
        let lines = self.reader.join();
        Ok(lines.map_err(|_| anyhow::anyhow!("the reader of the serial port panicked"))??)
    }
}

fn read(path: &Path, from: u64, told: &AtomicBool) -> std::io::Result<Vec<(f64, String)>> {
    use std::io::Seek as _;
    // The server that prints may not have been started yet.
    while !path.exists() && !told.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
    }
    let mut file = std::fs::File::open(path)?;
    file.seek(std::io::SeekFrom::Start(from))?;
    let (mut lines, mut rest) = (Vec::new(), Vec::new());
    loop {
        let is_last = told.load(Ordering::Relaxed);
        file.read_to_end(&mut rest)?;
        let at = now();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            lines.push((at, String::from_utf8_lossy(&line).trim_end().to_owned()));
        }
        if is_last {
            return Ok(lines);
        }
        std::thread::sleep(LOOK);
    }
}
