//! The packets of a DHCP client. Pure: bytes out, bytes in; the transaction number is passed in.

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};

/// Where servers listen.
pub const SERVER_PORT: u16 = 67;
/// Where clients listen.
pub const CLIENT_PORT: u16 = 68;
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
        self.packet(MessageType::Discover, Ipv4Addr::UNSPECIFIED, Vec::new())
    }

    /// I take that one.
    #[must_use]
    pub fn request(&self, offer: &Offer) -> Vec<u8> {
        let options = vec![
            DhcpOption::RequestedIpAddress(offer.address),
            DhcpOption::ServerIdentifier(offer.server),
        ];
        self.packet(MessageType::Request, Ipv4Addr::UNSPECIFIED, options)
    }

    /// I keep it, please. RFC 2131 4.3.2: no server identifier and no requested address when renewing.
    #[must_use]
    pub fn renew(&self, lease: &Offer) -> Vec<u8> {
        self.packet(MessageType::Request, lease.address, Vec::new())
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

    fn packet(&self, kind: MessageType, own: Ipv4Addr, more: Vec<DhcpOption>) -> Vec<u8> {
        let mut message = Message::default();
        message
            .set_opcode(Opcode::BootRequest)
            .set_xid(self.transaction)
            .set_chaddr(&self.mac);
        if own.is_unspecified() {
            // Without an address only a broadcast reaches us.
            message.set_flags(Flags::default().set_broadcast());
        }
        message.set_ciaddr(own);
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(kind));
        options.insert(DhcpOption::ParameterRequestList(vec![
            OptionCode::SubnetMask,
            OptionCode::Router,
        ]));
        options.insert(DhcpOption::ClassIdentifier(b"vitistack-installer".to_vec()));
        for option in more {
            options.insert(option);
        }
        message
            .to_vec()
            .expect("encoding into memory, with options of a few bytes each")
    }

    fn ours(&self, bytes: &[u8]) -> Option<Message> {
        let message = Message::decode(&mut Decoder::new(bytes)).ok()?;
        let ours = message.opcode() == Opcode::BootReply
            && message.xid() == self.transaction
            && message.chaddr().starts_with(&self.mac);
        ours.then_some(message)
    }
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
