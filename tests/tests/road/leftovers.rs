//! What a killed run leaves behind is removed by the next one.

use std::path::Path;
use std::process::Command;

use vitistack_tests::peer;
use vitistack_tests::process::{Process, run};
use vitistack_tests::site::Site;
use vitistack_tests::wait;
use vitistack_tests::world::SOON;

#[test]
fn a_quickstart_whose_directory_was_removed_by_hand_is_still_removed() {
    let parent = tempfile::tempdir().expect("/tmp is writable");
    let dir = parent.path().join("quickstart");
    let site = Site::up(&dir, &[]);
    let network = Path::new("/run/netns").join(&site.facts.namespace);
    let mut sleeper = site.inside(Path::new("sleep"));
    let mut left = Process::start("sleep", parent.path(), sleeper.arg("600"));
    std::fs::remove_dir_all(&dir).expect("the directory is removed by hand");
    assert!(network.exists(), "the network outlives its directory");

    run(Command::new(peer::root().join("deploy/quickstart.sh"))
        .args(["--down", "--dir"])
        .arg(&dir))
    .expect("the quickstart takes down what it finds");

    assert!(!network.exists(), "{} is still there", network.display());
    assert!(!dir.exists(), "{} is still there", dir.display());
    wait::until("what ran in the network has ended", SOON, || {
        match left.alive() {
            Ok(()) => Err("it runs".to_owned()),
            Err(_ended) => Ok(()),
        }
    });
    drop(Site::up(&dir, &[]));
}
