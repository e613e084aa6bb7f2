//! The standalone API held to a real one: the same requests go to a kube-apiserver and to the standalone API, and the
//! answers are compared field by field. What may differ stands in one table, [`documented`].

mod conformance {
    pub(crate) mod case;
    pub(crate) mod documented;
    pub(crate) mod normal;
    pub(crate) mod server;
}

use std::collections::BTreeMap;

use conformance::case::{self, Case, Exchange};
use conformance::documented::{self, DIFFERENCES};
use conformance::normal::{self, Finding};
use conformance::server::Server;
use vitistack_tests::peer;

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
