//! Reads the bad manifests of `tests/rows`: a file a kind, in each a good spec and rows that change it in one place. Here
//! for the schemas and the validation; the suite `conformance` includes this file and sends the same rows further.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

/// The rows of one kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    /// The kind.
    pub(crate) kind: String,
    /// A good spec.
    base: Value,
    /// What may be wrong in it.
    pub(crate) rows: Vec<Row>,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// What is wrong, for people.
    pub(crate) name: String,
    /// JSON pointer into the spec.
    at: String,
    /// What stands there in the bad one.
    #[serde(default)]
    bad: Option<Value>,
    /// Nothing stands there in the bad one.
    #[serde(default)]
    remove: bool,
    /// What stands there in the good one, if the base does not say it.
    #[serde(default)]
    good: Option<Value>,
    /// What else both have, by pointer.
    #[serde(default)]
    with: BTreeMap<String, Value>,
    /// Who catches it: `schema`, `cel` or `validate`.
    pub(crate) layer: String,
    /// The field that is refused.
    pub(crate) path: String,
    /// The reason of the refusal.
    pub(crate) reason: String,
}

/// Every file of `folder`, or the name of one that cannot be read and why.
pub(crate) fn read(folder: &Path) -> Result<Vec<File>, String> {
    std::fs::read_dir(folder)
        .expect("the rows are there")
        .flatten()
        .map(|path| {
            let text = std::fs::read_to_string(path.path()).expect("rows are UTF-8");
            serde_saphyr::from_str(&text).map_err(|error| format!("{path:?}: {error}"))
        })
        .collect()
}

impl File {
    /// The bad object of `row` and its good twin, both with this name.
    pub(crate) fn twins(&self, row: &Row, name: &str) -> (Value, Value) {
        let mut good = self.base.clone();
        for (pointer, value) in &row.with {
            put(&mut good, pointer, Some(value));
        }
        if let Some(value) = &row.good {
            put(&mut good, &row.at, Some(value));
        }
        let mut bad = good.clone();
        put(&mut bad, &row.at, row.bad.as_ref().filter(|_| !row.remove));
        (self.object(name, &bad), self.object(name, &good))
    }

    fn object(&self, name: &str, spec: &Value) -> Value {
        json!({ "apiVersion": "vitistack.io/v1alpha1", "kind": self.kind,
                "metadata": { "name": name, "namespace": "default" }, "spec": spec })
    }
}

/// Puts `value` at `pointer`, or takes away what is there; objects on the way are made.
fn put(spec: &mut Value, pointer: &str, value: Option<&Value>) {
    let (way, last) = pointer.rsplit_once('/').expect("a pointer begins with /");
    let mut at = spec;
    for step in way.split('/').skip(1) {
        let map = at.as_object_mut().expect("rows walk through objects");
        at = map.entry(step).or_insert_with(|| json!({}));
    }
    let map = at.as_object_mut().expect("rows walk through objects");
    match value {
        Some(value) => map.insert(last.to_owned(), value.clone()),
        None => map.remove(last),
    };
}
