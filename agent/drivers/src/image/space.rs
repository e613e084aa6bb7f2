//! Room in the cache: the image that was used longest ago goes first.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Error;

/// An image that was asked for within this time belongs to an installation that runs. Drivers ask every few seconds.
const IN_USE: Duration = Duration::from_secs(600);

struct File {
    name: String,
    path: PathBuf,
    size: u64,
    used: SystemTime,
}

/// Removes files until `bytes` more fit into `quota`. Returns the names of those removed.
pub(super) fn make_room(
    directory: &Path,
    quota: u64,
    bytes: u64,
    used: &HashMap<String, SystemTime>,
    now: SystemTime,
) -> Result<Vec<String>, Error> {
    let read = |source| Error::Space {
        directory: directory.to_owned(),
        source,
    };
    let mut files = list(directory, used).map_err(read)?;
    let mut held: u64 = files.iter().map(|file| file.size).sum();
    files.sort_by_key(|file| file.used);
    let mut removed = Vec::new();
    for file in files {
        if held.saturating_add(bytes) <= quota {
            break;
        }
        let idle = now.duration_since(file.used).unwrap_or_default();
        if idle < IN_USE {
            continue;
        }
        std::fs::remove_file(&file.path).map_err(read)?;
        held -= file.size;
        removed.push(file.name);
    }
    if held.saturating_add(bytes) > quota {
        return Err(Error::TooLarge { bytes, quota, held });
    }
    Ok(removed)
}

fn list(directory: &Path, used: &HashMap<String, SystemTime>) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if !metadata.is_file() {
            continue;
        }
        // A part counts with its whole.
        let whole = name.strip_suffix(".part").unwrap_or(&name);
        files.push(File {
            used: match used.get(whole) {
                Some(used) => *used,
                None => metadata.modified()?,
            },
            size: metadata.len(),
            path: entry.path(),
            name,
        });
    }
    Ok(files)
}
