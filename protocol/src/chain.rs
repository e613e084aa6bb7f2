//! An error with its causes in one line, for logs and for messages to people. Decides nothing.

use std::error::Error;
use std::fmt;

#[cfg(test)]
mod tests;

/// Shows an error and what caused it, `: ` between them. A cause that the text before it ends with already is not said
/// twice.
#[derive(Clone, Copy, Debug)]
pub struct Chain<'a>(pub &'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut next = self.0.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            next = cause.source();
        }
        Ok(())
    }
}
