//! A store of format 1 (plain rows in `sled/`) becomes one whose rows are sealed (in `rows/`), once, at its opening.
//!
//! The sealed rows are written beside the plain ones, synced, and given their name last, so that a crash anywhere leaves
//! either the old store or the new one. Plain text would live on in the old log, so its files are removed as a whole;
//! removing a file is no erasure of the disk that it was on.

use std::path::Path;

use super::engine::Engine;
use super::error::{Error, file};
use super::files;
use super::record::{CHUNK, chunk_key, decode_plain, encode, shown};
use super::seal::{CHECK, Seal};
use super::whole::Sums;

/// Seals what stands in `plain` into `sealed`, which is not there yet. Leaves `plain` as it is.
pub(super) fn run(plain: &Path, sealed: &Path, seal: &Seal) -> Result<(), Error> {
    let old = Engine::open(plain)?;
    let Some(version) = old.version()? else {
        // It was begun and never written to.
        return Ok(());
    };
    let mut beside = sealed.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    files::remove_dir(beside)?;
    let mut new = Engine::open(beside)?;
    let mut objects = 0_usize;
    let mut sums = Sums::default();
    for (stem, record) in old.objects()? {
        let row = decode_plain(&stem, &record).ok_or_else(|| Error::Damaged(shown(&stem)))?;
        let record = encode(seal, &stem, &row)?;
        let mut batch = sled::Batch::default();
        for (index, chunk) in record.chunks(CHUNK).enumerate() {
            batch.insert(chunk_key(&stem, index), chunk);
        }
        sums.set(&stem, Some(&record));
        new.commit(batch, version, &sums)?;
        objects += 1;
    }
    let mut batch = sled::Batch::default();
    batch.insert(CHECK, seal.seal(CHECK, CHECK)?);
    new.commit(batch, version, &sums)?;
    // sled holds a lock on its files.
    drop((old, new));
    std::fs::rename(beside, sealed).map_err(file("rename", sealed))?;
    files::sync_dir(sealed.parent().unwrap_or_else(|| Path::new(".")))?;
    tracing::info!(
        objects,
        "the objects that stood in plain text are sealed now"
    );
    Ok(())
}
