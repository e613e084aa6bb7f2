//! Puts an operating system image on a disk.
//!
//! The bytes flow: `fetch` (network, resumes) → digest → unpack, on one blocking thread, → `copy` → the disk, on another.
//! Memory is constant. The first and the last MiB of the disk are emptied at the start and written last, after the
//! digest matched: a disk with half an image, or with the wrong one, has no partition table and never boots. A server
//! that restarted by itself goes on with what it finds ([`look`]) and writes only what is not there yet.
//!
//! Then `commit` moves the backup partition table to the disk's end and puts the NoCloud seed on the image's `CIDATA`
//! partition, or on one that it adds.

mod commit;
mod copy;
mod fetch;
mod resume;
mod seed;
pub mod table;
mod unpack;

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{self, SHA256};
use tokio::sync::watch;
use vitistack_fault as fault;
use vitistack_installer_wire::{Failure, Format, Install, State};

use crate::disk::{Disk, HEAD};
use crate::http::Client;

use copy::{Held, copy};
pub use resume::{Found, look};
pub use seed::File;
use unpack::Published;

/// Between two reports of progress.
const PROGRESS: Duration = Duration::from_millis(500);

/// The image is not on the disk.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The digest is not `sha256:` and 64 digits.
    #[error("{0:?} is not of the form sha256:<64 hexadecimal digits>")]
    DigestMalformed(String),
    /// A file of the seed is not base64.
    #[error("seed file {0:?} is not base64")]
    SeedMalformed(String),
    /// The image does not fit.
    #[error("the image needs more than the disk's {disk} bytes")]
    TooLarge {
        /// Size of the disk.
        disk: u64,
    },
    /// The image could not be read to its end.
    #[error("fetch the image")]
    Fetch(#[source] io::Error),
    /// Other bytes than were asked for.
    #[error("the image has digest sha256:{found}, expected sha256:{expected}")]
    Digest {
        /// As in the plan, hexadecimal.
        expected: String,
        /// Of what was read, hexadecimal.
        found: String,
    },
    /// The bytes are as published, but not in the format that the plan says.
    #[error("unpack the image as {format:?}")]
    Unpack {
        /// As in the plan.
        format: Format,
        #[source]
        /// What the unpacker says.
        source: io::Error,
    },
    /// The disk refused.
    #[error("write the disk")]
    Disk(#[source] io::Error),
    /// The image has neither a CIDATA partition nor a partition table with room for one.
    #[error("the image has no place for the cloud-init seed: {0}")]
    NoPlace(&'static str),
    /// The seed does not fit its filesystem.
    #[error("write the cloud-init seed of {bytes} bytes")]
    Seed {
        /// Size of all files.
        bytes: usize,
        #[source]
        /// What the filesystem says.
        source: io::Error,
    },
    /// The writing thread ended without an answer.
    #[error("the writer ended early")]
    Writer(#[source] tokio::task::JoinError),
}

impl Error {
    /// The reason that goes into the report.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::DigestMalformed(_) | Self::SeedMalformed(_) => Failure::PlanRefused,
            Self::TooLarge { .. } => Failure::ImageTooLarge,
            Self::Fetch(_) => Failure::ImageFetchFailed,
            Self::Digest { .. } => Failure::ImageDigestMismatch,
            Self::Unpack { .. } | Self::NoPlace(_) | Self::Seed { .. } => {
                Failure::ImageFormatUnsupported
            }
            Self::Disk(_) | Self::Writer(_) => Failure::DiskWriteFailed,
        }
    }
}

/// What to write, read from the plan.
#[derive(Clone, Debug)]
pub struct Order {
    /// The operation; what it wrote earlier is gone on with.
    pub operation: String,
    /// SHA-256 of the bytes as published.
    pub digest: [u8; 32],
    /// Packing.
    pub format: Format,
    /// Files of the NoCloud seed; none, and no seed is written.
    pub seed: Vec<File>,
}

/// An image on a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// `sha256:<hex>` of the bytes as they were read.
    pub digest: String,
    /// Unpacked bytes.
    pub bytes: u64,
}

