//! Cron lines: five fields, or one of the short names.

const SHORT: &[&str] = &[
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];
const MONTHS: &[&str] = &[
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    /// Words for the numbers from `first` on.
    words: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        first: 0,
        last: 59,
        words: &[],
    },
    Field {
        name: "hour",
        first: 0,
        last: 23,
        words: &[],
    },
    Field {
        name: "day of month",
        first: 1,
        last: 31,
        words: &[],
    },
    Field {
        name: "month",
        first: 1,
        last: 12,
        words: MONTHS,
    },
    // 7 is Sunday too.
    Field {
        name: "day of week",
        first: 0,
        last: 7,
        words: DAYS,
    },
];

/// Says what is wrong with `line`, if anything is.
pub(super) fn check(line: &str) -> Result<(), String> {
    if SHORT.contains(&line.trim()) {
        return Ok(());
    }
    let parts: Vec<&str> = line.split_whitespace().collect();
    if parts.len() != FIELDS.len() {
        return Err(format!("it has {} fields", parts.len()));
    }
    for (field, text) in FIELDS.iter().zip(parts) {
        if !text.split(',').all(|part| field.takes(part)) {
            let Field {
                name, first, last, ..
            } = field;
            return Err(format!(
                "{name} is {text:?}, and goes from {first} to {last}"
            ));
        }
    }
    Ok(())
}

impl Field {
    fn takes(&self, part: &str) -> bool {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (part, None),
        };
        let good_step = step.is_none_or(|step| digits(step).is_some_and(|step| step > 0));
        good_step
            && match range.split_once('-') {
                _ if range == "*" => true,
                Some((first, last)) => {
                    matches!((self.number(first), self.number(last)), (Some(first), Some(last)) if first <= last)
                }
                None => self.number(range).is_some(),
            }
    }

    fn number(&self, text: &str) -> Option<u32> {
        let word = self
            .words
            .iter()
            .zip(self.first..)
            .find(|(word, _)| word.eq_ignore_ascii_case(text));
        match word {
            Some((_, number)) => Some(number),
            None => digits(text).filter(|number| (self.first..=self.last).contains(number)),
        }
    }
}

/// A number without a sign.
fn digits(text: &str) -> Option<u32> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}
