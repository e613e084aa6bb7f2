//! Networks, addresses and ports.

use std::net::IpAddr;

/// A network. Host bits are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cidr {
    first: u128,
    last: u128,
    /// 32 or 128; networks of different families have nothing in common.
    bits: u32,
}

fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(four) => (u128::from(four.to_bits()), 32),
        IpAddr::V6(six) => (six.to_bits(), 128),
    }
}

impl Cidr {
    /// Reads `address/length`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let (value, bits) = number(address.parse().ok()?);
        if length.starts_with('+') {
            return None;
        }
        let host_bits = bits.checked_sub(length.parse().ok()?)?;
        let host_mask = if host_bits == 128 {
            u128::MAX
        } else {
            (1 << host_bits) - 1
        };
        Some(Self {
            first: value & !host_mask,
            last: value | host_mask,
            bits,
        })
    }

    pub(super) fn contains(&self, inner: &Self) -> bool {
        self.bits == inner.bits && self.first <= inner.first && inner.last <= self.last
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        self.bits == other.bits && self.first <= other.last && other.first <= self.last
    }

    pub(super) fn holds(&self, address: IpAddr) -> bool {
        let (value, bits) = number(address);
        self.bits == bits && self.first <= value && value <= self.last
    }
}

/// An address, a network, or a range `first-last`.
pub(super) fn is_address_or_range(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() || Cidr::parse(text).is_some() {
        return true;
    }
    let Some((first, last)) = text.split_once('-') else {
        return false;
    };
    match (first.trim().parse(), last.trim().parse()) {
        (Ok(first), Ok(last)) => {
            let (first, last) = (number(first), number(last));
            first.1 == last.1 && first.0 <= last.0
        }
        _ => false,
    }
}

/// Ports: one, a range `first-last`, or a list of these with commas.
pub(super) fn is_ports(text: &str) -> bool {
    let port = |text: &str| text.trim().parse::<u16>().ok().filter(|port| *port > 0);
    text.split(',').all(|part| match part.split_once('-') {
        None => port(part).is_some(),
        Some((first, last)) => {
            matches!((port(first), port(last)), (Some(first), Some(last)) if first <= last)
        }
    })
}
