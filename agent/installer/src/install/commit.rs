//! The last steps, after the digest matched: partition table, seed, and then the first MiB that makes the disk bootable.

use std::io;

use vitistack_fault as fault;

use super::seed::{self, File};
use super::table::{Partition, Table};
use super::{Error, derived_id};
use crate::disk::{Disk, HEAD};

/// Name of the partition that we add, and of one that an image brings for us.
const NAME: &str = "cidata";

/// Writes what was held back, with the table fitted to the disk and the seed in its place. `digest` of the image makes
/// the numbers that a partition and a filesystem need: the same image gives the same disk.
pub(super) fn commit(
    disk: &Disk,
    mut head: Vec<u8>,
    tail: &[u8],
    files: &[File],
    digest: &[u8],
) -> Result<(), Error> {
    let tail_start = disk.size() - HEAD;
    // First, so that a seed partition at the very end is read back whole.
    fault::before("installer.tail.write");
    disk.write(tail_start, tail).map_err(Error::Disk)?;
    fault::after("installer.tail.write");
    let mut table = Table::parse(&head, disk.sector());
    if matches!(table, Table::None) && Table::has_other_sectors(&head, disk.sector()) {
        return Err(Error::NoPlace(
            "its partition table is made for other sectors than the disk's",
        ));
    }
    table.fit(disk.size());
    let end = |partition: &Partition| partition.start.saturating_add(partition.length);
    if table
        .partitions()
        .iter()
        .any(|partition| end(partition) > disk.size())
    {
        return Err(Error::TooLarge { disk: disk.size() });
    }
    if !files.is_empty() {
        let (start, filesystem) = place(disk, &mut table, files, digest)?;
        fault::before("installer.seed.write");
        disk.write(start, &filesystem).map_err(Error::Disk)?;
        fault::after("installer.seed.write");
    }
    if let Some((at, backup)) = table.backup() {
        fault::before("installer.backup-table.write");
        disk.write(at, &backup).map_err(Error::Disk)?;
        fault::after("installer.backup-table.write");
    }
    table.render(&mut head);
    disk.sync().map_err(Error::Disk)?;
    fault::before("installer.head.write");
    disk.write(0, &head).map_err(Error::Disk)?;
    fault::after("installer.head.write");
    disk.sync().map_err(Error::Disk)
}

/// Where the seed goes, and the bytes to write there.
fn place(
    disk: &Disk,
    table: &mut Table,
    files: &[File],
    digest: &[u8],
) -> Result<(u64, Vec<u8>), Error> {
    let id = derived_id(digest, NAME);
    let bytes = files.iter().map(|file| file.content.len()).sum();
    let seed = |source| Error::Seed { bytes, source };
    if let Some(partition) = own(disk, table).map_err(Error::Disk)? {
        if partition.length <= seed::LARGEST {
            let length = usize::try_from(partition.length).unwrap_or(usize::MAX);
            let old = disk.read(partition.start, length).map_err(Error::Disk)?;
            if let Some(filesystem) = seed::update(old, files) {
                return Ok((partition.start, filesystem.map_err(seed)?));
            }
        }
        if partition.length < seed::SIZE {
            return Err(Error::NoPlace(
                "its CIDATA partition is smaller than 4 MiB and not FAT",
            ));
        }
        return Ok((
            partition.start,
            seed::fresh(files, disk.sector(), id).map_err(seed)?,
        ));
    }
    let partition = table
        .append(disk.size(), seed::SIZE, id, NAME)
        .map_err(Error::NoPlace)?;
    Ok((
        partition.start,
        seed::fresh(files, disk.sector(), id).map_err(seed)?,
    ))
}

/// The partition that the image brings for the seed: by the filesystem's label, else by the partition's name.
fn own(disk: &Disk, table: &Table) -> io::Result<Option<Partition>> {
    let mut named = None;
    for partition in table.partitions() {
        // What lies in the first MiB is not on the disk yet.
        if partition.start < HEAD || partition.start >= disk.size() {
            continue;
        }
        if seed::says_seed(&disk.read(partition.start, 512)?) {
            return Ok(Some(partition));
        }
        if partition.name.eq_ignore_ascii_case(NAME) {
            named = Some(partition);
        }
    }
    Ok(named)
}
