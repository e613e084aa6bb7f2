//! Reads the image from the agent, and goes on where it was after a broken line or a restarted agent.
//!
//! It blocks: it is read by the thread that digests and unpacks. What comes faster than that waits in the kernel, and
//! slows the network down when its buffer is full; nothing piles up here.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::console::{chain, say};
use crate::http::Error;
use crate::http::download::Download;

/// Before the next attempt.
const PAUSE: Duration = Duration::from_secs(1);
/// Without a single byte for so long, it is given up.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// The image could not be read to its end.
#[derive(Debug, thiserror::Error)]
enum Failed {
    /// The agent does not have it for us.
    #[error("the agent refuses")]
    Refused(#[source] Error),
    /// Nothing came for too long.
    #[error("nothing came for {} minutes", PATIENCE.as_secs() / 60)]
    Stalled(#[source] Error),
    /// The agent skipped bytes.
    #[error("asked for bytes from {asked} on, and got {got}")]
    Gap { asked: u64, got: u64 },
    /// Nobody waits for it any more.
    #[error("the installation was given up")]
    Abandoned,
}

/// The image's bytes, whatever becomes of one line.
pub(super) struct Source {
    server: SocketAddr,
    path: String,
    /// Set as soon as the agent tells the size.
    total: Arc<AtomicU64>,
    abandoned: Arc<AtomicBool>,
    line: Option<Download>,
    /// The next byte to give.
    at: u64,
    /// When the last one came.
    heard: Instant,
}

impl Source {
    /// Nothing is asked for before the first read.
    pub(super) fn new(
        server: SocketAddr,
        path: String,
        total: Arc<AtomicU64>,
        abandoned: Arc<AtomicBool>,
    ) -> Self {
        Self {
            server,
            path,
            total,
            abandoned,
            line: None,
            at: 0,
            heard: Instant::now(),
        }
    }

    /// A line that stands at the next byte.
    fn connect(&self) -> Result<Download, Broken> {
        let mut line = Download::open(self.server, &self.path, self.at).map_err(Broken::Line)?;
        let gap = Failed::Gap {
            asked: self.at,
            got: line.offset,
        };
        // A server without ranges begins anew.
        let mut known = self
            .at
            .checked_sub(line.offset)
            .ok_or(Broken::Failed(gap))?;
        if let Some(size) = line.total {
            self.total.store(size, Ordering::Relaxed);
        }
        let mut skipped = vec![0; 64 << 10];
        while known > 0 {
            let step = usize::try_from(known).unwrap_or(usize::MAX);
            let step = step.min(skipped.len());
            let length = line
                .read(skipped.get_mut(..step).unwrap_or_default())
                .map_err(Broken::Line)?;
            if length == 0 {
                return Err(Broken::Line(Error::Line(
                    self.server,
                    io::ErrorKind::UnexpectedEof.into(),
                )));
            }
            known -= length as u64;
        }
        Ok(line)
    }

    fn attempt(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        let line = match &mut self.line {
            Some(line) => line,
            None => {
                let line = self.connect()?;
                self.line.insert(line)
            }
        };
        line.read(buffer).map_err(Broken::Line)
    }

    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, Failed> {
        loop {
            if self.abandoned.load(Ordering::Relaxed) {
                return Err(Failed::Abandoned);
            }
            let error = match self.attempt(buffer) {
                Ok(length) => {
                    self.at += length as u64;
                    self.heard = Instant::now();
                    return Ok(length);
                }
                Err(Broken::Failed(error)) => return Err(error),
                Err(Broken::Line(error)) if error.is_refusal() => {
                    return Err(Failed::Refused(error));
                }
                Err(Broken::Line(error)) => error,
            };
            self.line = None;
            if self.heard.elapsed() > PATIENCE {
                return Err(Failed::Stalled(error));
            }
            say(format_args!(
                "the image broke off at byte {}: {}",
                self.at,
                chain(&error)
            ));
            sleep(PAUSE);
        }
    }
}

/// Why an attempt ended.
enum Broken {
    Line(Error),
    Failed(Failed),
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.next(buffer).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests;
