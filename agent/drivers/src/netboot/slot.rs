//! What a known server is given when it boots from the network, and what was seen of it.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::str::FromStr;

use vitistack_installer_wire as wire;
use vitistack_protocol::ids::{OperationId, Uid};
use vitistack_protocol::message::numbered::BootMode;

use crate::capability::Capability;

/// MAC address of a boot NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

/// The text was not a MAC address.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a MAC address like 52:54:00:12:34:56")]
pub struct ParseMacError {
    text: String,
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = ParseMacError;

    /// Six pairs of hexadecimal digits with colons or hyphens between them.
    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        let malformed = || ParseMacError {
            text: text.chars().take(32).collect(),
        };
        let mut octets = [0; 6];
        let mut pairs = text.split([':', '-']);
        for octet in &mut octets {
            *octet = pairs
                .next()
                .filter(|pair| pair.len() == 2 && !pair.starts_with('+'))
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
                .ok_or_else(malformed)?;
        }
        match pairs.next() {
            None => Ok(Self(octets)),
            Some(_) => Err(malformed()),
        }
    }
}

/// What one known server is given. At most one slot a MAC address.
#[derive(Clone, Debug)]
pub struct Slot {
    /// The boot NIC.
    pub mac: Mac,
    /// The object whose worker opened the slot.
    pub object: Uid,
    /// Firmware interface that the server is expected to boot by.
    pub boot_mode: BootMode,
    /// What for.
    pub purpose: Purpose,
}

/// What a slot is for.
#[derive(Clone, Debug)]
pub enum Purpose {
    /// The server is known and may have an address; a network boot is answered with "boot your disk" or silence.
    /// An installed guest lives here: it phones home by `phone_home` if the operation has not ended.
    Local {
        /// Where the guest reports to; `None` for a host without a Machine.
        phone_home: Option<(OperationId, Capability)>,
    },
    /// The next network boot runs the installer.
    Installer(Box<InstallerBoot>),
}

/// One boot of the installer.
#[derive(Clone, Debug)]
pub struct InstallerBoot {
    /// The operation.
    pub operation: OperationId,
    /// URLs of this boot. The same after a restart of the agent: they come from the journal.
    pub urls: BootUrls,
    /// Everything of the plan but its URLs, which the netboot service fills in from `urls`
    /// (`Plan::report`, `Install::image`).
    pub plan: wire::Plan,
    /// File that `urls.image` serves, complete and verified; `None` unless the mode is `Install`.
    pub image: Option<PathBuf>,
    /// Where the installed guest reports to.
    pub phone_home: Option<Capability>,
}

/// Capability of each purpose of one boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BootUrls {
    /// The second initrd with the boot file.
    pub boot: Capability,
    /// The signed plan.
    pub plan: Capability,
    /// The reports.
    pub report: Capability,
    /// The image.
    pub image: Capability,
}

/// What was seen of a MAC address since the agent started. Not durable: the installer repeats what matters.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The newest report of the installer for the open slot's operation.
    pub installer: Option<wire::Report>,
    /// The newest inventory that came with a report of that operation.
    pub inventory: Option<wire::Inventory>,
    /// Seconds since that report came.
    pub installer_age: Option<std::time::Duration>,
    /// The address that the server holds from us.
    pub lease: Option<Ipv4Addr>,
    /// The newest boot request (DHCP with a PXE or HTTP boot vendor class) since the slot was opened.
    pub boot_requests: u32,
}

/// A guest says that it runs. Answered to the guest only after the executor has it on disk.
#[derive(Debug)]
pub struct PhonedHome {
    /// The Machine.
    pub object: Uid,
    /// The operation whose URL was used.
    pub operation: OperationId,
    /// Address that the guest came from.
    pub address: Ipv4Addr,
    /// `instance_id` that the guest posted: the Machine's UID, from its own NoCloud data.
    pub instance_id: String,
    /// Send `true` once it is durable, `false` if it is not wanted (unknown object, other operation).
    pub durable: tokio::sync::oneshot::Sender<bool>,
}

/// How the service is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Service {
    /// No boot network is configured.
    Disabled,
    /// Not serving yet: sockets are opened, or the wire is searched for other DHCP servers.
    Starting,
    /// Serving.
    Serving,
    /// Another DHCP server answers on the wire; ours is silent until it is gone.
    ForeignDhcpServer {
        /// Its address.
        server: Ipv4Addr,
    },
    /// A socket or an interface is missing.
    Broken {
        /// What.
        message: String,
    },
}
