use std::path::PathBuf;

use super::*;
use crate::conditions::Reason;
use serde_json::to_value;

fn deploy() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../deploy")
}

#[test]
fn deploy_holds_the_definitions_as_they_are() {
    for (name, text) in files() {
        let path = deploy().join("crds").join(&name);
        let held = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            held == text,
            "{name} is out of date: run `cargo run -p vitistack-hub -- crd --out-dir deploy/crds`"
        );
    }
    let expected = files().len();
    let held = std::fs::read_dir(deploy().join("crds"))
        .expect("the folder")
        .count();
    assert_eq!(held, expected, "deploy/crds holds a file of no kind");
}

#[test]
fn deploy_holds_the_table_of_reasons_as_it_is() {
    let held = std::fs::read_to_string(deploy().join("docs/reasons.md")).unwrap_or_default();
    assert!(
        held == Reason::table(),
        "reasons.md is out of date: run `cargo run -p vitistack-hub -- reasons > deploy/docs/reasons.md`"
    );
}

#[test]
fn every_kind_has_what_design_promises() {
    let names: Vec<_> = crds()
        .iter()
        .map(|crd| crd.spec.names.kind.clone())
        .collect();
    assert_eq!(
        names,
        [
            "Datacenter",
            "MachineProvider",
            "KubernetesProvider",
            "Machine",
            "BareMetalHost",
            "Agent"
        ]
    );
    for crd in crds() {
        let kind = crd.spec.names.kind.clone();
        assert_eq!(crd.spec.group, crate::names::GROUP, "{kind}");
        assert_eq!(crd.spec.scope, "Namespaced", "{kind}");
        assert_eq!(
            crd.spec.names.categories.as_deref(),
            Some(&["vitistack".to_owned()][..]),
            "{kind}"
        );
        let [version] = &crd.spec.versions[..] else {
            panic!("{kind} has one version");
        };
        assert_eq!(version.name, crate::names::VERSION, "{kind}");
        assert!(
            version
                .subresources
                .as_ref()
                .is_some_and(|all| all.status.is_some()),
            "{kind}"
        );
        let selectable: Vec<_> = version
            .selectable_fields
            .iter()
            .flatten()
            .map(|one| one.json_path.as_str())
            .collect();
        assert_eq!(selectable, [".status.phase"], "{kind}");
        let schema = schema_of(&crd).expect("a schema");
        assert_eq!(
            schema.required.as_deref(),
            Some(&["spec".to_owned()][..]),
            "{kind}"
        );
    }
}

/// Calls `visit` for every schema below `schema`, with its path.
fn walk(schema: &JSONSchemaProps, path: &str, visit: &mut impl FnMut(&str, &JSONSchemaProps)) {
    visit(path, schema);
    for (name, inner) in schema.properties.iter().flatten() {
        walk(inner, &format!("{path}.{name}"), visit);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        walk(items, &format!("{path}[]"), visit);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &schema.additional_properties {
        walk(values, &format!("{path}{{}}"), visit);
    }
}

#[test]
fn no_schema_has_nulls_unknown_fields_or_unexplained_ones() {
    for crd in crds() {
        let kind = crd.spec.names.kind.clone();
        walk(
            schema_of(&crd).expect("a schema"),
            "",
            &mut |path, schema| {
                let place = format!("{kind}{path}");
                assert_eq!(schema.nullable, None, "{place}");
                assert_eq!(schema.x_kubernetes_preserve_unknown_fields, None, "{place}");
                assert!(schema.type_.is_some(), "{place}");
                assert!(
                    schema.any_of.is_none() && schema.one_of.is_none() && schema.all_of.is_none(),
                    "{place}"
                );
                assert_ne!(
                    schema.additional_properties,
                    Some(JSONSchemaPropsOrBool::Bool(true)),
                    "{place}"
                );
                if schema.type_.as_deref() == Some("object") {
                    assert!(
                        schema.properties.is_some() || schema.additional_properties.is_some(),
                        "{place}"
                    );
                }
                let named = !path.is_empty() && !path.ends_with("[]") && !path.ends_with("{}");
                assert!(
                    !named || schema.description.is_some(),
                    "{place} is not explained"
                );
            },
        );
    }
}

#[test]
fn a_status_can_be_written_piece_by_piece() {
    for crd in crds() {
        let kind = crd.spec.names.kind.clone();
        let status = schema_of(&crd)
            .and_then(|schema| schema.properties.as_ref()?.get("status").cloned())
            .expect("a status");
        assert_eq!(status.required, None, "{kind}");
        walk(&status, "", &mut |path, schema| {
            for (name, inner) in schema.properties.iter().flatten() {
                let required = schema.required.iter().flatten().any(|one| one == name);
                let time = inner.format.as_deref() == Some("date-time");
                assert!(
                    !(time && required && !path.contains("conditions")),
                    "{kind}.status{path}.{name}"
                );
            }
        });
    }
}

#[test]
fn every_rule_compiles() {
    for crd in crds() {
        let schema = to_value(schema_of(&crd)).expect("JSON");
        let compiled = kube_cel::compile_schema(&schema);
        assert!(
            !compiled.has_errors(),
            "{}: {:?}",
            crd.spec.names.kind,
            compiled.compilation_errors()
        );
    }
}
