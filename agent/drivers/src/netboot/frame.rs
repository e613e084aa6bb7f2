//! Ethernet frames with a UDP datagram, for a client that has no address yet.
//!
//! The kernel would ask by ARP who has the address that is only now being offered, and nobody would answer. Writing the
//! frame ourselves keeps the answer off everybody else's wire (RFC 2131 section 4.1). Pure.

use std::net::SocketAddrV4;

use super::slot::Mac;

#[cfg(test)]
mod tests;

const IPV4: [u8; 2] = [0x08, 0x00];
const UDP: u8 = 17;
const IP_HEADER: u16 = 20;
const UDP_HEADER: u16 = 8;

/// One end of a datagram.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) mac: Mac,
    pub(crate) socket: SocketAddrV4,
}

/// The frame that carries `payload`; `None` if that is too long for a datagram.
pub(crate) fn udp(from: End, to: End, payload: &[u8]) -> Option<Vec<u8>> {
    let udp_length = u16::try_from(payload.len()).ok()?.checked_add(UDP_HEADER)?;
    let total = udp_length.checked_add(IP_HEADER)?;

    let mut ip = Vec::with_capacity(usize::from(total));
    // Version 4, five words of header; "don't fragment"; 64 hops.
    ip.extend([0x45, 0]);
    ip.extend(total.to_be_bytes());
    ip.extend([0, 0, 0x40, 0, 64, UDP, 0, 0]);
    ip.extend(from.socket.ip().octets());
    ip.extend(to.socket.ip().octets());
    let header = checksum(&[&ip]);
    let mut ip: Vec<u8> = patch(ip, 10, header);

    let mut udp = Vec::with_capacity(usize::from(udp_length));
    udp.extend(from.socket.port().to_be_bytes());
    udp.extend(to.socket.port().to_be_bytes());
    udp.extend(udp_length.to_be_bytes());
    udp.extend([0, 0]);
    udp.extend(payload);
    let mut pseudo = Vec::with_capacity(12);
    pseudo.extend(from.socket.ip().octets());
    pseudo.extend(to.socket.ip().octets());
    pseudo.extend([0, UDP]);
    pseudo.extend(udp_length.to_be_bytes());
    // Zero would mean "no checksum" (RFC 768).
    let sum = match checksum(&[&pseudo, &udp]) {
        0 => u16::MAX,
        sum => sum,
    };
    ip.extend(patch(udp, 6, sum));

    let mut frame = Vec::with_capacity(14 + ip.len());
    frame.extend(to.mac.0);
    frame.extend(from.mac.0);
    frame.extend(IPV4);
    frame.extend(ip);
    Some(frame)
}

fn patch(mut bytes: Vec<u8>, at: usize, value: u16) -> Vec<u8> {
    for (byte, new) in bytes.iter_mut().skip(at).zip(value.to_be_bytes()) {
        *byte = new;
    }
    bytes
}

/// The internet checksum over parts of which only the last may have an odd length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u32 = 0;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        let word = match pair {
            [high, low] => u16::from_be_bytes([*high, *low]),
            [high] => u16::from_be_bytes([*high, 0]),
            _ => 0,
        };
        sum += u32::from(word);
    }
    while sum > u32::from(u16::MAX) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}
