//! The language of label selectors: words, then requirements. The words of a refusal are those of Kubernetes.

use super::{Requirement, Test};
use crate::failure::Failure;
use crate::lifecycle::names::key_fault;

/// Signs that end a word.
const SIGNS: &str = "=!(),<>";

/// Reads `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>1`.
pub(super) fn parse(text: &str) -> Result<Vec<Requirement>, Failure> {
    let mut words = Words { left: words(text) };
    let mut found = Vec::new();
    if words.peek().is_none() {
        return Ok(found);
    }
    loop {
        match words.peek() {
            Some(word) if word == "!" || !is_sign(word) => {
                let one = words.requirement().map_err(|why| {
                    Failure::bad_request(format!("unable to parse requirement: {why}"))
                })?;
                found.push(one);
            }
            other => {
                let other = other.unwrap_or_default();
                return Err(refused(&format!(
                    "found '{other}', expected: !, identifier, or 'end of string'"
                )));
            }
        }
        match words.next().as_deref() {
            None => return Ok(found),
            Some(",") => match words.peek() {
                Some(word) if word == "!" || !is_sign(word) => {}
                other => {
                    let other = other.unwrap_or_default();
                    return Err(refused(&format!(
                        "found '{other}', expected: identifier after ','"
                    )));
                }
            },
            Some(other) => {
                return Err(refused(&format!(
                    "found '{other}', expected: ',' or 'end of string'"
                )));
            }
        }
    }
}

fn refused(why: &str) -> Failure {
    Failure::bad_request(why)
}

fn is_sign(word: &str) -> bool {
    word.starts_with(|c: char| SIGNS.contains(c))
}

/// Words and signs; `==` and `!=` are one sign.
fn words(text: &str) -> std::collections::VecDeque<String> {
    let mut found = std::collections::VecDeque::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter.is_whitespace() {
            continue;
        }
        let mut word = String::from(letter);
        if SIGNS.contains(letter) {
            if "=!".contains(letter)
                && let Some(second) = letters.next_if_eq(&'=')
            {
                word.push(second);
            }
        } else {
            while let Some(next) = letters.next_if(|c| !c.is_whitespace() && !SIGNS.contains(*c)) {
                word.push(next);
            }
        }
        found.push_back(word);
    }
    found
}

struct Words {
    left: std::collections::VecDeque<String>,
}

impl Words {
    fn peek(&self) -> Option<&str> {
        self.left.front().map(String::as_str)
    }

    fn next(&mut self) -> Option<String> {
        self.left.pop_front()
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let absent = self.peek() == Some("!");
        if absent {
            self.next();
        }
        let key = self.next().unwrap_or_default();
        if key.is_empty() || is_sign(&key) {
            return Err(format!("found '{key}', expected: identifier"));
        }
        if let Some(why) = key_fault(&key) {
            return Err(format!("<nil>: Invalid value: {key:?}: {why}"));
        }
        let make = |test| Requirement {
            key: key.clone(),
            test,
        };
        if absent {
            return Ok(make(Test::Absent));
        }
        match self.peek() {
            None | Some(",") => return Ok(make(Test::Exists)),
            Some(_) => {}
        }
        let operator = self.next().unwrap_or_default();
        match operator.as_str() {
            "in" => self.values().map(|values| make(Test::In(values))),
            "notin" => self.values().map(|values| make(Test::NotIn(values))),
            "=" | "==" => Ok(make(Test::In(vec![self.value()?]))),
            "!=" => Ok(make(Test::NotIn(vec![self.value()?]))),
            "<" | ">" => {
                let value = self.value()?;
                let number = value.parse::<i64>().map_err(|_| {
                    format!(
                        "values[0]: Invalid value: {value:?}: for 'Gt', 'Lt' operators, the value \
                         must be an integer"
                    )
                })?;
                Ok(make(if operator == ">" {
                    Test::Above(number)
                } else {
                    Test::Below(number)
                }))
            }
            other => Err(format!(
                "found '{other}', expected: in, notin, =, ==, !=, gt, lt"
            )),
        }
    }

    /// One value, which may be empty.
    fn value(&mut self) -> Result<String, String> {
        match self.peek() {
            None | Some(",") => Ok(String::new()),
            Some(word) if !is_sign(word) => Ok(self.next().unwrap_or_default()),
            Some(word) => Err(format!("found '{word}', expected: identifier")),
        }
    }

    /// `(a,b)`.
    fn values(&mut self) -> Result<Vec<String>, String> {
        let open = self.next().unwrap_or_default();
        if open != "(" {
            return Err(format!("found '{open}' expected: '('"));
        }
        let mut values = Vec::new();
        loop {
            match self.next().as_deref() {
                Some(")") => {
                    values.push(String::new());
                    return Ok(values);
                }
                Some(",") => values.push(String::new()),
                Some(word) if !is_sign(word) => {
                    values.push(word.to_owned());
                    match self.next().as_deref() {
                        Some(")") => return Ok(values),
                        Some(",") => {}
                        other => {
                            let other = other.unwrap_or_default();
                            return Err(format!("found '{other}', expected: ',' or ')'"));
                        }
                    }
                }
                other => {
                    let other = other.unwrap_or_default();
                    return Err(format!("found '{other}', expected: ',', or identifier"));
                }
            }
        }
    }
}
