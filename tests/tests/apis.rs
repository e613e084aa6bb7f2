//! The hub and its API, without a site: what is accepted, what is refused, what the conditions say. Every scenario runs
//! against a kube-apiserver and against the standalone API; what concerns the definitions themselves only against the
//! former, and a restored backup only against the latter.

mod apis {
    mod definitions;
    mod restore;
}

use std::process::Command;

use serde_json::Value;
use vitistack_tests::manifest;
use vitistack_tests::peer;
use vitistack_tests::process::run;
use vitistack_tests::world::{Hub, LOOPBACK, Mode, SOON};

const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000001";
const IMAGE: &str = "http://192.0.2.1/image.raw.zst";
const MACHINE: (&str, &str, &str) = ("machine", "default", "m1");

/// Every manifest of the project's own: those of the API's tests and the examples that are shipped.
fn documents() -> Vec<Value> {
    let mut found = Vec::new();
    for folder in ["hub/api/tests/manifests", "deploy/examples/edge-site"] {
        let folder = peer::root().join(folder);
        let files = std::fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        for file in files.flatten() {
            let text = std::fs::read_to_string(file.path()).expect("a manifest is UTF-8");
            let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("it is YAML");
            found.extend(documents);
        }
    }
    found.retain(|document| document["apiVersion"] == "vitistack.io/v1alpha1");
    assert!(found.len() >= 20, "only {} manifests found", found.len());
    found
}

