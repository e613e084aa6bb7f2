use std::io::{Cursor, Write};
use std::path::PathBuf;

use tempfile::TempDir;

use super::table::fixtures;
use super::*;

const MIB: usize = 1 << 20;
const DISK: usize = 40 * MIB;

/// A disk full of what an earlier owner left.
struct Lab {
    _directory: TempDir,
    path: PathBuf,
}

impl Lab {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("disk");
        std::fs::write(&path, vec![0xEE; DISK]).unwrap();
        Self {
            _directory: directory,
            path,
        }
    }

    fn disk(&self) -> Disk {
        Disk::open(&self.path, DISK as u64, 512).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(&self.path).unwrap()
    }

    fn write(&self, published: &[u8], order: &Order) -> Result<Written, Error> {
        let total = AtomicU64::new(published.len() as u64);
        write(
            Cursor::new(published),
            &total,
            order,
            &self.disk(),
            |_, _| {},
        )
    }
}

/// 12 MiB: GPT, 4 MiB of data, and a partition `cidata` of 5 MiB if asked for.
fn image(cidata: bool) -> Vec<u8> {
    let mut partitions = vec![(2048, 8192, "root")];
    if cidata {
        partitions.push((10_240, 10_240, "cidata"));
    }
    let mut image = vec![0; 12 * MIB];
    let ends = fixtures::gpt(image.len() as u64 / 512, &partitions);
    image[..ends.head.len()].copy_from_slice(&ends.head);
    let tail = image.len() - ends.tail.len();
    image[tail..].copy_from_slice(&ends.tail);
    for (at, byte) in image[MIB..5 * MIB].iter_mut().enumerate() {
        *byte = (at % 251) as u8;
    }
    image
}

fn seed_files() -> Vec<File> {
    vec![
        File {
            name: "meta-data".into(),
            content: b"instance-id: 42\n".to_vec(),
        },
        File {
            name: "user-data".into(),
            content: vec![0, 1, 2, 0xFF],
        },
    ]
}

