//! The site's cache of operating system images: each is fetched over the line once, however many servers it goes to.
//!
//! A file is named by the digest of its content and gets that name only once the digest was verified and the bytes are
//! synced, so a name that exists is a whole image. Downloads resume, and run beside the drivers as tasks of the tracker
//! that the cache was given; a driver only asks how far one is. The cache must not know what an image is for.

mod download;
mod probe;
mod space;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use vitistack_protocol::Chain;
use vitistack_protocol::ids::Digest;
use vitistack_protocol::message::intent::Image;
use vitistack_protocol::message::numbered::Reason;

use crate::cause::chain;

pub use download::Error;
pub use probe::{Probe, probe};

/// More at once only compete for the same line.
const DOWNLOADS: usize = 2;

/// Settings of the cache.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of the cache, for nothing else.
    pub directory: PathBuf,
    /// Bytes that it may take.
    pub quota: u64,
    /// How long a download may go without a byte.
    pub stall: Duration,
    /// After a failure that may pass.
    pub retry: Duration,
    /// After a failure that needs somebody to publish or correct something.
    pub slow_retry: Duration,
}

impl Config {
    /// Usual settings for `directory` and `quota`.
    #[must_use]
    pub fn new(directory: PathBuf, quota: u64) -> Self {
        Self {
            directory,
            quota,
            stall: Duration::from_secs(60),
            retry: Duration::from_secs(30),
            slow_retry: Duration::from_secs(300),
        }
    }
}

/// How far an image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Not here, and nobody fetches it.
    Absent,
    /// On its way.
    Fetching {
        /// Bytes that are here.
        received: u64,
        /// Bytes in all, 0 if not known.
        total: u64,
    },
    /// Here and verified.
    Ready {
        /// The file.
        path: PathBuf,
    },
    /// The last try failed.
    Failed {
        /// Decides.
        reason: Reason,
        /// Explains.
        message: String,
        /// How long until it is worth another try; zero is now.
        retry_in: Duration,
    },
}

/// The cache. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Images(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: Config,
    tasks: TaskTracker,
    cancel: CancellationToken,
    slots: Semaphore,
    entries: Mutex<HashMap<Digest, Entry>>,
}

/// What this process knows of one image.
#[derive(Debug)]
struct Entry {
    /// A failure belongs to the URL that it came from: a corrected one is tried at once.
    url: String,
    used: SystemTime,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Fetching(Arc<Progress>),
    Ready,
    Failed {
        reason: Reason,
        message: String,
        retry_at: Instant,
    },
}

/// Counters that a download moves.
#[derive(Debug, Default)]
struct Progress {
    received: AtomicU64,
    total: AtomicU64,
}

impl Images {
    /// A cache in `config.directory`, which is made if it is missing. Downloads are spawned into `tasks`.
    ///
    /// # Errors
    /// If the directory cannot be made.
    pub fn new(
        config: Config,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) -> std::io::Result<Self> {
        std::fs::create_dir_all(&config.directory)?;
        Ok(Self(Arc::new(Shared {
            config,
            tasks,
            cancel,
            slots: Semaphore::new(DOWNLOADS),
            entries: Mutex::new(HashMap::new()),
        })))
    }

    /// How far `image` is. Asking counts as use: what is asked for is not evicted.
    pub async fn state(&self, image: &Image) -> State {
        if let Some(state) = self.known(image) {
            return state;
        }
        let path = self.0.path(image.digest);
        if !tokio::fs::try_exists(&path).await.unwrap_or(false) {
            return State::Absent;
        }
        self.0.note(image, Stage::Ready);
        State::Ready { path }
    }

    /// Starts to fetch `image`, unless it is here or on its way. `then` is called when the try has ended, either way.
    pub fn fetch(&self, image: &Image, then: impl FnOnce() + Send + 'static) {
        let progress = Arc::new(Progress::default());
        {
            let mut entries = self.0.entries();
            match entries.get(&image.digest).map(|entry| &entry.stage) {
                Some(Stage::Fetching(_) | Stage::Ready) => return,
                Some(Stage::Failed { .. }) | None => {}
            }
            entries.insert(
                image.digest,
                Entry {
                    url: image.url.clone(),
                    used: SystemTime::now(),
                    stage: Stage::Fetching(Arc::clone(&progress)),
                },
            );
        }
        let shared = Arc::clone(&self.0);
        let image = image.clone();
        self.0.tasks.spawn(async move {
            let cancel = shared.cancel.clone();
            // Cancel-safe: what was written stays in the partial file and is resumed.
            let outcome = tokio::select! {
                () = cancel.cancelled() => return,
                outcome = shared.fetch(&image, &progress) => outcome,
            };
            shared.note(&image, outcome);
            then();
        });
    }

    fn known(&self, image: &Image) -> Option<State> {
        let mut entries = self.0.entries();
        let entry = entries.get_mut(&image.digest)?;
        entry.used = SystemTime::now();
        match &entry.stage {
            Stage::Fetching(progress) => Some(State::Fetching {
                received: progress.received.load(Ordering::Relaxed),
                total: progress.total.load(Ordering::Relaxed),
            }),
            // The file is looked at again: somebody may have emptied the cache by hand.
            Stage::Ready => None,
            Stage::Failed { .. } if entry.url != image.url => None,
            Stage::Failed {
                reason,
                message,
                retry_at,
            } => Some(State::Failed {
                reason: *reason,
                message: message.clone(),
                retry_in: retry_at.saturating_duration_since(Instant::now()),
            }),
        }
    }
}

impl Shared {
    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, image: &Image, stage: Stage) {
        self.entries().insert(
            image.digest,
            Entry {
                url: image.url.clone(),
                used: SystemTime::now(),
                stage,
            },
        );
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.config.directory.join(file_name(digest))
    }

    async fn fetch(&self, image: &Image, progress: &Arc<Progress>) -> Stage {
        // The semaphore is never closed, so the only outcome is a permit.
        let _permit = self.slots.acquire().await;
        match self.download(image, progress).await {
            Ok(()) => {
                tracing::info!(digest = %image.digest, "image is in the cache");
                Stage::Ready
            }
            Err(error) => {
                tracing::warn!(
                    digest = %image.digest,
                    error = %Chain(&error),
                    "image could not be fetched"
                );
                let wait = if error.needs_somebody() {
                    self.config.slow_retry
                } else {
                    self.config.retry
                };
                Stage::Failed {
                    reason: error.reason(),
                    message: chain(&error),
                    retry_at: Instant::now() + wait,
                }
            }
        }
    }

    /// Makes room for `bytes` more. Images in use are those that were asked for lately.
    async fn make_room(&self, bytes: u64) -> Result<(), Error> {
        let used = self
            .entries()
            .iter()
            .map(|(digest, entry)| (file_name(*digest), entry.used))
            .collect();
        let directory = self.config.directory.clone();
        let quota = self.config.quota;
        let evicted = tokio::task::spawn_blocking(move || {
            space::make_room(&directory, quota, bytes, &used, SystemTime::now())
        })
        .await
        .map_err(|_| Error::Interrupted)??;
        let mut entries = self.entries();
        for name in evicted {
            tracing::info!(file = name, "image is evicted from the cache");
            entries.retain(|digest, _| file_name(*digest) != name);
        }
        Ok(())
    }
}

/// Name of a whole image in the cache.
fn file_name(digest: Digest) -> String {
    format!("sha256-{}", hex::encode(digest.0))
}

/// Name of a part of one.
fn part_of(path: &Path) -> PathBuf {
    path.with_extension("part")
}
