//! What the agent's file may say, and what it means. The only place that reads the environment.
//!
//! A file is read into [`File`], which is what was typed, and resolved into [`Config`], which is valid. Every refusal
//! names the file, the key, the value and what is allowed.

mod netboot;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use netboot::{Mode, Netboot};

/// Everything that the agent is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The file that says all this, for messages.
    pub file: PathBuf,
    /// Where identity, store, leases and images are.
    pub data_dir: PathBuf,
    /// `host:port` of the hub.
    pub hub: String,
    /// Join token, read once, while there is no certificate yet.
    pub token_file: Option<PathBuf>,
    /// Name that the agent would like to have.
    pub name: String,
    /// Every byte of the line costs: longer keep-alives, health once a minute.
    pub metered: bool,
    /// Key that secrets at rest are sealed with. Outside `data_dir`, so that a copy of that directory tells nothing.
    pub key_file: PathBuf,
    /// Most bytes that intents, reports and journals take.
    pub store_bytes: u64,
    /// Bytes held back for when the disk is full.
    pub ballast_bytes: u64,
    /// Most bytes that downloaded images take.
    pub image_bytes: u64,
    /// The boot network, if this agent serves one.
    pub netboot: Option<Netboot>,
}

/// The file is not as it must be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no TOML, or has a key or a type that is not known. The source shows the line.
    #[error("{path} is not a valid agent configuration")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A value makes no sense.
    #[error("{path}: {key} = {value}: {allowed}")]
    Value {
        /// The file.
        path: PathBuf,
        /// Path of the key.
        key: &'static str,
        /// What stands there.
        value: String,
        /// What may stand there.
        allowed: &'static str,
    },
}

/// A value that makes no sense, in a file that [`parse`] names.
#[derive(Debug)]
struct Refused {
    key: &'static str,
    value: String,
    allowed: &'static str,
}

/// What may be typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: PathBuf,
    hub: String,
    token_file: Option<PathBuf>,
    name: Option<String>,
    #[serde(default)]
    metered: bool,
    key_file: Option<PathBuf>,
    #[serde(default)]
    store: StoreFile,
    #[serde(default)]
    images: ImagesFile,
    netboot: Option<netboot::File>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StoreFile {
    quota_mib: u64,
    ballast_mib: u64,
}

impl Default for StoreFile {
    fn default() -> Self {
        Self {
            quota_mib: 64,
            ballast_mib: 4,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ImagesFile {
    quota_gib: u64,
}

impl Default for ImagesFile {
    fn default() -> Self {
        Self { quota_gib: 20 }
    }
}

/// Reads and resolves the file.
///
/// # Errors
/// When it cannot be read or is not valid.
pub fn load(path: &Path) -> Result<Config, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    parse(path, &text, &host_name(), credential().as_deref())
}

/// Resolves the text of a file. `host_name` is the default of `name`, `key` that of `key_file`; without it the key lies
/// beside `data_dir`.
///
/// # Errors
/// When it is not valid. `path` is only named.
pub fn parse(
    path: &Path,
    text: &str,
    host_name: &str,
    key: Option<&Path>,
) -> Result<Config, Error> {
    let file: File = toml::from_str(text).map_err(|source| Error::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    resolve(path, file, host_name, key).map_err(|refused| {
        let Refused {
            key,
            value,
            allowed,
        } = refused;
        Error::Value {
            path: path.to_owned(),
            key,
            value,
            allowed,
        }
    })
}

/// What to log, from `VITISTACK_LOG` as `tracing`'s filters are written; `info` if it is not set.
#[must_use]
pub fn log_filter() -> String {
    #[expect(
        clippy::disallowed_methods,
        reason = "config.rs is where the environment is read"
    )]
    std::env::var("VITISTACK_LOG").unwrap_or_else(|_| "info".to_owned())
}

/// The key that systemd hands in (`LoadCredential=seal.key:…`), if it does.
fn credential() -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "config.rs is where the environment is read"
    )]
    let directory = std::env::var("CREDENTIALS_DIRECTORY").ok()?;
    Some(Path::new(&directory).join("seal.key")).filter(|file| file.exists())
}

fn host_name() -> String {
    sysinfo::System::host_name().unwrap_or_default()
}

fn resolve(
    path: &Path,
    file: File,
    host_name: &str,
    key: Option<&Path>,
) -> Result<Config, Refused> {
    let File {
        data_dir,
        hub,
        token_file,
        name,
        metered,
        key_file,
        store,
        images,
        netboot,
    } = file;
    if !data_dir.is_absolute() {
        return Err(Refused {
            key: "data_dir",
            value: data_dir.display().to_string(),
            allowed: "must be an absolute path",
        });
    }
    let port_is_good = hub.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    if !port_is_good {
        return Err(Refused {
            key: "hub",
            value: hub,
            allowed: "must be host:port, with an IPv6 address in brackets",
        });
    }
    let name = name.unwrap_or_else(|| label_of(host_name));
    if !is_label(&name) {
        return Err(Refused {
            key: "name",
            value: name,
            allowed: "must be a DNS label: lower-case letters, digits and hyphens, 1 to 63 of them",
        });
    }
    quotas(&store, &images)?;
    let key_file = key_file
        .or_else(|| key.map(Path::to_owned))
        .unwrap_or_else(|| beside(&data_dir));
    if key_file.starts_with(&data_dir) {
        return Err(Refused {
            key: "key_file",
            value: key_file.display().to_string(),
            allowed: "must lie outside data_dir, or whoever copies that directory has what is sealed and the key; leave \
                      it out, and a key that is there now moves",
        });
    }
    Ok(Config {
        file: path.to_owned(),
        key_file,
        data_dir,
        hub,
        token_file,
        name,
        metered,
        store_bytes: store.quota_mib << 20,
        ballast_bytes: store.ballast_mib << 20,
        image_bytes: images.quota_gib << 30,
        netboot: netboot.map(netboot::resolve).transpose()?,
    })
}

/// The data directory's own name with `.key` behind it.
fn beside(data_dir: &Path) -> PathBuf {
    // By its components: a slash at the end would make it a file inside.
    let mut name = data_dir.components().as_path().as_os_str().to_owned();
    name.push(".key");
    name.into()
}

/// Whether every quota is one that can be kept.
fn quotas(store: &StoreFile, images: &ImagesFile) -> Result<(), Refused> {
    let quotas = [
        (
            "store.quota_mib",
            store.quota_mib,
            1,
            4096,
            "must be 1 to 4096",
        ),
        (
            "store.ballast_mib",
            store.ballast_mib,
            1,
            1024,
            "must be 1 to 1024",
        ),
        (
            "images.quota_gib",
            images.quota_gib,
            1,
            65536,
            "must be 1 to 65536",
        ),
    ];
    for (key, value, least, most, allowed) in quotas {
        if !(least..=most).contains(&value) {
            return Err(Refused {
                key,
                value: value.to_string(),
                allowed,
            });
        }
    }
    Ok(())
}

/// The host name's first label, as far as a DNS label may have its letters.
fn label_of(host_name: &str) -> String {
    let first = host_name.split('.').next().unwrap_or_default();
    first.to_ascii_lowercase()
}

fn is_label(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&name.len())
        && name.bytes().all(inner)
        && !name.starts_with('-')
        && !name.ends_with('-')
}
