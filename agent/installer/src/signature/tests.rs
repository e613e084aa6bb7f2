use super::*;

fn disk_with(offset: usize, bytes: &[u8]) -> Vec<u8> {
    let mut head = vec![0; 1 << 20];
    head[offset..offset + bytes.len()].copy_from_slice(bytes);
    head
}

#[test]
fn empty_disks_are_empty() {
    let tail = vec![0; TAIL as usize];
    assert_eq!(find(&vec![0; 1 << 20], &tail), None);
    assert_eq!(find(&[], &[]), None);
    assert_eq!(find(&disk_with(1 << 19, b"noise"), &tail), None);
}

#[test]
fn what_would_be_missed_is_found() {
    let tail = vec![0; TAIL as usize];
    let cases: [(&str, usize, &[u8]); 8] = [
        ("boot sector", 510, &[0x55, 0xAA]),
        ("GPT", 512, b"EFI PART"),
        ("GPT", 4096, b"EFI PART"),
        ("ext filesystem", 1024 + 56, &[0x53, 0xEF]),
        ("XFS", 0, b"XFSB"),
        ("LVM", 512, b"LABELONE"),
        ("swap", 4086, b"SWAPSPACE2"),
        ("ZFS", (128 << 10) + 4096, &ZFS),
    ];
    for (name, offset, bytes) in cases {
        assert_eq!(
            find(&disk_with(offset, bytes), &tail),
            Some(name),
            "{name} at {offset}"
        );
    }
}

#[test]
fn what_lies_at_the_end_is_found() {
    let head = vec![0; 1 << 20];
    for (name, from_end, bytes) in [
        ("backup GPT", 512, b"EFI PART".as_slice()),
        ("backup GPT", 4096, b"EFI PART"),
        ("RAID", 8192, &[0xFC, 0x4E, 0x2B, 0xA9]),
        ("RAID", 65_536, &[0xFC, 0x4E, 0x2B, 0xA9]),
    ] {
        let mut tail = vec![0; TAIL as usize];
        let at = tail.len() - from_end;
        tail[at..at + bytes.len()].copy_from_slice(bytes);
        assert_eq!(
            find(&head, &tail),
            Some(name),
            "{name} {from_end} from the end"
        );
    }
}
