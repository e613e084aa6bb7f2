//! The invariants of ARCHITECTURE.md that no compiler holds: who may depend on whom, who may import what, how long a
//! file may be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use vitistack_tests::peer::root;

/// Which of our packages each package may depend on (dev-dependencies too).
const MAY_DEPEND_ON: &[(&str, &str, &[&str])] = &[
    ("protocol", "vitistack-protocol", &[]),
    ("hub/api", "vitistack-api", &[]),
    (
        "hub",
        "vitistack-hub",
        &[
            "vitistack-api",
            "vitistack-fault",
            "vitistack-protocol",
            "vitistack-standalone",
        ],
    ),
    (
        "hub/standalone",
        "vitistack-standalone",
        &["vitistack-api", "vitistack-fault"],
    ),
    ("hub/ctl", "kubectl-viti", &["vitistack-api"]),
    (
        "agent",
        "vitistack-agent",
        &["vitistack-protocol", "vitistack-drivers", "vitistack-fault"],
    ),
    (
        "agent/drivers",
        "vitistack-drivers",
        &[
            "vitistack-protocol",
            "vitistack-installer-wire",
            "vitistack-fault",
        ],
    ),
    (
        "agent/installer",
        "vitistack-installer",
        &["vitistack-installer-wire", "vitistack-fault"],
    ),
    ("tests/fault", "vitistack-fault", &[]),
    ("agent/installer/wire", "vitistack-installer-wire", &[]),
];

/// (crate name, where it may be imported).
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("quinn", &["protocol/src/transport"]),
    ("sled", &["agent/src/store", "hub/standalone"]),
];

/// (package folder, dependencies that it must not have).
const MUST_NOT_DEPEND_ON: &[(&str, &[&str])] = &[
    (
        "hub/api",
        &["tokio", "quinn", "reqwest", "axum", "vitistack-protocol"],
    ),
    (
        "protocol",
        &["kube", "k8s-openapi", "sled", "axum", "reqwest"],
    ),
    ("agent", &["kube", "k8s-openapi", "vitistack-api"]),
    ("agent/drivers", &["kube", "k8s-openapi", "sled", "quinn"]),
];

const LONGEST_FILE: usize = 600;

/// A published crate with one change.
const QUINN: &str = "protocol/quinn";

/// The source files below `dir`, but not the published crate's.
fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir)
        .expect("a source folder is readable")
        .flatten()
    {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && name != ".git" && !path.ends_with(QUINN) {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    for folder in ["protocol", "hub", "agent", "tests"] {
        walk(&root.join(folder), &mut found);
    }
    found
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a source file is UTF-8");
            let name = path
                .strip_prefix(&root)
                .expect("walked from the root")
                .display()
                .to_string();
            (name, text)
        })
        .collect()
}

/// Dependency names of a package, from every dependency table of its manifest.
fn dependencies(folder: &str) -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml"))
        .unwrap_or_else(|error| panic!("{folder}/Cargo.toml: {error}"));
    let mut table = "";
    let mut names = Vec::new();
    for line in manifest.lines() {
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_end_matches(']');
        } else if table.ends_with("dependencies")
            && let Some((name, _)) = line.split_once(['=', '.', ' '])
            && !line.starts_with('#')
        {
            names.push(name.trim().to_owned());
        }
    }
    names
}

#[test]
fn quinn_is_the_published_one_but_for_the_boxed_event() {
    let changes = [
        (
            "lib.rs",
            "Proto(Box<proto::ConnectionEvent>)",
            "Proto(proto::ConnectionEvent)",
        ),
        (
            "lib.rs",
            "#[derive(Debug)]\nenum ConnectionEvent",
            "#[cfg(test)]\nmod tests;\n\n#[derive(Debug)]\nenum ConnectionEvent",
        ),
        (
            "endpoint.rs",
            "ConnectionEvent::Proto(Box::new(event))",
            "ConnectionEvent::Proto(event)",
        ),
        (
            "connection.rs",
            "handle_event(*event)",
            "handle_event(event)",
        ),
    ];
    let folder = root().join(QUINN);
    let published = std::fs::read_to_string(folder.join("published.sha256")).expect("it is there");
    let published: BTreeMap<&str, &str> = published
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(digest, name)| (name, digest))
        .collect();
    let mut held = Vec::new();
    walk(&folder.join("src"), &mut held);
    assert_eq!(held.len(), published.len(), "{held:?}");
    let mut complaints = Vec::new();
    for (name, digest) in published {
        let Ok(mut text) = std::fs::read_to_string(folder.join("src").join(name)) else {
            complaints.push(format!("{QUINN}/src/{name} is missing"));
            continue;
        };
        for (_, here, there) in changes.iter().filter(|(file, ..)| *file == name) {
            assert!(text.contains(here), "{name} lacks {here}");
            text = text.replace(here, there);
        }
        if hex::encode(Sha256::digest(&text)) != digest {
            complaints.push(format!("{QUINN}/src/{name} is not the published one"));
        }
    }
    check(complaints);
}

