//! What every measurement is told.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use vitistack_tests::peer;

/// How and what to measure.
#[derive(Debug)]
pub(crate) struct Context {
    /// Small numbers that prove nothing but that the measurement works.
    pub(crate) short: bool,
    /// Instead of the full count of agents or Machines.
    pub(crate) count: Option<usize>,
    /// Folder of our programs.
    pub(crate) programs: PathBuf,
}

impl Context {
    /// Also tells the harness where the programs are.
    pub(crate) fn new(
        short: bool,
        count: Option<usize>,
        programs: PathBuf,
    ) -> anyhow::Result<Self> {
        let programs = programs
            .canonicalize()
            .with_context(|| format!("{} holds no programs", programs.display()))?;
        peer::use_programs(&programs);
        Ok(Self {
            short,
            count,
            programs,
        })
    }

    /// The size of a measurement: `full`, or `short` if only that it works is to be seen.
    pub(crate) fn size<T>(&self, full: T, short: T) -> T {
        if self.short { short } else { full }
    }

    /// How many of what a figure is about.
    pub(crate) fn many(&self, full: usize, short: usize) -> usize {
        self.count.unwrap_or_else(|| self.size(full, short))
    }

    /// One of our programs.
    pub(crate) fn program(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.programs.join(name);
        anyhow::ensure!(
            path.exists(),
            "{} is missing: cargo build --release --workspace --bins",
            path.display()
        );
        Ok(path)
    }
}

/// Where `cargo build --release` puts programs.
pub(crate) fn release_programs() -> PathBuf {
    peer::root().join(Path::new("target/release"))
}
