use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use super::{Leased, Leases};
use crate::netboot::slot::Mac;

const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const LEASE: Duration = Duration::from_secs(600);

fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn leases(first: u8, last: u8, now: Instant) -> Leases {
    Leases::new(&(address(first)..=address(last)), LEASE, vec![OWN], [], now)
}

#[test]
fn a_mac_gets_the_same_address_again_even_with_an_empty_file() {
    let now = Instant::now();
    let first = leases(10, 200, now).offer(mac(1), None, now);
    let second = leases(10, 200, now).offer(mac(1), None, now);
    assert!(first.is_some());
    assert_eq!(first, second);
}

#[test]
fn no_two_macs_share_an_address_and_the_last_one_gets_none() {
    let now = Instant::now();
    // The range holds our own address, which is nobody's.
    let mut leases = leases(0, 8, now);
    let mut given = std::collections::HashSet::new();
    for last in 1..=8 {
        let offered = leases.offer(mac(last), None, now).unwrap();
        assert_eq!(leases.lease(mac(last), offered, now), Leased::New);
        assert!(given.insert(offered), "{offered} twice");
    }
    assert!(!given.contains(&OWN));
    assert_eq!(leases.offer(mac(9), None, now), None);
}

#[test]
fn an_address_that_ran_out_is_reused_only_when_no_other_is_left() {
    let now = Instant::now();
    let mut leases = leases(10, 11, now);
    let first = leases.offer(mac(1), None, now).unwrap();
    leases.lease(mac(1), first, now);
    let later = now + LEASE;
    let second = leases.offer(mac(2), None, later).unwrap();
    assert_ne!(first, second);
    leases.lease(mac(2), second, later);
    assert_eq!(leases.offer(mac(3), None, later), Some(first));
    assert_eq!(leases.lease(mac(1), first, later), Leased::Refused);
}

#[test]
fn a_lease_is_for_a_free_address_of_the_range() {
    let now = Instant::now();
    let mut leases = leases(10, 20, now);
    assert_eq!(leases.lease(mac(1), address(12), now), Leased::New);
    assert_eq!(leases.lease(mac(1), address(12), now), Leased::Known);
    assert_eq!(leases.lease(mac(2), address(12), now), Leased::Refused);
    assert_eq!(leases.lease(mac(2), address(21), now), Leased::Refused);
}

#[test]
fn a_declined_address_is_left_alone_for_an_hour() {
    let now = Instant::now();
    let mut leases = leases(10, 10, now);
    assert_eq!(leases.offer(mac(1), None, now), Some(address(10)));
    leases.decline(mac(2), address(10), now);
    assert_eq!(
        leases.offer(mac(1), None, now),
        Some(address(10)),
        "not its holder"
    );
    leases.decline(mac(1), address(10), now);
    assert_eq!(leases.offer(mac(1), None, now), None);
    let later = now + Duration::from_secs(3600);
    assert_eq!(leases.offer(mac(1), None, later), Some(address(10)));
}

#[test]
fn a_restart_remembers_leases_and_forgets_offers() {
    let now = Instant::now();
    let mut before = leases(10, 20, now);
    before.lease(mac(1), address(12), now);
    before.offer(mac(2), Some(address(13)), now);
    let kept = before.remember();
    assert_eq!(kept, [(mac(1), address(12))]);

    let range = address(10)..=address(20);
    let mut after = Leases::new(&range, LEASE, vec![OWN], kept, now);
    assert_eq!(after.lease(mac(3), address(12), now), Leased::Refused);
    assert_eq!(after.offer(mac(1), None, now), Some(address(12)));
    let narrower = address(13)..=address(20);
    let after = Leases::new(&narrower, LEASE, vec![OWN], [(mac(1), address(12))], now);
    assert_eq!(after.remember(), []);
}

#[test]
fn a_released_address_goes_to_somebody_else_only_after_all_others() {
    let now = Instant::now();
    let mut leases = leases(10, 10, now);
    leases.lease(mac(1), address(10), now);
    assert_eq!(leases.offer(mac(2), None, now), None);
    leases.release(mac(1), address(10), now);
    assert_eq!(leases.offer(mac(2), None, now), Some(address(10)));
}
