//! What goes wrong with the files of the store, and what to do about it.

use std::path::{Path, PathBuf};

/// What went wrong. Where a person has to act, the message says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file or directory could not be used.
    #[error("cannot {operation} {path}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// sled refused.
    #[error("cannot {operation} the store")]
    Store {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        source: sled::Error,
    },
    /// Another process has it open, and did not let go of it.
    #[error(
        "the store in {0} is in use, mostly by another hub; stop that one, or name another directory (--data-dir)"
    )]
    InUse(PathBuf),
    /// sled panicked over what it found in its files.
    #[error("the files of the store in {0} are damaged; restore the data directory from a backup")]
    Unreadable(PathBuf),
    /// A row is not what was written.
    #[error("the store's row of {0} is damaged; restore the data directory from a backup")]
    Damaged(String),
    /// Objects are missing that were there, or all are as they were earlier.
    #[error(
        "the store in {0} is damaged: it is not all that was written to it; restore the data directory from a backup"
    )]
    Incomplete(PathBuf),
    /// The directory was used before, and sled finds nothing in it.
    #[error(
        "the store in {0} was used before and is empty now; restore it, or remove the directory to begin anew"
    )]
    Emptied(PathBuf),
    /// A newer program wrote it.
    #[error(
        "the store in {path} has format {found}, and this program knows formats up to {known}; start the newer program \
         again, or restore the data directory from a backup of this one"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest one that is known.
        known: u64,
    },
    /// The key would be copied with what it seals.
    #[error(
        "the key file {key_file} lies inside the data directory {data_dir}, and whoever copies the directory would have \
         both; name a file elsewhere (--key-file)"
    )]
    KeyInside {
        /// The key.
        key_file: PathBuf,
        /// The data.
        data_dir: PathBuf,
    },
    /// The store is sealed and its key is not there.
    #[error(
        "the store in {path} is sealed, and there is no key file {key_file}; put the file back, or name the place where \
         it is (--key-file). Nothing was changed. Without the key the objects cannot be read: then restore data \
         directory and key from a backup, or remove the data directory to begin anew"
    )]
    KeyMissing {
        /// The key.
        key_file: PathBuf,
        /// The store.
        path: PathBuf,
    },
    /// Another key than the one that the store was sealed with.
    #[error(
        "the store in {path} was sealed with another key than the one in {key_file}; put the right key there, or name \
         the place where it is (--key-file). Nothing was changed"
    )]
    KeyWrong {
        /// The key.
        key_file: PathBuf,
        /// The store.
        path: PathBuf,
    },
    /// The file holds no key.
    #[error("the key file {path} has {found} bytes; it must hold exactly {expected}")]
    KeyLength {
        /// The key.
        path: PathBuf,
        /// Its bytes.
        found: usize,
        /// As many as it must have.
        expected: usize,
    },
    /// The operating system gave no randomness, or a value could not be sealed.
    #[error("{0} cannot be sealed")]
    Seal(&'static str),
}

impl Error {
    /// Whether the filesystem has no room: what was written is there, and nothing more can be.
    pub(crate) fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        let (Self::File { source, .. }
        | Self::Store {
            source: sled::Error::Io(source),
            ..
        }) = self
        else {
            return false;
        };
        matches!(source.kind(), StorageFull | QuotaExceeded)
    }

    /// Whether another try may go well without anybody having repaired anything.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::File { .. } | Self::InUse(_) => true,
            Self::Store { source, .. } => !matches!(source, sled::Error::Corruption { .. }),
            Self::Unreadable(_)
            | Self::Incomplete(_)
            | Self::Damaged(_)
            | Self::Emptied(_)
            | Self::Newer { .. }
            | Self::KeyInside { .. }
            | Self::KeyMissing { .. }
            | Self::KeyWrong { .. }
            | Self::KeyLength { .. }
            | Self::Seal(_) => false,
        }
    }
}

/// An error of `operation` on `path`.
pub(super) fn file(
    operation: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File {
        operation,
        path,
        source,
    }
}

/// An error of `operation` in sled.
pub(super) fn store(operation: &'static str) -> impl FnOnce(sled::Error) -> Error {
    move |source| Error::Store { operation, source }
}
