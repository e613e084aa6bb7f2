//! Reads the image from the agent, and goes on where it was after a broken line or a restarted agent.
//!
//! One task, [`start`], that sends pieces over a bounded channel: a slow disk slows the network down, nothing piles up.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::console::{chain, say};
use crate::http::{Client, Error};

/// Pieces are at most a few hundred KiB.
const QUEUE: usize = 16;
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
}

type Piece = Result<Bytes, Failed>;

/// The reading end, for the blocking thread.
pub(super) struct Source {
    pieces: mpsc::Receiver<Piece>,
    piece: Bytes,
}

/// The task to run, and the end to read from. `total` is set as soon as the agent tells the size.
pub(super) fn start(
    client: Client,
    path: String,
    total: Arc<AtomicU64>,
) -> (impl Future<Output = ()> + Send, Source) {
    let (sender, pieces) = mpsc::channel(QUEUE);
    let task = async move {
        if let Err(error) = fetch(&client, &path, &total, &sender).await {
            // Nobody listens any more if the writer has given up.
            drop(sender.send(Err(error)).await);
        }
    };
    (
        task,
        Source {
            pieces,
            piece: Bytes::new(),
        },
    )
}

async fn fetch(
    client: &Client,
    path: &str,
    total: &AtomicU64,
    sender: &mpsc::Sender<Piece>,
) -> Result<(), Failed> {
    let mut at = 0;
    let mut heard = Instant::now();
    loop {
        let before = at;
        let error = match attempt(client, path, total, sender, &mut at).await {
            Ok(()) => return Ok(()),
            Err(Broken::Failed(error)) => return Err(error),
            Err(Broken::Line(error)) if error.is_refusal() => return Err(Failed::Refused(error)),
            Err(Broken::Line(error)) => error,
        };
        if at > before {
            heard = Instant::now();
        }
        if heard.elapsed() > PATIENCE {
            return Err(Failed::Stalled(error));
        }
        say(format_args!(
            "the image broke off at byte {at}: {}",
            chain(&error)
        ));
        sleep(PAUSE).await;
    }
}

/// Why an attempt ended.
enum Broken {
    Line(Error),
    Failed(Failed),
}

async fn attempt(
    client: &Client,
    path: &str,
    total: &AtomicU64,
    sender: &mpsc::Sender<Piece>,
    at: &mut u64,
) -> Result<(), Broken> {
    let mut body = client.open(path, *at).await.map_err(Broken::Line)?;
    if body.offset > *at {
        return Err(Broken::Failed(Failed::Gap {
            asked: *at,
            got: body.offset,
        }));
    }
    if let Some(size) = body.total {
        total.store(size, Ordering::Relaxed);
    }
    // A server without ranges begins anew.
    let mut skip = *at - body.offset;
    while let Some(mut piece) = body.next().await.map_err(Broken::Line)? {
        let known = usize::try_from(skip).unwrap_or(usize::MAX).min(piece.len());
        skip -= known as u64;
        let new = piece.split_off(known);
        *at += new.len() as u64;
        if !new.is_empty() && sender.send(Ok(new)).await.is_err() {
            // The writer has given up and says why.
            return Ok(());
        }
    }
    Ok(())
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
        let piece = self.piece.split_to(self.piece.len().min(buffer.len()));
        if let Some(target) = buffer.get_mut(..piece.len()) {
            target.copy_from_slice(&piece);
        }
        Ok(piece.len())
    }
}

#[cfg(test)]
mod tests;
