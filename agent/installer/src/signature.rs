//! Tells whether a disk is in use: partition tables, filesystems, and what else would be missed.
//!
//! Pure: it looks at the first and the last bytes of a disk. It errs on the side of "in use".

/// Bytes that [`find`] wants from the end of a disk.
pub const TAIL: u64 = 128 << 10;

/// A constant at a place in the first MiB.
struct Magic {
    name: &'static str,
    offset: usize,
    bytes: &'static [u8],
}

const HEAD_MAGIC: [Magic; 17] = [
    Magic {
        name: "GPT",
        offset: 512,
        bytes: b"EFI PART",
    },
    Magic {
        name: "GPT",
        offset: 4096,
        bytes: b"EFI PART",
    },
    Magic {
        name: "ext filesystem",
        offset: 1080,
        bytes: &[0x53, 0xEF],
    },
    Magic {
        name: "XFS",
        offset: 0,
        bytes: b"XFSB",
    },
    Magic {
        name: "btrfs",
        offset: 65_600,
        bytes: b"_BHRfS_M",
    },
    Magic {
        name: "LUKS",
        offset: 0,
        bytes: b"LUKS\xba\xbe",
    },
    Magic {
        name: "LVM",
        offset: 0,
        bytes: b"LABELONE",
    },
    Magic {
        name: "LVM",
        offset: 512,
        bytes: b"LABELONE",
    },
    Magic {
        name: "LVM",
        offset: 1024,
        bytes: b"LABELONE",
    },
    Magic {
        name: "LVM",
        offset: 1536,
        bytes: b"LABELONE",
    },
    Magic {
        name: "RAID",
        offset: 0,
        bytes: &[0xFC, 0x4E, 0x2B, 0xA9],
    },
    Magic {
        name: "RAID",
        offset: 4096,
        bytes: &[0xFC, 0x4E, 0x2B, 0xA9],
    },
    Magic {
        name: "swap",
        offset: 4086,
        bytes: b"SWAPSPACE2",
    },
    Magic {
        name: "ISO 9660",
        offset: 32_769,
        bytes: b"CD001",
    },
    Magic {
        name: "squashfs",
        offset: 0,
        bytes: b"hsqs",
    },
    Magic {
        name: "f2fs",
        offset: 1024,
        bytes: &[0x10, 0x20, 0xF5, 0xF2],
    },
    Magic {
        name: "bcache",
        offset: 4120,
        bytes: &[0xC6, 0x85, 0x73, 0xF6, 0x4E, 0x1A, 0x45, 0xCA],
    },
];

/// The ZFS uberblock magic, little endian; uberblocks fill the second half of the 256 KiB label.
const ZFS: [u8; 8] = [0x0C, 0xB1, 0xBA, 0x00, 0, 0, 0, 0];

/// What the disk holds, if anything: `head` is its first MiB, `tail` its last [`TAIL`] bytes.
#[must_use]
pub fn find(head: &[u8], tail: &[u8]) -> Option<&'static str> {
    if let Some(magic) = HEAD_MAGIC.iter().find(|magic| magic.is_in(head)) {
        return Some(magic.name);
    }
    // A partition table or the boot sector of FAT, exFAT and NTFS all end so.
    if head.get(510..512) == Some(&[0x55, 0xAA]) {
        return Some("boot sector");
    }
    let uberblocks = head.get(128 << 10..256 << 10).unwrap_or_default();
    if uberblocks.chunks(1024).any(|block| block.starts_with(&ZFS)) {
        return Some("ZFS");
    }
    find_at_end(tail)
}

fn find_at_end(tail: &[u8]) -> Option<&'static str> {
    for sector in [512, 4096] {
        let header = tail.len().checked_sub(sector).and_then(|at| tail.get(at..));
        if header.is_some_and(|header| header.starts_with(b"EFI PART")) {
            return Some("backup GPT");
        }
    }
    // Version 0.90 of Linux' RAID lies in the last whole 64 KiB, version 1.0 in the last 8 to 12 KiB.
    if tail
        .chunks(4096)
        .any(|block| block.starts_with(&[0xFC, 0x4E, 0x2B, 0xA9]))
    {
        return Some("RAID");
    }
    None
}

impl Magic {
    fn is_in(&self, head: &[u8]) -> bool {
        head.get(self.offset..)
            .is_some_and(|rest| rest.starts_with(self.bytes))
    }
}

#[cfg(test)]
mod tests;
