//! Texts of reports: an error with its sources, and what a BMC or an installer said. All bounded: a report is a row of
//! at most 4 KiB.

use vitistack_protocol::Chain;

/// A message in a report is at most 1 KiB, and a condition that long is read by nobody.
const LONGEST_MESSAGE: usize = 800;

/// An error and its sources in one line, bounded.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    clip(Chain(error).to_string(), LONGEST_MESSAGE)
}

/// Cuts at a character boundary.
pub(crate) fn clip(mut text: String, longest: usize) -> String {
    if text.len() > longest {
        let mut end = longest;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
