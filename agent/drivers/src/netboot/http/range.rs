//! The `Range` header (RFC 9110 section 14). Pure.

#[cfg(test)]
mod tests;

/// Which part of a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// From the first byte number to the last, both included.
    Bytes { first: u64, last: u64 },
    /// A part that the file does not have.
    Unsatisfiable,
}

/// Reads the header's value for a file of `length` bytes. What is malformed or asks for several parts at once is
/// answered with the whole file, as the standard allows.
pub(crate) fn parse(value: &str, length: u64) -> Part {
    let Some((from, to)) = value
        .strip_prefix("bytes=")
        .and_then(|part| part.trim().split_once('-'))
    else {
        return Part::Whole;
    };
    let number = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())
            .flatten()
    };
    match (from, to) {
        ("", suffix) => match number(suffix) {
            None => Part::Whole,
            Some(0) => Part::Unsatisfiable,
            Some(_) if length == 0 => Part::Unsatisfiable,
            Some(suffix) => Part::Bytes {
                first: length.saturating_sub(suffix),
                last: length - 1,
            },
        },
        (first, last) => {
            let last = if last.is_empty() {
                Some(u64::MAX)
            } else {
                number(last)
            };
            match (number(first), last) {
                (Some(first), Some(last)) if first > last => Part::Whole,
                (Some(first), Some(_)) if first >= length => Part::Unsatisfiable,
                (Some(first), Some(last)) => Part::Bytes {
                    first,
                    last: last.min(length - 1),
                },
                (None, _) | (_, None) => Part::Whole,
            }
        }
    }
}
