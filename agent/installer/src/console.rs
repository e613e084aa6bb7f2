//! What the person at the console sees: short lines on the serial port and on the screen.
//!
//! It opens the terminals anew for each line and ignores every error: a server without a screen installs all the same.

use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;

/// Screen, and first serial port.
const TERMINALS: [&str; 2] = ["/dev/tty0", "/dev/ttyS0"];

/// Writes one line to every terminal there is.
pub fn say(line: impl Display) {
    let text = format!("installer: {line}\r\n");
    for path in TERMINALS {
        // Non-blocking: opening a serial line would else wait for a carrier.
        let terminal = OpenOptions::new()
            .write(true)
            .custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits())
            .open(path);
        if let Ok(mut terminal) = terminal {
            drop(terminal.write_all(text.as_bytes()));
        }
    }
}

/// An error with all its sources, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
