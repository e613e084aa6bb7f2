//! Removes signatures from a disk: its filesystems and partitions are gone for every tool, its bytes are not. No erasure.
//!
//! Order matters: the partitions' own signatures go first and the partition table last, so that an interrupted wipe
//! finds the partitions again.

use std::io;

use vitistack_fault as fault;

use crate::disk::{Disk, HEAD};
use crate::install::table;

/// btrfs keeps a second superblock here.
const BTRFS_MIRROR: u64 = 64 << 20;

/// Removes the signatures of one disk and of its partitions, and flushes.
///
/// # Errors
/// The disk refuses.
pub fn wipe(disk: &Disk) -> io::Result<()> {
    let head = disk.read(0, usize::try_from(HEAD).unwrap_or(usize::MAX))?;
    fault::before("installer.wipe.partitions");
    for partition in table::partitions(&head, disk.sector()) {
        region(disk, partition.start, partition.length)?;
    }
    disk.sync()?;
    fault::after("installer.wipe.partitions");
    fault::before("installer.wipe.table");
    region(disk, 0, disk.size())?;
    disk.sync()?;
    fault::after("installer.wipe.table");
    Ok(())
}

/// The places of a filesystem's signatures within a region; its start last.
fn region(disk: &Disk, start: u64, length: u64) -> io::Result<()> {
    let length = length.min(disk.size().saturating_sub(start));
    if length > BTRFS_MIRROR + HEAD {
        disk.zero(start + BTRFS_MIRROR, 64 << 10)?;
    }
    let edge = HEAD.min(length);
    disk.zero(start + length - edge, edge)?;
    disk.zero(start, edge)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::path::Path;
    use std::process::Command;

    use super::*;
    use crate::signature;

    const SIZE: u64 = 96 << 20;

    fn found(path: &Path, offset: u64) -> Option<&'static str> {
        let disk = Disk::open(path, SIZE, 512).unwrap();
        let head = disk.read(offset, 1 << 20).unwrap();
        let tail = disk.read(SIZE - signature::TAIL, 128 << 10).unwrap();
        signature::find(&head, &tail)
    }

    #[test]
    fn nothing_is_found_after_a_wipe() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        File::create(&path).unwrap().set_len(SIZE).unwrap();
        let disk = Disk::open(&path, SIZE, 512).unwrap();
        let table = table::fixtures::gpt(SIZE / 512, &[(4096, 8192, "data")]);
        disk.write(0, &table.head).unwrap();
        disk.write(SIZE - table.tail.len() as u64, &table.tail)
            .unwrap();
        disk.write(4096 * 512 + 1080, &[0x53, 0xEF]).unwrap();
        disk.write(BTRFS_MIRROR + 64, b"_BHRfS_M").unwrap();
        disk.write(20 << 20, b"somebody's data").unwrap();
        assert_eq!(found(&path, 0), Some("GPT"));
        assert_eq!(found(&path, 4096 * 512), Some("ext filesystem"));

        wipe(&disk).unwrap();

        assert_eq!(found(&path, 0), None);
        assert_eq!(found(&path, 4096 * 512), None);
        assert_eq!(disk.read(BTRFS_MIRROR + 64, 8).unwrap(), [0; 8]);
        assert_eq!(disk.read(20 << 20, 15).unwrap(), b"somebody's data");
        // A second opinion, where there is one.
        if let Ok(output) = Command::new("blkid")
            .args(["-p", "-o", "value"])
            .arg(&path)
            .output()
        {
            assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        }
    }

    #[test]
    fn a_disk_smaller_than_its_edges_is_wiped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        std::fs::write(&path, vec![0xAA; 100_000]).unwrap();
        wipe(&Disk::open(&path, 100_000, 512).unwrap()).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), vec![0; 100_000]);
    }
}