fn check(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn packages_depend_only_downwards() {
    let ours: BTreeMap<&str, &[&str]> = MAY_DEPEND_ON
        .iter()
        .map(|(_, name, allowed)| (*name, *allowed))
        .collect();
    let mut complaints = Vec::new();
    for (folder, name, allowed) in MAY_DEPEND_ON {
        for dependency in dependencies(folder) {
            if ours.contains_key(dependency.as_str()) && !allowed.contains(&dependency.as_str()) {
                complaints.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    for (folder, forbidden) in MUST_NOT_DEPEND_ON {
        for dependency in dependencies(folder) {
            if forbidden.contains(&dependency.as_str()) {
                complaints.push(format!("{folder} must not depend on {dependency}"));
            }
        }
    }
    check(complaints);
}

#[test]
fn libraries_are_imported_only_where_they_belong() {
    let mut complaints = Vec::new();
    for (file, text) in sources() {
        if file.starts_with("tests/") {
            continue;
        }
        for (library, places) in MAY_IMPORT {
            let used = text.lines().map(str::trim_start).any(|line| {
                !line.starts_with("//")
                    && (line.contains(&format!("{library}::"))
                        || line.contains(&format!("use {library};")))
            });
            if used && !places.iter().any(|place| file.starts_with(place)) {
                complaints.push(format!("{file} uses {library}; only {places:?} may"));
            }
        }
    }
    check(complaints);
}

#[test]
fn every_file_says_what_it_is_for_and_is_short() {
    let mut complaints = Vec::new();
    for (file, text) in sources() {
        let lines = text.lines().count();
        if lines > LONGEST_FILE {
            complaints.push(format!(
                "{file} has {lines} lines; {LONGEST_FILE} are allowed"
            ));
        }
        let is_test_module = file.ends_with("tests.rs") || file.contains("/tests/");
        if !is_test_module && !text.starts_with("//!") {
            complaints.push(format!("{file} does not open with //!"));
        }
    }
    check(complaints);
}

#[test]
fn nothing_is_left_undone_or_switched_off() {
    // Put together here, or this file would complain of itself.
    let forbidden = ["todo", "unimplemented"].map(|name| format!("{name}!("));
    let attributes = ["#[ignore", "#[allow(", "#![allow("];
    let mut complaints = Vec::new();
    for (file, text) in sources() {
        if file == "tests/tests/tidy.rs" {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            let found = forbidden
                .iter()
                .map(String::as_str)
                .chain(attributes)
                .find(|bad| line.contains(bad));
            if let Some(bad) = found {
                complaints.push(format!("{file}:{} has {bad}", number + 1));
            }
        }
    }
    check(complaints);
}

#[test]
fn every_test_that_the_security_page_names_exists() {
    let page = std::fs::read_to_string(root().join("deploy/docs/SECURITY.md"))
        .expect("there is a page on security");
    let sources = sources();
    let names: Vec<&str> = page
        .split('`')
        .filter(|text| text.matches('_').count() >= 3 && !text.contains(['/', ' ', '.']))
        .collect();
    assert!(names.len() > 25, "only {} names found", names.len());
    let complaints = names
        .into_iter()
        .filter(|name| {
            let function = format!("fn {name}(");
            !sources.iter().any(|(_, text)| text.contains(&function))
        })
        .map(|name| format!("SECURITY.md names the test {name}, and there is none"))
        .collect();
    check(complaints);
}

#[test]
fn a_hub_is_deployed_with_the_allocator_that_is_measured() {
    for file in ["deploy/hub.yaml", "deploy/systemd/vitistack-hub.service"] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        for (name, value) in vitistack_tests::world::ALLOCATOR {
            let follows = text.split(name).nth(1).unwrap_or_default();
            let digits: String = follows
                .chars()
                .skip_while(|c| !c.is_ascii_digit())
                .take_while(char::is_ascii_digit)
                .collect();
            assert_eq!(digits, value, "{name} in {file}");
        }
    }
}

#[test]
fn the_top_level_holds_only_what_the_design_names() {
    const ALLOWED: &[&str] = &[
        "Cargo.toml",
        "Cargo.lock",
        "hub",
        "agent",
        "protocol",
        "images",
        "deploy",
        "tests",
        "README.md",
        "ARCHITECTURE.md",
        "LICENSE",
        "rust-toolchain.toml",
        "target",
    ];
    let complaints = std::fs::read_dir(root())
        .expect("the root is readable")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !ALLOWED.contains(&name.as_str()))
        .map(|name| format!("{name} does not belong at the top"))
        .collect();
    check(complaints);
}
