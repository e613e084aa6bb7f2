//! The store on a disk that is full, nearly full, and has room again: states with names, nothing that was acked lost, no
//! restart needed. On a real filesystem of 24 MiB: the test starts itself again in a mount namespace of its own.

#![expect(
    clippy::unwrap_used,
    reason = "clippy knows only #[test] functions as tests; here the helpers beside them may fail a test too"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use vitistack_agent::store::{self, Settings, Store};
use vitistack_drivers::journal::Journal;
use vitistack_protocol::ids::{Fence, Generation, HubEpoch, ObjectRef, OperationId, Revision, Uid};
use vitistack_protocol::message::intent::{BmcTrust, HostIntent, HostTarget, Intent};
use vitistack_protocol::message::numbered::{BodyKind, BootMode, Inspection, IntentOutcome};
use vitistack_protocol::message::{Extensions, body};

/// Names the filesystem to the second process; without it the inner test has nothing to do.
const DISK: &str = "VITISTACK_TEST_DISK";
const BALLAST: u64 = 4 << 20;
const BOUND: Duration = Duration::from_secs(30);

#[test]
fn a_full_disk_is_a_state_that_ends_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let inside = "mount -t tmpfs -o size=24m disk \"$1\" && exec \"$2\" --exact inside --nocapture";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-ec", inside, "sh"])
        .arg(dir.path())
        .arg(std::env::current_exe().unwrap())
        .env(DISK, dir.path())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("reached the end"), "{said}");
}

#[test]
fn inside() {
    #[expect(
        clippy::disallowed_methods,
        reason = "how the test tells its second process what to do"
    )]
    let Ok(disk) = std::env::var(DISK) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(scenario(Path::new(&disk)));
    println!("reached the end");
}

async fn scenario(disk: &Path) {
    let mut running = Running::start(disk);
    assert!(disk.join("store/ballast").exists(), "there is a ballast");
    assert_eq!(running.take(1).await, IntentOutcome::Stored);

    // Nearly full: what is new is refused, what must always go still goes.
    let filler = Filler::leave(disk, BALLAST / 2);
    assert_eq!(running.take(2).await, IntentOutcome::StoreFull);
    running.journal(1, 1).await.unwrap();
    assert_eq!(running.store.problem(), None, "nothing failed yet");

    // Full to the last byte: the next write fails, and the store says so. It gives its ballast up and goes on with that.
    let filler = filler.fill();
    let mut attempt = 1;
    let end = Instant::now() + BOUND;
    while running.store.problem().is_none() {
        attempt += 1;
        drop(running.journal(1, attempt).await);
        assert!(Instant::now() < end, "the disk never was full");
    }
    assert_eq!(running.store.problem(), Some("StoreFull"));
    assert!(!disk.join("store/ballast").exists(), "it was given up");
    assert_eq!(running.take(3).await, IntentOutcome::StoreFull);
    let again = running.until_written(1, attempt + 1).await;
    assert_eq!(running.store.problem(), None, "the ballast was room enough");
    assert_eq!(running.take(3).await, IntentOutcome::StoreFull, "nearly");

    // A start with nothing free at all, and no ballast left to give up: refused by name, and nothing is lost.
    running.stop().await;
    let second = Filler::leave(disk, 0);
    let end = Instant::now() + BOUND;
    while store::open(&settings(disk))
        .err()
        .map(|error| error.label())
        != Some("StoreFull")
    {
        assert!(Instant::now() < end, "it is not refused for want of room");
    }
    drop((filler, second));
    running = Running::start(disk);
    let found = running.attempt(1).await;
    assert_eq!(found, again, "nothing that was acked is lost");
    running.until_written(1, again + 1).await;
    assert_eq!(running.take(3).await, IntentOutcome::Stored);
    assert!(disk.join("store/ballast").exists(), "and taken again");
    running.stop().await;

    // A start with nothing free at all, and a ballast.
    let filler = Filler::leave(disk, 0).fill();
    let running = Running::start(disk);
    assert!(!disk.join("store/ballast").exists(), "it was given up");
    running.stop().await;
    drop(filler);

    let running = Running::start(disk);
    let held = running.store.position().held.len();
    assert_eq!((held, running.attempt(1).await), (2, again + 1));
    running.stop().await;
}

fn settings(disk: &Path) -> Settings {
    Settings {
        dir: disk.join("store"),
        key_file: disk.join("seal.key"),
        quota_bytes: 1 << 30,
        ballast_bytes: BALLAST,
    }
}

struct Running {
    store: Store,
    task: tokio::task::JoinSet<Result<(), store::Error>>,
}

impl Running {
    fn start(disk: &Path) -> Self {
        let settings = settings(disk);
        let opened = store::open(&settings).expect("opens");
        assert!(opened.lost.is_none(), "{:?}", opened.lost);
        let mut task = tokio::task::JoinSet::new();
        task.spawn(opened.service.run());
        Self {
            store: opened.store,
            task,
        }
    }

    async fn take(&self, number: u8) -> IntentOutcome {
        self.store
            .take_intent(intent(number))
            .await
            .unwrap()
            .outcome
    }

    async fn journal(&self, number: u8, attempt: u8) -> Result<(), store::Error> {
        let journal = Journal {
            operation: Some(OperationId([number; 16])),
            attempt,
            marks: Vec::new(),
        };
        self.store.write_journal(Uid([number; 16]), journal).await
    }

    /// Tries until it is written.
    async fn until_written(&self, number: u8, attempt: u8) -> u8 {
        let end = Instant::now() + BOUND;
        while let Err(error) = self.journal(number, attempt).await {
            assert!(Instant::now() < end, "{error:?}");
        }
        attempt
    }

    async fn attempt(&self, number: u8) -> u8 {
        let loaded = self.store.load(Uid([number; 16])).await.unwrap().unwrap();
        loaded.journal.attempt
    }

    async fn stop(self) {
        let Self { store, mut task } = self;
        drop(store);
        task.join_next().await.unwrap().unwrap().unwrap();
    }
}

/// A file that takes the room. Dropped, it is gone.
struct Filler {
    file: tempfile::NamedTempFile,
}

impl Filler {
    /// Leaves about `bytes` free.
    fn leave(disk: &Path, bytes: u64) -> Self {
        let mut file = tempfile::NamedTempFile::new_in(disk).unwrap();
        while store::free_bytes(disk) > bytes {
            if file.write_all(&[1; 4096]).is_err() {
                break;
            }
        }
        Self { file }
    }

    /// Takes the rest.
    fn fill(mut self) -> Self {
        while self.file.write_all(&[1; 4096]).is_ok() {}
        self
    }
}

fn intent(number: u8) -> Intent {
    let object = ObjectRef {
        uid: Uid([number; 16]),
        namespace: "edge".into(),
        name: format!("host-{number}"),
    };
    let host = HostIntent {
        target: HostTarget {
            host: object.clone(),
            bmc_address: "redfish+http://127.0.0.1:1/".into(),
            credentials: None,
            trust: BmcTrust::default(),
            boot_mac: [2, 0, 0, 0, 0, number],
            boot_mode: BootMode::Uefi,
            maintenance: false,
        },
        inspection: Inspection::Never,
        inspection_operation: OperationId([number; 16]),
        claimed_by: None,
        provisioned: None,
        externally_provisioned: false,
        extensions: Extensions::default(),
    };
    Intent {
        fence: Fence {
            epoch: HubEpoch(1),
            revision: Revision(1),
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
