use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dhcproto::v4::MessageType;
use vitistack_installer_wire as wire;
use vitistack_protocol::ids::{OperationId, Uid};
use vitistack_protocol::message::numbered::BootMode;

use super::{Decision, Effect, Own, Policy, Port, SILENCE, Site, To, decide};
use crate::capability::Capability;
use crate::netboot::Parameters;
use crate::netboot::dhcp::packet::tests::{MAC, request};
use crate::netboot::dhcp::packet::{Boot, parse};
use crate::netboot::leases::Leases;
use crate::netboot::slot::{BootUrls, InstallerBoot, Mac, Purpose, Slot};

const SITE: Site = Site {
    address: Ipv4Addr::new(10, 99, 0, 1),
    netmask: Ipv4Addr::new(255, 255, 255, 0),
    http: SocketAddrV4::new(Ipv4Addr::new(10, 99, 0, 1), 8080),
};
/// The only address of the range.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 100);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 254);
const OURS: &str = "36040a630001";
const THEIRS: &str = "36040a630002";

const SYSTEM: &str = "3c0c756468637020312e33352e30";
const BIOS: &str = "5d020000 3c09505845436c69656e74";
const UEFI: &str = "5d020007 3c09505845436c69656e74";
const ARM: &str = "5d02000b 3c09505845436c69656e74";
const HTTP: &str = "5d020010 3c0a48545450436c69656e74";
const IPXE: &str = "5d020007 3c09505845436c69656e74 4d0469505845";

fn local() -> Slot {
    Slot {
        mac: MAC,
        object: Uid([1; 16]),
        boot_mode: BootMode::Uefi,
        purpose: Purpose::Local { phone_home: None },
    }
}

fn installer() -> Slot {
    let capability = Capability::random().unwrap();
    let operation = OperationId([7; 16]);
    let boot = InstallerBoot {
        operation,
        urls: BootUrls {
            boot: capability,
            plan: capability,
            report: capability,
            image: capability,
        },
        plan: wire::Plan {
            operation: operation.to_string(),
            mac: MAC.to_string(),
            report: String::new(),
            mode: wire::Mode::Inspect,
        },
        image: Some(PathBuf::from("/image")),
        phone_home: None,
    };
    Slot {
        purpose: Purpose::Installer(Box::new(boot)),
        ..local()
    }
}

fn leases() -> Leases {
    Leases::new(
        &(ADDRESS..=ADDRESS),
        Duration::from_secs(600),
        vec![SITE.address],
        [],
        Instant::now(),
    )
}

/// The own mode with a router and nothing else to say.
fn giving(leases: &mut Leases) -> Policy<'_> {
    static PARAMETERS: Parameters = Parameters {
        router: Some(ROUTER),
        dns: Vec::new(),
        domain: None,
        ntp: Vec::new(),
    };
    Policy::Own(Own {
        leases,
        parameters: &PARAMETERS,
    })
}

/// Decides in the own mode about a packet with these options.
fn own(leases: &mut Leases, slot: Option<&Slot>, options: &str) -> Decision {
    let request = parse(&request(&format!("{options} ff"))).unwrap();
    decide(
        &request,
        Port::Server,
        slot,
        giving(leases),
        SITE,
        Instant::now(),
    )
}

/// Decides about bytes in a mode beside another server.
fn beside(policy: Policy<'_>, port: Port, slot: Option<&Slot>, bytes: &[u8]) -> Decision {
    decide(
        &parse(bytes).unwrap(),
        port,
        slot,
        policy,
        SITE,
        Instant::now(),
    )
}

fn with_ciaddr(options: &str, address: Ipv4Addr) -> Vec<u8> {
    let mut bytes = request(&format!("{options} ff"));
    bytes[12..16].copy_from_slice(&address.octets());
    bytes
}

fn with_relay(options: &str, relay: Ipv4Addr) -> Vec<u8> {
    let mut bytes = request(&format!("{options} ff"));
    bytes[24..28].copy_from_slice(&relay.octets());
    bytes
}

fn kind(decision: &Decision) -> Option<MessageType> {
    decision.reply.as_ref().map(|(answer, _)| answer.kind)
}

fn boot(decision: Decision) -> Option<Boot> {
    decision.reply.and_then(|(answer, _)| answer.boot)
}

#[test]
fn an_unknown_mac_gets_no_packet_in_any_mode() {
    let from = SocketAddrV4::new(ADDRESS, 4011);
    let relay = Ipv4Addr::new(10, 1, 0, 1);
    for client in [SYSTEM, BIOS, UEFI, ARM, HTTP, IPXE] {
        for message in 1..=8 {
            let options = format!("3501{message:02x} 32040a630064 {OURS} {client}");
            let bytes = request(&format!("{options} ff"));
            let name = format!("message {message} of {client}");
            assert_eq!(own(&mut leases(), None, &options), SILENCE, "own, {name}");
            for port in [Port::Server, Port::Pxe { from }] {
                let got = beside(Policy::Proxy, port, None, &bytes);
                assert_eq!(got, SILENCE, "proxy, {name}");
            }
            let got = beside(
                Policy::Relay,
                Port::Server,
                None,
                &with_relay(&options, relay),
            );
            assert_eq!(got, SILENCE, "relay, {name}");
        }
    }
}

