//! Partition tables of an image: GPT, or the older MBR. Pure; it knows the first MiB of a disk and nothing else.

mod gpt;
mod mbr;

use gpt::Gpt;
use mbr::Mbr;

/// Partitions that we add begin at multiples of this, as everybody's do.
const ALIGNMENT: u64 = 1 << 20;

/// Part of a disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Bytes.
    pub start: u64,
    /// Bytes.
    pub length: u64,
    /// GPT's name; empty where there is none.
    pub name: String,
}

/// What the first MiB says.
#[derive(Debug)]
pub(super) enum Table {
    Gpt(Gpt),
    Mbr(Mbr),
    None,
}

/// The partitions of a disk, by its first MiB.
#[must_use]
pub fn partitions(head: &[u8], sector: u64) -> Vec<Partition> {
    Table::parse(head, sector).partitions()
}

impl Table {
    pub(super) fn parse(head: &[u8], sector: u64) -> Self {
        if let Some(gpt) = Gpt::parse(head, sector) {
            return Self::Gpt(gpt);
        }
        Mbr::parse(head, sector).map_or(Self::None, Self::Mbr)
    }

    /// There is a GPT, but the disk cannot see it: the image is made for disks with other sectors.
    pub(super) fn has_other_sectors(head: &[u8], sector: u64) -> bool {
        let sizes = [512, 4096].into_iter();
        sizes
            .filter(|size| *size != sector)
            .any(|size| Gpt::parse(head, size).is_some())
    }

    pub(super) fn partitions(&self) -> Vec<Partition> {
        match self {
            Self::Gpt(gpt) => gpt.partitions(),
            Self::Mbr(mbr) => mbr.partitions(),
            Self::None => Vec::new(),
        }
    }

    /// Tells the table how large the disk really is.
    pub(super) fn fit(&mut self, disk: u64) {
        if let Self::Gpt(gpt) = self {
            gpt.fit(disk);
        }
    }

    /// Adds a partition as near to the end of the disk as it goes, so that the one before it can grow.
    pub(super) fn append(
        &mut self,
        disk: u64,
        length: u64,
        id: [u8; 16],
        name: &str,
    ) -> Result<Partition, &'static str> {
        match self {
            Self::Gpt(gpt) => gpt.append(length, id, name),
            Self::Mbr(mbr) => mbr.append(disk, length, name),
            Self::None => Err("it has no partition table"),
        }
    }

    /// The copy at the end of the disk, and where it goes.
    pub(super) fn backup(&self) -> Option<(u64, Vec<u8>)> {
        match self {
            Self::Gpt(gpt) => Some(gpt.backup()),
            Self::Mbr(_) | Self::None => None,
        }
    }

    /// Writes the table into the first MiB.
    pub(super) fn render(&self, head: &mut [u8]) {
        match self {
            Self::Gpt(gpt) => gpt.render(head),
            Self::Mbr(mbr) => mbr.render(head),
            Self::None => {}
        }
    }
}

/// The last place for `length` bytes in `from..until` that none of `taken` touches.
fn last_gap(taken: &[Partition], from: u64, until: u64, length: u64) -> Option<u64> {
    let mut end = until;
    let mut sorted: Vec<&Partition> = taken.iter().collect();
    sorted.sort_by_key(|partition| std::cmp::Reverse(partition.start));
    for partition in sorted {
        let start = end.checked_sub(length)? / ALIGNMENT * ALIGNMENT;
        if start >= partition.start.saturating_add(partition.length) && start >= from {
            return Some(start);
        }
        end = end.min(partition.start);
    }
    let start = end.checked_sub(length)? / ALIGNMENT * ALIGNMENT;
    (start >= from).then_some(start)
}

/// Copies `bytes` to `at`, as far as there is room: all places are checked when the table is read.
fn put(target: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(target) = target.get_mut(at..at + bytes.len()) {
        target.copy_from_slice(bytes);
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;
