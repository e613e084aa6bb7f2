//! Keeps a program running, as systemd or Kubernetes would: whatever ends it, it is started again. Deaths are written
//! down, and the fault points of the program are armed here.
//!
//! One thread a keeper; it ends, and the program with it, when the keeper is dropped.

use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(50);
/// systemd waits 100 ms by default.
const AGAIN: Duration = Duration::from_millis(100);

/// A program that is kept running.
pub(crate) struct Keeper {
    faults: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// While set the program stays down.
    down: AtomicBool,
    is_down: AtomicBool,
    deaths: Mutex<Vec<ExitStatus>>,
}

impl Keeper {
    /// Starts `command` with its output appended to `dir/name.log` and its fault files in `dir/faults-name`.
    pub(crate) fn start(name: &'static str, dir: &Path, mut command: Command) -> Self {
        let faults = dir.join(format!("faults-{name}"));
        std::fs::create_dir_all(&faults).expect("the site's directory is writable");
        command.env("VITISTACK_FAULT_DIR", &faults);
        let log = dir.join(format!("{name}.log"));
        let shared = Arc::new(Shared::default());
        let kept = Arc::clone(&shared);
        let thread = std::thread::spawn(move || keep(&kept, &mut command, &log));
        Self {
            faults,
            shared,
            thread: Some(thread),
        }
    }

    /// Stops the program; [`Keeper::up`] starts it again. For what has to be done while it does not run.
    pub(crate) fn down(&self) {
        self.shared.down.store(true, Ordering::SeqCst);
        while !self.shared.is_down.load(Ordering::SeqCst) {
            std::thread::sleep(POLL);
        }
    }

    /// Starts it again.
    pub(crate) fn up(&self) {
        self.shared.is_down.store(false, Ordering::SeqCst);
        self.shared.down.store(false, Ordering::SeqCst);
    }

    /// Lets the program die at each of these points, one after the other, after so many hits each.
    pub(crate) fn arm(&self, points: &[(&str, u32)]) {
        let list: String = points
            .iter()
            .map(|(point, skip)| format!("{point} {skip}\n"))
            .collect();
        let file = self.faults.join("armed.new");
        std::fs::write(&file, list).expect("the site's directory is writable");
        std::fs::rename(&file, self.faults.join("armed"))
            .expect("the site's directory is writable");
    }

    /// Points that were armed and not reached.
    pub(crate) fn armed(&self) -> Vec<String> {
        lines(&self.faults.join("armed"))
    }

    /// Every point at which the program died, oldest first.
    pub(crate) fn killed(&self) -> Vec<String> {
        lines(&self.faults.join("killed"))
    }

    /// Every hit, oldest first.
    pub(crate) fn hits(&self) -> Vec<String> {
        lines(&self.faults.join("hits"))
    }

    /// How it ended each time, but for when it was asked to.
    pub(crate) fn deaths(&self) -> Vec<ExitStatus> {
        self.shared
            .deaths
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Deaths that were no SIGKILL: the program gave up by itself, which it never should.
    pub(crate) fn collapses(&self) -> Vec<ExitStatus> {
        let mut deaths = self.deaths();
        deaths.retain(|status| status.signal() != Some(9));
        deaths
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn keep(shared: &Shared, command: &mut Command, log: &Path) {
    let mut child: Option<Child> = None;
    loop {
        let stop = shared.stop.load(Ordering::SeqCst);
        if stop || shared.down.load(Ordering::SeqCst) {
            if let Some(mut child) = child.take() {
                child.kill().ok();
                child.wait().ok();
            }
            shared.is_down.store(true, Ordering::SeqCst);
            if stop {
                return;
            }
        } else if let Some(running) = &mut child {
            if let Ok(Some(status)) = running.try_wait() {
                let mut deaths = shared.deaths.lock().unwrap_or_else(PoisonError::into_inner);
                deaths.push(status);
                child = None;
                std::thread::sleep(AGAIN);
            }
        } else {
            child = spawn(command, log);
        }
        std::thread::sleep(POLL);
    }
}

fn spawn(command: &mut Command, log: &Path) -> Option<Child> {
    let output = File::options().create(true).append(true).open(log).ok()?;
    let errors = output.try_clone().ok()?;
    command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .ok()
}

fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(str::to_owned)
        .collect()
}