#[test]
fn what_each_client_boots() {
    let script = || {
        Some(Boot::Script(
            "http://10.99.0.1:8080/boot.ipxe?mac=52-54-00-99-00-01".into(),
        ))
    };
    let http = || {
        Some(Boot::Http(
            "http://10.99.0.1:8080/assets/snponly.efi".into(),
        ))
    };
    let no_file = "nothing-to-boot-here-use-the-disk.efi";
    let no_url = || Some(Boot::Http(format!("http://10.99.0.1:8080/{no_file}")));
    let table = [
        ("system", SYSTEM, None, None),
        ("bios", BIOS, Some(Boot::Tftp("undionly.kpxe")), None),
        (
            "uefi",
            UEFI,
            Some(Boot::Tftp("snponly.efi")),
            Some(Boot::Tftp(no_file)),
        ),
        ("uefi on arm", ARM, None, None),
        ("uefi http", HTTP, http(), no_url()),
        ("ipxe", IPXE, script(), script()),
    ];
    for (name, client, for_installer, for_local) in table {
        let options = format!("350101 {client}");
        for (slot, expected) in [(installer(), for_installer), (local(), for_local)] {
            let offer = own(&mut leases(), Some(&slot), &options);
            assert_eq!(
                kind(&offer),
                Some(MessageType::Offer),
                "{name}: an address in any case"
            );
            assert_eq!(boot(offer), expected, "own, {name}");
            let bytes = request(&format!("{options} ff"));
            let proxied = beside(Policy::Proxy, Port::Server, Some(&slot), &bytes);
            assert_eq!(
                kind(&proxied).is_some(),
                expected.is_some(),
                "proxy, {name}: only what to boot"
            );
            assert_eq!(boot(proxied), expected, "proxy, {name}");
        }
    }
}

#[test]
fn only_firmware_and_ipxe_count_as_boot_requests() {
    for (client, expected) in [
        (SYSTEM, None),
        (UEFI, Some(Effect::BootRequested)),
        (IPXE, Some(Effect::BootRequested)),
    ] {
        let got = own(&mut leases(), Some(&local()), &format!("350101 {client}"));
        assert_eq!(got.effect, expected, "{client}");
    }
}

#[test]
fn requests_in_the_own_mode() {
    let ack = |new| {
        (
            Some(MessageType::Ack),
            Some(Effect::Leased {
                address: ADDRESS,
                new,
            }),
        )
    };
    let table = [
        ("took our offer", format!("32040a630064 {OURS}"), ack(true)),
        (
            "took another server's offer",
            format!("32040a630064 {THEIRS}"),
            (None, Some(Effect::ForeignChosen)),
        ),
        (
            "asks us for an address that is not ours",
            format!("3204c0a80001 {OURS}"),
            (Some(MessageType::Nak), None),
        ),
        (
            "reboots with our address",
            "32040a630064".to_owned(),
            ack(true),
        ),
        (
            "reboots with a foreign lease",
            "3204c0a80001".to_owned(),
            (None, None),
        ),
        ("asks for nothing", String::new(), (None, None)),
    ];
    for (name, options, expected) in table {
        let got = own(&mut leases(), Some(&local()), &format!("350103 {options}"));
        assert_eq!((kind(&got), got.effect), expected, "{name}");
    }
}

#[test]
fn the_router_goes_with_every_address_of_ours_and_with_nothing_else() {
    let slot = installer();
    let router = |decision: Decision| {
        let lease = decision.reply.and_then(|(answer, _)| answer.lease);
        lease.and_then(|lease| lease.parameters.router)
    };
    let informed = with_ciaddr("350108", ADDRESS);
    let own = |bytes: &[u8]| {
        router(beside(
            giving(&mut leases()),
            Port::Server,
            Some(&slot),
            bytes,
        ))
    };
    let table = [
        ("offer", request("350101 ff"), Some(ROUTER)),
        (
            "lease",
            request(&format!("350103 32040a630064 {OURS} ff")),
            Some(ROUTER),
        ),
        ("answer to INFORM", informed, Some(ROUTER)),
        (
            "refusal",
            request(&format!("350103 3204c0a80001 {OURS} ff")),
            None,
        ),
    ];
    for (name, bytes, expected) in table {
        assert_eq!(own(&bytes), expected, "{name}");
    }
    let firmware = request(&format!("350101 {UEFI} ff"));
    let proxied = beside(Policy::Proxy, Port::Server, Some(&slot), &firmware);
    assert!(proxied.reply.is_some());
    assert_eq!(router(proxied), None, "beside another server");
}

