use super::*;

const ALIAS: &str = "# Aliases extracted from modules themselves.
alias pci:v00008086d000010D3sv*sd*bc*sc*i* e1000e
alias pci:v*d*sv*sd*bc01sc06i01* ahci
alias virtio:d00000001v* virtio_net
alias usb:v0BDAp8152d*dc*dsc*dp*ic*isc*ip*in* r8152
alias usb:v*p*d*dc*dsc*dp*ic08isc0[4-6]ip50in* usb_storage
alias crypto-crc32c crc32c_generic
alias scsi:t-0x00* sd_mod
";
const DEPENDENCIES: &str =
    "kernel/drivers/net/e1000e.ko: kernel/drivers/ptp.ko kernel/drivers/pps.ko
kernel/drivers/ptp.ko: kernel/drivers/pps.ko
kernel/drivers/pps.ko:
kernel/lib/libcrc32c.ko:
kernel/crypto/crc32c-generic.ko:
kernel/a.ko:
kernel/b.ko:
";
const SOFT: &str = "# Soft dependencies
softdep libcrc32c pre: crypto-crc32c post: never
softdep a pre: b
softdep b pre: a
";

fn index() -> Index {
    Index::parse(ALIAS, DEPENDENCIES, SOFT)
}

#[test]
fn a_device_finds_its_module() {
    for (alias, expected) in [
        (
            "pci:v00008086d000010D3sv00008086sd00000000bc02sc00i00",
            vec!["e1000e"],
        ),
        (
            "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01",
            vec!["ahci"],
        ),
        (
            "pci:v00008086d00002918sv00001AF4sd00001100bc06sc01i00",
            vec![],
        ),
        ("virtio:d00000001v00001AF4", vec!["virtio_net"]),
        (
            "usb:v46F4p0001d0000dc00dsc00dp00ic08isc06ip50in00",
            vec!["usb_storage"],
        ),
        ("usb:v46F4p0001d0000dc00dsc00dp00ic08isc07ip50in00", vec![]),
        ("scsi:t-0x00", vec!["sd_mod"]),
        ("scsi:t-0x05", vec![]),
    ] {
        assert_eq!(index().resolve(alias), expected, "{alias}");
    }
}

#[test]
fn what_a_module_needs_is_loaded_before_it() {
    assert_eq!(
        index().order("e1000e"),
        [
            "kernel/drivers/pps.ko",
            "kernel/drivers/ptp.ko",
            "kernel/drivers/net/e1000e.ko"
        ]
    );
    assert_eq!(
        index().order("libcrc32c"),
        ["kernel/crypto/crc32c-generic.ko", "kernel/lib/libcrc32c.ko"]
    );
    assert!(index().order("built_in").is_empty());
}

#[test]
fn a_circle_of_soft_dependencies_ends() {
    assert_eq!(index().order("a"), ["kernel/b.ko", "kernel/a.ko"]);
}

#[test]
fn patterns_are_those_of_fnmatch() {
    for (pattern, text, expected) in [
        ("abc", "abc", true),
        ("abc", "abd", false),
        ("abc", "abcd", false),
        ("a*c", "abbbc", true),
        ("a*c", "abbbd", false),
        ("a*b*c", "aXbYbZc", true),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*", "", true),
        ("[0-9A-F]x", "Bx", true),
        ("[0-9A-F]x", "Gx", false),
        ("[xyz]", "y", true),
        ("[open", "o", false),
    ] {
        assert_eq!(
            matches(pattern.as_bytes(), text.as_bytes()),
            expected,
            "{pattern} {text}"
        );
    }
}
