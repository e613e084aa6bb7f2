//! The GUID partition table (UEFI 2.10, chapter 5.3).

use super::{ALIGNMENT, Partition, last_gap, put, u32_at, u64_at};

const SIGNATURE: &[u8] = b"EFI PART";
/// Bytes of the header that its checksum covers, at least.
const HEADER: u32 = 92;
/// "Linux filesystem data", as it lies on disk: a FAT with this type is mounted by no firmware.
const LINUX_DATA: [u8; 16] = [
    0xAF, 0x3D, 0xC6, 0x0F, 0x83, 0x84, 0x72, 0x47, 0x8E, 0x79, 0x3D, 0x69, 0xD8, 0x47, 0x7D, 0xE4,
];
/// A partition entry that tables larger than this would need does not fit the first MiB.
const MOST_ENTRIES: u32 = 4096;

/// A first usable sector beyond this is nonsense, and would overflow in bytes.
const MOST_LBA: u64 = 1 << 40;

// Offsets in the header.
const CHECKSUM: usize = 16;
const MY_LBA: usize = 24;
const ALTERNATE_LBA: usize = 32;
const FIRST_USABLE: usize = 40;
const LAST_USABLE: usize = 48;
const ENTRIES_LBA: usize = 72;
const ENTRY_COUNT: usize = 80;
const ENTRY_SIZE: usize = 84;
const ENTRIES_CHECKSUM: usize = 88;

/// A checked table.
#[derive(Debug)]
pub(in crate::install) struct Gpt {
    sector: u64,
    /// `header_size` bytes of it count.
    header: Vec<u8>,
    entries: Vec<u8>,
    entry_size: usize,
    entries_lba: u64,
    first_usable: u64,
    last_usable: u64,
    last_lba: u64,
}

impl Gpt {
    /// `None` if there is no table, or one whose checksums do not hold.
    pub(super) fn parse(head: &[u8], sector: u64) -> Option<Self> {
        let at = usize::try_from(sector).ok()?;
        let start = head.get(at..)?;
        if !start.starts_with(SIGNATURE) {
            return None;
        }
        let size = u32_at(start, 12).filter(|size| (HEADER..=512).contains(size))?;
        let header = start.get(..usize::try_from(size).ok()?)?.to_vec();
        if header_checksum(&header) != u32_at(&header, CHECKSUM)? {
            return None;
        }
        let count = u32_at(&header, ENTRY_COUNT).filter(|count| *count <= MOST_ENTRIES)?;
        let entry_size = u32_at(&header, ENTRY_SIZE).filter(|size| (128..=4096).contains(size))?;
        let entries_lba = u64_at(&header, ENTRIES_LBA)?;
        let entries_at = usize::try_from(entries_lba.checked_mul(sector)?).ok()?;
        let length = usize::try_from(count.checked_mul(entry_size)?).ok()?;
        let entries = head
            .get(entries_at..entries_at.checked_add(length)?)?
            .to_vec();
        if crc32fast::hash(&entries) != u32_at(&header, ENTRIES_CHECKSUM)? {
            return None;
        }
        Some(Self {
            sector,
            entry_size: usize::try_from(entry_size).ok()?,
            entries_lba,
            first_usable: u64_at(&header, FIRST_USABLE).filter(|lba| *lba <= MOST_LBA)?,
            last_usable: u64_at(&header, LAST_USABLE)?,
            last_lba: u64_at(&header, ALTERNATE_LBA)?,
            header,
            entries,
        })
    }

    pub(super) fn partitions(&self) -> Vec<Partition> {
        self.entries
            .chunks_exact(self.entry_size)
            .filter_map(|entry| self.partition(entry))
            .collect()
    }

    fn partition(&self, entry: &[u8]) -> Option<Partition> {
        // An unused entry has no type.
        if entry.get(..16)?.iter().all(|byte| *byte == 0) {
            return None;
        }
        let (first, last) = (u64_at(entry, 32)?, u64_at(entry, 40)?);
        let name: Vec<u16> = entry
            .get(56..128)?
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
            .take_while(|unit| *unit != 0)
            .collect();
        Some(Partition {
            start: first.checked_mul(self.sector)?,
            length: last
                .checked_sub(first)?
                .checked_add(1)?
                .checked_mul(self.sector)?,
            name: String::from_utf16_lossy(&name),
        })
    }