#[test]
fn a_renewal_is_answered_where_the_client_is() {
    let mut leases = leases();
    let slot = local();
    own(
        &mut leases,
        Some(&slot),
        &format!("350103 32040a630064 {OURS}"),
    );
    let renewal = parse(&with_ciaddr("350103", ADDRESS)).unwrap();
    let got = decide(
        &renewal,
        Port::Server,
        Some(&slot),
        giving(&mut leases),
        SITE,
        Instant::now(),
    );
    assert_eq!(
        got.effect,
        Some(Effect::Leased {
            address: ADDRESS,
            new: false
        })
    );
    let to = got.reply.map(|(_, to)| to);
    assert_eq!(to, Some(To::Socket(SocketAddrV4::new(ADDRESS, 68))));
    let foreign = parse(&with_ciaddr("350103", Ipv4Addr::new(192, 168, 0, 9))).unwrap();
    let got = decide(
        &foreign,
        Port::Server,
        Some(&slot),
        giving(&mut leases),
        SITE,
        Instant::now(),
    );
    assert_eq!(got, SILENCE, "somebody else's lease");
}

#[test]
fn an_offer_goes_where_the_client_can_hear_it() {
    let slot = local();
    let offer = own(&mut leases(), Some(&slot), "350101");
    let link = To::Link {
        mac: MAC,
        address: ADDRESS,
    };
    assert_eq!(offer.reply.map(|(_, to)| to), Some(link));
    let mut bytes = request("350101 ff");
    bytes[10] = 0x80;
    let offer = beside(giving(&mut leases()), Port::Server, Some(&slot), &bytes);
    assert_eq!(offer.reply.map(|(_, to)| to), Some(To::Broadcast));
}

#[test]
fn without_an_address_left_there_is_silence() {
    let mut leases = leases();
    leases.lease(Mac([2; 6]), ADDRESS, Instant::now());
    let got = own(&mut leases, Some(&installer()), &format!("350101 {UEFI}"));
    assert_eq!(got.reply, None);
    assert_eq!(got.effect, Some(Effect::BootRequested));
}

#[test]
fn a_declined_address_is_not_offered_again() {
    let mut leases = leases();
    let slot = local();
    own(&mut leases, Some(&slot), "350101");
    let declined = own(
        &mut leases,
        Some(&slot),
        &format!("350104 32040a630064 {OURS}"),
    );
    assert_eq!(
        declined,
        Decision {
            reply: None,
            effect: Some(Effect::Released)
        }
    );
    assert_eq!(own(&mut leases, Some(&slot), "350101"), SILENCE);
}

#[test]
fn the_own_mode_leaves_relayed_requests_alone() {
    let bytes = with_relay(&format!("350101 {UEFI}"), Ipv4Addr::new(10, 1, 0, 1));
    let got = beside(
        giving(&mut leases()),
        Port::Server,
        Some(&installer()),
        &bytes,
    );
    assert_eq!(got, SILENCE);
}

#[test]
fn the_relay_mode_answers_the_relay_and_nobody_else() {
    let relay = Ipv4Addr::new(10, 1, 0, 1);
    let options = format!("350101 {UEFI}");
    let slot = installer();
    let got = beside(
        Policy::Relay,
        Port::Server,
        Some(&slot),
        &with_relay(&options, relay),
    );
    let to = got.reply.map(|(_, to)| to);
    assert_eq!(to, Some(To::Socket(SocketAddrV4::new(relay, 67))));
    let direct = request(&format!("{options} ff"));
    assert_eq!(
        beside(Policy::Relay, Port::Server, Some(&slot), &direct),
        SILENCE
    );
}

#[test]
fn beside_another_server_its_leases_are_learnt_and_never_answered() {
    let bytes = request(&format!("350103 32040a6300c8 {THEIRS} {UEFI} ff"));
    let got = beside(Policy::Proxy, Port::Server, Some(&installer()), &bytes);
    let address = Ipv4Addr::new(10, 99, 0, 200);
    assert_eq!(
        got,
        Decision {
            reply: None,
            effect: Some(Effect::Learnt { address })
        }
    );
}

#[test]
fn the_boot_server_port_answers_where_the_question_came_from() {
    let from = SocketAddrV4::new(Ipv4Addr::new(10, 99, 0, 200), 68);
    let bytes = with_ciaddr(&format!("350103 {UEFI}"), *from.ip());
    let got = beside(
        Policy::Proxy,
        Port::Pxe { from },
        Some(&installer()),
        &bytes,
    );
    assert_eq!(
        got.effect,
        Some(Effect::Learnt {
            address: *from.ip()
        })
    );
    let (answer, to) = got.reply.unwrap();
    assert_eq!(
        (answer.kind, answer.lease, to),
        (MessageType::Ack, None, To::Socket(from))
    );
    assert_eq!(answer.boot, Some(Boot::Tftp("snponly.efi")));
}