fn order(published: &[u8], format: Format, seed: Vec<File>) -> Order {
    let hash = digest::digest(&SHA256, published);
    Order {
        operation: "4711".to_owned(),
        digest: hash.as_ref().try_into().unwrap(),
        format,
        seed,
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn seed_on(disk: &[u8], start: u64, length: u64) -> Vec<(String, Vec<u8>)> {
    let (start, length) = (
        usize::try_from(start).unwrap(),
        usize::try_from(length).unwrap(),
    );
    let filesystem = Cursor::new(disk[start..start + length].to_vec());
    let filesystem = fatfs::FileSystem::new(filesystem, fatfs::FsOptions::new()).unwrap();
    assert_eq!(filesystem.volume_label().trim(), "CIDATA");
    let files = filesystem.root_dir().iter().map(|entry| {
        let entry = entry.unwrap();
        let mut content = Vec::new();
        entry.to_file().read_to_end(&mut content).unwrap();
        (entry.file_name(), content)
    });
    files.collect()
}

fn expected_seed() -> Vec<(String, Vec<u8>)> {
    seed_files()
        .into_iter()
        .map(|file| (file.name, file.content))
        .collect()
}

#[test]
fn every_format_puts_the_same_bytes_on_the_disk() {
    let image = image(false);
    let halves = image.split_at(5 * MIB);
    let cases = [
        ("raw", Format::Raw, image.clone()),
        ("gzip", Format::Gzip, gzip(&image)),
        (
            "gzip of two members",
            Format::Gzip,
            [gzip(halves.0), gzip(halves.1)].concat(),
        ),
        ("zstd", Format::Zstd, zstd(&image)),
        (
            "zstd of two frames",
            Format::Zstd,
            [zstd(halves.0), zstd(halves.1)].concat(),
        ),
    ];
    for (name, format, published) in cases {
        let lab = Lab::new();
        let order = order(&published, format, Vec::new());
        let written = lab.write(&published, &order).unwrap();
        assert_eq!(written.bytes, image.len() as u64, "{name}");
        assert_eq!(
            written.digest,
            format!("sha256:{}", hex::encode(order.digest)),
            "{name}"
        );
        let disk = lab.bytes();
        // All but the header, which tells where the backup is.
        assert_eq!(disk[1024..image.len()], image[1024..], "{name}");
        assert_eq!(
            table::partitions(&disk[..MIB], 512),
            table::partitions(&image[..MIB], 512)
        );
        assert_eq!(&disk[DISK - 512..DISK - 504], b"EFI PART", "{name}");
    }
}

#[test]
fn a_wrong_byte_is_refused_and_the_first_mebibyte_stays_empty() {
    let image = image(false);
    for (format, good) in [
        (Format::Raw, image.clone()),
        (Format::Gzip, gzip(&image)),
        (Format::Zstd, zstd(&image)),
    ] {
        let order = order(&good, format, seed_files());
        for at in [20, good.len() / 2, good.len() - 6] {
            let lab = Lab::new();
            let mut bad = good.clone();
            bad[at] ^= 1;
            let error = lab.write(&bad, &order).unwrap_err();
            assert_eq!(
                error.failure(),
                Failure::ImageDigestMismatch,
                "{format:?} {at}: {error}"
            );
            let disk = lab.bytes();
            assert_eq!(disk[..MIB], vec![0; MIB], "{format:?} {at}");
            assert_eq!(disk[DISK - MIB..], vec![0; MIB], "{format:?} {at}");
        }
    }
}

#[test]
fn bytes_missing_or_too_many_are_refused() {
    let good = gzip(&image(false));
    let order = order(&good, Format::Gzip, Vec::new());
    for bad in [
        &good[..good.len() - 100],
        &[],
        &[good.clone(), vec![0; 10]].concat()[..],
    ] {
        let lab = Lab::new();
        let error = lab.write(bad, &order).unwrap_err();
        assert_eq!(
            error.failure(),
            Failure::ImageDigestMismatch,
            "{} bytes",
            bad.len()
        );
        assert_eq!(lab.bytes()[..MIB], vec![0; MIB]);
    }
}

#[test]
fn right_bytes_in_another_format_are_named_so() {
    let image = image(false);
    let lab = Lab::new();
    for format in [Format::Gzip, Format::Zstd] {
        let error = lab
            .write(&image, &order(&image, format, Vec::new()))
            .unwrap_err();
        assert_eq!(
            error.failure(),
            Failure::ImageFormatUnsupported,
            "{format:?}"
        );
    }
    let noise = vec![0x20; 3 * MIB];
    let error = lab
        .write(&noise, &order(&noise, Format::Raw, seed_files()))
        .unwrap_err();
    assert_eq!(
        error.failure(),
        Failure::ImageFormatUnsupported,
        "no place for the seed"
    );
    assert_eq!(lab.bytes()[..MIB], vec![0; MIB]);
}

#[test]
fn an_image_larger_than_the_disk_is_refused() {
    let large = vec![0; DISK + 1];
    for (format, published) in [
        (Format::Raw, large.clone()),
        (Format::Gzip, gzip(&large)),
        (Format::Zstd, zstd(&large)),
    ] {
        let lab = Lab::new();
        let error = lab
            .write(&published, &order(&published, format, Vec::new()))
            .unwrap_err();
        assert_eq!(error.failure(), Failure::ImageTooLarge, "{format:?}");
    }
}

#[test]
fn a_broken_line_is_not_a_broken_image() {
    struct Broken(usize);
    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("line down"));
            }
            let length = buffer.len().min(self.0);
            buffer[..length].fill(0);
            self.0 -= length;
            Ok(length)
        }
    }
    for format in [Format::Raw, Format::Gzip, Format::Zstd] {
        for length in [0, 5, 3 * MIB] {
            let lab = Lab::new();
            let order = order(b"", format, Vec::new());
            let source = Broken(length);
            let written = write(source, &AtomicU64::new(0), &order, &lab.disk(), |_, _| {});
            assert!(
                matches!(written, Err(Error::Fetch(_))),
                "{format:?} {length}: {written:?}"
            );
        }
    }
}

