//! Bytes to requests, answers to bytes.
//!
//! Everything that a firmware may send wrong ends here as "no request": a packet that cannot be read gets no answer.

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{
    Architecture, DhcpOption, Flags, HType, Message, MessageType, Opcode, OptionCode, UnknownOption,
};
use dhcproto::{Decodable as _, Decoder, Encodable as _};

use crate::netboot::Parameters;
use crate::netboot::slot::Mac;

#[cfg(test)]
pub(crate) mod tests;

/// Fixed fields before the magic.
const HEADER: usize = 236;
const MAGIC: [u8; 4] = [99, 130, 83, 99];

/// Relays and old firmware drop anything shorter than a BOOTP packet (RFC 1542 section 2.1).
const SHORTEST: usize = 300;

/// Longest name in the header's `file` field, which ends with a zero.
const LONGEST_FILE: usize = 127;

/// Option number that iPXE keeps its own options in.
const IPXE: u8 = 175;

/// In option 175: sub-option 176 ("no-pxedhcp") with the value 1, and the end mark. Without it iPXE waits three
/// seconds for somebody else to say what to boot.
const IPXE_DO_NOT_WAIT: [u8; 4] = [0xb0, 1, 1, 0xff];

/// In option 43: PXE_DISCOVERY_CONTROL (6) with bit 3, "boot the file that this packet names, ask nobody else"
/// (PXE 2.1 section 2.2.3).
const PXE_USE_THIS_FILE: [u8; 4] = [6, 1, 8, 0xff];

/// A request that could be read.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) kind: MessageType,
    pub(crate) mac: Mac,
    pub(crate) client: Client,
    message: Message,
    /// Option 82 as the relay wrote it; it goes back unread.
    relay_information: Option<Vec<u8>>,
}

/// Who asks, as far as that decides the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// An operating system, or our installer.
    System,
    /// Firmware that boots by TFTP.
    Pxe(Platform),
    /// UEFI that boots by HTTP.
    Http(Platform),
    /// iPXE, from a ROM or loaded by us.
    Ipxe,
}

/// What the firmware can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    /// x86 BIOS.
    Bios,
    /// x86-64 UEFI.
    Uefi,
    /// Anything that we have no boot program for.
    Other,
}

/// An answer, before it is bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) kind: MessageType,
    /// This service.
    pub(crate) server: Ipv4Addr,
    /// What the client leases; `None` where another server gives the addresses.
    pub(crate) lease: Option<Lease>,
    pub(crate) boot: Option<Boot>,
}

/// An address for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) address: Ipv4Addr,
    pub(crate) netmask: Ipv4Addr,
    /// `None` in the answer to INFORM, which prolongs nothing.
    pub(crate) duration: Option<Duration>,
    /// What goes with it, as far as the client wants to know it.
    pub(crate) parameters: Parameters,
}

/// What the client boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Boot {
    /// A file of the TFTP service.
    Tftp(&'static str),
    /// A program by HTTP, for UEFI.
    Http(String),
    /// A script by HTTP, for iPXE.
    Script(String),
}

/// Reads a request; `None` if it is none, or not from Ethernet.
pub(crate) fn parse(bytes: &[u8]) -> Option<Request> {
    let (message, relay_information) = read(bytes)?;
    if message.opcode() != Opcode::BootRequest
        || message.htype() != HType::Eth
        || message.hlen() != 6
    {
        return None;
    }
    let mac = Mac(message.chaddr().try_into().ok()?);
    let kind = message.opts().msg_type()?;
    let client = client(&message);
    Some(Request {
        kind,
        mac,
        client,
        message,
        relay_information,
    })
}

/// The server that offers or grants an address to somebody. A boot server that offers none does not compete with us.
pub(crate) fn foreign_offer(bytes: &[u8]) -> Option<Ipv4Addr> {
    let (message, _) = read(bytes)?;
    let competes = message.opcode() == Opcode::BootReply
        && matches!(
            message.opts().msg_type(),
            Some(MessageType::Offer | MessageType::Ack)
        )
        && !message.yiaddr().is_unspecified();
    let server = match message.opts().get(OptionCode::ServerIdentifier) {
        Some(DhcpOption::ServerIdentifier(server)) => *server,
        Some(_) | None => return None,
    };
    competes.then_some(server)
}

/// A DISCOVER that asks whether another server answers. Nothing is requested afterwards.
pub(crate) fn probe(mac: Mac, transaction: u32) -> Option<Vec<u8>> {
    let mut message = Message::default();
    message
        .set_opcode(Opcode::BootRequest)
        .set_htype(HType::Eth)
        .set_chaddr(&mac.0)
        .set_flags(Flags::default().set_broadcast());
    message
        .opts_mut()
        .insert(DhcpOption::MessageType(MessageType::Discover));
    encode(message, transaction, None)
}

