use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use vitistack_installer_wire as wire;
use vitistack_protocol::ids::{OperationId, Uid};
use vitistack_protocol::message::numbered::BootMode;

use super::{Received, SlotTaken, Table, Use};
use crate::capability::Capability;
use crate::netboot::slot::{BootUrls, InstallerBoot, Mac, Purpose, Slot};

const MAC: Mac = Mac([0x52, 0x54, 0, 0x99, 0, 1]);
const HOST: Uid = Uid([1; 16]);
const MACHINE: Uid = Uid([2; 16]);
const LEASED: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);
const OTHER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 8);

fn capability(digit: char) -> Capability {
    Capability::from_segment(&digit.to_string().repeat(32)).unwrap()
}

fn slot(object: Uid, purpose: Purpose) -> Slot {
    Slot {
        mac: MAC,
        object,
        boot_mode: BootMode::Uefi,
        purpose,
    }
}

fn present() -> Purpose {
    Purpose::Local { phone_home: None }
}

fn guest() -> Purpose {
    Purpose::Local {
        phone_home: Some((OperationId([7; 16]), capability('5'))),
    }
}

fn installer(operation: u8) -> Purpose {
    let operation = OperationId([operation; 16]);
    Purpose::Installer(Box::new(InstallerBoot {
        operation,
        urls: BootUrls {
            boot: capability('1'),
            plan: capability('2'),
            report: capability('3'),
            image: capability('4'),
        },
        plan: wire::Plan {
            operation: operation.to_string(),
            mac: MAC.to_string(),
            report: String::new(),
            mode: wire::Mode::Inspect,
        },
        image: Some(PathBuf::from("/image")),
        phone_home: Some(capability('5')),
    }))
}

fn report(operation: u8, state: wire::State) -> wire::Report {
    wire::Report {
        operation: OperationId([operation; 16]).to_string(),
        uptime_ms: 1,
        state,
        inventory: None,
    }
}

fn writing(written: u64) -> wire::State {
    wire::State::Writing { written, total: 9 }
}

#[test]
fn precedence_between_two_objects() {
    let table: &[(&str, Purpose, Purpose, bool)] = &[
        ("installer over presence", present(), installer(7), true),
        ("installer over guest", guest(), installer(7), true),
        ("guest over presence", present(), guest(), true),
        ("presence over guest", guest(), present(), false),
        ("presence over presence", present(), present(), false),
        ("guest over installer", installer(7), guest(), false),
        (
            "installer over installer",
            installer(7),
            installer(8),
            false,
        ),
    ];
    for (name, first, second, allowed) in table {
        let mut table = Table::default();
        table.open(slot(HOST, first.clone())).unwrap();
        let second = table.open(slot(MACHINE, second.clone()));
        let expected = if *allowed {
            Ok(())
        } else {
            Err(SlotTaken { holder: HOST })
        };
        assert_eq!(second, expected, "{name}");
        let holder = if *allowed { MACHINE } else { HOST };
        assert_eq!(table.slot(MAC).unwrap().object, holder, "{name}");
    }
}

#[test]
fn the_holder_replaces_its_own_slot_and_its_old_urls_end() {
    let mut table = Table::default();
    table.open(slot(MACHINE, installer(7))).unwrap();
    table.open(slot(MACHINE, guest())).unwrap();
    assert!(table.grant(capability('2'), Use::Plan, LEASED).is_none());
    assert!(
        table
            .grant(capability('5'), Use::PhoneHome, LEASED)
            .is_some()
    );
}

#[test]
fn only_the_holder_closes() {
    let mut table = Table::default();
    table.open(slot(MACHINE, installer(7))).unwrap();
    table.close(MAC, HOST);
    assert!(table.slot(MAC).is_some());
    table.close(MAC, MACHINE);
    assert!(table.slot(MAC).is_none());
    assert!(table.grant(capability('1'), Use::Boot, LEASED).is_none());
}

#[test]
fn boot_urls_are_good_for_the_leased_address_only() {
    let mut table = Table::default();
    table.open(slot(MACHINE, installer(7))).unwrap();
    table.leased(MAC, LEASED);
    let boot = [
        ('1', Use::Boot),
        ('2', Use::Plan),
        ('3', Use::Report),
        ('4', Use::Image),
    ];
    for (digit, purpose) in boot {
        let url = capability(digit);
        assert!(table.grant(url, purpose, OTHER).is_none(), "{digit}");
        assert!(table.grant(url, purpose, LEASED).is_some(), "{digit}");
        assert!(
            table.grant(url, Use::PhoneHome, LEASED).is_none(),
            "{digit}"
        );
    }
    assert!(
        table
            .grant(capability('5'), Use::PhoneHome, OTHER)
            .is_some()
    );
    assert!(table.grant(capability('6'), Use::Boot, LEASED).is_none());
}