#[test]
fn the_seed_goes_on_the_partition_that_the_image_brings() {
    let mut unformatted = image(true);
    let mut formatted = unformatted.clone();
    let old = [File {
        name: "network-config".into(),
        content: b"version: 2".to_vec(),
    }];
    let filesystem = seed::fresh(&old, 512, [3; 16]).unwrap();
    formatted[5 * MIB..5 * MIB + filesystem.len()].copy_from_slice(&filesystem);
    unformatted[5 * MIB..10 * MIB].fill(0xAB);
    let mut kept = vec![("network-config".to_owned(), b"version: 2".to_vec())];
    kept.extend(expected_seed());
    for (name, image, expected) in [
        ("unformatted", unformatted, expected_seed()),
        ("formatted", formatted, kept),
    ] {
        let lab = Lab::new();
        lab.write(&image, &order(&image, Format::Raw, seed_files()))
            .unwrap();
        let disk = lab.bytes();
        assert_eq!(table::partitions(&disk[..MIB], 512).len(), 2, "{name}");
        assert_eq!(
            seed_on(&disk, 5 * MIB as u64, 5 * MIB as u64),
            expected,
            "{name}"
        );
    }
}

#[test]
fn else_a_partition_is_added_at_the_end() {
    let mut with_mbr = image(false);
    with_mbr[..34 * 512].fill(0);
    with_mbr[..512].copy_from_slice(&fixtures::mbr(&[(0x83, 2048, 8192)]));
    for (name, image) in [("GPT", image(false)), ("MBR", with_mbr)] {
        let lab = Lab::new();
        lab.write(&image, &order(&image, Format::Raw, seed_files()))
            .unwrap();
        let disk = lab.bytes();
        let partitions = table::partitions(&disk[..MIB], 512);
        let [root, seed] = partitions.as_slice() else {
            panic!("{name}: {partitions:?}")
        };
        assert_eq!(root.start, MIB as u64);
        assert_eq!(
            (seed.start, seed.length),
            (35 * MIB as u64, 4 * MIB as u64),
            "{name}"
        );
        assert_eq!(
            seed_on(&disk, seed.start, seed.length),
            expected_seed(),
            "{name}"
        );
        assert_eq!(disk[MIB..5 * MIB], image[MIB..5 * MIB], "{name}");
    }
}

#[test]
fn an_image_as_large_as_the_disk_keeps_its_end() {
    let mut image = image(false);
    image.resize(DISK, 0x5A);
    let lab = Lab::new();
    let order = order(&image, Format::Raw, Vec::new());
    lab.write(&image, &order).unwrap();
    let disk = lab.bytes();
    assert_eq!(disk[MIB..DISK - 33 * 512], image[MIB..DISK - 33 * 512]);
}

#[test]
fn progress_counts_unpacked_bytes() {
    let image = image(false);
    for (format, published, total) in [
        (Format::Raw, image.clone(), image.len() as u64),
        (Format::Gzip, gzip(&image), 0),
        (
            Format::Zstd,
            zstd::bulk::compress(&image, 1).unwrap(),
            image.len() as u64,
        ),
    ] {
        let lab = Lab::new();
        let mut seen = Vec::new();
        let size = AtomicU64::new(published.len() as u64);
        let order = order(&published, format, Vec::new());
        write(
            Cursor::new(&published),
            &size,
            &order,
            &lab.disk(),
            |written, total| {
                seen.push((written, total));
            },
        )
        .unwrap();
        assert_eq!(
            seen.last(),
            Some(&(image.len() as u64, total)),
            "{format:?}"
        );
        assert!(seen.is_sorted());
    }
}

#[test]
fn a_plan_with_a_malformed_digest_or_seed_is_refused() {
    let good = Install {
        image: "/c/x/image".into(),
        digest: format!("sha256:{}", "ab".repeat(32)),
        format: Format::Raw,
        root: Default::default(),
        allow_wipe: false,
        seed: vec![vitistack_installer_wire::SeedFile {
            name: "a".into(),
            content: "AAE=".into(),
        }],
    };
    assert_eq!(Order::parse(&good, "4711").unwrap().seed[0].content, [0, 1]);
    for digest in ["", "sha256:", "sha256:abcd", "md5:abcd", &"ab".repeat(32)] {
        let bad = Install {
            digest: digest.to_owned(),
            ..good.clone()
        };
        assert_eq!(
            Order::parse(&bad, "4711").unwrap_err().failure(),
            Failure::PlanRefused,
            "{digest}"
        );
    }
    let mut bad = good;
    bad.seed[0].content = "not base64!".into();
    assert_eq!(
        Order::parse(&bad, "4711").unwrap_err().failure(),
        Failure::PlanRefused
    );
}
