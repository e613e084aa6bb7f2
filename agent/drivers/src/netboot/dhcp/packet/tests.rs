use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::MessageType;

use super::{Answer, Boot, Client, Lease, Platform, foreign_offer, parse, probe};
use crate::netboot::Parameters;
use crate::netboot::slot::Mac;

pub(crate) const MAC: Mac = Mac([0x52, 0x54, 0, 0x99, 0, 1]);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// A request with the options given in hexadecimal, from a client that can be reached by its MAC.
pub(crate) fn request(options: &str) -> Vec<u8> {
    let mut bytes = vec![1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 4, 0, 0];
    bytes.resize(28, 0);
    bytes.extend(MAC.0);
    bytes.resize(236, 0);
    bytes.extend([99, 130, 83, 99]);
    bytes.extend(hex::decode(options.replace(' ', "")).unwrap());
    bytes
}

/// What each firmware sends, as seen on the wire, without the options that nobody reads.
pub(crate) const OVMF_PXE: &str = "350101 37050143423c61 5d020007 3c20505845436c69656e743a417263683a30303030373a554e44493a303033303030 ff";
const TABLE: &[(&str, &str, Client)] = &[
    (
        "udhcpc",
        "350101 3c0c756468637020312e33352e30 370401030f06 ff",
        Client::System,
    ),
    (
        "BIOS ROM",
        "350101 5d020000 3c20505845436c69656e743a417263683a30303030303a554e44493a303032303031 ff",
        Client::Pxe(Platform::Bios),
    ),
    (
        "iPXE ROM",
        "350101 5d020000 3c20505845436c69656e743a417263683a30303030303a554e44493a303032303031 4d0469505845 ff",
        Client::Ipxe,
    ),
    (
        "iPXE by its own option",
        "350101 5d020007 3c09505845436c69656e74 af03b10101 ff",
        Client::Ipxe,
    ),
    (
        "OVMF PXE",
        "350101 5d020007 3c20505845436c69656e743a417263683a30303030373a554e44493a303033303030 ff",
        Client::Pxe(Platform::Uefi),
    ),
    (
        "UEFI that says 9",
        "350101 5d020009 3c09505845436c69656e74 ff",
        Client::Pxe(Platform::Uefi),
    ),
    (
        "two architectures",
        "350101 5d0400070009 3c09505845436c69656e74 ff",
        Client::Pxe(Platform::Uefi),
    ),
    (
        "UEFI on Arm",
        "350101 5d02000b 3c09505845436c69656e74 ff",
        Client::Pxe(Platform::Other),
    ),
    (
        "OVMF HTTP boot",
        "350101 5d020010 3c2148545450436c69656e743a417263683a30303031363a554e44493a303033303030 ff",
        Client::Http(Platform::Uefi),
    ),
    (
        "nonsense in an option that nobody asked about",
        "350101 5001ff 770101 ff",
        Client::System,
    ),
    ("no end mark", "350101", Client::System),
];

#[test]
fn who_asks_is_told_by_what_the_firmware_sends() {
    for (name, options, expected) in TABLE {
        let request = parse(&request(options)).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(request.client, *expected, "{name}");
        assert_eq!(request.mac, MAC, "{name}");
        assert_eq!(request.kind, MessageType::Discover, "{name}");
    }
}

#[test]
fn what_cannot_be_read_is_no_request() {
    let good = request("350101 ff");
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    let table: &[(&str, Vec<u8>)] = &[
        ("nothing", Vec::new()),
        ("a cut header", good[..235].to_vec()),
        ("no options", good[..240].to_vec()),
        ("a reply", changed(0, 2)),
        ("token ring", changed(1, 6)),
        ("a long hardware address", changed(2, 255)),
        ("other magic", changed(236, 0)),
        ("an option that is cut", request("350101 3c20 5058")),
        ("a message type of two bytes", request("35020101 ff")),
    ];
    for (name, bytes) in table {
        assert!(parse(bytes).is_none(), "{name}");
    }
}

#[test]
fn no_bytes_make_the_parser_panic() {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..20_000 {
        let mut bytes = request("350101 ff");
        bytes.resize(320, 0);
        for _ in 0..12 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let at = usize::try_from(random % 320).unwrap();
            // Mostly in the options: random headers are dropped at once.
            let at = if random & 0x1000 == 0 {
                at
            } else {
                240 + at % 80
            };
            bytes[at] = random.to_be_bytes()[1];
        }
        let (_, _) = (parse(&bytes), foreign_offer(&bytes));
    }
}

