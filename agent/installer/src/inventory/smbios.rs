//! The SMBIOS table, as far as memory goes. Pure, and for any bytes: firmware writes what it likes.

/// Structure type "memory device" (DSP0134 7.18).
const MEMORY_DEVICE: u8 = 17;

/// MiB in all memory devices, 0 if the table says nothing.
#[must_use]
pub fn memory_mib(table: &[u8]) -> u64 {
    let mut total = 0;
    let mut rest = table;
    while let Some((structure, next)) = split(rest) {
        if structure.first() == Some(&MEMORY_DEVICE) {
            total += device_mib(structure).unwrap_or(0);
        }
        rest = next;
    }
    total
}

/// The formatted part of the first structure, and what follows its strings.
fn split(table: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = usize::from(*table.get(1)?);
    // Four bytes are the header; less would not get on.
    let formatted = table.get(..length).filter(|bytes| bytes.len() >= 4)?;
    let strings = table.get(length..)?;
    let end = strings.windows(2).position(|pair| pair == [0, 0])?;
    Some((formatted, strings.get(end + 2..)?))
}

fn device_mib(structure: &[u8]) -> Option<u64> {
    let size = u16::from_le_bytes(structure.get(0x0C..0x0E)?.try_into().ok()?);
    match size {
        // Empty slot; size not known.
        0 | 0xFFFF => Some(0),
        // Too large for 16 bits: MiB in the extended size.
        0x7FFF => {
            let extended = u32::from_le_bytes(structure.get(0x1C..0x20)?.try_into().ok()?);
            Some(u64::from(extended & 0x7FFF_FFFF))
        }
        kib if kib & 0x8000 != 0 => Some(u64::from(kib & 0x7FFF) >> 10),
        mib => Some(u64::from(mib)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(size: u16, extended: u32) -> Vec<u8> {
        let mut bytes = vec![0; 0x20];
        bytes[0] = MEMORY_DEVICE;
        bytes[1] = 0x20;
        bytes[0x0C..0x0E].copy_from_slice(&size.to_le_bytes());
        bytes[0x1C..0x20].copy_from_slice(&extended.to_le_bytes());
        bytes.extend_from_slice(b"DIMM 0\0ACME\0\0");
        bytes
    }

    #[test]
    fn memory_devices_add_up() {
        let other = [1_u8, 4, 0, 0, 0, 0];
        for (name, table, expected) in [
            ("one", device(1024, 0), 1024),
            (
                "two and an empty slot",
                [device(512, 0), device(0, 0), device(512, 0)].concat(),
                1024,
            ),
            ("extended", device(0x7FFF, 65_536), 65_536),
            ("kibibytes", device(0x8000 | 2048, 0), 2),
            ("unknown", device(0xFFFF, 0), 0),
            (
                "after another structure",
                [other.to_vec(), device(64, 0)].concat(),
                64,
            ),
        ] {
            assert_eq!(memory_mib(&table), expected, "{name}");
        }
    }

    #[test]
    fn a_broken_table_ends() {
        for table in [
            &[][..],
            &[17],
            &[17, 0, 0, 0],
            &[17, 255, 1, 2],
            &[17, 2, 0, 0, 0, 0],
        ] {
            assert_eq!(memory_mib(table), 0, "{table:?}");
        }
    }
}
