use super::*;

const MIB: u64 = 1 << 20;

fn head_of(bytes: &[u8]) -> Vec<u8> {
    let mut head = vec![0; 1 << 20];
    head[..bytes.len()].copy_from_slice(bytes);
    head
}

fn partition(start: u64, length: u64, name: &str) -> Partition {
    Partition {
        start,
        length,
        name: name.to_owned(),
    }
}

#[test]
fn partitions_are_read() {
    let gpt = fixtures::gpt(65_536, &[(2048, 2048, "esp"), (4096, 8192, "röot")]).head;
    let mbr = fixtures::mbr(&[(0x83, 2048, 4096), (0x0C, 8192, 2048)]);
    let cases: [(&str, &[u8], Vec<Partition>); 4] = [
        (
            "GPT",
            &gpt,
            vec![
                partition(MIB, MIB, "esp"),
                partition(2 * MIB, 4 * MIB, "röot"),
            ],
        ),
        (
            "MBR",
            &mbr,
            vec![partition(MIB, 2 * MIB, ""), partition(4 * MIB, MIB, "")],
        ),
        ("nothing", &[], vec![]),
        ("a protective MBR alone", &gpt[..512], vec![]),
    ];
    for (name, bytes, expected) in cases {
        assert_eq!(partitions(&head_of(bytes), 512), expected, "{name}");
    }
}

#[test]
fn a_table_with_a_wrong_checksum_is_no_table() {
    let good = head_of(&fixtures::gpt(65_536, &[(2048, 2048, "a")]).head);
    for (name, at) in [
        ("header", 512 + 48),
        ("checksum", 512 + 16),
        ("entries", 1024 + 40),
    ] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(partitions(&bad, 512), [], "{name}");
    }
}

#[test]
fn a_filesystem_without_partitions_is_no_table() {
    let mut boot_sector = vec![0x20; 512];
    boot_sector[510..].copy_from_slice(&[0x55, 0xAA]);
    assert!(matches!(
        Table::parse(&head_of(&boot_sector), 512),
        Table::None
    ));
}

#[test]
fn broken_tables_are_refused_and_never_panic() {
    let good = head_of(&fixtures::gpt(65_536, &[(2048, 2048, "a")]).head);
    for at in 512..1024 + 128 {
        for value in [0, 0x7F, 0xFF] {
            let mut bad = good.clone();
            bad[at] = value;
            // With the checksum made good again, so that the fields behind it are reached.
            let mut header = bad[512..604].to_vec();
            header[16..20].fill(0);
            bad[528..532].copy_from_slice(&crc32fast::hash(&header).to_le_bytes());
            let mut table = Table::parse(&bad, 512);
            table.fit(64 * MIB);
            drop(table.append(64 * MIB, 4 * MIB, [7; 16], "x"));
        }
    }
    for length in [0, 1, 511, 512, 513, 600, 1024, 2000] {
        assert_eq!(partitions(&good[..length], 512), [], "{length}");
    }
}

#[test]
fn a_grown_table_is_sound_at_both_ends() {
    // An image of 32 MiB on a disk of 96 MiB.
    let mut head = head_of(&fixtures::gpt(65_536, &[(2048, 2048, "esp")]).head);
    let disk = 96 * MIB;
    let mut table = Table::parse(&head, 512);
    table.fit(disk);
    let added = table.append(disk, 4 * MIB, [7; 16], "cidata").unwrap();
    // The backup table takes the last 33 sectors, so the last whole MiB ends one before.
    assert_eq!(added, partition(91 * MIB, 4 * MIB, "cidata"));
    table.render(&mut head);
    let expected = vec![partition(MIB, MIB, "esp"), added];
    assert_eq!(partitions(&head, 512), expected);
    // The backup is a table too: read it as if it were the primary one.
    let (at, backup) = table.backup().unwrap();
    assert_eq!(at + backup.len() as u64, disk);
    let header = &backup[backup.len() - 512..];
    assert_eq!(u64_at(header, 24), Some(disk / 512 - 1), "its own place");
    assert_eq!(u64_at(header, 32), Some(1), "the primary's place");
    assert_eq!(u64_at(header, 72), Some(at / 512), "its entries' place");
    assert_eq!(
        u64_at(&head[512..], 32),
        Some(disk / 512 - 1),
        "the backup's place"
    );
    assert_eq!(
        u64_at(&head[512..], 48),
        Some(disk / 512 - 34),
        "the last usable sector"
    );
    assert_eq!(
        u32_at(&head, 446 + 12),
        Some(u32::try_from(disk / 512 - 1).unwrap())
    );
    assert_eq!(&backup[..256], &head[1024..1024 + 256]);
}

#[test]
fn a_partition_is_added_in_the_last_gap() {
    let disk = 64 * MIB;
    let sectors = |mib: u64| mib * 2048;
    for (name, taken, expected) in [
        ("empty", vec![], Ok(59)),
        ("one in front", vec![(sectors(1), sectors(10), "a")], Ok(59)),
        (
            "the end is taken",
            vec![(sectors(50), sectors(13), "a")],
            Ok(46),
        ),
        (
            "a gap in the middle",
            vec![
                (sectors(40), sectors(23), "b"),
                (sectors(1), sectors(20), "a"),
            ],
            Ok(36),
        ),
        (
            "full",
            vec![(sectors(1), sectors(61), "a")],
            Err("no 4 MiB are free on the disk"),
        ),
    ] {
        let head = head_of(&fixtures::gpt(disk / 512, &taken).head);
        let mut table = Table::parse(&head, 512);
        let added = table
            .append(disk, 4 * MIB, [7; 16], "x")
            .map(|p| p.start / MIB);
        assert_eq!(added, expected, "{name}");
    }
}

#[test]
fn an_mbr_gets_a_partition_too() {
    let disk = 64 * MIB;
    let mut head = head_of(&fixtures::mbr(&[(0x83, 2048, 8192)]));
    let mut table = Table::parse(&head, 512);
    table.fit(disk);
    table.append(disk, 4 * MIB, [7; 16], "x").unwrap();
    table.render(&mut head);
    assert_eq!(
        partitions(&head, 512),
        [
            partition(MIB, 4 * MIB, ""),
            partition(59 * MIB, 4 * MIB, "")
        ]
    );
    assert_eq!(head[446 + 16 + 4], 0x0E);
    assert!(table.backup().is_none());

    let four = [(1, 100, 10), (1, 200, 10), (1, 300, 10), (1, 400, 10)];
    let mut full = Table::parse(&head_of(&fixtures::mbr(&four)), 512);
    assert_eq!(
        full.append(disk, 4 * MIB, [7; 16], "x"),
        Err("its partition table is full")
    );
}
