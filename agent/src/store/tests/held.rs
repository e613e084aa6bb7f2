//! A store that another process has open, or that is just being closed.

use super::*;

#[test]
fn a_store_that_is_held_is_waited_for_and_then_said_to_be_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let database = settings(dir.path()).database();
    std::fs::create_dir_all(&database).unwrap();
    let holder = std::fs::File::create(database.join("db")).unwrap();
    holder.lock().unwrap();
    let error = engine::until_free(&database, Duration::ZERO).unwrap_err();
    assert!(matches!(error, Error::InUse(_)), "{error}");
    // Nothing is set aside: somebody works in there.
    assert_eq!(error.class(), Class::Io);
    let stopping = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        drop(holder);
    });
    let opened = open(&settings(dir.path())).expect("opens");
    assert!(opened.lost.is_none(), "{:?}", opened.lost);
    stopping.join().unwrap();
}
