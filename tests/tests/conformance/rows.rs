//! The bad manifests of `hub/api/tests/rows`, read for those who send them somewhere.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};
use vitistack_tests::peer;

/// One rule.
pub(crate) struct Row {
    /// Kind and name of the row.
    pub(crate) label: String,
    /// Who catches it: `schema`, `cel` or `validate`.
    pub(crate) layer: String,
    /// The field that is refused.
    pub(crate) path: String,
    /// The reason of the refusal.
    pub(crate) reason: String,
    /// The manifest that breaks the rule.
    pub(crate) bad: Value,
    /// Its twin, which differs in that field only.
    pub(crate) good: Value,
}

#[derive(Deserialize)]
struct File {
    kind: String,
    base: Value,
    rows: Vec<Written>,
}

#[derive(Deserialize)]
struct Written {
    name: String,
    at: String,
    #[serde(default)]
    bad: Option<Value>,
    #[serde(default)]
    good: Option<Value>,
    #[serde(default)]
    with: BTreeMap<String, Value>,
    layer: String,
    path: String,
    reason: String,
}

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

/// Every row; the names of the objects are all different.
pub(crate) fn all() -> Vec<Row> {
    let folder = peer::root().join("hub/api/tests/rows");
    let mut rows = Vec::new();
    for path in std::fs::read_dir(folder)
        .expect("the rows are there")
        .flatten()
    {
        let text = std::fs::read_to_string(path.path()).expect("rows are UTF-8");
        let File {
            kind,
            base,
            rows: written,
        } = serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        for row in written {
            // The name that a Datacenter's recovery must not have.
            let name = if row.path.ends_with("targetDatacenter") {
                "row".to_owned()
            } else {
                format!("row-{}", rows.len())
            };
            let object = |spec: &Value| {
                json!({ "apiVersion": "vitistack.io/v1alpha1", "kind": kind,
                        "metadata": { "name": name, "namespace": "default" }, "spec": spec })
            };
            let mut good = base.clone();
            for (pointer, value) in &row.with {
                put(&mut good, pointer, Some(value));
            }
            if let Some(value) = &row.good {
                put(&mut good, &row.at, Some(value));
            }
            let mut bad = good.clone();
            put(&mut bad, &row.at, row.bad.as_ref());
            rows.push(Row {
                label: format!("{kind} / {}", row.name),
                layer: row.layer,
                path: row.path,
                reason: row.reason,
                bad: object(&bad),
                good: object(&good),
            });
        }
    }
    rows
}
