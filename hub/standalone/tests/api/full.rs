//! The API on a disk that is full, nearly full, and has room again: refusals that say so, everything can be read, no
//! restart needed. On a real filesystem of 24 MiB: the test starts itself again in a mount namespace of its own.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::support::{PATIENCE, Running};

/// Names the filesystem to the second process; without it the inner test has nothing to do.
const DISK: &str = "VITISTACK_TEST_DISK";
const BALLAST: u64 = 4 << 20;

#[test]
fn a_full_disk_refuses_writes_until_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let inside =
        "mount -t tmpfs -o size=24m disk \"$1\" && exec \"$2\" --exact full::inside --nocapture";
    let output = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-ec", inside, "sh"])
        .arg(directory.path())
        .arg(std::env::current_exe().unwrap())
        .env(DISK, directory.path())
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
    let server = Running::start_on(disk).await;
    let mut maps: Api<ConfigMap> = Api::namespaced(server.client.clone(), "default");
    for name in ["a", "b"] {
        create(&maps, name).await.unwrap();
    }

    // Nearly full: nothing new, but changes and deletions.
    let filler = Filler::leave(disk, BALLAST / 2);
    let (code, message) = refusal(create(&maps, "c").await);
    assert_eq!(code, 507, "{message}");
    assert!(message.contains("make room there"), "{message}");
    patch(&maps, "a", 1).await.unwrap();
    maps.delete("b", &DeleteParams::default()).await.unwrap();

    // Full to the last byte.
    let filler = filler.fill();
    let mut acked = 1;
    let end = Instant::now() + PATIENCE;
    let refused = loop {
        match patch(&maps, "a", acked + 1).await {
            Ok(()) => acked += 1,
            Err(error) => break refusal(Err(error)),
        }
        assert!(Instant::now() < end, "the disk never was full");
    };
    assert_eq!(refused.0, 507, "{}", refused.1);
    assert_eq!(
        value(&maps, "a").await,
        acked,
        "what was refused did not happen"
    );
    // It gave its ballast up and goes on with that.
    acked = until_written(&maps, acked + 1).await;
    assert_eq!(refusal(create(&maps, "c").await).0, 507, "nearly full");

    drop(filler);
    acked = until_written(&maps, acked + 1).await;
    create(&maps, "c").await.unwrap();

    // The ballast was taken again: a start with nothing free at all gives it up and goes well.
    let filler = Filler::leave(disk, 0).fill();
    let server = server.restart().await;
    drop(filler);
    maps = Api::namespaced(server.client.clone(), "default");
    let found = value(&maps, "a").await;
    assert_eq!(found, acked, "nothing that was acked is lost");
    let names: Vec<String> = maps
        .list(&ListParams::default())
        .await
        .unwrap()
        .into_iter()
        .filter_map(|map| map.metadata.name)
        .collect();
    assert_eq!(names, ["a", "c"]);
    drop(server.stop().await);
}

async fn create(maps: &Api<ConfigMap>, name: &str) -> kube::Result<()> {
    let map = serde_json::from_value(json!({
        "metadata": { "name": name },
        "data": { "value": "0", "filling": "x".repeat(2000) },
    }));
    maps.create(&PostParams::default(), &map.unwrap()).await?;
    Ok(())
}

async fn patch(maps: &Api<ConfigMap>, name: &str, value: u64) -> kube::Result<()> {
    let patch = Patch::Merge(json!({ "data": { "value": value.to_string() } }));
    maps.patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Tries until it is taken.
async fn until_written(maps: &Api<ConfigMap>, number: u64) -> u64 {
    let end = Instant::now() + PATIENCE;
    while let Err(error) = patch(maps, "a", number).await {
        assert!(Instant::now() < end, "{error}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    number
}

async fn value(maps: &Api<ConfigMap>, name: &str) -> u64 {
    let map = maps.get(name).await.unwrap();
    map.data.unwrap()["value"].parse().unwrap()
}

fn refusal(result: kube::Result<()>) -> (u16, String) {
    match result {
        Err(kube::Error::Api(status)) => (status.code, status.message.clone()),
        other => panic!("a refusal was expected: {other:?}"),
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
        while free(disk) > bytes {
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

fn free(disk: &Path) -> u64 {
    let stat = nix::sys::statvfs::statvfs(disk).unwrap();
    stat.blocks_available() * stat.fragment_size()
}
