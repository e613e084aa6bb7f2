//! Waiting on a condition with a bound. Tests never sleep for a guess.

use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(250);

/// Asks `look` until it gives something, for at most `bound`.
///
/// # Panics
/// When the bound has passed; the message holds `what` and what `look` said last.
#[track_caller]
pub fn until<T>(what: &str, bound: Duration, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + bound;
    loop {
        match look() {
            Ok(value) => return value,
            Err(last) if Instant::now() >= end => {
                panic!(
                    "{what}: not within {} s; last seen: {last}",
                    bound.as_secs()
                )
            }
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

/// Asks `look` for the whole of `span` and fails when it objects: for what must not happen.
///
/// # Panics
/// As soon as `look` returns an error.
#[track_caller]
pub fn throughout(what: &str, span: Duration, mut look: impl FnMut() -> Result<(), String>) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        if let Err(seen) = look() {
            panic!("{what}: {seen}");
        }
        std::thread::sleep(POLL);
    }
}
