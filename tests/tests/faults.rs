//! Fault points are in the programs that `tests/fault/build.sh` makes and in no other, and the seeded defects still fit
//! the sources.

use std::path::{Path, PathBuf};

use vitistack_tests::peer::root;

const PROGRAMS: [&str; 4] = [
    "vitistack-agent",
    "vitistack-hub",
    "vitistack-installer",
    "kubectl-viti",
];

/// What the feature puts into a program, as `vitistack-fault` has it.
fn mark() -> String {
    let source = std::fs::read_to_string(root().join("tests/fault/src/lib.rs")).unwrap();
    let (_, rest) = source.split_once("MARK: &str = \"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// Names of all places, from the sources.
fn places() -> Vec<String> {
    fn walk(dir: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let calls = text.split("fault::before(\"").skip(1);
                found.extend(calls.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }
    let mut found = Vec::new();
    for folder in ["agent", "hub"] {
        walk(&root().join(folder), &mut found);
    }
    found.sort();
    found.dedup();
    found
}

/// The program's bytes, to be searched for text: the standard library's search is fast in test builds too.
fn text(program: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(program).unwrap()).into_owned()
}

/// Programs in `dir`, as far as they were built.
fn built(dir: &Path) -> Vec<PathBuf> {
    let all = PROGRAMS.iter().map(|name| dir.join(name));
    all.filter(|path| path.exists()).collect()
}

/// The folder of the programs that were built with this test.
fn own() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().to_owned()
}

#[test]
fn programs_are_built_without_fault_points() {
    let mark = mark();
    for program in built(&own()) {
        let is_clean = !text(&program).contains(&mark);
        let shown = program.display();
        assert!(
            is_clean,
            "{shown} can be killed: cargo build --workspace --bins"
        );
    }
    let places = places();
    assert!(places.len() > 30, "{places:?}");
    let target = root().join("target");
    let releases = ["release", "x86_64-unknown-linux-gnu/release"];
    for release in releases
        .iter()
        .flat_map(|folder| built(&target.join(folder)))
    {
        let (text, shown) = (text(&release), release.display());
        assert!(!text.contains(&mark), "{shown} can be killed");
        for place in &places {
            assert!(!text.contains(place), "{shown} names the place {place}");
        }
    }
}

#[test]
fn programs_of_the_crash_matrix_have_them() {
    // Where tests/fault/build.sh was run; the crash matrix itself fails without them.
    for program in built(&root().join("target/fault")) {
        let is_armed = text(&program).contains(&mark());
        assert!(is_armed, "{}: run tests/fault/build.sh", program.display());
    }
}

#[test]
fn every_seeded_defect_fits_the_sources() {
    let folder = root().join("tests/defects");
    let list = std::fs::read_to_string(folder.join("list")).unwrap();
    let named = list.lines().filter(|line| !line.starts_with('#'));
    let mut named: Vec<String> = named
        .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .collect();
    named.sort();
    let files = std::fs::read_dir(&folder).unwrap().flatten();
    let mut patches: Vec<String> = files
        .filter_map(|file| {
            Some(
                file.file_name()
                    .to_str()?
                    .strip_suffix(".patch")?
                    .to_owned(),
            )
        })
        .collect();
    patches.sort();
    assert_eq!(
        named, patches,
        "each patch is in the list and the other way round"
    );
    for name in named {
        let patch = std::fs::File::open(folder.join(format!("{name}.patch"))).unwrap();
        let output = std::process::Command::new("patch")
            .args(["-p1", "-s", "-F0", "--dry-run", "-d"])
            .arg(root())
            .stdin(patch)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "make {name}.patch anew: {said}");
    }
}
