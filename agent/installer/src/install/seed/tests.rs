use std::io::Read;

use super::*;

fn file(name: &str, content: &[u8]) -> File {
    File {
        name: name.to_owned(),
        content: content.to_vec(),
    }
}

fn content(image: Vec<u8>, name: &str) -> Vec<u8> {
    let filesystem = FileSystem::new(Cursor::new(image), FsOptions::new()).unwrap();
    let mut bytes = Vec::new();
    filesystem
        .root_dir()
        .open_file(name)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();
    bytes
}

#[test]
fn a_fresh_filesystem_has_label_and_files() {
    let binary: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let files = [
        file("meta-data", b"instance-id: x\n"),
        file("user-data", &binary),
    ];
    let image = fresh(&files, 512, [1; 16]).unwrap();
    assert_eq!(image.len() as u64, SIZE);
    assert!(says_seed(&image));
    assert_eq!(content(image.clone(), "meta-data"), b"instance-id: x\n");
    assert_eq!(content(image.clone(), "user-data"), binary);
    assert_eq!(
        fresh(&files, 512, [1; 16]).unwrap(),
        image,
        "the same seed, the same bytes"
    );
}

#[test]
fn a_filesystem_for_large_sectors_is_readable() {
    let image = fresh(&[file("meta-data", b"x")], 4096, [1; 16]).unwrap();
    assert_eq!(content(image, "meta-data"), b"x");
}

#[test]
fn an_existing_seed_keeps_its_other_files() {
    let first = [
        file("meta-data", b"a much longer old text"),
        file("network-config", b"version: 2"),
    ];
    let image = fresh(&first, 512, [1; 16]).unwrap();
    let image = update(image, &[file("meta-data", b"new"), file("user-data", b"u")])
        .unwrap()
        .unwrap();
    assert_eq!(content(image.clone(), "meta-data"), b"new");
    assert_eq!(content(image.clone(), "user-data"), b"u");
    assert_eq!(content(image, "network-config"), b"version: 2");
}

#[test]
fn what_is_no_seed_is_left_alone() {
    let mut other = fresh(&[], 512, [1; 16]).unwrap();
    let label = other
        .windows(6)
        .position(|window| window == b"CIDATA")
        .unwrap();
    // Both labels: in the boot sector and in the root directory.
    other[label..label + 6].copy_from_slice(b"ESPESP");
    let label = other
        .windows(6)
        .position(|window| window == b"CIDATA")
        .unwrap();
    other[label..label + 6].copy_from_slice(b"ESPESP");
    assert!(update(other, &[]).is_none());
    assert!(update(vec![0; 1 << 20], &[]).is_none());
    assert!(update(Vec::new(), &[]).is_none());
    assert!(!says_seed(&[0; 512]));
    assert!(!says_seed(&[]));
}

#[test]
fn a_seed_that_does_not_fit_is_an_error() {
    let large = file("user-data", &vec![0; usize::try_from(SIZE).unwrap()]);
    assert!(fresh(&[large], 512, [1; 16]).is_err());
}
