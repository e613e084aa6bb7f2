//! What anybody on the boot network can send, read and answered as the service reads and answers it, with nothing behind
//! it. For programs that try what no firmware would send: the fuzz targets.

use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::MessageType;

use super::Parameters;
use super::dhcp::packet::{self as dhcp_packet, Answer, Boot, Lease};
use super::tftp::packet::{self as tftp_packet, Packet};
use super::tftp::transfer::{Step, Transfer};

/// Reads a DHCP packet and answers it with everything that an answer may hold; `None` where the service would be silent.
#[must_use]
pub fn dhcp(bytes: &[u8]) -> Option<Vec<u8>> {
    let here = Ipv4Addr::new(192, 0, 2, 1);
    if let Some(server) = dhcp_packet::foreign_offer(bytes) {
        return Some(server.octets().to_vec());
    }
    let request = dhcp_packet::parse(bytes)?;
    let known = [
        request.own_address(),
        request.wanted(),
        request.chosen_server(),
        request.relay(),
    ];
    let answer = Answer {
        kind: if request.wants_broadcast() {
            MessageType::Offer
        } else {
            MessageType::Ack
        },
        server: here,
        lease: Some(Lease {
            address: known.into_iter().flatten().next().unwrap_or(here),
            netmask: Ipv4Addr::new(255, 255, 255, 0),
            duration: Some(Duration::from_secs(600)),
            parameters: Parameters {
                router: Some(here),
                dns: vec![here; 4],
                domain: Some("edge.example".to_owned()),
                ntp: vec![here; 4],
            },
        }),
        boot: Some(match request.client {
            dhcp_packet::Client::Http(_) => Boot::Http("http://192.0.2.1/boot".to_owned()),
            dhcp_packet::Client::Ipxe => Boot::Script("http://192.0.2.1/script".to_owned()),
            dhcp_packet::Client::Pxe(_) | dhcp_packet::Client::System => Boot::Tftp("boot.efi"),
        }),
    };
    request.answer(&answer)
}

/// Reads the packets of one TFTP client, one behind the other, and returns how many bytes of answers it got.
#[must_use]
pub fn tftp(packets: &[&[u8]]) -> usize {
    let mut transfer: Option<Transfer> = None;
    let mut sent = 0;
    for bytes in packets {
        let step = match (tftp_packet::parse(bytes), &mut transfer) {
            (Some(Packet::Read(request)), None) => {
                let file = vec![0x5a; request.file.len() * 700];
                let new = Transfer::new(file, request.options);
                let step = new.begin();
                transfer = Some(new);
                step
            }
            (Some(packet), Some(transfer)) => transfer.receive(&packet),
            (None, Some(transfer)) => transfer.time_out(),
            (_, None) => Step::Nothing,
        };
        match step {
            Step::Send(bytes) => sent += bytes.len(),
            Step::Nothing => {}
            Step::Complete | Step::GiveUp => transfer = None,
        }
    }
    sent
}