impl Order {
    /// Reads the plan's part.
    ///
    /// # Errors
    /// Digest or seed are malformed.
    pub fn parse(install: &Install, operation: &str) -> Result<Self, Error> {
        let digest = install
            .digest
            .strip_prefix("sha256:")
            .and_then(|digits| hex::decode(digits).ok()?.try_into().ok())
            .ok_or_else(|| Error::DigestMalformed(install.digest.clone()))?;
        let seed = install
            .seed
            .iter()
            .map(|file| {
                let content = STANDARD.decode(&file.content);
                let content = content.map_err(|_| Error::SeedMalformed(file.name.clone()))?;
                Ok(File {
                    name: file.name.clone(),
                    content,
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            operation: operation.to_owned(),
            digest,
            format: install.format,
            seed,
        })
    }
}

/// Fetches and writes; `state` is told how far it is.
///
/// # Errors
/// As [`Error`] says; the disk does not boot then.
pub async fn run(
    client: Client,
    image: String,
    order: Order,
    disk: Disk,
    state: watch::Sender<State>,
) -> Result<Written, Error> {
    let total = Arc::new(AtomicU64::new(0));
    let abandoned = Abandon::default();
    let source = fetch::Source::new(
        client.server(),
        image,
        Arc::clone(&total),
        Arc::clone(&abandoned.0),
    );
    let mut last = Instant::now();
    let writer = tokio::task::spawn_blocking(move || {
        write(source, &total, &order, &disk, |written, total| {
            if last.elapsed() >= PROGRESS {
                last = Instant::now();
                state.send_replace(State::Writing { written, total });
            }
        })
    });
    writer.await.map_err(Error::Writer)?
}

/// Tells the reading thread that its installation is over: a thread, unlike a task, goes on when nobody waits for it.
#[derive(Default)]
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes the published bytes that `source` gives to `disk`. `published` is their number, 0 as long as it is not known.
///
/// # Errors
/// As [`Error`] says; the first MiB of the disk is empty then, but for the mark where the rest of the image did not come.
pub fn write(
    source: impl Read + Send,
    published: &AtomicU64,
    order: &Order,
    disk: &Disk,
    progress: impl FnMut(u64, u64),
) -> Result<Written, Error> {
    if disk.size() < 4 * HEAD {
        return Err(Error::TooLarge { disk: disk.size() });
    }
    let sparing;
    let disk = match look(disk, order).map_err(Error::Disk)? {
        Found::Nothing => {
            fault::before("installer.ends.empty");
            resume::begin(disk, order).map_err(Error::Disk)?;
            fault::after("installer.ends.empty");
            disk
        }
        Found::Part | Found::Whole => {
            sparing = disk.sparing().map_err(Error::Disk)?;
            &sparing
        }
    };
    let written = fill_disk(source, published, order, disk, progress);
    if let Err(error) = &written
        && !matches!(error, Error::Fetch(_))
    {
        // What failed for another reason than the line is not gone on with. The first error is the one to be told.
        drop(resume::empty(disk));
    }
    written
}

/// The image from its first byte to the last step that makes the disk bootable.
fn fill_disk(
    source: impl Read + Send,
    published: &AtomicU64,
    order: &Order,
    disk: &Disk,
    progress: impl FnMut(u64, u64),
) -> Result<Written, Error> {
    let too_large = Error::TooLarge { disk: disk.size() };
    let mut published_bytes = Published::new(source);
    let copied = copy(
        &mut published_bytes,
        published,
        order.format,
        disk,
        progress,
    );
    if matches!(copied, Err(Error::TooLarge { .. } | Error::Disk(_))) {
        return Err(copied.err().unwrap_or(too_large));
    }
    // The rest counts too: the digest is that of all published bytes, and it decides before an unpacker's complaint.
    let digest = published_bytes.finish().map_err(Error::Fetch)?;
    if digest.as_ref() != order.digest {
        let (expected, found) = (hex::encode(order.digest), hex::encode(digest));
        return Err(Error::Digest { expected, found });
    }
    let Held {
        head,
        tail,
        position,
        ..
    } = copied?;
    commit::commit(disk, head, &tail, &order.seed, digest.as_ref())?;
    Ok(Written {
        digest: format!("sha256:{}", hex::encode(digest)),
        bytes: position,
    })
}

/// A number that differs for each purpose and image, and is the same at each installation of it.
fn derived_id(digest: &[u8], purpose: &str) -> [u8; 16] {
    let hash = digest::digest(&SHA256, &[digest, purpose.as_bytes()].concat());
    let mut id = [0; 16];
    id.iter_mut()
        .zip(hash.as_ref())
        .for_each(|(to, from)| *to = *from);
    id
}

#[cfg(test)]
mod tests;
