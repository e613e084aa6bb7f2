use std::net::Ipv4Addr;

use super::{read, write};
use crate::netboot::slot::Mac;

#[test]
fn leases_come_back_and_a_broken_line_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("leases");
    assert_eq!(read(&path).unwrap(), []);
    let leases = [(Mac([2, 0, 0, 0, 0, 1]), Ipv4Addr::new(10, 0, 0, 7))];
    write(&path, &leases).unwrap();
    assert_eq!(read(&path).unwrap(), leases);
    let text = format!(
        "02:00:00:00:00\n{}",
        std::fs::read_to_string(&path).unwrap()
    );
    std::fs::write(&path, text).unwrap();
    assert_eq!(read(&path).unwrap(), leases);
}
