//! The places where the tests kill a program: before and after each write, fsync, call of a BMC and step of the
//! installer.
//!
//! A program says [`before`] and [`after`] with the place's name, `<program>.<what is done>`; the *point* is that name
//! with `.before` or `.after` behind it. Without the feature `fault-points`, which nothing enables but
//! `tests/fault/build.sh`, both functions are empty. With it a program notes each hit, and dies at the point that was
//! armed: an ordinary program by SIGKILL (`process`), the installer, which is PID 1, by a reset of its server
//! (`server`).
//!
//! This crate must not know what the programs do, and nothing but the tests may know how a point is armed.

#[cfg(feature = "fault-points")]
mod armed;
#[cfg(feature = "fault-points")]
mod process;
#[cfg(feature = "fault-points")]
mod server;

/// In every program that was built with points, and in no other.
#[cfg(feature = "fault-points")]
pub const MARK: &str = "vitistack-fault-points-are-compiled-into-this-program";

/// What the place does is about to be done.
#[cfg(feature = "fault-points")]
pub fn before(place: &'static str) {
    reach(place, "before");
}

/// What the place does was done, and nobody has been told yet.
#[cfg(feature = "fault-points")]
pub fn after(place: &'static str) {
    reach(place, "after");
}

#[cfg(feature = "fault-points")]
fn reach(place: &str, side: &str) {
    let point = format!("{place}.{side}");
    if std::process::id() == 1 {
        server::reach(&point);
    } else {
        process::reach(&point);
    }
}

/// What the place does is about to be done.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
pub fn before(_place: &'static str) {}

/// What the place does was done, and nobody has been told yet.
#[cfg(not(feature = "fault-points"))]
#[inline(always)]
pub fn after(_place: &'static str) {}
