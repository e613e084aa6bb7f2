//! The bad manifests of `hub/api/tests/rows`, read for those who send them somewhere.

use serde_json::Value;
use vitistack_tests::peer;

#[path = "../../../hub/api/tests/twins/mod.rs"]
mod twins;

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

/// Every row; the names of the objects are all different.
pub(crate) fn all() -> Vec<Row> {
    let mut rows = Vec::new();
    let folder = peer::root().join("hub/api/tests/rows");
    for file in twins::read(&folder).expect("every file is read") {
        for row in &file.rows {
            // The name that a Datacenter's recovery must not have.
            let name = if row.path.ends_with("targetDatacenter") {
                "row".to_owned()
            } else {
                format!("row-{}", rows.len())
            };
            let (bad, good) = file.twins(row, &name);
            rows.push(Row {
                label: format!("{} / {}", file.kind, row.name),
                layer: row.layer.clone(),
                path: row.path.clone(),
                reason: row.reason.clone(),
                bad,
                good,
            });
        }
    }
    rows
}
