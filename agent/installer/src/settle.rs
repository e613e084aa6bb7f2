//! When to stop waiting for disks.
//!
//! Disks turn up one after the other, and nothing says which is the last. What the kernel looks for when a driver is
//! loaded has been found when loading returns (`do_init_module` waits for what probes in the background: SCSI hosts, ATA
//! ports, NVMe); USB, and whatever announces itself, comes later. It reads the inventory and chooses no disk.

use std::time::{Duration, Instant};

use vitistack_installer_wire::{Disk, Inventory, Mode, RootHints};

use crate::inventory::{self, block};
use crate::modules::Loader;
use crate::root;

/// Nothing new for so long, and what is there is all: a USB disk needs a second and more.
const QUIET: Duration = Duration::from_millis(1500);
/// The same where the disks that are wanted are there. A USB disk that comes later is none of them, unless it is named; a
/// second fixed one that fits has to be seen, so that it is refused to choose between the two.
const ENOUGH: Duration = Duration::from_millis(700);
/// For a disk to turn up at all: large RAID controllers take their time.
const PATIENCE: Duration = Duration::from_secs(60);
/// In all.
const LIMIT: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Which disks a plan is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Whatever there is.
    All,
    /// A root disk, and further ones by serial number or `/dev` name.
    Some {
        /// Of the root disk.
        root: RootHints,
        /// Further ones.
        named: Vec<String>,
    },
}

impl Wanted {
    /// What `mode` is about.
    #[must_use]
    pub fn of(mode: &Mode) -> Self {
        match mode {
            Mode::Inspect => Self::All,
            Mode::Install(install) => Self::Some {
                root: install.root.clone(),
                named: Vec::new(),
            },
            Mode::Wipe(wipe) => Self::Some {
                root: wipe.root.clone(),
                named: wipe.disks.clone(),
            },
        }
    }

    /// How long there must have been nothing new where `disks` are there. Pure.
    fn quiet(&self, disks: &[Disk]) -> Duration {
        let is_there = match self {
            Self::All => false,
            Self::Some { root, named } => {
                root::select(disks, root).is_ok()
                    && named
                        .iter()
                        .all(|name| disks.iter().any(|disk| disk.is_named(name)))
            }
        };
        match (disks, is_there) {
            ([], _) => PATIENCE,
            (_, true) => ENOUGH,
            (_, false) => QUIET,
        }
    }
}

/// The inventory once neither a device nor a disk has been added for as long as is needed; time that the network has taken
/// since counts. Blocks.
pub fn inventory(mut loader: Loader, wanted: &Wanted) -> Inventory {
    let start = Instant::now();
    let mut disks = block::disks();
    let mut since = loader.news();
    loop {
        loader.scan();
        let now = block::disks();
        since = since.max(loader.news());
        if now != disks {
            disks = now;
            since = Instant::now();
        }
        if since.elapsed() > wanted.quiet(&disks) || start.elapsed() > LIMIT {
            return inventory::read(disks);
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(name: &str, removable: bool) -> Disk {
        Disk {
            device_name: format!("/dev/{name}"),
            serial_number: format!("SN-{name}"),
            removable,
            ..Disk::default()
        }
    }

    #[test]
    fn what_is_wanted_and_there_is_waited_for_shortly() {
        let (sda, sdb, stick) = (disk("sda", false), disk("sdb", false), disk("sdz", true));
        let wanted = |serial: Option<&str>, named: &[&str]| Wanted::Some {
            root: RootHints {
                serial_number: serial.map(str::to_owned),
                ..RootHints::default()
            },
            named: named.iter().map(|name| (*name).to_owned()).collect(),
        };
        let one = [sda.clone()];
        let two = [sda, sdb];
        for (wanted, disks, expected) in [
            (Wanted::All, &[][..], PATIENCE),
            (Wanted::All, &one, QUIET),
            (wanted(None, &[]), &[], PATIENCE),
            (wanted(None, &[]), &[stick], QUIET),
            (wanted(None, &[]), &one, ENOUGH),
            (wanted(None, &[]), &two, QUIET),
            (wanted(Some("SN-sdb"), &[]), &one, QUIET),
            (wanted(Some("SN-sdb"), &[]), &two, ENOUGH),
            (wanted(Some("SN-sda"), &["/dev/sdb"]), &one, QUIET),
            (
                wanted(Some("SN-sda"), &["/dev/sdb", "SN-sda"]),
                &two,
                ENOUGH,
            ),
        ] {
            assert_eq!(wanted.quiet(disks), expected, "{wanted:?} {disks:?}");
        }
    }
}
