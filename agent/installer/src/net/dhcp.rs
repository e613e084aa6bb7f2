//! The packets of a DHCP client. Pure: bytes out, bytes in; the transaction number is passed in.

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{DhcpOption, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder};

/// Where servers listen.
pub const SERVER_PORT: u16 = 67;
/// Where clients listen.
pub const CLIENT_PORT: u16 = 68;
// The fixed part of a packet, RFC 2131 section 2.
const BOOT_REQUEST: u8 = 1;
const ETHERNET: u8 = 1;
const CLIENT_MAC: usize = 28;
const COOKIE_AT: usize = 236;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// If a server names none.
const DEFAULT_LEASE: u32 = 600;

/// One exchange of one interface.
#[derive(Clone, Copy, Debug)]
pub struct Exchange {
    /// Tells our answers from others'.
    pub transaction: u32,
    /// Whose.
    pub mac: [u8; 6],
}

/// An address on offer, or granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Ours.
    pub address: Ipv4Addr,
    /// Length of the network's prefix.
    pub prefix: u8,
    /// Default route, if any.
    pub router: Option<Ipv4Addr>,
    /// Who grants it.
    pub server: Ipv4Addr,
    /// For how long.
    pub lease: Duration,
}

/// What a server says to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Granted.
    Ack(Offer),
    /// Refused.
    Nak,
}

impl Exchange {
    /// Who has an address for me?
    #[must_use]
    pub fn discover(&self) -> Vec<u8> {
        self.packet(MessageType::Discover, Ipv4Addr::UNSPECIFIED, &[])
    }

    /// I take that one.
    #[must_use]
    pub fn request(&self, offer: &Offer) -> Vec<u8> {
        let options = [
            (OptionCode::RequestedIpAddress, offer.address.octets()),
            (OptionCode::ServerIdentifier, offer.server.octets()),
        ];
        self.packet(MessageType::Request, Ipv4Addr::UNSPECIFIED, &options)
    }

    /// I keep it, please. RFC 2131 4.3.2: no server identifier and no requested address when renewing.
    #[must_use]
    pub fn renew(&self, lease: &Offer) -> Vec<u8> {
        self.packet(MessageType::Request, lease.address, &[])
    }

    /// An offer that answers our discover.
    #[must_use]
    pub fn offer(&self, bytes: &[u8]) -> Option<Offer> {
        let message = self.ours(bytes)?;
        (message.opts().msg_type() == Some(MessageType::Offer)).then(|| read(&message))?
    }

    /// An answer to our request.
    #[must_use]
    pub fn answer(&self, bytes: &[u8]) -> Option<Answer> {
        let message = self.ours(bytes)?;
        match message.opts().msg_type()? {
            MessageType::Ack => read(&message).map(Answer::Ack),
            MessageType::Nak => Some(Answer::Nak),
            _ => None,
        }
    }

    /// RFC 2131, section 2. Written by hand: the library's message draws a random number when it is made, and early in
    /// the boot of a virtual machine that blocks for minutes.
    fn packet(&self, kind: MessageType, own: Ipv4Addr, more: &[(OptionCode, [u8; 4])]) -> Vec<u8> {
        // Without an address only a broadcast reaches us.
        let flags: u16 = if own.is_unspecified() { 0x8000 } else { 0 };
        let mut packet = vec![BOOT_REQUEST, ETHERNET, 6, 0];
        packet.extend(self.transaction.to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(flags.to_be_bytes());
        packet.extend(own.octets());
        packet.resize(CLIENT_MAC, 0);
        packet.extend(self.mac);
        packet.resize(COOKIE_AT, 0);
        packet.extend(COOKIE);
        let wanted = [OptionCode::SubnetMask.into(), OptionCode::Router.into()];
        option(&mut packet, OptionCode::MessageType, &[kind.into()]);
        option(&mut packet, OptionCode::ParameterRequestList, &wanted);
        option(
            &mut packet,
            OptionCode::ClassIdentifier,
            b"vitistack-installer",
        );
        for (code, value) in more {
            option(&mut packet, *code, value);
        }
        packet.push(OptionCode::End.into());
        // BOOTP's least length: some relays drop less.
        packet.resize(packet.len().max(300), 0);
        packet
    }

    fn ours(&self, bytes: &[u8]) -> Option<Message> {
        let message = Message::decode(&mut Decoder::new(bytes)).ok()?;
        let ours = message.opcode() == Opcode::BootReply
            && message.xid() == self.transaction
            && message.chaddr().starts_with(&self.mac);
        ours.then_some(message)
    }
}

/// A few bytes each: the length fits its octet.
fn option(packet: &mut Vec<u8>, code: OptionCode, value: &[u8]) {
    packet.push(code.into());
    packet.push(u8::try_from(value.len()).unwrap_or(u8::MAX));
    packet.extend_from_slice(value);
}

/// `None` for an offer without an address: a proxyDHCP server speaks so.
fn read(message: &Message) -> Option<Offer> {
    let address = message.yiaddr();
    if address.is_unspecified() {
        return None;
    }
    let options = message.opts();
    let prefix = match options.get(OptionCode::SubnetMask) {
        Some(DhcpOption::SubnetMask(mask)) => u8::try_from(mask.to_bits().leading_ones()).ok()?,
        _ => 24,
    };
    let router = match options.get(OptionCode::Router) {
        Some(DhcpOption::Router(routers)) => routers.first().copied(),
        _ => None,
    };
    let server = match options.get(OptionCode::ServerIdentifier) {
        Some(DhcpOption::ServerIdentifier(server)) => *server,
        _ => message.siaddr(),
    };
    let lease = match options.get(OptionCode::AddressLeaseTime) {
        Some(DhcpOption::AddressLeaseTime(seconds)) => *seconds,
        _ => DEFAULT_LEASE,
    };
    let lease = Duration::from_secs(u64::from(lease));
    Some(Offer {
        address,
        prefix,
        router,
        server,
        lease,
    })
}

#[cfg(test)]
mod tests;
