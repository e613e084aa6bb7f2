//! The agent's key and certificates on disk: `agent.key`, `roots.crt`, `agent.crt`, all 0600, in a folder of 0700.
//!
//! Each file is replaced whole (temporary file, fsync, rename, fsync of the folder). The certificate is written last: it
//! is what says that the agent has joined. A renewal keeps the key, so every mixture of old and new files is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use vitistack_fault as fault;
use vitistack_protocol::identity::key::{AgentKey, certificates_from_pem, certificates_to_pem};
use vitistack_protocol::identity::name::DEFAULT_TRUST_DOMAIN;
use vitistack_protocol::identity::{Leaf, tls};

use super::Error;

const KEY: &str = "agent.key";
const ROOTS: &str = "roots.crt";
const CERTIFICATE: &str = "agent.crt";

/// Who this agent is, with proof. Cheap to clone; has no `Debug`.
#[derive(Clone)]
pub(super) struct Identity {
    key: Arc<AgentKey>,
    roots: Vec<Vec<u8>>,
    chain: Vec<Vec<u8>>,
    leaf: Leaf,
}

impl Identity {
    /// From parts, checked.
    pub(super) fn new(
        key: Arc<AgentKey>,
        roots: Vec<Vec<u8>>,
        chain: Vec<Vec<u8>>,
    ) -> Result<Self, Error> {
        let first = chain.first().map(Vec::as_slice).unwrap_or_default();
        let leaf = Leaf::parse(first, DEFAULT_TRUST_DOMAIN).map_err(|source| Error::Identity {
            what: "certificate",
            source,
        })?;
        let identity = Self {
            key,
            roots,
            chain,
            leaf,
        };
        // Finds out here, and not at the next dialling, that key and certificate do not belong together.
        identity.tls()?;
        Ok(identity)
    }

    /// What is on disk; `None` if the agent has not joined.
    pub(super) async fn load(folder: &Path) -> Result<Option<Self>, Error> {
        let folder = folder.to_owned();
        blocking("read", folder.clone(), move || Self::load_now(&folder)).await
    }

    fn load_now(folder: &Path) -> Result<Option<Self>, Error> {
        let Some(chain) = read(folder, CERTIFICATE)? else {
            return Ok(None);
        };
        let (Some(key), Some(roots)) = (read(folder, KEY)?, read(folder, ROOTS)?) else {
            return Err(Error::File {
                operation: "find key and roots beside the certificate in",
                path: folder.to_owned(),
                source: ErrorKind::NotFound.into(),
            });
        };
        let wrong = |what| move |source| Error::Identity { what, source };
        Self::new(
            Arc::new(AgentKey::from_pem(&key).map_err(wrong("key"))?),
            certificates_from_pem(&roots).map_err(wrong("list of roots"))?,
            certificates_from_pem(&chain).map_err(wrong("certificate"))?,
        )
        .map(Some)
    }

    /// The key that an earlier attempt to join has left, or a fresh one, which is on disk when this returns.
    pub(super) async fn key_for_joining(folder: &Path) -> Result<AgentKey, Error> {
        let folder = folder.to_owned();
        let wrong = |source| Error::Identity {
            what: "key",
            source,
        };
        blocking("write", folder.clone(), move || {
            if let Some(pem) = read(&folder, KEY)? {
                return AgentKey::from_pem(&pem).map_err(wrong);
            }
            let key = AgentKey::generate().map_err(wrong)?;
            prepare(&folder)?;
            write(&folder, KEY, key.to_pem().as_bytes())?;
            Ok(key)
        })
        .await
    }

    /// Puts roots and certificate on disk. The key is there already.
    pub(super) async fn save(&self, folder: &Path) -> Result<(), Error> {
        let folder = folder.to_owned();
        let roots = certificates_to_pem(&self.roots);
        let chain = certificates_to_pem(&self.chain);
        blocking("write", folder.clone(), move || {
            prepare(&folder)?;
            write(&folder, ROOTS, roots.as_bytes())?;
            write(&folder, CERTIFICATE, chain.as_bytes())
        })
        .await
    }

    /// The same key with new certificates.
    pub(super) fn renewed(&self, chain: Vec<Vec<u8>>, roots: Vec<Vec<u8>>) -> Result<Self, Error> {
        Self::new(Arc::clone(&self.key), roots, chain)
    }

    pub(super) fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    /// A request for a new certificate.
    pub(super) fn request(&self) -> Result<Vec<u8>, Error> {
        self.key.request().map_err(|source| Error::Identity {
            what: "key",
            source,
        })
    }

    /// For dialling.
    pub(super) fn tls(&self) -> Result<rustls::ClientConfig, Error> {
        tls::session(&self.roots, &self.chain, &self.key).map_err(|source| Error::Identity {
            what: "certificate with its key and roots",
            source,
        })
    }
}

async fn blocking<T: Send + 'static>(
    operation: &'static str,
    path: PathBuf,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::File {
            operation,
            path,
            source: std::io::Error::other(error),
        })?
}

fn prepare(folder: &Path) -> Result<(), Error> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed("make", folder))
}

fn read(folder: &Path, name: &str) -> Result<Option<zeroize::Zeroizing<String>>, Error> {
    let path = folder.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(zeroize::Zeroizing::new(text))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", &path)(error)),
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Error> {
    let (path, temporary) = (folder.join(name), folder.join(format!("{name}.new")));
    let attempt = || {
        // What a crash left behind may have another mode.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(bytes)?;
        fault::before("agent.identity.fsync");
        file.sync_all()?;
        fault::after("agent.identity.fsync");
        fault::before("agent.identity.rename");
        fs::rename(&temporary, &path)?;
        File::open(folder)?.sync_all()?;
        fault::after("agent.identity.rename");
        Ok(())
    };
    attempt().map_err(failed("write", &path))
}

fn failed(operation: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File {
        operation,
        path: path.clone(),
        source,
    }
}

#[cfg(test)]
mod tests;
