//! Disks, as sysfs describes them, and what is on them.

use std::fs;
use std::path::Path;

use vitistack_installer_wire::Disk;

use super::text;
use crate::{disk, signature};

/// Block devices that are no disks: made by software, or drives for removable media.
const NO_DISKS: [&str; 10] = [
    "loop", "ram", "zram", "sr", "fd", "dm-", "md", "nbd", "mtdblock", "drbd",
];
/// sysfs counts in these, whatever the disk's own sectors are.
const UNIT: u64 = 512;

/// All disks with a size, by name.
#[must_use]
pub fn disks() -> Vec<Disk> {
    let mut found: Vec<Disk> = fs::read_dir("/sys/block")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| describe(&entry.path()))
        .map(|disk| Disk {
            in_use: in_use(&disk),
            ..disk
        })
        .collect();
    found.sort_by(|left, right| left.device_name.cmp(&right.device_name));
    found
}

/// Bytes of a logical sector.
#[must_use]
pub fn sector(disk: &Disk) -> u64 {
    let name = disk.device_name.trim_start_matches("/dev/");
    let path = Path::new("/sys/block")
        .join(name)
        .join("queue/logical_block_size");
    text(&path).parse().unwrap_or(UNIT)
}

/// Opens a disk of the inventory.
///
/// # Errors
/// As opening the device.
pub fn open(disk: &Disk) -> std::io::Result<disk::Disk> {
    disk::Disk::open(Path::new(&disk.device_name), disk.size, sector(disk))
}

fn describe(path: &Path) -> Option<Disk> {
    let name = path.file_name()?.to_str()?;
    // eMMC boot areas are small disks of their own that hold firmware.
    if NO_DISKS.iter().any(|prefix| name.starts_with(prefix)) || name.contains("boot") {
        return None;
    }
    let attribute = |name: &str| text(&path.join(name));
    let size = attribute("size").parse::<u64>().ok()?.checked_mul(UNIT)?;
    if size == 0 {
        return None;
    }
    let first = |names: &[&str]| {
        names
            .iter()
            .map(|name| attribute(name))
            .find(|text| !text.is_empty())
            .unwrap_or_default()
    };
    let real = fs::canonicalize(path).unwrap_or_default();
    Some(Disk {
        // `cciss!c0d0` is `/dev/cciss/c0d0`.
        device_name: format!("/dev/{}", name.replace('!', "/")),
        size,
        model: first(&["device/model", "device/name"]),
        vendor: first(&["device/vendor"]),
        serial_number: match first(&["serial", "device/serial"]) {
            serial if serial.is_empty() => {
                serial_of_page(&fs::read(path.join("device/vpd_pg80")).unwrap_or_default())
            }
            serial => serial,
        },
        wwn: wwn_of(&first(&["device/wwid", "wwid"])),
        hctl: hctl_of(&path.join("device")),
        rotational: attribute("queue/rotational") == "1",
        removable: attribute("removable") == "1" || is_usb(&real),
        in_use: false,
    })
}

/// What cannot be read counts as in use: it is not ours to overwrite unasked.
fn in_use(disk: &Disk) -> bool {
    let Ok(open) = open(disk) else { return true };
    let head = open.read(0, 1 << 20);
    let tail = open.read(disk.size.saturating_sub(signature::TAIL), 128 << 10);
    match (head, tail) {
        (Ok(head), Ok(tail)) => signature::find(&head, &tail).is_some(),
        _ => true,
    }
}

/// SCSI's page 80h: four bytes of header, then the serial number.
fn serial_of_page(page: &[u8]) -> String {
    String::from_utf8_lossy(page.get(4..).unwrap_or_default())
        .trim_matches(|c: char| c.is_whitespace() || c == '\0')
        .to_owned()
}

/// Only true world wide names: `t10.` is the model and serial once more.
fn wwn_of(wwid: &str) -> String {
    let wide = ["naa.", "eui.", "nvme.", "uuid."]
        .iter()
        .any(|prefix| wwid.starts_with(prefix));
    if wide { wwid.to_owned() } else { String::new() }
}

/// The SCSI address is the name of the device that the link points to.
fn hctl_of(device: &Path) -> String {
    let target = fs::canonicalize(device).unwrap_or_default();
    let name = target
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let parts: Vec<&str> = name.split(':').collect();
    let numbers = parts.iter().all(|part| part.parse::<u64>().is_ok());
    if parts.len() == 4 && numbers {
        name.to_owned()
    } else {
        String::new()
    }
}

fn is_usb(path: &Path) -> bool {
    path.components().any(|part| {
        part.as_os_str()
            .to_str()
            .is_some_and(|p| p.starts_with("usb"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_number_page_is_read() {
        assert_eq!(serial_of_page(b"\x00\x80\x00\x08 QM00007"), "QM00007");
        assert_eq!(serial_of_page(b"\x00\x80"), "");
    }

    #[test]
    fn only_world_wide_names_are_names() {
        for (wwid, expected) in [
            ("naa.5000c500a1b2c3d4", "naa.5000c500a1b2c3d4"),
            ("eui.0025388b71b2c3d4", "eui.0025388b71b2c3d4"),
            ("t10.ATA     QEMU HARDDISK   QM00001", ""),
            ("", ""),
        ] {
            assert_eq!(wwn_of(wwid), expected);
        }
    }

    #[test]
    fn a_disk_is_described_from_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sdq");
        let device = directory.path().join("2:0:1:0");
        fs::create_dir_all(path.join("queue")).unwrap();
        fs::create_dir(&device).unwrap();
        std::os::unix::fs::symlink(&device, path.join("device")).unwrap();
        for (name, content) in [
            ("size", "2097152\n"),
            ("removable", "0\n"),
            ("queue/rotational", "1\n"),
            ("device/model", "Fast Disk 9     \n"),
            ("device/vendor", "ACME    \n"),
        ] {
            fs::write(path.join(name), content).unwrap();
        }
        fs::write(device.join("vpd_pg80"), b"\x00\x80\x00\x04SN-1").unwrap();
        let expected = Disk {
            device_name: "/dev/sdq".into(),
            size: 1 << 30,
            model: "Fast Disk 9".into(),
            vendor: "ACME".into(),
            serial_number: "SN-1".into(),
            wwn: String::new(),
            hctl: "2:0:1:0".into(),
            rotational: true,
            removable: false,
            in_use: false,
        };
        assert_eq!(describe(&path), Some(expected));
    }

    #[test]
    fn what_is_no_disk_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["loop0", "sr0", "dm-0", "mmcblk0boot0", "sdz"] {
            let path = directory.path().join(name);
            fs::create_dir(&path).unwrap();
            // sdz is a card reader without a card.
            fs::write(path.join("size"), if name == "sdz" { "0\n" } else { "8\n" }).unwrap();
            assert_eq!(describe(&path), None, "{name}");
        }
    }
}
