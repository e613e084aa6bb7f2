//! Points of a program that runs under a test, which names a directory in the environment: `hits` there grows by a line
//! a hit, `armed` is the list of points to die at, `killed` names those at which the program died.
//!
//! The files are only for the test, so errors of theirs are not the program's: without them nothing is killed, which the
//! test finds out.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::MARK;
use crate::armed::{Verdict, judge};

/// Names the directory.
const VARIABLE: &str = "VITISTACK_FAULT_DIR";

/// One hit at a time: the list is read and written.
static ONE: Mutex<()> = Mutex::new(());

pub(crate) fn reach(point: &str) {
    let Some(directory) = directory() else {
        return;
    };
    let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    append(&directory.join("hits"), point);
    let armed = directory.join("armed");
    match judge(&fs::read_to_string(&armed).unwrap_or_default(), point) {
        Verdict::Pass => {}
        Verdict::Count(list) => drop(fs::write(&armed, list)),
        Verdict::Die(list) => {
            drop(fs::write(&armed, list));
            append(&directory.join("killed"), point);
            kill(Pid::this(), Signal::SIGKILL).ok();
            // Not one more instruction of the program; the lock is kept for the same reason.
            loop {
                std::thread::park();
            }
        }
    }
    drop(one);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one exception to config.rs alone reading the environment: the programs know nothing of their points"
)]
fn directory() -> Option<&'static Path> {
    static DIRECTORY: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = DIRECTORY.get_or_init(|| {
        let directory = std::env::var(VARIABLE).ok().map(PathBuf::from)?;
        append(&directory.join("programs"), MARK);
        Some(directory)
    });
    found.as_deref()
}

fn append(path: &Path, line: &str) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    if let Ok(mut file) = file {
        drop(file.write_all(format!("{line}\n").as_bytes()));
    }
}
