//! The section `[netboot]`: which boot network is served, and what servers on it are given.
//!
//! What depends on the interface (whether range and router are of its network) is judged when the service starts.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use vitistack_drivers::netboot::Parameters;

use super::Refused;

/// Servers of a list. With the longest domain they fit the 312 bytes of options that every client takes (RFC 2131
/// section 2), beside what a firmware needs to boot.
const MOST_SERVERS: usize = 4;

/// Bytes of a domain, for the same reason.
const LONGEST_DOMAIN: usize = 128;

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
        /// What is said along with an address.
        parameters: Parameters,
    },
    /// Another server; the agent only adds what to boot.
    Proxy,
    /// A relay forwards requests to the agent.
    Relay,
}

/// What may be typed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    interface: String,
    mode: ModeFile,
    range: Option<(Ipv4Addr, Ipv4Addr)>,
    lease_seconds: Option<u64>,
    router: Option<Ipv4Addr>,
    dns: Option<Vec<Ipv4Addr>>,
    domain: Option<String>,
    ntp: Option<Vec<Ipv4Addr>>,
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

/// The section, valid.
pub(super) fn resolve(file: File) -> Result<Netboot, Refused> {
    let File {
        interface,
        mode,
        range,
        lease_seconds,
        router,
        dns,
        domain,
        ntp,
        http_port,
        router_advertisements,
        assets,
    } = file;
    // IFNAMSIZ is 16 with the terminating zero.
    if interface.is_empty() || interface.len() > 15 || interface.contains(['/', ' ']) {
        return Err(Refused {
            key: "netboot.interface",
            value: interface,
            allowed: "must be the name of a network interface",
        });
    }
    let lent = Lent {
        range,
        lease_seconds,
        router,
        dns,
        domain,
        ntp,
    };
    let mode = match mode {
        ModeFile::Own => own(lent)?,
        ModeFile::Proxy => lent.absent().map(|()| Mode::Proxy)?,
        ModeFile::Relay => lent.absent().map(|()| Mode::Relay)?,
    };
    Ok(Netboot {
        interface,
        mode,
        http_port,
        router_advertisements: router_advertisements == AdvertisementsFile::Auto,
        assets,
    })
}

/// The keys of the mode "own".
struct Lent {
    range: Option<(Ipv4Addr, Ipv4Addr)>,
    lease_seconds: Option<u64>,
    router: Option<Ipv4Addr>,
    dns: Option<Vec<Ipv4Addr>>,
    domain: Option<String>,
    ntp: Option<Vec<Ipv4Addr>>,
}

impl Lent {
    /// Refuses the first key that is set: whoever set it expects servers to be told so, and nobody would tell them.
    fn absent(self) -> Result<(), Refused> {
        let Self {
            range,
            lease_seconds,
            router,
            dns,
            domain,
            ntp,
        } = self;
        let typed = [
            (
                "netboot.range",
                range.map(|(first, last)| listed(&[first, last])),
            ),
            (
                "netboot.lease_seconds",
                lease_seconds.map(|seconds| seconds.to_string()),
            ),
            ("netboot.router", router.map(|router| router.to_string())),
            ("netboot.dns", dns.as_deref().map(listed)),
            ("netboot.domain", domain),
            ("netboot.ntp", ntp.as_deref().map(listed)),
        ];
        let set = |(key, value): (&'static str, Option<String>)| Some((key, value?));
        match typed.into_iter().find_map(set) {
            None => Ok(()),
            Some((key, value)) => Err(Refused {
                key,
                value,
                allowed: "only mode \"own\" gives addresses and what goes with them; in mode \"proxy\" and \"relay\" \
                          the other DHCP server does: set it there and remove the key here",
            }),
        }
    }
}

fn own(lent: Lent) -> Result<Mode, Refused> {
    let Some(range) = lent.range else {
        return Err(Refused {
            key: "netboot.range",
            value: "(absent)".to_owned(),
            allowed: "mode \"own\" needs [first, last], two IPv4 addresses of the interface's network",
        });
    };
    Ok(Mode::Own {
        range: in_order(range)?,
        lease: lease(lent.lease_seconds)?,
        parameters: Parameters {
            router: lent.router.map(router).transpose()?,
            dns: servers("netboot.dns", lent.dns)?,
            domain: lent.domain.map(domain).transpose()?,
            ntp: servers("netboot.ntp", lent.ntp)?,
        },
    })
}

fn in_order(range: (Ipv4Addr, Ipv4Addr)) -> Result<(Ipv4Addr, Ipv4Addr), Refused> {
    if range.0 <= range.1 {
        return Ok(range);
    }
    Err(Refused {
        key: "netboot.range",
        value: listed(&[range.0, range.1]),
        allowed: "the first address must not be above the last",
    })
}

fn lease(seconds: Option<u64>) -> Result<Duration, Refused> {
    let seconds = seconds.unwrap_or(600);
    // Two minutes: an installer must be able to renew before it loses its address in the middle of an image.
    if (120..=604_800).contains(&seconds) {
        return Ok(Duration::from_secs(seconds));
    }
    Err(Refused {
        key: "netboot.lease_seconds",
        value: seconds.to_string(),
        allowed: "must be 120 to 604800",
    })
}

fn router(address: Ipv4Addr) -> Result<Ipv4Addr, Refused> {
    if is_host(address) {
        return Ok(address);
    }
    Err(Refused {
        key: "netboot.router",
        value: address.to_string(),
        allowed: "must be the address of a router in the interface's network",
    })
}

fn servers(key: &'static str, list: Option<Vec<Ipv4Addr>>) -> Result<Vec<Ipv4Addr>, Refused> {
    let list = list.unwrap_or_default();
    if list.len() <= MOST_SERVERS && list.iter().copied().all(is_host) {
        return Ok(list);
    }
    Err(Refused {
        key,
        value: listed(&list),
        allowed: "must be at most 4 addresses that a server can reach, not this host's loopback",
    })
}

fn domain(name: String) -> Result<String, Refused> {
    if name.len() <= LONGEST_DOMAIN && name.split('.').all(super::is_label) {
        return Ok(name);
    }
    Err(Refused {
        key: "netboot.domain",
        value: name,
        allowed: "must be a DNS name of at most 128 bytes: labels of lower-case letters, digits and hyphens, with dots \
                  between them",
    })
}

/// Whether a host can have `address`, as far as that is seen without its network.
fn is_host(address: Ipv4Addr) -> bool {
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || address.is_broadcast())
}

/// As it is typed.
fn listed(addresses: &[Ipv4Addr]) -> String {
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    format!("[{}]", texts.join(", "))
}
