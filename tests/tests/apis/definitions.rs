//! `vitistack-hub crd apply` on a cluster that has nothing, ours, or somebody else's definitions.

use std::process::Command;

use serde_json::{Value, json};
use vitistack_tests::peer::{self, ApiServer};
use vitistack_tests::process::run;

/// A cluster without any definitions of ours.
struct Cluster {
    // Dropped before its directory.
    api: ApiServer,
    dir: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("/tmp is writable");
        Self {
            api: ApiServer::start(dir.path()),
            dir,
        }
    }

    fn crd_apply(&self, flags: &[&str]) -> Result<String, String> {
        run(Command::new(peer::program("vitistack-hub"))
            .args(["crd", "apply", "--kubeconfig"])
            .arg(&self.api.kubeconfig)
            .args(flags))
    }

    #[track_caller]
    fn kubectl(&self, args: &[&str]) -> String {
        run(Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(&self.api.kubeconfig)
            .args(args))
        .unwrap_or_else(|error| panic!("{error}"))
    }

    fn definitions(&self) -> Vec<String> {
        let names = self.kubectl(&["get", "crd", "-o", "name"]);
        names.lines().map(str::to_owned).collect()
    }

    fn create(&self, object: &Value) {
        let file = self.dir.path().join("object.json");
        std::fs::write(&file, object.to_string()).expect("the directory is writable");
        self.kubectl(&["create", "-f", &file.display().to_string()]);
    }
}

/// Each line ends with `word`, and there is one for each of our kinds.
#[track_caller]
fn all_are(printed: &str, word: &str) {
    let lines: Vec<&str> = printed.lines().collect();
    assert_eq!(lines.len(), vitistack_api::crd::crds().len(), "{printed}");
    for line in lines {
        assert!(
            line.contains(".vitistack.io ") && line.ends_with(word),
            "{printed}"
        );
    }
}

#[test]
fn crd_apply_creates_what_is_missing_and_leaves_alone_what_is_as_it_should_be() {
    let cluster = Cluster::start();
    let dry = cluster.crd_apply(&["--dry-run"]).expect("a dry run works");
    all_are(&dry, " created (dry run)");
    assert_eq!(cluster.definitions(), [""; 0]);

    let fresh = cluster.crd_apply(&[]).expect("it applies");
    all_are(&fresh, " created");
    // Served now, and not a moment later: nothing waits here.
    cluster.kubectl(&["get", "machines,machineproviders,datacenters,vbmh", "-A"]);
    let again = cluster.crd_apply(&[]).expect("it applies again");
    all_are(&again, " unchanged");

    // Another tool took a field over; it is put right, whoever owns it.
    cluster.kubectl(&[
        "patch",
        "crd",
        "machines.vitistack.io",
        "--type=merge",
        "-p",
        r#"{"spec":{"names":{"shortNames":["mach"]}}}"#,
    ]);
    let short_name = || {
        let path = "jsonpath={.spec.names.shortNames[0]}";
        cluster.kubectl(&["get", "crd", "machines.vitistack.io", "-o", path])
    };
    let dry = cluster.crd_apply(&["--dry-run"]).expect("a dry run works");
    let line = "machines.vitistack.io configured (dry run)";
    assert!(dry.lines().any(|one| one == line), "{dry}");
    assert_eq!(short_name(), "mach");
    let put_right = cluster.crd_apply(&[]).expect("it applies");
    let line = "machines.vitistack.io configured";
    assert!(put_right.lines().any(|one| one == line), "{put_right}");
    assert_eq!(short_name(), "m");
    all_are(&cluster.crd_apply(&[]).expect("it applies"), " unchanged");
}

#[test]
fn crd_apply_refuses_what_it_cannot_change_and_writes_nothing() {
    let cluster = Cluster::start();
    let names = json!({
        "kind": "Datacenter", "plural": "datacenters", "singular": "datacenter", "listKind": "DatacenterList"
    });
    let version = json!({
        "name": "v1alpha1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}
    });
    let mut foreign = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "datacenters.vitistack.io"},
        "spec": {"group": "vitistack.io", "scope": "Cluster", "names": names, "versions": [version]}
    });
    cluster.create(&foreign);
    let only = ["customresourcedefinition.apiextensions.k8s.io/datacenters.vitistack.io"];
    for flags in [&[][..], &["--dry-run"]] {
        let refused = cluster.crd_apply(flags).expect_err("the scope differs");
        for part in [
            "datacenters.vitistack.io: its scope is Cluster",
            "kubectl delete crd datacenters.vitistack.io\n",
            "metadata.namespace",
        ] {
            assert!(refused.contains(part), "{part:?} is missing in {refused}");
        }
        assert_eq!(cluster.definitions(), only);
    }

    // The same with our scope and a version of the future, in which objects are stored.
    cluster.kubectl(&["delete", "crd", "datacenters.vitistack.io"]);
    foreign["spec"]["scope"] = json!("Namespaced");
    foreign["spec"]["versions"][0]["name"] = json!("v9");
    cluster.create(&foreign);
    let refused = cluster.crd_apply(&[]).expect_err("v9 is not known");
    assert!(
        refused.contains("datacenters.vitistack.io: it has v9"),
        "{refused}"
    );
    assert!(!refused.contains("kubectl delete"), "{refused}");
    assert_eq!(cluster.definitions(), only);

    // The steps lead out: without that definition everything is applied.
    cluster.kubectl(&["delete", "crd", "datacenters.vitistack.io"]);
    all_are(&cluster.crd_apply(&[]).expect("it applies"), " created");
}
