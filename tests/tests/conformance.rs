//! The standalone API held to a real one: the same requests go to a kube-apiserver and to the standalone API, and the
//! answers are compared field by field. What may differ stands in one table, [`documented`].

mod conformance {
    pub(crate) mod case;
    pub(crate) mod documented;
    pub(crate) mod normal;
    pub(crate) mod rows;
    pub(crate) mod server;
}

use std::collections::BTreeMap;

use conformance::case::{self, Case, Exchange};
use conformance::documented::{self, DIFFERENCES};
use conformance::normal::{self, Finding};
use conformance::rows::{self, Row};
use conformance::server::Server;
use serde_json::{Value, json};
use vitistack_tests::process::run;
use vitistack_tests::world::{Hub, LOOPBACK, Mode, SOON};
use vitistack_tests::{peer, wait};

/// Cases that the suite must not fall below.
const LEAST_CASES: usize = 120;

/// What became of the cases of one area.
#[derive(Default)]
struct Tally {
    cases: usize,
    requests: usize,
    equal: usize,
    documented: usize,
}

#[test]
fn the_standalone_api_answers_as_kube_apiserver_does() {
    let cases = case::all();
    let dir = tempfile::tempdir().expect("/tmp is writable");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let real = Server::real(&runtime, dir.path());
    let ours = Server::standalone(&runtime, &dir.path().join("standalone"));

    let mut areas: BTreeMap<String, Tally> = BTreeMap::new();
    let mut used: BTreeMap<&str, usize> = BTreeMap::new();
    let mut complaints = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let namespace = format!("case-{number}");
        let answers = [&real, &ours].map(|server| runtime.block_on(server.play(case, &namespace)));
        let [theirs, own] = &answers;
        let tally = areas.entry(case.area.clone()).or_default();
        tally.cases += 1;
        tally.requests += case.steps.len();
        let (undocumented, excused) = judge(case, theirs, own);
        match (undocumented.is_empty(), excused.is_empty()) {
            (true, true) => tally.equal += 1,
            (true, false) => tally.documented += 1,
            (false, _) => {}
        }
        for id in excused {
            *used.entry(id).or_default() += 1;
        }
        complaints.extend(undocumented);
    }
    print_table(&areas);
    for difference in DIFFERENCES {
        let count = used.get(difference.id).copied().unwrap_or_default();
        println!("  documented: {} ({count} fields)", difference.id);
    }
    runtime.block_on(ours.stop());
    assert!(
        complaints.is_empty(),
        "{} answers differ:\n{}",
        complaints.len(),
        complaints.join("\n")
    );
    assert!(
        cases.len() >= LEAST_CASES,
        "only {} cases; {LEAST_CASES} are promised",
        cases.len()
    );
}

/// What differs without excuse, in words, and the names of the excuses that were used.
fn judge(case: &Case, theirs: &[Exchange], own: &[Exchange]) -> (Vec<String>, Vec<&'static str>) {
    let (mut undocumented, mut excused) = (Vec::new(), Vec::new());
    let (theirs, own) = (normal::of(theirs), normal::of(own));
    for (index, (a, b)) in theirs.iter().zip(&own).enumerate() {
        for finding in normal::compare(a, b, &case.steps[index]) {
            match documented::excuse(&case.steps[index], &finding) {
                Some(id) => excused.push(id),
                None => undocumented.push(complaint(case, index, &finding)),
            }
        }
    }
    (undocumented, excused)
}

fn complaint(case: &Case, index: usize, finding: &Finding) -> String {
    let Finding { path, real, ours } = finding;
    format!(
        "[{}] {} / step {} {}: {path}\n    kube-apiserver {real}\n    standalone     {ours}",
        case.area,
        case.name,
        index + 1,
        case.steps[index].request,
    )
}

fn print_table(areas: &BTreeMap<String, Tally>) {
    println!(
        "{:<24} {:>6} {:>9} {:>6} {:>22}",
        "area", "cases", "requests", "equal", "differ as documented"
    );
    let mut sum = Tally::default();
    for (area, tally) in areas {
        let Tally {
            cases,
            requests,
            equal,
            documented,
        } = tally;
        println!("{area:<24} {cases:>6} {requests:>9} {equal:>6} {documented:>22}");
        sum.cases += cases;
        sum.requests += requests;
        sum.equal += equal;
        sum.documented += documented;
    }
    let Tally {
        cases,
        requests,
        equal,
        documented,
    } = sum;
    println!(
        "{:<24} {cases:>6} {requests:>9} {equal:>6} {documented:>22}",
        "all"
    );
}

