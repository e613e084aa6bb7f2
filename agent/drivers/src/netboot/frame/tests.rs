use std::net::{Ipv4Addr, SocketAddrV4};

use super::{End, checksum, udp};
use crate::netboot::slot::Mac;

fn ends() -> (End, End) {
    let from = End {
        mac: Mac([2, 0, 0, 0, 0, 1]),
        socket: SocketAddrV4::new(Ipv4Addr::new(10, 99, 0, 1), 67),
    };
    let to = End {
        mac: Mac([0x52, 0x54, 0, 0x99, 0, 1]),
        socket: SocketAddrV4::new(Ipv4Addr::new(10, 99, 0, 100), 68),
    };
    (from, to)
}

#[test]
fn a_frame_as_it_goes_on_the_wire() {
    let (from, to) = ends();
    let expected = concat!(
        "525400990001",
        "020000000001",
        "0800",
        "4500001f00004000401125a4",
        "0a630001",
        "0a630064",
        "00430044000b",
        "25c4",
        "616263"
    );
    assert_eq!(hex::encode(udp(from, to, b"abc").unwrap()), expected);
}

#[test]
fn both_checksums_verify() {
    let (from, to) = ends();
    for length in [0_usize, 1, 2, 299, 300, 1400] {
        let frame = udp(from, to, &vec![0xa7; length]).unwrap();
        assert_eq!(checksum(&[&frame[14..34]]), 0, "IP header, {length} bytes");
        let udp_length = u16::try_from(length + 8).unwrap();
        let mut pseudo = frame[26..34].to_vec();
        pseudo.extend([0, 17]);
        pseudo.extend(udp_length.to_be_bytes());
        assert_eq!(checksum(&[&pseudo, &frame[34..]]), 0, "UDP, {length} bytes");
    }
}

#[test]
fn what_does_not_fit_a_datagram_is_refused() {
    let (from, to) = ends();
    assert!(udp(from, to, &vec![0; 65_535]).is_none());
}