#[test]
fn without_our_lease_each_url_is_bound_to_its_first_user() {
    let mut table = Table::default();
    table.open(slot(MACHINE, installer(7))).unwrap();
    assert!(table.grant(capability('1'), Use::Boot, LEASED).is_some());
    assert!(table.grant(capability('1'), Use::Boot, OTHER).is_none());
    assert!(table.grant(capability('2'), Use::Plan, OTHER).is_some());
    table.open(slot(MACHINE, installer(7))).unwrap();
    assert!(
        table.grant(capability('1'), Use::Boot, OTHER).is_none(),
        "reopened"
    );
}

#[test]
fn a_script_is_for_the_leased_address_only() {
    let mut table = Table::default();
    assert!(table.script_slot(MAC, LEASED).is_none(), "unknown MAC");
    table.open(slot(HOST, present())).unwrap();
    table.leased(MAC, LEASED);
    assert!(table.script_slot(MAC, OTHER).is_none());
    assert!(table.script_slot(MAC, LEASED).is_some());
}

#[test]
fn reports_wake_at_news_and_rarely_at_progress() {
    let mut table = Table::default();
    table.open(slot(MACHINE, installer(7))).unwrap();
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    let wake = Received::Wake(MACHINE);
    let steps: &[(u64, wire::State, Received)] = &[
        (0, wire::State::Started, wake),
        (1, writing(1), wake),
        (2, writing(2), Received::Kept),
        (5, writing(3), Received::Kept),
        (6, writing(4), wake),
        (7, writing(5), Received::Kept),
        (8, wire::State::Inspected, wake),
        (9, wire::State::Inspected, Received::Kept),
    ];
    for (second, state, expected) in steps {
        let got = table.reported(MAC, report(7, state.clone()), at(*second));
        assert_eq!(got, *expected, "at {second} s");
    }
    let seen = table.seen(MAC, MACHINE, at(12));
    assert_eq!(seen.installer.unwrap().state, wire::State::Inspected);
    assert_eq!(seen.installer_age, Some(Duration::from_secs(3)));
}

#[test]
fn a_report_of_another_operation_is_not_kept() {
    let mut table = Table::default();
    table.open(slot(MACHINE, installer(7))).unwrap();
    let now = Instant::now();
    let got = table.reported(MAC, report(8, wire::State::Started), now);
    assert_eq!(got, Received::OtherOperation);
    assert!(table.seen(MAC, MACHINE, now).installer.is_none());
}

#[test]
fn what_was_seen_lasts_as_long_as_the_operation() {
    let mut table = Table::default();
    let now = Instant::now();
    table.open(slot(MACHINE, installer(7))).unwrap();
    table.boot_requested(MAC, now);
    table.reported(MAC, report(7, wire::State::Started), now);
    table.open(slot(MACHINE, installer(7))).unwrap();
    let seen = table.seen(MAC, MACHINE, now);
    assert_eq!((seen.boot_requests, seen.installer.is_some()), (1, true));
    table.open(slot(MACHINE, installer(8))).unwrap();
    let seen = table.seen(MAC, MACHINE, now);
    assert_eq!((seen.boot_requests, seen.installer.is_some()), (0, false));
}

#[test]
fn another_object_sees_the_lease_and_nothing_else() {
    let mut table = Table::default();
    let now = Instant::now();
    table.open(slot(MACHINE, installer(7))).unwrap();
    table.leased(MAC, LEASED);
    table.boot_requested(MAC, now);
    let seen = table.seen(MAC, HOST, now);
    assert_eq!((seen.lease, seen.boot_requests), (Some(LEASED), 0));
}

#[test]
fn the_boot_window_closes_by_itself() {
    let mut table = Table::default();
    let now = Instant::now();
    table.open(slot(HOST, present())).unwrap();
    assert!(!table.in_boot_window(MAC, now));
    table.boot_requested(MAC, now);
    assert!(table.in_boot_window(MAC, now + Duration::from_secs(299)));
    assert!(!table.in_boot_window(MAC, now + Duration::from_secs(300)));
}