impl Request {
    /// The address that the client uses already.
    pub(crate) fn own_address(&self) -> Option<Ipv4Addr> {
        Some(self.message.ciaddr()).filter(|address| !address.is_unspecified())
    }

    /// The address that the client asks for.
    pub(crate) fn wanted(&self) -> Option<Ipv4Addr> {
        match self.message.opts().get(OptionCode::RequestedIpAddress) {
            Some(DhcpOption::RequestedIpAddress(address)) => Some(*address),
            Some(_) | None => None,
        }
    }

    /// The server whose offer the client took.
    pub(crate) fn chosen_server(&self) -> Option<Ipv4Addr> {
        match self.message.opts().get(OptionCode::ServerIdentifier) {
            Some(DhcpOption::ServerIdentifier(server)) => Some(*server),
            Some(_) | None => None,
        }
    }

    /// The relay agent that the request came through.
    pub(crate) fn relay(&self) -> Option<Ipv4Addr> {
        Some(self.message.giaddr()).filter(|address| !address.is_unspecified())
    }

    /// Whether the client can only hear broadcasts.
    pub(crate) fn wants_broadcast(&self) -> bool {
        self.message.flags().broadcast()
    }

    /// The bytes of `answer`; `None` if it cannot be written (a name that is too long).
    pub(crate) fn answer(&self, answer: &Answer) -> Option<Vec<u8>> {
        let request = &self.message;
        let mut message = Message::default();
        message
            .set_opcode(Opcode::BootReply)
            .set_htype(HType::Eth)
            .set_chaddr(&self.mac.0)
            .set_flags(request.flags())
            .set_giaddr(request.giaddr());
        // RFC 2131 table 3: a refusal names no address.
        if answer.kind == MessageType::Ack {
            message.set_ciaddr(request.ciaddr());
        }
        let opts = message.opts_mut();
        opts.insert(DhcpOption::MessageType(answer.kind));
        opts.insert(DhcpOption::ServerIdentifier(answer.server));
        for echoed in [
            // RFC 6842; PXE 2.1 section 2.2.3.
            OptionCode::ClientIdentifier,
            OptionCode::ClientMachineIdentifier,
        ] {
            if let Some(option) = request.opts().get(echoed) {
                opts.insert(option.clone());
            }
        }
        if self.client == Client::Ipxe {
            opts.insert(DhcpOption::Unknown(UnknownOption::new(
                OptionCode::from(IPXE),
                IPXE_DO_NOT_WAIT.to_vec(),
            )));
        }
        if let Some(lease) = &answer.lease {
            opts.insert(DhcpOption::SubnetMask(lease.netmask));
            if let Some(duration) = lease.duration {
                let seconds = u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
                opts.insert(DhcpOption::AddressLeaseTime(seconds));
                message.set_yiaddr(lease.address);
            }
            self.add_parameters(&mut message, &lease.parameters);
        }
        if let Some(boot) = &answer.boot {
            self.add_boot(&mut message, answer, boot)?;
        }
        encode(message, request.xid(), self.relay_information.as_deref())
    }

    fn add_parameters(&self, message: &mut Message, parameters: &Parameters) {
        let Parameters {
            router,
            dns,
            domain,
            ntp,
        } = parameters;
        let some = |list: &Vec<Ipv4Addr>| Some(list.clone()).filter(|list| !list.is_empty());
        let known = [
            router.map(|router| DhcpOption::Router(vec![router])),
            some(dns).map(DhcpOption::DomainNameServer),
            domain.clone().map(DhcpOption::DomainName),
            some(ntp).map(DhcpOption::NtpServers),
        ];
        let opts = message.opts_mut();
        for option in known.into_iter().flatten() {
            if self.takes(OptionCode::from(&option)) {
                opts.insert(option);
            }
        }
    }

    fn add_boot(&self, message: &mut Message, answer: &Answer, boot: &Boot) -> Option<()> {
        let file = match boot {
            Boot::Tftp(name) => name,
            Boot::Http(url) | Boot::Script(url) => url.as_str(),
        };
        if file.len() > LONGEST_FILE {
            return None;
        }
        message.set_siaddr(answer.server).set_fname(file.as_bytes());
        let opts = message.opts_mut();
        let class: Option<&[u8]> = match (boot, &answer.lease) {
            // UEFI takes an answer without this class for one about PXE.
            (Boot::Http(_), _) => Some(b"HTTPClient"),
            // A boot server beside a DHCP server is known by its class. In an offer with an address it would make
            // some ROMs ask for a boot server list instead.
            (Boot::Tftp(_) | Boot::Script(_), None) => Some(b"PXEClient"),
            (Boot::Tftp(_) | Boot::Script(_), Some(_)) => None,
        };
        if let Some(class) = class {
            opts.insert(DhcpOption::ClassIdentifier(class.to_vec()));
        }
        if answer.lease.is_none() && !matches!(boot, Boot::Http(_)) {
            opts.insert(DhcpOption::VendorExtensions(PXE_USE_THIS_FILE.to_vec()));
        }
        // Both places: old ROMs read the header only, and some trip over options that they did not ask for.
        if self.asks_for(OptionCode::BootfileName) || matches!(boot, Boot::Http(_)) {
            opts.insert(DhcpOption::BootfileName(file.as_bytes().to_vec()));
        }
        if self.asks_for(OptionCode::TFTPServerName) && matches!(boot, Boot::Tftp(_)) {
            let server = answer.server.to_string().into_bytes();
            opts.insert(DhcpOption::TFTPServerName(server));
        }
        Some(())
    }