/// Whether `server` refuses `object` in a strict dry run for `row`'s field and reason, or else what it says.
fn refuses(raw: &vitistack_tests::raw::Raw, row: &Row) -> Result<(), String> {
    match raw.dry_run(&row.bad) {
        Err((422, message)) if message.contains(&row.path) => Ok(()),
        other => Err(format!(
            "{}: {} is not named by {other:?}",
            row.label, row.path
        )),
    }
}

#[test]
fn bad_manifests_are_refused_by_the_apis_or_the_controllers_and_their_twins_are_not() {
    let rows = rows::all();
    let kubernetes = Hub::start(Mode::Kubernetes, LOOPBACK);
    let standalone = Hub::start(Mode::Standalone, LOOPBACK);
    let (real, ours) = (kubernetes.raw(), standalone.raw());
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        *counts.entry(&row.layer).or_default() += 1;
        for (name, raw) in [("kube-apiserver", &real), ("standalone", &ours)] {
            if let Err(refused) = raw.dry_run(&row.good) {
                wrong.push(format!("{name}, the twin of {}: {refused:?}", row.label));
            }
        }
        wrong.extend(
            refuses(&ours, row)
                .err()
                .map(|why| format!("standalone, {why}")),
        );
        if row.layer == "validate" {
            if let Err(refused) = real.dry_run(&row.bad) {
                wrong.push(format!("kube-apiserver, {}: {refused:?}", row.label));
            }
        } else {
            wrong.extend(
                refuses(&real, row)
                    .err()
                    .map(|why| format!("kube-apiserver, {why}")),
            );
        }
    }
    // What only validation knows is let in by kube-apiserver; then the hub says it.
    let known: Vec<&Row> = rows
        .iter()
        .filter(|row| row.layer == "validate" && row.bad["kind"] != "Agent")
        .collect();
    let file = kubernetes.path("rows.json");
    // Without their provider the hosts would wait for that.
    let rack = json!({ "apiVersion": "vitistack.io/v1alpha1", "kind": "MachineProvider",
                       "metadata": { "name": "rack", "namespace": "default" },
                       "spec": { "providerType": "baremetal", "region": "north" } });
    let bad = known.iter().map(|row| row.bad.clone());
    let items: Vec<Value> = std::iter::once(rack).chain(bad).collect();
    let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
    std::fs::write(&file, list.to_string()).expect("the test's directory is writable");
    kubernetes.kubectl(&["create", "-f", &file.display().to_string()]);
    for row in known {
        let kind = row.bad["kind"]
            .as_str()
            .expect("a row has a kind")
            .to_lowercase();
        let name = row.bad["metadata"]["name"]
            .as_str()
            .expect("a row has a name");
        wait::until(
            &format!("{} is refused by the hub", row.label),
            SOON,
            || {
                let text =
                    kubernetes.try_kubectl(&["get", &kind, name, "-n", "default", "-o", "json"])?;
                let object: Value =
                    serde_json::from_str(&text).map_err(|error| error.to_string())?;
                let conditions = object
                    .pointer("/status/conditions")
                    .and_then(Value::as_array);
                let ready = conditions
                    .into_iter()
                    .flatten()
                    .find(|one| one["type"] == "Ready");
                let ready = ready.ok_or_else(|| "no condition Ready yet".to_owned())?;
                let says = ready["message"]
                    .as_str()
                    .unwrap_or_default()
                    .contains(&row.path);
                if ready["status"] == "False" && ready["reason"] == "ValidationFailed" && says {
                    return Ok(());
                }
                Err(ready.to_string())
            },
        );
    }
    println!(
        "bad manifests: {} ({counts:?}), each on kube-apiserver and standalone",
        rows.len()
    );
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn bad_manifests_are_refused_by_kubectl_viti_and_their_twins_are_not() {
    let dir = tempfile::tempdir().expect("/tmp is writable");
    let validate = |object: &Value| {
        let file = dir.path().join("row.json");
        std::fs::write(&file, object.to_string()).expect("the test's directory is writable");
        run(std::process::Command::new(peer::program("kubectl-viti"))
            .args(["validate", "-f"])
            .arg(&file))
    };
    let mut wrong = Vec::new();
    for row in rows::all() {
        match validate(&row.bad) {
            Err(words) if words.contains(&row.path) => {}
            other => wrong.push(format!("{} ({}): {other:?}", row.label, row.reason)),
        }
        if let Err(words) = validate(&row.good) {
            wrong.push(format!("the twin of {}: {words}", row.label));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_page_about_differences_is_the_table() {
    let path = peer::root().join("deploy/docs/standalone-api.md");
    let wanted = documented::page();
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    if held != wanted {
        let beside = peer::root().join("target/standalone-api.md");
        std::fs::write(&beside, &wanted).expect("target/ is writable");
        panic!(
            "{} is out of date; what it should be is in {}",
            path.display(),
            beside.display()
        );
    }
}
