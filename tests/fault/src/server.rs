//! Points of a server's PID 1: hits go to its serial port, the list of points to die at comes in the initramfs, and death
//! is a reset of the server without a sync, as by somebody who pulls the plug and puts it back.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::sys::reboot::{RebootMode, reboot};

use crate::MARK;
use crate::armed::{Verdict, judge};

/// Put into the initramfs by the test.
const ARMED: &str = "/fault/armed";
/// First serial port.
const CONSOLE: &str = "/dev/ttyS0";
/// For the last line to leave the serial port.
const LAST_WORDS: Duration = Duration::from_millis(150);

/// The list as it was counted down in this boot.
static LIST: OnceLock<Mutex<String>> = OnceLock::new();

pub(crate) fn reach(point: &str) {
    let list = LIST.get_or_init(|| {
        say(MARK);
        Mutex::new(fs::read_to_string(ARMED).unwrap_or_default())
    });
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    match judge(&list, point) {
        Verdict::Pass => say(&format!("hit {point}")),
        Verdict::Count(rest) => {
            say(&format!("hit {point}"));
            *list = rest;
        }
        Verdict::Die(_) => {
            say(&format!("killed {point}"));
            std::thread::sleep(LAST_WORDS);
            // It returns only with an error; without the reset the server hangs here, which the test finds out.
            reboot(RebootMode::RB_AUTOBOOT).ok();
            loop {
                std::thread::park();
            }
        }
    }
}

fn say(line: &str) {
    let terminal = OpenOptions::new()
        .write(true)
        .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
        .open(CONSOLE);
    if let Ok(mut terminal) = terminal {
        drop(terminal.write_all(format!("fault: {line}\r\n").as_bytes()));
    }
}
