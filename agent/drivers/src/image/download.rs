//! One download: resume, hash while writing, verify, sync, rename.

use std::error::Error as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::{StatusCode, header};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use sha2::Digest as _;
use tokio::sync::mpsc;
use vitistack_fault as fault;
use vitistack_protocol::ids::Digest;
use vitistack_protocol::message::intent::Image;
use vitistack_protocol::message::numbered::Reason;

use super::{Progress, Shared, part_of};

/// Chunks between network and disk. reqwest's are some 16 KiB, so this is a few hundred KiB.
const QUEUE: usize = 32;

/// Redirects of image servers: to a mirror, to storage.
const REDIRECTS: usize = 5;

/// An image could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL or the certificates of the intent cannot be used.
    #[error("the image cannot be fetched from {url}: {problem}")]
    Unusable {
        /// As the Machine names it.
        url: String,
        /// What is wrong.
        problem: String,
    },
    /// No connection, or it broke.
    #[error("fetch {url}")]
    Unreachable {
        /// As the Machine names it.
        url: String,
        /// What the client saw.
        #[source]
        source: reqwest::Error,
    },
    /// The server's certificate was refused. The source is the verdict.
    #[error(
        "fetch {url}: the server's certificate is not trusted; authorities beside the built-in ones stand in \
         spec.endpoint.caBundle of the MachineProvider"
    )]
    Untrusted {
        /// As the Machine names it.
        url: String,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// No byte in time.
    #[error("fetch {url}: no byte for {after:?}")]
    Stalled {
        /// As the Machine names it.
        url: String,
        /// How long was waited.
        after: Duration,
    },
    /// The server has no such image, or does not give it.
    #[error("fetch {url}: the server answered {status}; check os.imageID")]
    Status {
        /// As the Machine names it.
        url: String,
        /// HTTP status.
        status: u16,
    },
    /// Other bytes than were promised.
    #[error(
        "the bytes of {url} have the digest {found}, os.imageDigest is {wanted}; \
         correct the digest, or publish the image again"
    )]
    Digest {
        /// As the Machine names it.
        url: String,
        /// Asked for.
        wanted: Digest,
        /// Received.
        found: Digest,
    },
    /// The cache cannot hold it.
    #[error(
        "the image of {bytes} bytes does not fit into the cache: its quota is {quota}, {held} are in use"
    )]
    TooLarge {
        /// Of the image.
        bytes: u64,
        /// Of the cache.
        quota: u64,
        /// That cannot be evicted.
        held: u64,
    },
    /// The cache directory.
    #[error("make room in {}", directory.display())]
    Space {
        /// The cache.
        directory: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file of the cache.
    #[error("{operation} {}", path.display())]
    File {
        /// What was done.
        operation: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The task that writes ended early.
    #[error("the download was interrupted")]
    Interrupted,
}

impl Error {
    /// What people are told.
    #[must_use]
    pub fn reason(&self) -> Reason {
        match self {
            Self::Digest { .. } => Reason::ImageDigestMismatch,
            Self::TooLarge { .. } => Reason::ImageTooLarge,
            Self::Unusable { .. }
            | Self::Unreachable { .. }
            | Self::Untrusted { .. }
            | Self::Stalled { .. }
            | Self::Status { .. }
            | Self::Space { .. }
            | Self::File { .. }
            | Self::Interrupted => Reason::ImageFetchFailed,
        }
    }

    /// It will not pass by itself, so it is tried again slowly.
    pub(super) fn needs_somebody(&self) -> bool {
        match self {
            Self::Unusable { .. }
            | Self::Untrusted { .. }
            | Self::Digest { .. }
            | Self::TooLarge { .. } => true,
            Self::Status { status, .. } => (400..500).contains(status) && *status != 429,
            Self::Unreachable { .. }
            | Self::Stalled { .. }
            | Self::Space { .. }
            | Self::File { .. }
            | Self::Interrupted => false,
        }
    }
}

impl Shared {
    pub(super) async fn download(
        &self,
        image: &Image,
        progress: &Arc<Progress>,
    ) -> Result<(), Error> {
        let client = client(&image.url, &image.ca_bundle, self.config.stall)?;
        let path = self.path(image.digest);
        let part = part_of(&path);
        let resumed = self.once(&client, image, progress, &part).await?;
        let found = match resumed {
            Outcome::Whole(digest) => digest,
            // The first part may be of an image that was since replaced: once more, from the beginning.
            Outcome::Resumed(digest) if digest == image.digest => digest,
            Outcome::Resumed(_) => {
                remove(&part)?;
                let (Outcome::Whole(digest) | Outcome::Resumed(digest)) =
                    self.once(&client, image, progress, &part).await?;
                digest
            }
        };
        if found != image.digest {
            remove(&part)?;
            return Err(Error::Digest {
                url: image.url.clone(),
                wanted: image.digest,
                found,
            });
        }
        let directory = self.config.directory.clone();
        tokio::task::spawn_blocking(move || publish(&part, &path, &directory))
            .await
            .map_err(|_| Error::Interrupted)?
    }

    async fn once(
        &self,
        client: &reqwest::Client,
        image: &Image,
        progress: &Arc<Progress>,
        part: &Path,
    ) -> Result<Outcome, Error> {
        let broken = broken(&image.url);
        let have = tokio::fs::metadata(part).await.map_or(0, |part| part.len());
        let mut request = client.get(&image.url);
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        let mut response = within(self.config.stall, &image.url, request.send())
            .await?
            .map_err(&broken)?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            // The part is the whole, or longer than what is published now; its digest tells.
            let part = part.to_owned();
            let (_, digest) = blocking(move || hash_file(&part)).await?;
            return Ok(Outcome::Resumed(digest));
        }
        if !response.status().is_success() {
            return Err(Error::Status {
                url: image.url.clone(),
                status: response.status().as_u16(),
            });
        }
        let resumes = response.status() == StatusCode::PARTIAL_CONTENT && have > 0;
        let start = if resumes { have } else { 0 };
        let rest = response.content_length().unwrap_or(0);
        self.make_room(rest).await?;
        progress.received.store(start, Ordering::Relaxed);
        progress
            .total
            .store(if rest == 0 { 0 } else { start + rest }, Ordering::Relaxed);
        let (sender, receiver) = mpsc::channel(QUEUE);
        let file = part.to_owned();
        let quota = self.config.quota;
        let writer = tokio::task::spawn_blocking(move || write(&file, resumes, quota, receiver));
        let mut failure = None;
        loop {
            match within(self.config.stall, &image.url, response.chunk()).await {
                Ok(Ok(Some(chunk))) => {
                    progress
                        .received
                        .fetch_add(chunk.len() as u64, Ordering::Relaxed);
                    if sender.send(chunk).await.is_err() {
                        // The writer ended early and says why below.
                        break;
                    }
                }
                Ok(Ok(None)) => break,
                Ok(Err(source)) => {
                    failure = Some(broken(source));
                    break;
                }
                Err(stalled) => {
                    failure = Some(stalled);
                    break;
                }
            }
        }
        drop(sender);
        let digest = writer.await.map_err(|_| Error::Interrupted)??;
        match failure {
            Some(failure) => Err(failure),
            None if resumes => Ok(Outcome::Resumed(digest)),
            None => Ok(Outcome::Whole(digest)),
        }
    }
}

