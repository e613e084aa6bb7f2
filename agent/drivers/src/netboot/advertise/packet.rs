//! The three neighbour discovery messages that we read or write (RFC 4861 sections 4.1 and 4.2). Pure; checksums are
//! the kernel's.

use std::net::Ipv6Addr;
use std::time::Duration;

use crate::netboot::slot::Mac;

#[cfg(test)]
mod tests;

const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
/// Option number of the sender's MAC address.
const SOURCE_LINK_LAYER: u8 = 1;

/// A message that matters to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// Somebody asks for a router, and may say its MAC address.
    Solicitation { source: Option<Mac> },
    /// A router speaks; with a lifetime of zero it is none (any more).
    Advertisement { lifetime: Duration },
}

pub(crate) fn parse(bytes: &[u8]) -> Option<Message> {
    match bytes {
        [SOLICITATION, 0, _, _, _, _, _, _, options @ ..] => Some(Message::Solicitation {
            source: source(options),
        }),
        [ADVERTISEMENT, 0, _, _, _, _, high, low, ..] => {
            let seconds = u16::from_be_bytes([*high, *low]);
            Some(Message::Advertisement {
                lifetime: Duration::from_secs(seconds.into()),
            })
        }
        _ => None,
    }
}

/// "I am no router, use no DHCPv6": every field zero, no option.
pub(crate) fn advertisement() -> [u8; 16] {
    let mut bytes = [0; 16];
    if let Some(kind) = bytes.first_mut() {
        *kind = ADVERTISEMENT;
    }
    bytes
}

/// "Who routes here?"
pub(crate) fn solicitation() -> [u8; 8] {
    [SOLICITATION, 0, 0, 0, 0, 0, 0, 0]
}

/// The MAC address inside a link-local address that was made from one (RFC 4291 appendix A).
pub(crate) fn mac_of(address: Ipv6Addr) -> Option<Mac> {
    match address.octets() {
        [0xfe, 0x80, 0, 0, 0, 0, 0, 0, a, b, c, 0xff, 0xfe, d, e, f] => {
            Some(Mac([a ^ 2, b, c, d, e, f]))
        }
        _ => None,
    }
}

fn source(mut options: &[u8]) -> Option<Mac> {
    while let [_, length, ..] = options {
        if let [SOURCE_LINK_LAYER, 1, a, b, c, d, e, f, ..] = options {
            return Some(Mac([*a, *b, *c, *d, *e, *f]));
        }
        // Lengths are counted in units of eight bytes.
        let bytes = usize::from(*length) * 8;
        if bytes == 0 {
            return None;
        }
        options = options.get(bytes..)?;
    }
    None
}
