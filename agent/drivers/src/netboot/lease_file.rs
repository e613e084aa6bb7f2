//! The own mode's leases on disk: one line a lease, `MAC address`.
//!
//! Written whole each time that a MAC gets another address, which is rare; renewals are not written. Blocking.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;

use vitistack_fault as fault;

use super::slot::Mac;

#[cfg(test)]
mod tests;

/// Reads what [`write`] wrote. A missing file is an empty one. A line that cannot be read is left out: an address is
/// then given anew, which is what an empty file would do for all of them.
pub(crate) fn read(path: &Path) -> io::Result<Vec<(Mac, Ipv4Addr)>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    Ok(text
        .lines()
        .filter_map(|line| {
            let (mac, address) = line.split_once(' ')?;
            Some((mac.parse().ok()?, address.parse().ok()?))
        })
        .collect())
}

/// Replaces the file by `leases`, and returns once that would survive a power cut.
pub(crate) fn write(path: &Path, leases: &[(Mac, Ipv4Addr)]) -> io::Result<()> {
    let mut text = String::new();
    for (mac, address) in leases {
        // Writing into a String cannot fail.
        writeln!(text, "{mac} {address}").map_err(io::Error::other)?;
    }
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    fault::before("agent.lease.fsync");
    file.sync_all()?;
    fault::after("agent.lease.fsync");
    fault::before("agent.lease.rename");
    std::fs::rename(&temporary, path)?;
    fault::after("agent.lease.rename");
    if let Some(directory) = path.parent().filter(|parent| *parent != Path::new("")) {
        File::open(directory)?.sync_all()?;
    }
    fault::after("agent.lease.dir-fsync");
    Ok(())
}
