use dhcproto::Encodable;

use super::*;

const MAC: [u8; 6] = [0x52, 0x54, 0, 1, 2, 3];
const EXCHANGE: Exchange = Exchange {
    transaction: 0xA1B2_C3D4,
    mac: MAC,
};

fn reply(kind: MessageType, address: Ipv4Addr) -> Message {
    let mut message = Message::default();
    message
        .set_opcode(Opcode::BootReply)
        .set_xid(EXCHANGE.transaction)
        .set_chaddr(&MAC);
    message.set_yiaddr(address);
    for option in [
        DhcpOption::MessageType(kind),
        DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 252, 0)),
        DhcpOption::Router(vec![Ipv4Addr::new(10, 9, 0, 254)]),
        DhcpOption::ServerIdentifier(Ipv4Addr::new(10, 9, 0, 1)),
        DhcpOption::AddressLeaseTime(900),
    ] {
        message.opts_mut().insert(option);
    }
    message
}

fn granted() -> Offer {
    Offer {
        address: Ipv4Addr::new(10, 9, 0, 7),
        prefix: 22,
        router: Some(Ipv4Addr::new(10, 9, 0, 254)),
        server: Ipv4Addr::new(10, 9, 0, 1),
        lease: Duration::from_secs(900),
    }
}

#[test]
fn an_offer_is_read() {
    let bytes = reply(MessageType::Offer, granted().address)
        .to_vec()
        .unwrap();
    assert_eq!(EXCHANGE.offer(&bytes), Some(granted()));
    assert_eq!(EXCHANGE.answer(&bytes), None);
}

#[test]
fn answers_are_read() {
    let ack = reply(MessageType::Ack, granted().address).to_vec().unwrap();
    assert_eq!(EXCHANGE.answer(&ack), Some(Answer::Ack(granted())));
    let nak = reply(MessageType::Nak, Ipv4Addr::UNSPECIFIED)
        .to_vec()
        .unwrap();
    assert_eq!(EXCHANGE.answer(&nak), Some(Answer::Nak));
}

#[test]
fn what_is_not_ours_is_passed_over() {
    let mut other_transaction = reply(MessageType::Offer, granted().address);
    other_transaction.set_xid(1);
    let mut other_mac = reply(MessageType::Offer, granted().address);
    other_mac.set_chaddr(&[9; 6]);
    let mut a_request = reply(MessageType::Offer, granted().address);
    a_request.set_opcode(Opcode::BootRequest);
    let boot_only = reply(MessageType::Offer, Ipv4Addr::UNSPECIFIED);
    for message in [other_transaction, other_mac, a_request, boot_only] {
        assert_eq!(EXCHANGE.offer(&message.to_vec().unwrap()), None);
    }
    assert_eq!(EXCHANGE.offer(b"not DHCP at all"), None);
    assert_eq!(EXCHANGE.offer(&[]), None);
}

#[test]
fn without_an_address_answers_are_asked_for_by_broadcast() {
    let decode = |bytes: Vec<u8>| Message::decode(&mut Decoder::new(&bytes)).unwrap();
    let discover = decode(EXCHANGE.discover());
    assert!(discover.flags().broadcast());
    assert_eq!(discover.opts().msg_type(), Some(MessageType::Discover));
    let request = decode(EXCHANGE.request(&granted()));
    assert!(request.flags().broadcast());
    assert_eq!(
        request.opts().get(OptionCode::RequestedIpAddress),
        Some(&DhcpOption::RequestedIpAddress(granted().address))
    );
    let renewal = decode(EXCHANGE.renew(&granted()));
    assert!(!renewal.flags().broadcast());
    assert_eq!(renewal.ciaddr(), granted().address);
    assert_eq!(renewal.opts().get(OptionCode::ServerIdentifier), None);
}
