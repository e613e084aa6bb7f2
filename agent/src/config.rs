//! What the agent's file may say, and what it means. The only place that reads the environment.
//!
//! A file is read into [`File`], which is what was typed, and resolved into [`Config`], which is valid. Every refusal
//! names the key, the value and what is allowed.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

#[cfg(test)]
mod tests;

/// Everything that the agent is told at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
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
    /// Key that secrets at rest are sealed with. Best on another medium than `data_dir`.
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

/// The boot network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Netboot {
    /// Interface that the servers boot on.
    pub interface: String,
    /// Who gives addresses.
    pub mode: Mode,
    /// Port of the HTTP service.
    pub http_port: u16,
    /// Whether router solicitations of booting servers are answered.
    pub router_advertisements: bool,
    /// Directory with kernel, initramfs and the two iPXE programs.
    pub assets: PathBuf,
}

/// Who gives addresses on the boot network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The agent, while no other server answers.
    Own {
        /// First and last address.
        range: (Ipv4Addr, Ipv4Addr),
        /// How long an address is lent.
        lease: Duration,
    },
    /// Another server; the agent only adds what to boot.
    Proxy,
    /// A relay forwards requests to the agent.
    Relay,
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
    #[error("{key} = {value}: {allowed}")]
    Value {
        /// Path of the key.
        key: &'static str,
        /// What stands there.
        value: String,
        /// What may stand there.
        allowed: &'static str,
    },
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
    netboot: Option<NetbootFile>,
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

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NetbootFile {
    interface: String,
    mode: ModeFile,
    range: Option<(Ipv4Addr, Ipv4Addr)>,
    lease_seconds: Option<u64>,
    #[serde(default = "default_http_port")]
    http_port: u16,
    #[serde(default)]
    router_advertisements: AdvertisementsFile,
    #[serde(default = "default_assets")]
    assets: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ModeFile {
    Own,
    Proxy,
    Relay,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum AdvertisementsFile {
    #[default]
    Auto,
    Off,
}

fn default_http_port() -> u16 {
    8080
}

fn default_assets() -> PathBuf {
    PathBuf::from("/usr/lib/vitistack/netboot")
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
    parse(path, &text, &host_name())
}

/// Resolves the text of a file. `host_name` is the default of `name`.
///
/// # Errors
/// When it is not valid. `path` is only named.
pub fn parse(path: &Path, text: &str, host_name: &str) -> Result<Config, Error> {
    let file: File = toml::from_str(text).map_err(|source| Error::Parse {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    resolve(file, host_name)
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

fn host_name() -> String {
    sysinfo::System::host_name().unwrap_or_default()
}

fn resolve(file: File, host_name: &str) -> Result<Config, Error> {
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
        return Err(Error::Value {
            key: "data_dir",
            value: data_dir.display().to_string(),
            allowed: "must be an absolute path",
        });
    }
    let port_is_good = hub.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0)
    });
    if !port_is_good {
        return Err(Error::Value {
            key: "hub",
            value: hub,
            allowed: "must be host:port, with an IPv6 address in brackets",
        });
    }
    let name = name.unwrap_or_else(|| label_of(host_name));
    if !is_label(&name) {
        return Err(Error::Value {
            key: "name",
            value: name,
            allowed: "must be a DNS label: lower-case letters, digits and hyphens, 1 to 63 of them",
        });
    }
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
            return Err(Error::Value {
                key,
                value: value.to_string(),
                allowed,
            });
        }
    }
    Ok(Config {
        key_file: key_file.unwrap_or_else(|| data_dir.join("identity/seal.key")),
        data_dir,
        hub,
        token_file,
        name,
        metered,
        store_bytes: store.quota_mib << 20,
        ballast_bytes: store.ballast_mib << 20,
        image_bytes: images.quota_gib << 30,
        netboot: netboot.map(resolve_netboot).transpose()?,
    })
}

fn resolve_netboot(file: NetbootFile) -> Result<Netboot, Error> {
    let NetbootFile {
        interface,
        mode,
        range,
        lease_seconds,
        http_port,
        router_advertisements,
        assets,
    } = file;
    // IFNAMSIZ is 16 with the terminating zero.
    if interface.is_empty() || interface.len() > 15 || interface.contains(['/', ' ']) {
        return Err(Error::Value {
            key: "netboot.interface",
            value: interface,
            allowed: "must be the name of a network interface",
        });
    }
    let mode = match (mode, range) {
        (ModeFile::Own, Some(range)) => Mode::Own {
            range: in_order(range)?,
            lease: lease(lease_seconds)?,
        },
        (ModeFile::Own, None) => {
            return Err(Error::Value {
                key: "netboot.range",
                value: "(absent)".to_owned(),
                allowed: "mode \"own\" needs [first, last], two IPv4 addresses of the interface's network",
            });
        }
        (ModeFile::Proxy | ModeFile::Relay, Some((first, last))) => {
            return Err(Error::Value {
                key: "netboot.range",
                value: format!("[{first}, {last}]"),
                allowed: "only mode \"own\" gives addresses",
            });
        }
        (ModeFile::Proxy, None) => Mode::Proxy,
        (ModeFile::Relay, None) => Mode::Relay,
    };
    Ok(Netboot {
        interface,
        mode,
        http_port,
        router_advertisements: router_advertisements == AdvertisementsFile::Auto,
        assets,
    })
}

fn in_order((first, last): (Ipv4Addr, Ipv4Addr)) -> Result<(Ipv4Addr, Ipv4Addr), Error> {
    if first <= last {
        return Ok((first, last));
    }
    Err(Error::Value {
        key: "netboot.range",
        value: format!("[{first}, {last}]"),
        allowed: "the first address must not be above the last",
    })
}

fn lease(seconds: Option<u64>) -> Result<Duration, Error> {
    let seconds = seconds.unwrap_or(600);
    // Two minutes: an installer must be able to renew before it loses its address in the middle of an image.
    if (120..=604_800).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    Err(Error::Value {
        key: "netboot.lease_seconds",
        value: seconds.to_string(),
        allowed: "must be 120 to 604800",
    })
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
