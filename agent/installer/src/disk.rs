//! One open disk (or, in tests, an ordinary file): reads and writes at a place, and a flush that means it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use vitistack_fault as fault;

/// Held back at the start of a disk: partition table, boot code and every superblock that makes it bootable.
pub const HEAD: u64 = 1 << 20;

/// An open disk.
#[derive(Debug)]
pub struct Disk {
    file: File,
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

impl Disk {
    /// Opens for reading and writing. `size` and `sector` (bytes) come from sysfs: asking the device takes an ioctl.
    ///
    /// # Errors
    /// As opening a file.
    pub fn open(path: &Path, size: u64, sector: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self {
            file,
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
            Writing::Everything => self.file.write_all_at(bytes, offset),
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
