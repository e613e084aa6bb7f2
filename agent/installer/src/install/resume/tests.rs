use std::io::{Cursor, Read};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;

use ring::digest::{SHA256, digest};
use tempfile::TempDir;
use vitistack_installer_wire::Format;

use super::super::{Error, File, Order, write};
use super::*;
use crate::install::table::fixtures;

const MIB: usize = 1 << 20;
const DISK: usize = 40 * MIB;

struct Lab {
    _directory: TempDir,
    path: PathBuf,
    image: Vec<u8>,
    order: Order,
}

impl Lab {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        std::fs::write(&path, vec![0xEE; DISK]).unwrap();
        let mut image = vec![0x55; 12 * MIB];
        let ends = fixtures::gpt(image.len() as u64 / 512, &[(2048, 8192, "root")]);
        image[..MIB].fill(0);
        image[..ends.head.len()].copy_from_slice(&ends.head);
        let tail = image.len() - ends.tail.len();
        image[tail..].copy_from_slice(&ends.tail);
        let order = Order {
            operation: "first".to_owned(),
            digest: digest(&SHA256, &image).as_ref().try_into().unwrap(),
            format: Format::Raw,
            seed: vec![File {
                name: "meta-data".to_owned(),
                content: b"phone-home-url: http://192.0.2.1/c/secret/phone-home\n".to_vec(),
            }],
        };
        Self {
            _directory: directory,
            path,
            image,
            order,
        }
    }

    fn disk(&self) -> Disk {
        Disk::open(&self.path, DISK as u64, 512).unwrap()
    }

    /// Gives the first `length` bytes of the image, then the line breaks. Returns how many bytes were written.
    fn write(&self, length: usize) -> u64 {
        let line = Line {
            bytes: Cursor::new(self.image[..length].to_vec()),
            is_whole: length == self.image.len(),
        };
        let before = written();
        let outcome = write(
            line,
            &AtomicU64::new(0),
            &self.order,
            &self.disk(),
            |_, _| {},
        );
        match outcome {
            Ok(_) => assert_eq!(length, self.image.len()),
            Err(error) => assert!(matches!(error, Error::Fetch(_)), "{error}"),
        }
        written() - before
    }

    fn look(&self) -> Found {
        look(&self.disk(), &self.order).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }
}

/// What the agent gives before the line breaks.
struct Line {
    bytes: Cursor<Vec<u8>>,
    is_whole: bool,
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.bytes.read(buffer)? {
            0 if !self.is_whole => Err(io::ErrorKind::ConnectionReset.into()),
            length => Ok(length),
        }
    }
}

/// Bytes that this thread has written, as the kernel counts them.
fn written() -> u64 {
    let counts = std::fs::read_to_string("/proc/thread-self/io").unwrap();
    let line = counts
        .lines()
        .find(|line| line.starts_with("wchar:"))
        .unwrap();
    line.trim_start_matches("wchar:").trim().parse().unwrap()
}

#[test]
fn an_image_that_broke_off_is_gone_on_with_and_nothing_is_written_twice() {
    let lab = Lab::new();
    assert_eq!(lab.look(), Found::Nothing);
    lab.write(7 * MIB);
    assert_eq!(lab.look(), Found::Part);
    assert!(
        crate::signature::find(&lab.bytes()[..MIB], &[]).is_none(),
        "it does not boot"
    );

    let rest = lab.write(lab.image.len());
    assert_eq!(lab.look(), Found::Whole);
    // Five MiB were missing; both ends, the seed and the tables come at the end in any case.
    assert!(rest < 12 * MIB as u64, "{rest} bytes");
    assert!(rest >= 5 * MIB as u64, "{rest} bytes");

    let fresh = Lab::new();
    fresh.write(fresh.image.len());
    assert_eq!(
        lab.bytes()[..DISK - MIB],
        fresh.bytes()[..DISK - MIB],
        "as if nothing had happened"
    );
}

#[test]
fn a_disk_whose_ends_are_empty_already_gets_only_the_mark() {
    let lab = Lab::new();
    let begin = || {
        let before = written();
        begin(&lab.disk(), &lab.order).unwrap();
        written() - before
    };
    assert!(begin() >= 2 * MIB as u64);
    assert_eq!(lab.look(), Found::Part);
    // The server died before the mark was down.
    lab.disk().write((MIB - BLOCK) as u64, &[0; BLOCK]).unwrap();
    assert_eq!(begin(), BLOCK as u64);
    assert_eq!(lab.look(), Found::Part);
    assert_eq!(lab.bytes()[..MIB - BLOCK], vec![0; MIB - BLOCK]);
    assert_eq!(lab.bytes()[DISK - MIB..], vec![0; MIB]);
}

#[test]
fn a_whole_image_is_checked_and_not_written_again() {
    let lab = Lab::new();
    lab.write(lab.image.len());
    let before = lab.bytes();
    // The end of the image is empty where the backup of the partition table stands, which is put there again.
    assert!(lab.write(lab.image.len()) <= 128 << 10);
    assert_eq!(lab.bytes(), before);

    // What is not as published is put right.
    let at = 3 * MIB as u64;
    std::fs::File::options()
        .write(true)
        .open(&lab.path)
        .unwrap()
        .write_all_at(b"broken", at)
        .unwrap();
    assert!(lab.write(lab.image.len()) <= 192 << 10);
    assert_eq!(lab.bytes(), before);
}

#[test]
fn another_operation_another_image_and_another_attempt_find_nothing_of_theirs() {
    let mut lab = Lab::new();
    lab.write(7 * MIB);
    lab.order.operation = "second".to_owned();
    assert_eq!(lab.look(), Found::Nothing);
    lab.order.operation = "first".to_owned();
    lab.order.digest[0] ^= 1;
    assert_eq!(lab.look(), Found::Nothing);
    lab.order.digest[0] ^= 1;
    lab.write(lab.image.len());
    assert_eq!(lab.look(), Found::Whole);
    // The guest's address is the attempt's.
    lab.order.seed[0].content.push(b'\n');
    assert_eq!(lab.look(), Found::Nothing);
    lab.order.seed.clear();
    assert_eq!(lab.look(), Found::Nothing);
}

#[test]
fn other_bytes_than_were_asked_for_leave_nothing_that_boots_or_is_gone_on_with() {
    let mut lab = Lab::new();
    lab.write(lab.image.len());
    lab.image[8 * MIB] ^= 1;
    let wrong = Cursor::new(lab.image.clone());
    let outcome = write(
        wrong,
        &AtomicU64::new(0),
        &lab.order,
        &lab.disk(),
        |_, _| {},
    );
    assert!(matches!(outcome, Err(Error::Digest { .. })));
    assert_eq!(lab.bytes()[..MIB], vec![0; MIB]);
    assert_eq!(lab.look(), Found::Nothing);
}