    /// Whether the client's list names the option.
    fn asks_for(&self, code: OptionCode) -> bool {
        self.asked().is_some_and(|codes| codes.contains(&code))
    }

    /// The same, but a client without a list is told what there is (RFC 2131 section 4.3.1).
    fn takes(&self, code: OptionCode) -> bool {
        self.asked().is_none_or(|codes| codes.contains(&code))
    }

    fn asked(&self) -> Option<&[OptionCode]> {
        match self.message.opts().get(OptionCode::ParameterRequestList) {
            Some(DhcpOption::ParameterRequestList(codes)) => Some(codes),
            Some(_) | None => None,
        }
    }
}

/// The message with the options that we read, and option 82.
///
/// The decoder refuses a whole packet for one odd option, and trusts some lengths. So it is given only what we look at,
/// with lengths that are right: firmware that sends nonsense in an option that nobody asked about still boots.
fn read(bytes: &[u8]) -> Option<(Message, Option<Vec<u8>>)> {
    let (header, rest) = bytes.split_at_checked(HEADER)?;
    let (magic, mut options) = rest.split_at_checked(MAGIC.len())?;
    if magic != MAGIC {
        return None;
    }
    let mut kept = [header, magic].concat();
    let mut relay_information = None;
    while let [code, rest @ ..] = options {
        options = match code {
            0 => rest,
            255 => break,
            _ => {
                let (length, rest) = rest.split_first()?;
                let (data, rest) = rest.split_at_checked(usize::from(*length))?;
                match (code, data) {
                    (53, [_]) | (50 | 54, [_, _, _, _]) | (55 | 60 | 61 | 77 | 97 | 175, _) => {
                        kept.extend([*code, *length]);
                        kept.extend(data);
                    }
                    // A list of architectures is allowed (RFC 4578 section 2.1); the first is the one that runs.
                    (93, [high, low, ..]) => kept.extend([*code, 2, *high, *low]),
                    (82, information) => relay_information = Some(information.to_vec()),
                    _ => {}
                }
                rest
            }
        };
    }
    kept.push(255);
    let message = Message::decode(&mut Decoder::new(&kept)).ok()?;
    Some((message, relay_information))
}

/// `relay_information` goes last and as it came (RFC 3046 section 2.2).
fn encode(
    mut message: Message,
    transaction: u32,
    relay_information: Option<&[u8]>,
) -> Option<Vec<u8>> {
    message.set_xid(transaction);
    let mut bytes = message.to_vec().ok()?;
    if let Some(information) = relay_information {
        let end = bytes.pop()?;
        bytes.extend([82, u8::try_from(information.len()).ok()?]);
        bytes.extend(information);
        bytes.push(end);
    }
    if bytes.len() < SHORTEST {
        bytes.resize(SHORTEST, 0);
    }
    Some(bytes)
}

fn client(message: &Message) -> Client {
    let opts = message.opts();
    let user_class = match opts.get(OptionCode::UserClass) {
        Some(DhcpOption::UserClass(class)) => class.as_slice(),
        Some(_) | None => &[],
    };
    // iPXE writes the bare word; RFC 3004 wants a length before it.
    let says_ipxe = user_class.windows(4).any(|window| window == b"iPXE");
    if says_ipxe || opts.get(OptionCode::from(IPXE)).is_some() {
        return Client::Ipxe;
    }
    let class = match opts.get(OptionCode::ClassIdentifier) {
        Some(DhcpOption::ClassIdentifier(class)) => class.as_slice(),
        Some(_) | None => &[],
    };
    let architecture = match opts.get(OptionCode::ClientSystemArchitecture) {
        Some(DhcpOption::ClientSystemArchitecture(architecture)) => u16::from(*architecture),
        Some(_) | None => u16::from(Architecture::X86_Bios),
    };
    // Numbers of the IANA registry of RFC 5970: 7 and 9 were swapped by the RFC and its erratum, and firmware uses both.
    if class.starts_with(b"PXEClient") {
        Client::Pxe(match architecture {
            0 => Platform::Bios,
            7 | 9 => Platform::Uefi,
            _ => Platform::Other,
        })
    } else if class.starts_with(b"HTTPClient") {
        Client::Http(match architecture {
            16 => Platform::Uefi,
            _ => Platform::Other,
        })
    } else {
        Client::System
    }
}
