use super::*;

fn disk(name: &str, gib: u64) -> Disk {
    Disk {
        device_name: format!("/dev/{name}"),
        size: gib << 30,
        serial_number: format!("SN-{name}"),
        model: "Fast Disk 9".into(),
        vendor: "ACME".into(),
        ..Disk::default()
    }
}

fn stick() -> Disk {
    Disk {
        removable: true,
        ..disk("sdz", 16)
    }
}

fn check(disks: &[Disk], hints: RootHints, expected: Result<&str, Failure>) {
    let found = select(disks, &hints);
    let found = found
        .as_ref()
        .map(|disk| disk.device_name.as_str())
        .map_err(|e| e.failure());
    assert_eq!(found, expected, "{hints:?}");
}

#[test]
fn without_hints_the_only_fixed_disk_is_the_root_disk() {
    let none = RootHints::default;
    check(&[disk("sda", 8)], none(), Ok("/dev/sda"));
    check(&[stick(), disk("sda", 8)], none(), Ok("/dev/sda"));
    check(
        &[disk("sda", 8), disk("sdb", 8)],
        none(),
        Err(Failure::RootDiskAmbiguous),
    );
    check(&[stick()], none(), Err(Failure::RootDiskNotFound));
    check(&[], none(), Err(Failure::RootDiskNotFound));
}

#[test]
fn every_hint_counts() {
    let disks = [
        Disk {
            rotational: true,
            hctl: "0:0:0:0".into(),
            ..disk("sda", 100)
        },
        Disk {
            wwn: "naa.5000C500A1".into(),
            ..disk("sdb", 10)
        },
        Disk {
            model: "Slow Disk".into(),
            vendor: "Other".into(),
            ..disk("sdc", 20)
        },
    ];
    let some = |text: &str| Some(text.to_owned());
    let hints = RootHints::default;
    let cases = [
        (
            RootHints {
                device_name: some("/dev/sdb"),
                ..hints()
            },
            Ok("/dev/sdb"),
        ),
        (
            RootHints {
                hctl: some("0:0:0:0"),
                ..hints()
            },
            Ok("/dev/sda"),
        ),
        (
            RootHints {
                model: some("slow"),
                ..hints()
            },
            Ok("/dev/sdc"),
        ),
        (
            RootHints {
                model: some("disk"),
                ..hints()
            },
            Err(Failure::RootDiskAmbiguous),
        ),
        (
            RootHints {
                vendor: some("Oth"),
                ..hints()
            },
            Ok("/dev/sdc"),
        ),
        (
            RootHints {
                serial_number: some("SN-sda"),
                ..hints()
            },
            Ok("/dev/sda"),
        ),
        (
            RootHints {
                serial_number: some("SN"),
                ..hints()
            },
            Err(Failure::RootDiskNotFound),
        ),
        (
            RootHints {
                wwn: some("0x5000c500a1"),
                ..hints()
            },
            Ok("/dev/sdb"),
        ),
        (
            RootHints {
                min_size_gigabytes: Some(50),
                ..hints()
            },
            Ok("/dev/sda"),
        ),
        (
            RootHints {
                min_size_gigabytes: Some(15),
                ..hints()
            },
            Err(Failure::RootDiskAmbiguous),
        ),
        (
            RootHints {
                rotational: Some(true),
                ..hints()
            },
            Ok("/dev/sda"),
        ),
        (
            RootHints {
                rotational: Some(false),
                min_size_gigabytes: Some(15),
                ..hints()
            },
            Ok("/dev/sdc"),
        ),
        (
            RootHints {
                device_name: some("/dev/sdb"),
                min_size_gigabytes: Some(15),
                ..hints()
            },
            Err(Failure::RootDiskNotFound),
        ),
    ];
    for (hints, expected) in cases {
        check(&disks, hints, expected);
    }
}

#[test]
fn a_stick_is_taken_only_where_it_is_named() {
    let named = RootHints {
        serial_number: Some("SN-sdz".into()),
        ..RootHints::default()
    };
    check(&[stick(), disk("sda", 8)], named, Ok("/dev/sdz"));
    let size = RootHints {
        min_size_gigabytes: Some(10),
        ..RootHints::default()
    };
    check(
        &[stick(), disk("sda", 8)],
        size,
        Err(Failure::RootDiskNotFound),
    );
}
