use std::process::{Command, Stdio};

use super::render;

#[test]
fn an_archive_byte_by_byte() {
    let archive = render("vitistack/boot.json", b"{}");
    let zero = "00000000";
    let expected = [
        &format!("07070100000001000041ed{zero}{zero}00000002{zero}{zero}{zero}{zero}{zero}{zero}0000000a{zero}"),
        "vitistack\0",
        &format!("0707010000000200008100{zero}{zero}00000001{zero}00000002{zero}{zero}{zero}{zero}00000014{zero}"),
        "vitistack/boot.json\0",
        "\0\0{}\0\0",
        &format!("0707010000000000000000{zero}{zero}00000001{zero}{zero}{zero}{zero}{zero}{zero}0000000b{zero}"),
        "TRAILER!!!\0",
    ]
    .concat();
    let text = String::from_utf8(archive.clone()).unwrap();
    assert_eq!(text.trim_end_matches('\0'), expected.trim_end_matches('\0'));
    assert_eq!(archive.len(), 512);
}

#[test]
fn cpio_unpacks_it_where_there_is_one() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("archive"),
        render("a/b.json", b"content"),
    )
    .unwrap();
    let input = std::fs::File::open(directory.path().join("archive")).unwrap();
    let status = Command::new("cpio")
        .args(["--extract", "--quiet"])
        .current_dir(directory.path())
        .stdin(input)
        .stderr(Stdio::null())
        .status();
    // The bytes are held by the test above; this one adds a second reader where the machine has it.
    if status.is_ok_and(|status| status.success()) {
        let content = std::fs::read(directory.path().join("a/b.json")).unwrap();
        assert_eq!(content, b"content");
    }
}
