use std::time::Duration;

use super::{Message, advertisement, mac_of, parse, solicitation};
use crate::netboot::slot::Mac;

const MAC: Mac = Mac([0x52, 0x54, 0, 0x99, 0, 1]);

#[test]
fn our_advertisement_is_sixteen_bytes_that_promise_nothing() {
    let bytes = advertisement();
    assert_eq!(hex::encode(bytes), "86000000000000000000000000000000");
    let lifetime = Duration::ZERO;
    assert_eq!(parse(&bytes), Some(Message::Advertisement { lifetime }));
}

#[test]
fn what_is_read_of_others() {
    let solicits = |source| Some(Message::Solicitation { source });
    let table: &[(&str, &str, Option<Message>)] = &[
        (
            "with its address",
            "85000000000000000101525400990001",
            solicits(Some(MAC)),
        ),
        (
            "its address after another option",
            "85000000000000000e010000000000000101525400990001",
            solicits(Some(MAC)),
        ),
        ("without options", "8500000000000000", solicits(None)),
        (
            "an option of no length",
            "85000000000000000100525400990001",
            solicits(None),
        ),
        (
            "an option that is cut",
            "850000000000000001015254",
            solicits(None),
        ),
        (
            "a router",
            "86000000400007080000000000000000",
            Some(Message::Advertisement {
                lifetime: Duration::from_secs(1800),
            }),
        ),
        ("an echo request", "8000000000000000", None),
        ("cut", "860000004000", None),
        ("nothing", "", None),
    ];
    for (name, bytes, expected) in table {
        assert_eq!(parse(&hex::decode(bytes).unwrap()), *expected, "{name}");
    }
    assert_eq!(parse(&solicitation()), solicits(None));
}

#[test]
fn a_link_local_address_tells_the_mac_it_was_made_of() {
    assert_eq!(mac_of("fe80::5054:ff:fe99:1".parse().unwrap()), Some(MAC));
    for other in ["fe80::1", "fd99::5054:ff:fe99:1", "::"] {
        assert_eq!(mac_of(other.parse().unwrap()), None, "{other}");
    }
}
