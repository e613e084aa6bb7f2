use super::*;

fn lines(manifest: &str) -> Vec<String> {
    to_text(&text("f", manifest).findings)
        .lines()
        .map(str::to_owned)
        .collect()
}

const HEAD: &str = "apiVersion: vitistack.io/v1alpha1\nkind: Machine\nmetadata: {name: m}\n";

#[test]
fn a_finding_names_the_path_the_value_and_what_is_allowed() {
    for (spec, expected) in [
        (
            "spec: {powerState: Sleeping}",
            r#"f: Machine/m: spec.powerState: "Sleeping": supported values: "On", "Off", "PoweredOn", "PoweredOff""#,
        ),
        (
            "spec: {cpu: {cores: 0}}",
            "f: Machine/m: spec.cpu.cores: 0: spec.cpu.cores in body should be greater than or equal to 1",
        ),
        (
            "spec: {cpu: {cores: 1.5}}",
            "f: Machine/m: spec.cpu.cores: 1.5: Checked value must be of type integer with format int64 in spec.cpu.cores",
        ),
        (
            "spec: {os: {imageDigst: x}}",
            "f: Machine/m: spec.os.imageDigst: unknown field; did you mean imageDigest? allowed: architecture, distribution, family, imageDigest, imageFamily, imageID, version",
        ),
        (
            "spec: {backup: {schedule: often}}",
            r#"f: Machine/m: spec.backup.schedule: "often": must be a cron line of five fields, such as "0 2 * * *": it has 1 fields"#,
        ),
        (
            "spek: {}",
            "f: Machine/m: spek: unknown field; did you mean spec? allowed: spec, status",
        ),
    ] {
        let found = lines(&format!("{HEAD}{spec}\n"));
        assert!(found.contains(&expected.to_owned()), "{found:#?}");
    }
    let found = lines(&format!("{HEAD}spek: {{}}\n"));
    assert!(
        found.contains(&"f: Machine/m: spec: required".to_owned()),
        "{found:#?}"
    );
}

#[test]
fn an_unquoted_on_is_the_boolean_that_kubectl_makes_of_it() {
    let found = lines(&format!("{HEAD}spec: {{powerState: Off}}\n"));
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].ends_with("must be of type string: \"boolean\""),
        "{found:#?}"
    );
    assert!(
        found[1].contains("spec.powerState: false: supported values:"),
        "{found:#?}"
    );
    let quoted = lines(&format!("{HEAD}spec: {{powerState: \"Off\"}}\n"));
    assert!(quoted.is_empty(), "{quoted:#?}");
}

#[test]
fn every_document_is_read_and_others_are_passed_over() {
    let manifest = format!(
        "{HEAD}spec: {{}}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\n---\n\
         apiVersion: vitistack.io/v1alpha1\nkind: Mashine\nmetadata: {{name: x}}\n---\n\
         apiVersion: vitistack.io/v1\nkind: Machine\nmetadata: {{name: y}}\n---\n\
         apiVersion: v1\nkind: List\nitems: [{{apiVersion: vitistack.io/v1alpha1, kind: Agent, metadata: {{}}, spec: {{}}}}]\n"
    );
    let checked = text("f", &manifest);
    assert_eq!(checked.documents, 4);
    let paths: Vec<&str> = checked
        .findings
        .iter()
        .map(|one| one.path.as_str())
        .collect();
    assert_eq!(paths, ["kind", "apiVersion", "metadata.name", "spec.site"]);
}

#[test]
fn a_machine_on_bare_metal_needs_its_digest() {
    let manifest = |digest: &str| {
        format!(
            "apiVersion: vitistack.io/v1alpha1\nkind: MachineProvider\nmetadata: {{name: rack}}\n\
             spec: {{providerType: baremetal, region: r}}\n---\n\
             {HEAD}spec: {{machineProviderRef: {{name: rack}}, os: {{imageID: \"http://a/b\"{digest}}}}}\n"
        )
    };
    let found = lines(&manifest(""));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("f: Machine/m: spec.os.imageDigest: required"),
        "{found:?}"
    );
    let digest = format!(", imageDigest: \"sha256:{}\"", "0".repeat(64));
    assert_eq!(lines(&manifest(&digest)), Vec::<String>::new());
}

#[test]
fn what_is_no_yaml_is_a_finding() {
    let found = lines("a: [1\n");
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("f: must be YAML"), "{found:?}");
    let twice = lines(&format!("{HEAD}spec: {{name: a, name: b}}\n"));
    assert_eq!(twice.len(), 1, "{twice:?}");
}

#[test]
fn the_examples_in_deploy_have_nothing_wrong() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../deploy/examples/edge-site"
    );
    let mut whole = String::new();
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    for file in files {
        whole.push_str("---\n");
        whole.push_str(&std::fs::read_to_string(file).expect("readable"));
    }
    let checked = text("examples", &whole);
    assert_eq!(to_text(&checked.findings), "");
    assert_eq!(checked.documents, 4);
}