/// Every place of an object key below `spec`, as JSON pointers with the key last. Keys of free-form maps are left out:
/// there every key is allowed.
fn keys(value: &Value, at: &str, found: &mut Vec<String>) {
    const FREE: &[&str] = &[
        "config",
        "configuration",
        "tags",
        "labels",
        "annotations",
        "settings",
        "parameters",
        "matchLabels",
        "values",
        "metadata",
        "data",
        "nodeSelector",
        "properties",
        "options",
        "additionalTags",
    ];
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let place = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
                if !FREE.contains(&key.as_str()) {
                    keys(value, &place, found);
                }
                found.push(place);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                keys(value, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// The same document with the last letter of one key changed.
fn misspelt(document: &Value, place: &str) -> Value {
    let mut changed = document.clone();
    let (parent, key) = place.rsplit_once('/').expect("a pointer has a slash");
    let map = changed
        .pointer_mut(parent)
        .and_then(Value::as_object_mut)
        .expect("a key lies in an object");
    let value = map.remove(key).expect("the key is there");
    let mut wrong = key.to_owned();
    wrong.pop();
    wrong.push('Q');
    map.insert(wrong, value);
    changed
}

/// `sent` is part of `kept`: defaults may have been added, nothing was changed or dropped.
fn contains(kept: &Value, sent: &Value) -> bool {
    match (kept, sent) {
        (Value::Object(kept), Value::Object(sent)) => sent
            .iter()
            .all(|(key, value)| kept.get(key).is_some_and(|kept| contains(kept, value))),
        (Value::Array(kept), Value::Array(sent)) => {
            kept.len() == sent.len()
                && kept
                    .iter()
                    .zip(sent)
                    .all(|(kept, sent)| contains(kept, sent))
        }
        _ => kept == sent,
    }
}

fn manifests_are_accepted_and_misspelt_ones_refused(mode: Mode) {
    let hub = Hub::start(mode, LOOPBACK);
    let documents = documents();
    let namespaces: std::collections::BTreeSet<&str> = documents
        .iter()
        .filter_map(|document| document["metadata"]["namespace"].as_str())
        .collect();
    for namespace in namespaces {
        hub.try_kubectl(&["create", "namespace", namespace]).ok();
    }
    let raw = hub.raw();
    let mut complaints = Vec::new();
    for document in &documents {
        let name = format!("{} {}", document["kind"], document["metadata"]["name"]);
        match raw.dry_run(document) {
            Ok(kept) if contains(&kept["spec"], &document["spec"]) => {}
            Ok(kept) => complaints.push(format!("{name}: read back as {}", kept["spec"])),
            Err((code, text)) => complaints.push(format!("{name}: {code} {text}")),
        }
        let mut places = Vec::new();
        keys(&document["spec"], "/spec", &mut places);
        for place in places {
            let (parent, key) = place.rsplit_once('/').expect("a pointer has a slash");
            if is_free(document, parent) || key.parse::<usize>().is_ok() {
                continue;
            }
            if raw.dry_run(&misspelt(document, &place)).is_ok() {
                complaints.push(format!("{name}: {place} may be misspelt"));
            }
        }
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

/// Whether `parent` is a map in which every key is allowed: the project's own schema says so.
fn is_free(document: &Value, parent: &str) -> bool {
    let kind = document["kind"].as_str().expect("a manifest has a kind");
    let crd = vitistack_api::crd::crds()
        .into_iter()
        .find(|crd| crd.spec.names.kind == kind);
    let crd = serde_json::to_value(crd).expect("a CRD is JSON");
    let mut schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
    for part in parent.split('/').skip(1) {
        schema = if part.parse::<usize>().is_ok() && schema["type"] == "array" {
            schema["items"].clone()
        } else if schema["properties"].get(part).is_some() {
            schema["properties"][part].clone()
        } else {
            schema["additionalProperties"].clone()
        };
    }
    schema.get("additionalProperties").is_some()
}

#[test]
fn manifests_standalone() {
    manifests_are_accepted_and_misspelt_ones_refused(Mode::Standalone);
}

#[test]
fn manifests_kubernetes() {
    manifests_are_accepted_and_misspelt_ones_refused(Mode::Kubernetes);
}

fn machine(name: &str, more: &str) -> String {
    manifest::machine(name, IMAGE, DIGEST, more)
}

fn bad_input_ends_in_a_condition(mode: Mode) {
    let hub = Hub::start(mode, LOOPBACK);
    let says = |reason: &str, naming: &str| {
        let message = hub.wait_condition(MACHINE, ("Ready", "False", reason), SOON);
        assert!(
            message.contains(naming),
            "{reason}: {message:?} does not name {naming:?}"
        );
    };
    let replace = |manifest: &str| {
        hub.try_kubectl(&[
            "delete",
            "machine",
            "m1",
            "--ignore-not-found",
            "--timeout=30s",
        ])
        .unwrap_or_else(|error| panic!("{error}"));
        hub.apply(manifest)
            .unwrap_or_else(|error| panic!("{error}"));
    };

    replace(&machine("m1", ""));
    says("ProviderNotFound", "edge");

    // The cause goes, the condition follows: no free host is next.
    hub.apply(&manifest::bmc_secret("admin", "x"))
        .expect("a Secret is accepted");
    hub.apply(&manifest::provider("edge-west"))
        .expect("a provider is accepted");
    hub.wait_condition(
        ("machineprovider", "default", "edge"),
        ("Ready", "False", "AgentNotFound"),
        SOON,
    );
    says("InsufficientCapacity", "edge");

    let without_digest = machine("m1", "").replace(&format!("    imageDigest: {DIGEST}\n"), "");
    replace(&without_digest);
    says("ImageDigestRequired", "imageDigest");

    hub.kubectl(&["create", "namespace", "elsewhere"]);
    let there =
        manifest::provider("edge-west").replace("namespace: default", "namespace: elsewhere");
    hub.apply(&there).expect("a provider is accepted");
    let across = machine("m1", "").replace("{name: edge}", "{name: edge, namespace: elsewhere}");
    replace(&across);
    says("RefNotPermitted", "allowedNamespaces");
    hub.kubectl(&[
        "patch",
        "machineprovider",
        "edge",
        "-n",
        "elsewhere",
        "--type=merge",
        "-p",
        r#"{"spec":{"allowedNamespaces":{"from":"All"}}}"#,
    ]);
    says("InsufficientCapacity", "");
}

#[test]
fn bad_input_standalone() {
    bad_input_ends_in_a_condition(Mode::Standalone);
}

#[test]
fn bad_input_kubernetes() {
    bad_input_ends_in_a_condition(Mode::Kubernetes);
}

fn quota_is_enforced(mode: Mode) {
    let hub = Hub::start(mode, LOOPBACK);
    hub.apply(&manifest::bmc_secret("admin", "x"))
        .expect("a Secret is accepted");
    hub.apply(&manifest::provider("edge-west"))
        .expect("a provider is accepted");
    hub.apply(
        "apiVersion: vitistack.io/v1alpha1
kind: Datacenter
metadata: {name: dc, namespace: default}
spec:
  region: edge-west
  resourceQuotas: {maxMachines: 1}
  machineProviders: [{name: edge, priority: 1}]
",
    )
    .expect("a Datacenter is accepted");
    let listed = "  datacenterRef: {name: dc}\n";
    hub.apply(&machine("m0", listed))
        .expect("a Machine is accepted");
    // A claim counts, whoever wrote it.
    let first = hub
        .object("machine", "default", "m0")
        .expect("the Machine is there");
    let claim = format!(
        "  consumerRef: {{name: m0, namespace: default, uid: {}}}\n",
        first["metadata"]["uid"]
    );
    let bmc = "redfish+https://127.0.0.1:9/redfish/v1/Systems/1";
    let host = manifest::host_at("host-0", bmc, "52:54:00:00:00:07", "UEFI");
    hub.apply(&(host + &claim)).expect("a host is accepted");
    hub.wait_condition(
        ("machine", "default", "m0"),
        ("Ready", "False", "AgentNotFound"),
        SOON,
    );
    hub.apply(&machine("m1", listed))
        .expect("a Machine is accepted");
    let message = hub.wait_condition(MACHINE, ("Ready", "False", "QuotaExceeded"), SOON);
    assert!(message.contains("maxMachines"), "{message}");
    hub.kubectl(&[
        "patch",
        "datacenter",
        "dc",
        "--type=merge",
        "-p",
        r#"{"spec":{"resourceQuotas":{"maxMachines":2}}}"#,
    ]);
    hub.wait_condition(MACHINE, ("Ready", "False", "InsufficientCapacity"), SOON);
}

#[test]
fn quota_standalone() {
    quota_is_enforced(Mode::Standalone);
}

#[test]
fn quota_kubernetes() {
    quota_is_enforced(Mode::Kubernetes);
}

fn kubectl_works(mode: Mode) {
    let hub = Hub::start(mode, LOOPBACK);
    hub.apply(&manifest::bmc_secret("admin", "x"))
        .expect("a Secret is accepted");
    hub.apply(&manifest::provider("edge-west"))
        .expect("a provider is accepted");
    hub.apply(&manifest::host_at(
        "host-0",
        "redfish+https://127.0.0.1:9/redfish/v1/Systems/1",
        "52:54:00:00:00:07",
        "UEFI",
    ))
    .expect("a host is accepted");
    hub.apply(&machine("m1", ""))
        .expect("a Machine is accepted");

    let table = hub.kubectl(&[
        "get",
        "datacenters,machineproviders,kubernetesproviders,machines,vbmh",
    ]);
    assert!(
        table.contains("machineprovider.vitistack.io/edge"),
        "{table}"
    );
    assert!(table.contains("machine.vitistack.io/m1"), "{table}");
    let table = hub.kubectl(&["get", "m", "m1"]);
    assert!(table.contains("PHASE") && table.contains("AGE"), "{table}");

    let explained = hub.kubectl(&["explain", "machine.spec.os"]);
    assert!(explained.contains("imageDigest"), "{explained}");
    hub.wait_condition(MACHINE, ("Ready", "False", ""), SOON);
    let described = hub.kubectl(&["describe", "machine", "m1"]);
    assert!(
        described.contains("Reason:") && described.contains("Conditions:"),
        "{described}"
    );
    hub.kubectl(&[
        "wait",
        "--for=condition=Ready=False",
        "machine/m1",
        "--timeout=20s",
    ]);

    let pending = hub.kubectl(&[
        "get",
        "machines",
        "--field-selector=status.phase=Pending",
        "-o",
        "name",
    ]);
    assert_eq!(pending.trim(), "machine.vitistack.io/m1");
    hub.kubectl(&["label", "machine", "m1", "team=edge"]);
    let labelled = hub.kubectl(&["get", "machines", "-l", "team=edge", "-o", "name"]);
    assert_eq!(labelled.trim(), "machine.vitistack.io/m1");

    let refused = hub.apply(&machine("m2", "").replace("imageID", "imageIQ"));
    assert!(
        refused.as_ref().is_err_and(|text| text.contains("imageIQ")),
        "{refused:?}"
    );

    hub.kubectl(&["delete", "machine", "m1", "--timeout=30s"]);
    hub.kubectl(&["delete", "vbmh", "host-0", "--timeout=30s"]);
    hub.kubectl(&["delete", "machineprovider", "edge", "--timeout=30s"]);
}

#[test]
fn kubectl_standalone() {
    kubectl_works(Mode::Standalone);
}

#[test]
fn kubectl_kubernetes() {
    kubectl_works(Mode::Kubernetes);
}

#[test]
fn the_hub_says_how_it_is_and_stops_when_asked() {
    let mut hub = Hub::start(Mode::Standalone, LOOPBACK);
    let http = hub.addresses()["http"]
        .as_str()
        .expect("the hub serves http")
        .to_owned();
    for path in ["healthz", "readyz", "metrics"] {
        let page = run(Command::new("curl").args(["-sf", &format!("http://{http}/{path}")]))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(!page.is_empty(), "{path} is empty");
    }
    assert!(hub.stop().success(), "{}", hub.log());
}

#[test]
fn validate_works_offline_and_names_field_value_and_what_is_allowed() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let check = |manifest: &str| {
        std::fs::write(file.path(), manifest).expect("the file is writable");
        run(Command::new(peer::program("kubectl-viti"))
            .args(["validate", "-f"])
            .arg(file.path()))
    };
    check(&machine("m1", "")).expect("a good manifest passes");
    let refused =
        check(&machine("m1", "").replace(DIGEST, "sha256:abc")).expect_err("a bad one does not");
    assert!(
        refused.contains("imageDigest") && refused.contains("sha256:abc"),
        "{refused}"
    );
    let refused =
        check(&machine("m1", "  powerState: Sleeping\n")).expect_err("a bad one does not");
    assert!(
        refused.contains("powerState") && refused.contains("On"),
        "{refused}"
    );
    let unknown = check(&machine("m1", "  colour: blue\n")).expect_err("a bad one does not");
    assert!(unknown.contains("colour"), "{unknown}");
}