/// Digest of the whole part after a download ended.
enum Outcome {
    Whole(Digest),
    Resumed(Digest),
}

/// What a failed request means.
pub(super) fn broken(url: &str) -> impl Fn(reqwest::Error) -> Error {
    move |source| match verdict(&source) {
        Some(verdict) => Error::Untrusted {
            url: url.to_owned(),
            source: verdict,
        },
        None => Error::Unreachable {
            url: url.to_owned(),
            source: source.without_url(),
        },
    }
}

/// Why the server's certificate was refused, if it was: the TLS library's own value, wherever it sits in the chain.
fn verdict(error: &reqwest::Error) -> Option<rustls::Error> {
    let mut next = error.source();
    while let Some(error) = next {
        if let Some(verdict) = error.downcast_ref::<rustls::Error>() {
            return matches!(verdict, rustls::Error::InvalidCertificate(_))
                .then(|| verdict.clone());
        }
        // An I/O error that carries another one skips it when asked for its source.
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    None
}

pub(super) async fn within<T>(
    deadline: Duration,
    url: &str,
    work: impl Future<Output = T>,
) -> Result<T, Error> {
    tokio::time::timeout(deadline, work)
        .await
        .map_err(|_| Error::Stalled {
            url: url.to_owned(),
            after: deadline,
        })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::Interrupted)?
}

