//! What can go wrong in the store, and the class that decides what the agent does about it.

use std::path::PathBuf;

/// An operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A directory or file beside the database could not be made, read, written or synced.
    #[error("{operation} of {path} failed")]
    File {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The database itself failed.
    #[error("the database failed to {operation}")]
    Database {
        /// What was tried.
        operation: &'static str,
        /// Why not.
        source: sled::Error,
    },
    /// Another process has it open, and did not let go of it.
    #[error(
        "the store at {0} is in use, mostly by another agent; stop that one, or give this one a data_dir of its own"
    )]
    InUse(PathBuf),
    /// The database panicked. It happens where sled finds its own files in a shape that it did not expect.
    #[error("the database panicked while it was to {operation}")]
    Panicked {
        /// What was tried.
        operation: &'static str,
    },
    /// A row or a file does not hold what was written.
    #[error("row {row} is damaged")]
    Damaged {
        /// Which one: table and key.
        row: String,
        /// How it was noticed.
        source: super::record::Damage,
    },
    /// There was a store here, and now there is none.
    #[error("store {store} at {path} was emptied by somebody else or by a lost disk cache")]
    Emptied {
        /// The directory.
        path: PathBuf,
        /// Which store it was.
        store: String,
    },
    /// Rows are missing that were committed, or all are as they were earlier.
    #[error("the store at {path} is not all that was written to it")]
    Incomplete {
        /// The directory.
        path: PathBuf,
    },
    /// A newer agent wrote this store.
    #[error(
        "the store at {path} has format {found}, and this agent knows up to {known}; start the newer agent again, \
         or move the directory away"
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest one that this build reads.
        known: u32,
    },
    /// The store's secrets are sealed, and the key is not there.
    #[error(
        "the store at {path} is sealed, and there is no key file {key_file}; put the file back or let key_file name it. \
         Nothing was changed. If the key is lost for good, move {path} away: the hub sends everything again"
    )]
    KeyMissing {
        /// The store.
        path: PathBuf,
        /// The key.
        key_file: PathBuf,
    },
    /// The store's secrets are sealed with another key.
    #[error(
        "the store at {path} was sealed with another key than the one in {key_file}; put the right file there. Nothing \
         was changed. If the key is lost for good, move {path} away: the hub sends everything again"
    )]
    KeyWrong {
        /// The store.
        path: PathBuf,
        /// The key.
        key_file: PathBuf,
    },
    /// The byte quota is used up, or the filesystem has only the reserve left.
    #[error("the store is full: {used} bytes of {quota} used, {free} bytes free on its filesystem")]
    Full {
        /// Bytes of live rows and files.
        used: u64,
        /// Configured limit.
        quota: u64,
        /// Free bytes of the filesystem.
        free: u64,
    },
    /// A batch in which this operation stood was not written.
    #[error("the batch of this operation was not written: {reason}")]
    Batch {
        /// The failure of the batch, in words, because it belongs to several operations.
        reason: String,
        /// Its class.
        class: Class,
    },
    /// A value could not be encoded, sealed or unsealed.
    #[error("{what} could not be {operation}")]
    Encoding {
        /// Which value.
        what: &'static str,
        /// `encoded`, `sealed`, `unsealed`.
        operation: &'static str,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// What decides. The text never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// No space: refuse what is new, try again when there is some.
    Full,
    /// The bytes are not ours any more: the store is set aside.
    Corrupt,
    /// Another program version is needed.
    Newer,
    /// The operating system failed: reopen, try again.
    Io,
    /// A defect or a lost key: this operation never succeeds.
    Invalid,
    /// The store is gone with its process.
    Closed,
}

impl Error {
    /// How to go on.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::File { source, .. } => io_class(source),
            Self::Database { source, .. } => match source {
                sled::Error::Io(source) => io_class(source),
                sled::Error::Corruption { .. } => Class::Corrupt,
                sled::Error::CollectionNotFound(_)
                | sled::Error::Unsupported(_)
                | sled::Error::ReportableBug(_) => Class::Io,
            },
            Self::InUse(_) => Class::Io,
            Self::Panicked { .. }
            | Self::Damaged { .. }
            | Self::Emptied { .. }
            | Self::Incomplete { .. } => Class::Corrupt,
            Self::Newer { .. } => Class::Newer,
            Self::Full { .. } => Class::Full,
            Self::Batch { class, .. } => *class,
            Self::Encoding { .. } | Self::KeyMissing { .. } | Self::KeyWrong { .. } => {
                Class::Invalid
            }
            Self::Closed => Class::Closed,
        }
    }

    /// Name for metrics and health.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self.class() {
            Class::Full => "StoreFull",
            Class::Corrupt => "StoreCorrupt",
            Class::Newer => "StoreNewer",
            Class::Io => "StoreUnavailable",
            Class::Invalid => "StoreInvalid",
            Class::Closed => "StoreClosed",
        }
    }
}

fn io_class(error: &std::io::Error) -> Class {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Class::Full,
        // sled reports a checksum that does not fit as InvalidData or a short read.
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Class::Corrupt,
        _ => Class::Io,
    }
}
