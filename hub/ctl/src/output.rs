//! The terminal: answers on standard output, everything else on standard error.

use std::io::Write as _;

use anyhow::Context as _;

/// Prints an answer as it is.
pub(crate) fn answer(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .context("standard output cannot be written")
}

/// Prints an answer for a program.
pub(crate) fn json(value: &serde_json::Value) -> anyhow::Result<()> {
    answer(&format!("{value:#}\n"))
}

/// Says something beside the answer.
pub(crate) fn aside(text: &str) {
    // Nobody is left to hear of a standard error that is closed.
    let _unheard = writeln!(std::io::stderr().lock(), "{text}");
}
