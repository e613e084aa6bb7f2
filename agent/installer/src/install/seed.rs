//! The NoCloud seed: a FAT filesystem with the label `CIDATA`, made and changed in memory. Pure.

use std::io::{self, Cursor, Read, Write};

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};

/// Size of a filesystem that we make: cloud-init's files are a few KiB, and user data is capped far below.
pub(super) const SIZE: u64 = 4 << 20;
/// An existing filesystem up to this size is changed, a larger one replaced: it is held in memory.
pub(super) const LARGEST: u64 = 32 << 20;
/// As cloud-init looks for it.
const LABEL: &str = "CIDATA";
const PADDED_LABEL: [u8; 11] = *b"CIDATA     ";

/// One file of the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// `meta-data`, `user-data`, `vendor-data`, `network-config`.
    pub name: String,
    /// Byte for byte.
    pub content: Vec<u8>,
}

/// A new filesystem of [`SIZE`] bytes, for a disk with such sectors.
pub(super) fn fresh(files: &[File], sector: u64, id: [u8; 16]) -> io::Result<Vec<u8>> {
    let mut image = Cursor::new(vec![0; usize::try_from(SIZE).unwrap_or(usize::MAX)]);
    let options = FormatVolumeOptions::new()
        .bytes_per_sector(u16::try_from(sector).unwrap_or(512))
        .volume_id(u32::from_le_bytes([id[0], id[1], id[2], id[3]]))
        .volume_label(PADDED_LABEL);
    fatfs::format_volume(&mut image, options)?;
    put(&mut image, files)?;
    Ok(image.into_inner())
}

/// The files put into an existing filesystem. `None` if it is not FAT with our label.
pub(super) fn update(image: Vec<u8>, files: &[File]) -> Option<io::Result<Vec<u8>>> {
    let mut image = Cursor::new(image);
    is_seed(&mut image).then(|| {
        put(&mut image, files)?;
        Ok(image.into_inner())
    })
}

/// The label in a FAT boot sector says that it is a seed (FAT12 and FAT16, or FAT32).
pub(super) fn says_seed(boot_sector: &[u8]) -> bool {
    [43, 71]
        .into_iter()
        .any(|at| boot_sector.get(at..at + 11).is_some_and(is_label))
}

fn is_label(bytes: &[u8]) -> bool {
    bytes
        .trim_ascii_end()
        .eq_ignore_ascii_case(LABEL.as_bytes())
}

/// Some tools label the root directory, some the boot sector, some both.
fn is_seed(image: &mut Cursor<Vec<u8>>) -> bool {
    image.set_position(0);
    let Ok(filesystem) = FileSystem::new(image, FsOptions::new()) else {
        return false;
    };
    let root = filesystem
        .read_volume_label_from_root_dir_as_bytes()
        .ok()
        .flatten();
    root.is_some_and(|label| is_label(&label)) || is_label(filesystem.volume_label_as_bytes())
}

/// Whether a filesystem of ours holds exactly these files with this content.
pub(super) fn holds(image: Vec<u8>, files: &[File]) -> bool {
    let mut image = Cursor::new(image);
    if !is_seed(&mut image) {
        return false;
    }
    image.set_position(0);
    let Ok(filesystem) = FileSystem::new(image, FsOptions::new()) else {
        return false;
    };
    files.iter().all(|file| {
        let mut content = Vec::new();
        filesystem
            .root_dir()
            .open_file(&file.name)
            .and_then(|mut held| held.read_to_end(&mut content))
            .is_ok_and(|_| content == file.content)
    })
}

fn put(image: &mut Cursor<Vec<u8>>, files: &[File]) -> io::Result<()> {
    // The library insists on it.
    image.set_position(0);
    let filesystem = FileSystem::new(image, FsOptions::new())?;
    for file in files {
        let mut target = filesystem.root_dir().create_file(&file.name)?;
        target.truncate()?;
        target.write_all(&file.content)?;
        target.flush()?;
    }
    filesystem.unmount()
}

#[cfg(test)]
mod tests;
