//! The cases: YAML files in `cases/`, each an area, each case a few requests.
//!
//! In paths and bodies `$ns` is the namespace of the case, `$m`, `$w`, `$cm`, `$secrets`, `$hosts`, `$leases` and `$events` are the
//! collections in it, and a name that a step saved is what it found. `repeat` sends a request so many times, `$i` counts.
//! `until` asks again until the answer has settled, for what others than the server bring about.

use serde::Deserialize;
use serde_json::Value;
use vitistack_tests::peer;

/// One file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    area: String,
    cases: Vec<Case>,
}

/// Some requests that belong together, in a namespace of their own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// What part of the API it is about.
    #[serde(default)]
    pub(crate) area: String,
    /// What should be so.
    pub(crate) name: String,
    /// The requests, in order.
    pub(crate) steps: Vec<Step>,
}

/// One request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    /// Method and path with query.
    #[serde(rename = "do")]
    pub(crate) request: String,
    /// JSON to send.
    #[serde(default)]
    pub(crate) body: Option<Value>,
    /// Text to send instead.
    #[serde(default)]
    pub(crate) text: Option<String>,
    /// Content type: a full one, or `json`, `merge`, `strategic`, `apply`.
    #[serde(default, rename = "as")]
    pub(crate) content_type: Option<String>,
    /// `Accept`: a full one, or `table`, `metadata`, `metadata-list`.
    #[serde(default)]
    pub(crate) accept: Option<String>,
    /// `User-Agent`.
    #[serde(default)]
    pub(crate) agent: Option<String>,
    /// Names for what stands at these pointers of the answer.
    #[serde(default)]
    pub(crate) save: std::collections::BTreeMap<String, String>,
    /// Only these parts of the answer are compared.
    #[serde(default)]
    pub(crate) pick: Vec<String>,
    /// A watch: so many events are read, bookmarks without a mark not among them.
    #[serde(default)]
    pub(crate) events: Option<usize>,
    /// How often.
    #[serde(default)]
    pub(crate) repeat: Option<usize>,
    /// Asked again, for a while, until these pointers of the answer have these values; null is absent.
    #[serde(default)]
    pub(crate) until: std::collections::BTreeMap<String, Value>,
    /// The documented difference that shows here.
    #[serde(default)]
    pub(crate) differs: Option<String>,
    /// The answer does not matter, it only prepares.
    #[serde(default)]
    pub(crate) quiet: bool,
}

/// What came back for one step.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// HTTP status code.
    pub(crate) code: u16,
    /// `Content-Type`, `Warning` and `Retry-After`, as they came.
    pub(crate) headers: Vec<(String, String)>,
    /// The body; the list of events of a watch.
    pub(crate) body: Value,
    /// Whether the answer is what the step waits for.
    pub(crate) settled: bool,
}

/// Every case of every file.
pub(crate) fn all() -> Vec<Case> {
    let folder = peer::root().join("tests/tests/conformance/cases");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|path| {
            let text = std::fs::read_to_string(path).expect("a case file is UTF-8");
            let File { area, cases } = serde_saphyr::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            cases.into_iter().map(move |mut case| {
                case.area.clone_from(&area);
                case
            })
        })
        .collect()
}
