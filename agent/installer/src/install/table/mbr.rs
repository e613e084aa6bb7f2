//! The partition table of the master boot record: four entries in the first sector.

use super::{ALIGNMENT, Partition, last_gap, put, u32_at};

/// First entry.
const ENTRIES: usize = 446;
const ENTRY: usize = 16;
/// FAT, addressed by sector number.
const FAT_LBA: u8 = 0x0E;
/// "The real table is a GPT".
const PROTECTIVE: u8 = 0xEE;

/// A table with at least one partition.
#[derive(Debug)]
pub(in crate::install) struct Mbr {
    sector: u64,
    entries: Vec<[u8; ENTRY]>,
}

impl Mbr {
    /// `None` if there is no table. The boot sector of a filesystem ends like one; its "entries" make no sense.
    pub(super) fn parse(head: &[u8], sector: u64) -> Option<Self> {
        if head.get(510..512)? != [0x55, 0xAA] {
            return None;
        }
        let entries: Vec<[u8; ENTRY]> = head
            .get(ENTRIES..510)?
            .chunks_exact(ENTRY)
            .filter_map(|entry| entry.try_into().ok())
            .collect();
        let used = |entry: &&[u8; ENTRY]| entry[4] != 0;
        let sound = |entry: &[u8; ENTRY]| {
            matches!(entry[0], 0 | 0x80)
                && entry[4] != PROTECTIVE
                && u32_at(entry, 8).is_some_and(|start| start > 0)
                && u32_at(entry, 12).is_some_and(|length| length > 0)
        };
        let any = entries.iter().any(|entry| used(&entry));
        (any && entries.iter().filter(used).all(sound)).then_some(Self { sector, entries })
    }

    pub(super) fn partitions(&self) -> Vec<Partition> {
        let used = self.entries.iter().filter(|entry| entry[4] != 0);
        used.filter_map(|entry| {
            Some(Partition {
                start: u64::from(u32_at(entry, 8)?) * self.sector,
                length: u64::from(u32_at(entry, 12)?) * self.sector,
                name: String::new(),
            })
        })
        .collect()
    }

    pub(super) fn append(
        &mut self,
        disk: u64,
        length: u64,
        name: &str,
    ) -> Result<Partition, &'static str> {
        // The last MiB stays free for tools that turn the table into a GPT.
        let reach = (u64::from(u32::MAX) * self.sector).min(disk - ALIGNMENT);
        let start = last_gap(&self.partitions(), ALIGNMENT, reach, length)
            .ok_or("no 4 MiB are free on the disk")?;
        let sectors = |bytes: u64| u32::try_from(bytes / self.sector).unwrap_or(u32::MAX);
        let (first, count) = (sectors(start), sectors(length));
        let slot = self.entries.iter_mut().find(|entry| entry[4] == 0);
        let entry = slot.ok_or("its partition table is full")?;
        // Beyond what cylinder, head and sector can say.
        *entry = [
            0, 0xFE, 0xFF, 0xFF, FAT_LBA, 0xFE, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0,
        ];
        put(entry, 8, &first.to_le_bytes());
        put(entry, 12, &count.to_le_bytes());
        Ok(Partition {
            start,
            length,
            name: name.to_owned(),
        })
    }

    pub(super) fn render(&self, head: &mut [u8]) {
        for (number, entry) in self.entries.iter().enumerate() {
            put(head, ENTRIES + number * ENTRY, entry);
        }
    }
}
