//! One open disk (or, in tests, an ordinary file): reads and writes at a place, and a flush that means it.
//!
//! What is aligned is written past the kernel's page cache, which would copy every byte once more and hand it to the disk
//! page by page.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use vitistack_fault as fault;

/// Held back at the start of a disk: partition table, boot code and every superblock that makes it bootable.
pub const HEAD: u64 = 1 << 20;

/// An open disk.
#[derive(Debug)]
pub struct Disk {
    file: File,
    /// The same, without the page cache; not every filesystem of a test has that.
    direct: Option<File>,
    size: u64,
    sector: u64,
    writing: Writing,
}

/// What a write writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    Everything,
    /// What is there already is only read.
    WhatDiffers,
}

/// Compared and written at once.
const GRAIN: usize = 64 << 10;

/// Of place, length and memory, for a write past the page cache: no disk has larger sectors.
const ALIGNMENT: usize = 4096;

/// Bytes that begin where a write past the page cache may take them from.
#[derive(Debug)]
pub struct Aligned {
    bytes: Vec<u8>,
    from: usize,
    length: usize,
}

impl Aligned {
    /// `length` zeros.
    #[must_use]
    pub fn new(length: usize) -> Self {
        let bytes = vec![0; length + ALIGNMENT];
        let from = bytes.as_ptr().align_offset(ALIGNMENT);
        Self {
            bytes,
            from,
            length,
        }
    }
}

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        let until = self.from.saturating_add(self.length);
        self.bytes.get(self.from..until).unwrap_or_default()
    }
}

impl AsMut<[u8]> for Aligned {
    fn as_mut(&mut self) -> &mut [u8] {
        let until = self.from.saturating_add(self.length);
        self.bytes.get_mut(self.from..until).unwrap_or_default()
    }
}

fn is_aligned(bytes: &[u8]) -> bool {
    bytes.as_ptr().addr().is_multiple_of(ALIGNMENT)
}

impl Disk {
    /// Opens for reading and writing. `size` and `sector` (bytes) come from sysfs: asking the device takes an ioctl.
    ///
    /// # Errors
    /// As opening a file.
    pub fn open(path: &Path, size: u64, sector: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let direct = OpenOptions::new()
            .write(true)
            .custom_flags(OFlag::O_DIRECT.bits())
            .open(path)
            .ok();
        Ok(Self {
            file,
            direct,
            size,
            sector,
            writing: Writing::Everything,
        })
    }

    /// The same disk, on which only what is not there already is written.
    ///
    /// # Errors
    /// As duplicating a file.
    pub fn sparing(&self) -> io::Result<Self> {
        Ok(Self {
            file: self.file.try_clone()?,
            direct: None,
            writing: Writing::WhatDiffers,
            ..*self
        })
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Bytes of a logical sector.
    #[must_use]
    pub fn sector(&self) -> u64 {
        self.sector
    }

    /// Reads `length` bytes at `offset`; fewer only at the end of the disk.
    ///
    /// # Errors
    /// As reading a file.
    pub fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut bytes = vec![0; length.min(left)];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// As writing a file.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.writing {
            Writing::Everything => self.write_everything(offset, bytes),
            Writing::WhatDiffers => {
                let mut at = offset;
                for grain in bytes.chunks(GRAIN) {
                    if self.read(at, grain.len())? != grain {
                        self.file.write_all_at(grain, at)?;
                    }
                    at += grain.len() as u64;
                }
                Ok(())
            }
        }
    }

    fn write_everything(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let whole = bytes.len() - bytes.len() % ALIGNMENT;
        let (blocks, rest) = bytes.split_at(whole);
        let fits = offset.is_multiple_of(ALIGNMENT as u64) && is_aligned(blocks);
        match self.direct.as_ref().filter(|_| fits) {
            Some(direct) => match direct.write_all_at(blocks, offset) {
                // A device that wants more than this alignment.
                Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {
                    self.file.write_all_at(blocks, offset)?;
                }
                written => written?,
            },
            None => self.file.write_all_at(blocks, offset)?,
        }
        self.file.write_all_at(rest, offset + whole as u64)
    }

    /// Writes zeros, at most to the end of the disk.
    ///
    /// # Errors
    /// As writing a file.
    pub fn zero(&self, offset: u64, length: u64) -> io::Result<()> {
        let zeros = vec![0; GRAIN];
        let end = offset.saturating_add(length).min(self.size);
        let mut at = offset;
        while at < end {
            let step = usize::try_from(end - at)
                .unwrap_or(usize::MAX)
                .min(zeros.len());
            self.write(at, zeros.get(..step).unwrap_or(&zeros))?;
            at += step as u64;
        }
        Ok(())
    }

    /// Returns when everything written is on stable storage.
    ///
    /// # Errors
    /// Whatever the disk could not keep.
    pub fn sync(&self) -> io::Result<()> {
        fault::before("installer.disk.fsync");
        self.file.sync_all()?;
        fault::after("installer.disk.fsync");
        Ok(())
    }
}