/// Trusts the built-in roots and the intent's own; never the system's, which a container from scratch does not have.
pub(super) fn client(
    url: &str,
    ca_bundle: &str,
    connect: Duration,
) -> Result<reqwest::Client, Error> {
    let unusable = |problem: String| Error::Unusable {
        url: url.to_owned(),
        problem,
    };
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for certificate in CertificateDer::pem_slice_iter(ca_bundle.as_bytes()) {
        let certificate =
            certificate.map_err(|problem| unusable(format!("its caBundle: {problem}")))?;
        roots
            .add(certificate)
            .map_err(|problem| unusable(format!("its caBundle: {problem}")))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|problem| unusable(problem.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::limited(REDIRECTS))
        .connect_timeout(connect)
        .build()
        .map_err(|problem| unusable(problem.to_string()))
}

/// Takes chunks until the sender is gone, and returns the digest of the whole file. What was written stays for the next
/// try, also when the sender gave up.
fn write(
    part: &Path,
    append: bool,
    quota: u64,
    mut chunks: mpsc::Receiver<impl AsRef<[u8]>>,
) -> Result<Digest, Error> {
    let failed = |operation| {
        move |source| Error::File {
            operation,
            path: part.to_owned(),
            source,
        }
    };
    let (mut length, mut hasher) = if append {
        hash_prefix(part)?
    } else {
        (0, sha2::Sha256::new())
    };
    let mut file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(!append)
        .open(part)
        .map_err(failed("open"))?;
    file.seek(io::SeekFrom::End(0)).map_err(failed("open"))?;
    while let Some(chunk) = chunks.blocking_recv() {
        let chunk = chunk.as_ref();
        length += chunk.len() as u64;
        // A server that announces no length must not fill the disk.
        if length > quota {
            return Err(Error::TooLarge {
                bytes: length,
                quota,
                held: 0,
            });
        }
        hasher.update(chunk);
        file.write_all(chunk).map_err(failed("write"))?;
    }
    fault::before("agent.image.fsync");
    file.sync_all().map_err(failed("sync"))?;
    fault::after("agent.image.fsync");
    Ok(Digest(hasher.finalize().into()))
}

fn hash_file(path: &Path) -> Result<(u64, Digest), Error> {
    let (length, hasher) = hash_prefix(path)?;
    Ok((length, Digest(hasher.finalize().into())))
}

fn hash_prefix(path: &Path) -> Result<(u64, sha2::Sha256), Error> {
    let failed = |source| Error::File {
        operation: "read",
        path: path.to_owned(),
        source,
    };
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = sha2::Sha256::new();
    let mut length = 0;
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok((length, hasher));
        };
        length += read as u64;
        hasher.update(bytes);
    }
}

fn remove(part: &Path) -> Result<(), Error> {
    match std::fs::remove_file(part) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(Error::File {
            operation: "remove",
            path: part.to_owned(),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Gives the verified, synced part its name; the directory is synced, or the name may be lost with the power.
fn publish(part: &Path, path: &Path, directory: &Path) -> Result<(), Error> {
    let failed = |operation, path: &Path| {
        let path = path.to_owned();
        move |source| Error::File {
            operation,
            path,
            source,
        }
    };
    fault::before("agent.image.rename");
    std::fs::rename(part, path).map_err(failed("rename", part))?;
    fault::after("agent.image.rename");
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed("sync", directory))?;
    fault::after("agent.image.dir-fsync");
    Ok(())
}
