//! Bad manifests, one rule each, with the layer that catches it and a twin that differs in that field only. The suite
//! `conformance` sends the same rows to both APIs and through `kubectl viti validate`.

mod twins;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;
use vitistack_api::{crd, schema, validate};

/// Layer, path and reason of every finding.
fn findings(kind: &str, mut object: Value) -> Vec<(String, String, String)> {
    let crds = crd::crds();
    let of_kind = crds.iter().find(|crd| crd.spec.names.kind == kind);
    let definition = of_kind.and_then(crd::schema_of).expect("the kind is ours");
    assert_eq!(
        schema::unknown_fields(definition, &object),
        Vec::<String>::new(),
        "{object}"
    );
    schema::default_into(definition, &mut object);
    let refused = schema::check(definition, &object, None);
    let found = |layer: &str, error: &schema::FieldError| {
        (
            layer.to_owned(),
            error.path.clone(),
            error.reason.as_str().to_owned(),
        )
    };
    if refused.is_empty() {
        return validate::object(kind, &object)
            .iter()
            .map(|error| found("validate", error))
            .collect();
    }
    let by_schema = |error: &schema::FieldError| {
        error.detail.contains(" in body ") || error.reason.as_str() != "FieldValueInvalid"
    };
    refused
        .iter()
        .map(|error| found(if by_schema(error) { "schema" } else { "cel" }, error))
        .collect()
}

#[test]
fn each_bad_manifest_is_caught_where_it_should_be_and_its_twin_is_not() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rows");
    let (mut count, mut rules, mut kinds) = (0, BTreeSet::new(), BTreeMap::new());
    let mut wrong = Vec::new();
    for file in twins::read(&folder).expect("every file is read") {
        for row in &file.rows {
            count += 1;
            *kinds.entry(file.kind.clone()).or_insert(0) += 1;
            rules.insert((
                file.kind.clone(),
                row.path.clone(),
                row.layer.clone(),
                row.reason.clone(),
            ));
            let (bad, good) = file.twins(row, "row");
            let expected = (row.layer.clone(), row.path.clone(), row.reason.clone());
            let found = findings(&file.kind, bad);
            if found.len() != 1 || found[0] != expected {
                wrong.push(format!(
                    "{} / {}: {found:?} is not {expected:?}",
                    file.kind, row.name
                ));
            }
            let found = findings(&file.kind, good);
            if !found.is_empty() {
                wrong.push(format!(
                    "{} / the twin of {}: {found:?}",
                    file.kind, row.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(
        count >= 100 && rules.len() >= 40,
        "{count} rows, {} rules",
        rules.len()
    );
    for kind in [
        "Datacenter",
        "MachineProvider",
        "KubernetesProvider",
        "Machine",
        "BareMetalHost",
    ] {
        assert!(
            kinds.get(kind).is_some_and(|rows| *rows >= 10),
            "{kind}: {kinds:?}"
        );
    }
}
