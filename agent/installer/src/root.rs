//! Which disk is the root disk. Pure: a table of disks and hints in, one disk or the reason out.

use vitistack_installer_wire::{Disk, Failure, RootHints};

/// No disk may be written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing fits.
    #[error("no disk fits the root device hints; found: {found}")]
    NotFound {
        /// What there is, for people.
        found: String,
    },
    /// More than one fits.
    #[error("{count} disks fit the root device hints: {found}")]
    Ambiguous {
        /// How many.
        count: usize,
        /// Which, for people.
        found: String,
    },
}

impl Error {
    /// The reason that goes into the report.
    #[must_use]
    pub fn failure(&self) -> Failure {
        match self {
            Self::NotFound { .. } => Failure::RootDiskNotFound,
            Self::Ambiguous { .. } => Failure::RootDiskAmbiguous,
        }
    }
}

/// The one disk that fits all hints. Without hints it is the only disk that cannot be pulled out.
///
/// # Errors
/// None or several fit.
pub fn select<'a>(disks: &'a [Disk], hints: &RootHints) -> Result<&'a Disk, Error> {
    let fitting: Vec<&Disk> = disks.iter().filter(|disk| fits(disk, hints)).collect();
    match fitting.as_slice() {
        [disk] => Ok(disk),
        [] => Err(Error::NotFound {
            found: list(disks.iter()),
        }),
        several => Err(Error::Ambiguous {
            count: several.len(),
            found: list(several.iter().copied()),
        }),
    }
}

fn fits(disk: &Disk, hints: &RootHints) -> bool {
    let RootHints {
        device_name,
        hctl,
        model,
        vendor,
        serial_number,
        wwn,
        min_size_gigabytes,
        rotational,
    } = hints;
    let exact = |hint: &Option<String>, is: &str| hint.as_deref().is_none_or(|hint| hint == is);
    let part = |hint: &Option<String>, is: &str| {
        hint.as_deref()
            .is_none_or(|hint| is.to_lowercase().contains(&hint.to_lowercase()))
    };
    // A stick that somebody forgot in the server is a root disk only where it is named.
    let named = [device_name, hctl, serial_number, wwn]
        .into_iter()
        .any(Option::is_some);
    (named || !disk.removable)
        && exact(device_name, &disk.device_name)
        && exact(hctl, &disk.hctl)
        && exact(serial_number, &disk.serial_number)
        && wwn
            .as_deref()
            .is_none_or(|hint| !disk.wwn.is_empty() && same_wwn(hint, &disk.wwn))
        && part(model, &disk.model)
        && part(vendor, &disk.vendor)
        && min_size_gigabytes.is_none_or(|size| disk.size >= u64::from(size) << 30)
        && rotational.is_none_or(|rotational| rotational == disk.rotational)
}

/// `0x5000c5…`, `naa.5000c5…` and `5000c5…` are ways to write one name.
fn same_wwn(left: &str, right: &str) -> bool {
    fn bare(name: &str) -> String {
        let name = name.to_lowercase();
        let prefix = ["naa.", "eui.", "0x"]
            .into_iter()
            .find(|prefix| name.starts_with(prefix));
        name.strip_prefix(prefix.unwrap_or_default())
            .unwrap_or(&name)
            .to_owned()
    }
    bare(left) == bare(right)
}

/// Names of disks for an error message.
fn list<'a>(disks: impl Iterator<Item = &'a Disk>) -> String {
    let names: Vec<String> = disks
        .map(|disk| {
            let Disk {
                device_name,
                size,
                serial_number,
                ..
            } = disk;
            format!(
                "{device_name} ({} GiB, serial {serial_number:?})",
                size >> 30
            )
        })
        .collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
mod tests;
