//! What a client is told beside the answer, whether its request is granted or refused: `Warning` headers of code 299
//! (RFC 7234 section 5.5), as kubectl prints them. One collection lives as long as one request.

use hyper::header::HeaderValue;

/// The warnings of one request, in the order in which they came up.
#[derive(Debug, Default)]
pub(crate) struct Warnings(Vec<String>);

impl Warnings {
    /// Adds `texts`. What was said already is not said again: a change that others overtake is decided anew.
    pub(crate) fn add(&mut self, texts: impl IntoIterator<Item = String>) {
        for text in texts {
            if !self.0.contains(&text) {
                self.0.push(text);
            }
        }
    }

    /// As values of the header. A field name that does not fit into a header is not worth refusing the request.
    pub(crate) fn headers(&self) -> impl Iterator<Item = HeaderValue> {
        self.0.iter().filter_map(|warning| {
            let text = warning.replace('\\', "\\\\").replace('"', "\\\"");
            HeaderValue::from_str(&format!("299 - \"{text}\"")).ok()
        })
    }
}
