//! Partition tables for tests, laid out by the UEFI specification's tables and not by the code under test.

/// The two ends of a disk.
pub(crate) struct Ends {
    /// First 34 sectors: protective MBR, header, entries.
    pub(crate) head: Vec<u8>,
    /// Last 33 sectors: entries, backup header.
    pub(crate) tail: Vec<u8>,
}

/// A GPT of 128 entries on a disk of `sectors` of 512 bytes; partitions are (first, count, name).
pub(crate) fn gpt(sectors: u64, partitions: &[(u64, u64, &str)]) -> Ends {
    let mut entries = vec![0; 128 * 128];
    for (number, (first, count, name)) in partitions.iter().enumerate() {
        let at = number * 128;
        entries[at..at + 16].fill(0x11);
        entries[at + 16..at + 32].fill(u8::try_from(number).unwrap() + 1);
        entries[at + 32..at + 40].copy_from_slice(&first.to_le_bytes());
        entries[at + 40..at + 48].copy_from_slice(&(first + count - 1).to_le_bytes());
        for (index, unit) in name.encode_utf16().enumerate() {
            entries[at + 56 + 2 * index..][..2].copy_from_slice(&unit.to_le_bytes());
        }
    }
    let header = |own: u64, other: u64, entries_lba: u64| {
        let mut header = vec![0; 512];
        header[..8].copy_from_slice(b"EFI PART");
        header[8..12].copy_from_slice(&0x0001_0000_u32.to_le_bytes());
        header[12..16].copy_from_slice(&92_u32.to_le_bytes());
        header[24..32].copy_from_slice(&own.to_le_bytes());
        header[32..40].copy_from_slice(&other.to_le_bytes());
        header[40..48].copy_from_slice(&34_u64.to_le_bytes());
        header[48..56].copy_from_slice(&(sectors - 34).to_le_bytes());
        header[56..72].fill(0x77);
        header[72..80].copy_from_slice(&entries_lba.to_le_bytes());
        header[80..84].copy_from_slice(&128_u32.to_le_bytes());
        header[84..88].copy_from_slice(&128_u32.to_le_bytes());
        header[88..92].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        let checksum = crc32fast::hash(&header[..92]);
        header[16..20].copy_from_slice(&checksum.to_le_bytes());
        header
    };
    let mut protective = vec![0; 512];
    protective[446 + 4] = 0xEE;
    protective[446 + 8] = 1;
    protective[446 + 12..446 + 16]
        .copy_from_slice(&u32::try_from(sectors - 1).unwrap().to_le_bytes());
    protective[510..].copy_from_slice(&[0x55, 0xAA]);
    let head = [protective, header(1, sectors - 1, 2), entries.clone()].concat();
    let tail = [entries.clone(), header(sectors - 1, 1, sectors - 33)].concat();
    Ends { head, tail }
}

/// An MBR; partitions are (type, first, count).
pub(crate) fn mbr(partitions: &[(u8, u32, u32)]) -> Vec<u8> {
    let mut sector = vec![0; 512];
    for (number, (kind, first, count)) in partitions.iter().enumerate() {
        let entry = &mut sector[446 + 16 * number..][..16];
        entry[4] = *kind;
        entry[8..12].copy_from_slice(&first.to_le_bytes());
        entry[12..16].copy_from_slice(&count.to_le_bytes());
    }
    sector[510..].copy_from_slice(&[0x55, 0xAA]);
    sector
}
