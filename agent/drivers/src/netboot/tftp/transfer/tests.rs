use super::{Step, Transfer};
use crate::netboot::tftp::packet::{ErrorCode, Options, Packet, error, parse};

fn request(text: &str) -> Option<Packet> {
    let mut bytes = vec![0, 1];
    bytes.extend(text.replace('|', "\0").bytes());
    parse(&bytes)
}

fn options(text: &str) -> Options {
    match request(text) {
        Some(Packet::Read(request)) => request.options,
        other => panic!("{other:?}"),
    }
}

/// Plays a client that acknowledges everything; returns the file as it got it, and the number of packets.
fn fetch(mut transfer: Transfer) -> (Vec<u8>, usize) {
    let mut file = Vec::new();
    let mut packets = 0;
    let mut step = transfer.begin();
    while let Step::Send(bytes) = step {
        packets += 1;
        let number = match bytes[1] {
            3 => {
                file.extend(&bytes[4..]);
                u16::from_be_bytes([bytes[2], bytes[3]])
            }
            6 => 0,
            other => panic!("opcode {other}"),
        };
        step = transfer.receive(&Packet::Acknowledge(number));
    }
    assert_eq!(step, Step::Complete);
    (file, packets)
}

#[test]
fn requests_as_firmware_writes_them() {
    let none = Options::default();
    let table: &[(&str, &str, Option<Options>)] = &[
        ("plain", "snponly.efi|octet|", Some(none)),
        ("capitals", "snponly.efi|OCTET|", Some(none)),
        (
            "ovmf asks for the size",
            "snponly.efi|octet|tsize|0|blksize|1468|windowsize|4|",
            Some(Options {
                block_size: Some(1468),
                size: true,
            }),
        ),
        ("absurd block size", "a|octet|blksize|7|", Some(none)),
        (
            "block size that is no number",
            "a|octet|blksize|x|",
            Some(none),
        ),
        ("text mode", "a|netascii|", None),
        ("no mode", "a|", None),
        ("no name", "|octet|", None),
    ];
    for (name, text, expected) in table {
        let got = request(text).map(|packet| match packet {
            Packet::Read(request) => request.options,
            other => panic!("{other:?}"),
        });
        assert_eq!(got, *expected, "{name}");
    }
    assert_eq!(parse(&[0, 2, b'a', 0]), None, "write request");
    assert_eq!(parse(&[0]), None);
}

#[test]
fn files_arrive_whole_at_the_edges_of_a_block() {
    for length in [0_usize, 1, 511, 512, 513, 1024, 70_000] {
        let file: Vec<u8> = (0..length)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect();
        let (got, packets) = fetch(Transfer::new(file.clone(), options("a|octet|")));
        assert_eq!(got, file, "{length} bytes");
        assert_eq!(packets, length / 512 + 1, "{length} bytes");
    }
}

#[test]
fn block_numbers_wrap() {
    let file = vec![1; 8 * 65_540];
    let (got, _) = fetch(Transfer::new(file.clone(), options("a|octet|blksize|8|")));
    assert_eq!(got.len(), file.len());
}

#[test]
fn options_are_answered_and_large_blocks_cut_to_a_frame() {
    let asked = options("a|octet|tsize|0|blksize|8192|");
    let transfer = Transfer::new(vec![7; 3000], asked);
    let expected = b"\0\x06blksize\x001468\0tsize\x003000\0".to_vec();
    assert_eq!(transfer.begin(), Step::Send(expected));
    assert_eq!(fetch(transfer).1, 1 + 3);
}

#[test]
fn a_size_probe_ends_with_the_clients_error() {
    let mut transfer = Transfer::new(vec![7; 3000], options("a|octet|tsize|0|"));
    transfer.begin();
    let abort = parse(&error(ErrorCode::NotFound, "aborted")).unwrap();
    assert_eq!(transfer.receive(&abort), Step::GiveUp);
}

#[test]
fn a_repeated_acknowledgement_is_not_answered() {
    let mut transfer = Transfer::new(vec![7; 3000], options("a|octet|"));
    transfer.begin();
    assert!(matches!(
        transfer.receive(&Packet::Acknowledge(1)),
        Step::Send(_)
    ));
    assert_eq!(transfer.receive(&Packet::Acknowledge(1)), Step::Nothing);
    assert_eq!(transfer.receive(&Packet::Acknowledge(9)), Step::Nothing);
}

#[test]
fn a_silent_client_gets_the_same_packet_four_times_more() {
    let mut transfer = Transfer::new(vec![7; 3000], options("a|octet|"));
    let first = transfer.begin();
    for _ in 0..4 {
        assert_eq!(transfer.time_out(), first);
    }
    assert_eq!(transfer.time_out(), Step::GiveUp);
}