/// `answer` in hexadecimal: the header from `yiaddr` to `giaddr`, its file name, and the options without padding.
fn rendered(options: &str, answer: &Answer) -> String {
    let bytes = parse(&request(options)).unwrap().answer(answer).unwrap();
    assert!(bytes.len() >= 300);
    assert_eq!(hex::encode(&bytes[..4]), "02010600");
    assert_eq!(hex::encode(&bytes[4..8]), "deadbeef", "transaction");
    assert_eq!(&bytes[28..34], &MAC.0);
    let name: Vec<u8> = bytes[108..236]
        .iter()
        .copied()
        .take_while(|byte| *byte != 0)
        .collect();
    let end = bytes.iter().rposition(|byte| *byte == 0xff).unwrap();
    format!(
        "{} {:?} {}",
        hex::encode(&bytes[16..28]),
        String::from_utf8(name).unwrap(),
        hex::encode(&bytes[240..=end])
    )
}

#[test]
fn answers_byte_by_byte() {
    let lease = Some(Lease {
        address: Ipv4Addr::new(10, 99, 0, 100),
        netmask: Ipv4Addr::new(255, 255, 255, 0),
        duration: Some(Duration::from_secs(600)),
        parameters: Parameters::default(),
    });
    let answer = |lease, boot| Answer {
        kind: MessageType::Offer,
        server: SERVER,
        lease,
        boot,
    };
    let script = || Some(Boot::Script("http://10.99.0.1:8080/boot.ipxe".to_owned()));
    let http = || Some(Boot::Http("http://10.99.0.1/s.efi".to_owned()));
    let uefi = || Some(Boot::Tftp("snponly.efi"));
    let ipxe = "350101 4d0469505845 37020143 ff";
    let table: &[(&str, &str, Answer, &str)] = &[
        (
            "plain lease; identifiers come back",
            "350101 3d0701525400990001 61110000112233445566778899aabbccddeeff ff",
            answer(lease.clone(), None),
            "0a6300640000000000000000 \"\" 0104ffffff00330400000258350102\
             36040a6300013d070152540099000161110000112233445566778899aabbccddeeffff",
        ),
        (
            "a relay's information comes back, last",
            "350101 520601040a630002 ff",
            answer(lease.clone(), None),
            "0a6300640000000000000000 \"\" 0104ffffff0033040000025835010236040a630001520601040a630002ff",
        ),
        (
            "firmware, own mode: name in the header and, as asked for, in an option; server as text",
            OVMF_PXE,
            answer(lease.clone(), uefi()),
            "0a6300640a63000100000000 \"snponly.efi\" 0104ffffff0033040000025835010236040a630001\
             420931302e39392e302e31430b736e706f6e6c792e656669ff",
        ),
        (
            "firmware, beside another server: no address, class and discovery control",
            OVMF_PXE,
            answer(None, uefi()),
            "000000000a63000100000000 \"snponly.efi\" 2b04060108ff35010236040a630001\
             3c09505845436c69656e74420931302e39392e302e31430b736e706f6e6c792e656669ff",
        ),
        (
            "iPXE is told not to wait",
            ipxe,
            answer(lease.clone(), script()),
            "0a6300640a63000100000000 \"http://10.99.0.1:8080/boot.ipxe\" 0104ffffff003304000002583501023604\
             0a630001431f687474703a2f2f31302e39392e302e313a383038302f626f6f742e69707865af04b00101ffff",
        ),
        (
            "HTTP boot gets its class back, and the URL though it did not ask",
            "350101 5d020010 3c0a48545450436c69656e74 ff",
            answer(lease.clone(), http()),
            "0a6300640a63000100000000 \"http://10.99.0.1/s.efi\" 0104ffffff0033040000025835010236040a630001\
             3c0a48545450436c69656e744316687474703a2f2f31302e39392e302e312f732e656669ff",
        ),
    ];
    for (name, options, answer, expected) in table {
        let got = rendered(options, answer);
        let squeeze = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(squeeze(&got), squeeze(expected), "{name}");
    }
}

