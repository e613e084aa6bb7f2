use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::*;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

/// Bytes as lines of 32 hexadecimal digits, so that a change is a diff that people can read.
fn dump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.chunks(16) {
        writeln!(text, "{}", hex::encode(line)).unwrap();
    }
    text
}

fn against_golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = golden(name);
    let now = dump(bytes);
    if !path.exists() {
        std::fs::write(&path, &now).unwrap();
        panic!("{} is new: review it and run again", path.display());
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == now,
        "the bytes of {name} differ from {}; a released message is never changed, a new version is added.\n\
         They are now:\n{now}",
        path.display()
    );
    hex::decode(kept.replace('\n', "")).unwrap()
}

/// The message writes the golden bytes, and the golden bytes read as the message.
fn check<M: Message + PartialEq>(message: &M) -> Spec {
    let name = format!("{}.v{}.hex", M::NAME, M::VERSION);
    let bytes = against_golden(&name, &encode(message).unwrap());
    let header = Header::parse(bytes.first_chunk::<HEADER>().copied().unwrap());
    assert_eq!(header.checked_length().unwrap(), bytes.len() - HEADER);
    let frame = Frame {
        header,
        payload: Zeroizing::new(bytes[HEADER..].to_vec()),
    };
    assert!(frame.decode::<M>().unwrap() == *message, "{name}");
    refuses_damage::<M>(&frame);
    survives_noise::<M>(&frame);
    Spec::of::<M>()
}

/// Whatever a bit flip makes of the bytes, reading them ends in a value or an error.
fn survives_noise<M: Message + PartialEq>(frame: &Frame) {
    for at in 0..frame.payload.len() {
        for bit in [0x01, 0x80, 0xff] {
            let mut payload = frame.payload.clone();
            payload[at] ^= bit;
            let noisy = Frame {
                header: frame.header,
                payload,
            };
            drop(noisy.decode::<M>());
        }
    }
}

/// One byte less and one byte more are both errors, not another message.
fn refuses_damage<M: Message + PartialEq>(frame: &Frame) {
    let mut longer = frame.payload.to_vec();
    longer.push(0);
    let longer = Frame {
        header: frame.header,
        payload: Zeroizing::new(longer),
    };
    assert!(matches!(
        longer.decode::<M>(),
        Err(Error::Trailing { count: 1, .. })
    ));
    let mut shorter = frame.payload.to_vec();
    shorter.pop();
    let shorter = Frame {
        header: frame.header,
        payload: Zeroizing::new(shorter),
    };
    assert!(matches!(shorter.decode::<M>(), Err(Error::Decode { .. })));
}

#[test]
fn every_message_keeps_its_golden_bytes() {
    let checked = [
        check(&samples::hello()),
        check(&samples::welcome()),
        check(&samples::goodbye()),
        check(&samples::unsupported()),
        check(&samples::health()),
        check(&samples::renew()),
        check(&samples::renewed()),
        check(&samples::report_ack()),
        check(&samples::intent()),
        check(&samples::intent_ack()),
        check(&samples::secret_row()),
        check(&samples::secret_ack()),
        check(&samples::report_batch()),
        check(&samples::join()),
        check(&samples::joined()),
    ];
    assert_eq!(checked, *KNOWN, "a message has no golden file");
}

#[test]
fn every_body_keeps_its_golden_bytes() {
    use crate::message::body::encode;
    against_golden("machine-intent.v1.hex", &encode(&samples::machine_intent()));
    against_golden("host-intent.v1.hex", &encode(&samples::host_intent()));
    against_golden("machine-report.v1.hex", &encode(&samples::machine_report()));
    against_golden("host-report.v1.hex", &encode(&samples::host_report()));
}

#[test]
fn every_golden_file_belongs_to_a_message() {
    let bodies = [
        "machine-intent",
        "host-intent",
        "machine-report",
        "host-report",
    ]
    .map(|name| format!("{name}.v1.hex"));
    let messages = KNOWN
        .iter()
        .map(|spec| format!("{}.v{}.hex", spec.name, spec.version));
    let wanted: BTreeSet<String> = messages.chain(bodies).collect();
    let found: BTreeSet<String> = std::fs::read_dir(golden(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, wanted);
}

#[test]
fn no_number_is_used_twice() {
    let numbers: BTreeSet<_> = KNOWN.iter().map(|spec| (spec.kind, spec.version)).collect();
    assert_eq!(numbers.len(), KNOWN.len());
    let names: BTreeSet<_> = KNOWN.iter().map(|spec| (spec.name, spec.version)).collect();
    assert_eq!(names.len(), KNOWN.len());
}

#[test]
fn a_length_above_the_cap_is_refused_by_the_header_alone() {
    for spec in KNOWN {
        let header = Header {
            length: spec.cap + 1,
            kind: spec.kind,
            version: spec.version,
        };
        assert!(header.checked_length().is_err(), "{}", spec.name);
    }
    let unknown = Header {
        length: u32::MAX,
        kind: 999,
        version: 1,
    };
    assert!(matches!(
        unknown.checked_length(),
        Err(Error::TooLong {
            cap: UNKNOWN_CAP,
            ..
        })
    ));
}

#[test]
fn a_message_above_its_own_cap_is_not_sent() {
    let mut goodbye = samples::goodbye();
    goodbye.message = "x".repeat(5000);
    assert!(matches!(encode(&goodbye), Err(Error::TooLong { .. })));
}