    /// Puts the backup at the end of the disk, and all sectors up to it at disposal.
    pub(super) fn fit(&mut self, disk: u64) {
        let sectors = disk / self.sector;
        self.last_lba = sectors - 1;
        self.last_usable = sectors - 2 - self.entry_sectors();
    }

    pub(super) fn append(
        &mut self,
        length: u64,
        id: [u8; 16],
        name: &str,
    ) -> Result<Partition, &'static str> {
        let from = (self.first_usable * self.sector).next_multiple_of(ALIGNMENT);
        let until = (self.last_usable + 1) * self.sector;
        let start = last_gap(&self.partitions(), from, until, length)
            .ok_or("no 4 MiB are free on the disk")?;
        let sector = self.sector;
        let mut slots = self.entries.chunks_exact_mut(self.entry_size);
        let entry = slots
            .find(|entry| entry.iter().take(16).all(|byte| *byte == 0))
            .ok_or("its partition table is full")?;
        entry.fill(0);
        put(entry, 0, &LINUX_DATA);
        put(entry, 16, &version_4(id));
        put(entry, 32, &(start / sector).to_le_bytes());
        put(entry, 40, &((start + length) / sector - 1).to_le_bytes());
        for (at, unit) in name.encode_utf16().take(36).enumerate() {
            put(entry, 56 + 2 * at, &unit.to_le_bytes());
        }
        Ok(Partition {
            start,
            length,
            name: name.to_owned(),
        })
    }

    /// Entries and header, as they lie at the end of the disk.
    pub(super) fn backup(&self) -> (u64, Vec<u8>) {
        let entries_lba = self.last_lba - self.entry_sectors();
        let header_at = usize::try_from(self.entry_sectors() * self.sector).unwrap_or(usize::MAX);
        let mut bytes = vec![0; header_at + usize::try_from(self.sector).unwrap_or(512)];
        put(&mut bytes, 0, &self.entries);
        put(
            &mut bytes,
            header_at,
            &self.header(self.last_lba, 1, entries_lba),
        );
        (entries_lba * self.sector, bytes)
    }

    pub(super) fn render(&self, head: &mut [u8]) {
        let at = |lba: u64| usize::try_from(lba * self.sector).unwrap_or(usize::MAX);
        put(
            head,
            at(1),
            &self.header(1, self.last_lba, self.entries_lba),
        );
        put(head, at(self.entries_lba), &self.entries);
        // The protective MBR covers the whole disk, or as much of it as 32 bits can say.
        for entry in (446..510).step_by(16) {
            if head.get(entry + 4) == Some(&0xEE) && u32_at(head, entry + 8) == Some(1) {
                let sectors = u32::try_from(self.last_lba).unwrap_or(u32::MAX);
                put(head, entry + 12, &sectors.to_le_bytes());
            }
        }
    }

    fn header(&self, own: u64, other: u64, entries_lba: u64) -> Vec<u8> {
        let mut header = self.header.clone();
        put(&mut header, MY_LBA, &own.to_le_bytes());
        put(&mut header, ALTERNATE_LBA, &other.to_le_bytes());
        put(&mut header, LAST_USABLE, &self.last_usable.to_le_bytes());
        put(&mut header, ENTRIES_LBA, &entries_lba.to_le_bytes());
        put(
            &mut header,
            ENTRIES_CHECKSUM,
            &crc32fast::hash(&self.entries).to_le_bytes(),
        );
        let checksum = header_checksum(&header);
        put(&mut header, CHECKSUM, &checksum.to_le_bytes());
        header
    }

    fn entry_sectors(&self) -> u64 {
        (self.entries.len() as u64).div_ceil(self.sector)
    }
}

/// The checksum's own field counts as zero.
fn header_checksum(header: &[u8]) -> u32 {
    let mut header = header.to_vec();
    put(&mut header, CHECKSUM, &[0; 4]);
    crc32fast::hash(&header)
}

/// Marks 16 bytes as a random UUID, in GPT's byte order.
fn version_4(mut id: [u8; 16]) -> [u8; 16] {
    id[7] = (id[7] & 0x0F) | 0x40;
    id[8] = (id[8] & 0x3F) | 0x80;
    id
}