#[test]
fn what_is_set_is_said_to_whoever_wants_to_know_it() {
    let [router, dns, other, time] = [254, 2, 3, 4].map(|last| Ipv4Addr::new(10, 99, 0, last));
    let all = Parameters {
        router: Some(router),
        dns: vec![dns, other],
        domain: Some("edge.example".to_owned()),
        ntp: vec![time],
    };
    let only_router = Parameters {
        router: Some(router),
        ..Parameters::default()
    };
    let nothing = Parameters::default();
    let minutes = Some(Duration::from_secs(600));
    let route = "03040a6300fe";
    let rest = "06080a6300020a630003 0f0c656467652e6578616d706c65";
    let clock = "2a040a630004";
    let table = [
        (
            "a guest asks for all",
            "3704 03060f2a",
            &all,
            minutes,
            format!("{route} {rest} {clock} 330400000258"),
        ),
        (
            "a guest asks for some",
            "3703 01032a",
            &all,
            minutes,
            format!("{route} {clock} 330400000258"),
        ),
        (
            "firmware that asks for other things",
            "3702 0143",
            &all,
            minutes,
            "330400000258".to_owned(),
        ),
        (
            "a client without a list is told all",
            "",
            &all,
            minutes,
            format!("{route} {rest} {clock} 330400000258"),
        ),
        (
            "what is not set is not said",
            "3704 03060f2a",
            &only_router,
            minutes,
            format!("{route} 330400000258"),
        ),
        (
            "nothing is set",
            "3704 03060f2a",
            &nothing,
            minutes,
            "330400000258".to_owned(),
        ),
        (
            "INFORM",
            "3704 03060f2a",
            &all,
            None,
            format!("{route} {rest} {clock}"),
        ),
    ];
    for (name, list, parameters, duration, expected) in table {
        let answer = Answer {
            kind: MessageType::Ack,
            server: SERVER,
            lease: Some(Lease {
                address: Ipv4Addr::new(10, 99, 0, 100),
                netmask: Ipv4Addr::new(255, 255, 255, 0),
                duration,
                parameters: parameters.clone(),
            }),
            boot: None,
        };
        let got = rendered(&format!("350103 {list} ff"), &answer);
        let options = got.rsplit(' ').next().unwrap();
        let expected = format!("0104ffffff00 {expected} 350105 36040a630001 ff");
        let expected: String = expected.split_whitespace().collect();
        assert_eq!(options, expected, "{name}");
    }
}

#[test]
fn the_longest_answer_fits_the_options_that_every_client_takes() {
    let servers: Vec<_> = (1..=4).map(|last| Ipv4Addr::new(10, 99, 0, last)).collect();
    let answer = Answer {
        kind: MessageType::Ack,
        server: SERVER,
        lease: Some(Lease {
            address: Ipv4Addr::new(10, 99, 0, 100),
            netmask: Ipv4Addr::new(255, 255, 255, 0),
            duration: Some(Duration::from_secs(600)),
            parameters: Parameters {
                router: Some(SERVER),
                dns: servers.clone(),
                domain: Some("x".repeat(128)),
                ntp: servers,
            },
        }),
        boot: Some(Boot::Script(
            "http://100.100.100.100:65535/boot.ipxe?mac=52-54-00-99-00-01".to_owned(),
        )),
    };
    let ipxe = "350101 4d0469505845 370701 03060f422a43 3d0701525400990001 61110000112233445566778899aabbccddeeff ff";
    let bytes = parse(&request(ipxe)).unwrap().answer(&answer).unwrap();
    assert!(bytes.len() <= 240 + 312, "{}", bytes.len());
}

#[test]
fn a_name_that_does_not_fit_the_header_is_refused() {
    let answer = Answer {
        kind: MessageType::Offer,
        server: SERVER,
        lease: None,
        boot: Some(Boot::Script("x".repeat(128))),
    };
    assert!(
        parse(&request("350101 ff"))
            .unwrap()
            .answer(&answer)
            .is_none()
    );
}

#[test]
fn offers_of_others_are_told_from_everything_else() {
    let offer = |kind: MessageType, address: Option<Ipv4Addr>| {
        let answer = Answer {
            kind,
            server: SERVER,
            lease: address.map(|address| Lease {
                address,
                netmask: Ipv4Addr::new(255, 0, 0, 0),
                duration: Some(Duration::from_secs(60)),
                parameters: Parameters::default(),
            }),
            boot: None,
        };
        parse(&request("350101 ff"))
            .unwrap()
            .answer(&answer)
            .unwrap()
    };
    let address = Some(Ipv4Addr::new(10, 0, 0, 9));
    assert_eq!(
        foreign_offer(&offer(MessageType::Offer, address)),
        Some(SERVER)
    );
    assert_eq!(
        foreign_offer(&offer(MessageType::Ack, address)),
        Some(SERVER)
    );
    assert_eq!(
        foreign_offer(&offer(MessageType::Offer, None)),
        None,
        "boot server"
    );
    assert_eq!(foreign_offer(&offer(MessageType::Nak, address)), None);
    assert_eq!(foreign_offer(&request("350101 ff")), None);
}

#[test]
fn a_probe_is_a_discover_that_is_answered_by_broadcast() {
    let bytes = probe(MAC, 7).unwrap();
    let request = parse(&bytes).unwrap();
    assert_eq!(request.kind, MessageType::Discover);
    assert_eq!(request.mac, MAC);
    assert!(request.wants_broadcast());
}
