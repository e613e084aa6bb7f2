//! The store in a process that is killed: whatever was answered is there, whenever the kill came.
//!
//! The test starts itself a second time as the process that is killed.

use std::io::BufRead as _;
use std::path::Path;
use std::process::{Command, Stdio};

use vitistack_agent::store::{self, Settings};
use vitistack_protocol::ids::{Fence, Generation, HubEpoch, ObjectRef, OperationId, Revision, Uid};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::body;
use vitistack_protocol::message::intent::{BmcTrust, HostIntent, HostTarget, Intent};
use vitistack_protocol::message::numbered::{BodyKind, BootMode, Inspection, IntentOutcome};

/// Names the directory to the second process; without it the writer's test has nothing to do.
const DIR: &str = "VITISTACK_TEST_STORE";
/// Objects that the writer takes turns with.
const OBJECTS: u8 = 40;

#[test]
fn writer() {
    #[expect(
        clippy::disallowed_methods,
        reason = "how the test tells its second process what to do"
    )]
    let Ok(dir) = std::env::var(DIR) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let opened = store::open(&settings(Path::new(&dir))).expect("opens");
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            drop(opened.service.run().await);
        });
        let first = newest(&opened.store) + 1;
        for revision in first.. {
            for number in 0..OBJECTS {
                let taken = opened.store.take_intent(intent(number, revision)).await;
                assert_eq!(taken.unwrap().outcome, IntentOutcome::Stored);
                println!("acked {number} {revision}");
            }
        }
    });
}

fn newest(store: &store::Store) -> u64 {
    let held = store.position().held;
    let newest = held.iter().map(|held| held.fence.revision.0).max();
    newest.unwrap_or(0)
}

#[test]
fn what_was_acked_survives_kills() {
    let dir = tempfile::tempdir().unwrap();
    let mut acked = [0_u64; OBJECTS as usize];
    for round in 0..6 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut lines = 0;
        for line in output.lines() {
            let line = line.unwrap();
            let mut words = line.split(' ').skip_while(|word| !word.ends_with("acked"));
            if words.next().is_none() {
                continue;
            }
            let number: usize = words.next().unwrap().parse().unwrap();
            acked[number] = words.next().unwrap().parse().unwrap();
            lines += 1;
            if lines == 20 + round * 37 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(lines >= 20, "the writer wrote");

        let opened = store::open(&settings(dir.path())).expect("opens");
        assert!(opened.lost.is_none(), "{:?}", opened.lost);
        let held = opened.store.position().held;
        for (number, revision) in acked.iter().enumerate() {
            let found = held
                .iter()
                .find(|held| usize::from(held.uid.0[0]) == number)
                .map_or(0, |held| held.fence.revision.0);
            assert!(
                found >= *revision,
                "object {number}: {found} after {revision}, round {round}"
            );
        }
    }
}

/// A killed process loses nothing that it gave to the kernel, so what a power cut would lose is not seen above. strace
/// sees whether the disk was asked.
#[test]
fn before_each_ack_the_disk_is_synced() {
    let dir = tempfile::tempdir().unwrap();
    let trace = dir.path().join("trace");
    let mut child = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync,write", "-o"])
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "writer", "--nocapture"])
        .env(DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("strace is installed: deploy/install.sh tests");
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    let acks = output
        .lines()
        .map_while(Result::ok)
        .filter(|line| line.contains("acked"));
    assert_eq!(acks.take(30).count(), 30);
    child.kill().unwrap();
    child.wait().unwrap();

    let trace = std::fs::read_to_string(&trace).unwrap();
    let mut synced = false;
    let mut acks = 0;
    for line in trace.lines() {
        if line.contains("sync(") && line.ends_with("= 0") || line.contains("sync resumed>") {
            synced = true;
        }
        if line.contains("write(1, \"") && line.contains("acked") {
            assert!(synced, "ack {acks} without an fsync before it:\n{line}");
            acks += 1;
            synced = false;
        }
    }
    assert!(acks >= 30, "{acks} acks in the trace");
}

fn settings(dir: &Path) -> Settings {
    Settings {
        dir: dir.join("store"),
        key_file: dir.join("seal.key"),
        quota_bytes: 16 << 20,
        ballast_bytes: 64 * 1024,
    }
}

/// Every fifth object has a body that goes into a file.
fn intent(number: u8, revision: u64) -> Intent {
    let object = ObjectRef {
        uid: Uid([number; 16]),
        namespace: "edge".into(),
        name: format!("host-{number}"),
    };
    let host = HostIntent {
        target: HostTarget {
            host: object.clone(),
            bmc_address: format!("redfish+http://127.0.0.1:1/{revision}"),
            credentials: None,
            trust: BmcTrust {
                ca_bundle: "x".repeat(if number.is_multiple_of(5) { 9_000 } else { 500 }),
                ..BmcTrust::default()
            },
            boot_mac: [2, 0, 0, 0, 0, number],
            boot_mode: BootMode::ALL[0],
            maintenance: false,
        },
        inspection: Inspection::ALL[0],
        inspection_operation: OperationId([number; 16]),
        claimed_by: None,
        provisioned: None,
        externally_provisioned: false,
        extensions: Extensions::default(),
    };
    Intent {
        fence: Fence {
            epoch: HubEpoch(1),
            revision: Revision(revision),
        },
        object,
        generation: Generation(1),
        kind: BodyKind::Host,
        body: body::encode(&host),
        absent: false,
        secrets: Vec::new(),
        extensions: Extensions::default(),
    }
}
