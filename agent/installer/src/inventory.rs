//! What the server consists of, from sysfs and procfs.
//!
//! It reads and never changes anything. What cannot be read is empty or zero: half an inventory is worth more than none.

pub mod block;
pub mod smbios;

use std::fs;
use std::path::Path;

use vitistack_installer_wire::{Disk, Inventory, Nic};

use crate::net::interfaces;

/// Looks at everything but the disks, which [`block::disks`] has found.
#[must_use]
pub fn read(disks: Vec<Disk>) -> Inventory {
    let dmi = |name: &str| text(&Path::new("/sys/class/dmi/id").join(name));
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let (cpu_cores, cpu_model) = cpus(&processors);
    Inventory {
        manufacturer: dmi("sys_vendor"),
        model: dmi("product_name"),
        serial_number: dmi("product_serial"),
        system_uuid: dmi("product_uuid").to_lowercase(),
        firmware: dmi("bios_version"),
        uefi: Path::new("/sys/firmware/efi").exists(),
        cpu_cores,
        cpu_model,
        memory_mib: memory(),
        disks,
        nics: nics(),
    }
}

/// Content of a small file without the white space around it; empty if there is none.
fn text(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes)
        .trim_matches(|c: char| c.is_whitespace() || c == '\0')
        .to_owned()
}

/// Number of logical processors and the model of the first.
fn cpus(cpuinfo: &str) -> (u32, String) {
    let field = |line: &str, name: &str| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    };
    let count = cpuinfo
        .lines()
        .filter(|line| field(line, "processor").is_some())
        .count();
    let model = cpuinfo.lines().find_map(|line| field(line, "model name"));
    (
        u32::try_from(count).unwrap_or(u32::MAX),
        model.unwrap_or_default(),
    )
}

/// MiB that are plugged in, as SMBIOS tells; else what the kernel has, which is a little less.
fn memory() -> u64 {
    let table = fs::read("/sys/firmware/dmi/tables/DMI").unwrap_or_default();
    match smbios::memory_mib(&table) {
        0 => available(&fs::read_to_string("/proc/meminfo").unwrap_or_default()),
        installed => installed,
    }
}

fn available(meminfo: &str) -> u64 {
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) >> 10
}

fn nics() -> Vec<Nic> {
    interfaces()
        .into_iter()
        .map(|interface| Nic {
            carrier: interface.has_carrier(),
            speed: interface.speed(),
            name: interface.name,
            mac: interface.mac,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted() {
        let text = "processor\t: 0\nmodel name\t: Fast 9\n\nprocessor\t: 1\nmodel name\t: Fast 9\n";
        assert_eq!(cpus(text), (2, "Fast 9".to_owned()));
        assert_eq!(cpus(""), (0, String::new()));
    }

    #[test]
    fn available_memory_is_in_mebibytes() {
        assert_eq!(
            available("MemTotal:        1012345 kB\nMemFree: 5 kB\n"),
            988
        );
        assert_eq!(available("nothing"), 0);
    }
}
