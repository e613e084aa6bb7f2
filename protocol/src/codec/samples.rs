//! One of each message with every field filled, for golden files and tests.

use crate::ids::{
    Digest, Fence, Generation, HubEpoch, ObjectRef, OperationId, Revision, Sequence, Uid,
};
use crate::message::control::{
    Goodbye, Health, Held, Hello, IntentAck, Join, Joined, Renew, Renewed, ReportAck, ReportBatch,
    SecretAck, Unsupported, Welcome,
};
use crate::message::intent::{
    BmcTrust, HeldSecret, HostIntent, HostTarget, Image, Intent, MachineIntent, Provisioned,
    RootHints, SecretKey, SecretName, SecretRow,
};
use crate::message::numbered::{
    BodyKind, BootMode, Cleaning, HostPhase, ImageFormat, Inspection, IntentOutcome, MachinePhase,
    PowerState, Reason,
};
use crate::message::report::{
    Cause, Disk, HostReport, Inventory, MachineReport, Nic, Progress, Report,
};
use crate::message::{Extensions, body};

pub(crate) fn fence() -> Fence {
    Fence {
        epoch: HubEpoch(3),
        revision: Revision(300),
    }
}

fn object(last: u8, name: &str) -> ObjectRef {
    ObjectRef {
        uid: Uid([last; 16]),
        namespace: "production".to_owned(),
        name: name.to_owned(),
    }
}

fn secret_key() -> SecretKey {
    SecretKey {
        uid: Uid([0x5e; 16]),
        digest: Digest([0xd1; 32]),
    }
}

fn held_credentials() -> HeldSecret {
    HeldSecret {
        name: SecretName::of_credentials(Uid([0x5e; 16])),
        digest: Digest([0xd2; 32]),
    }
}

fn held_value() -> HeldSecret {
    HeldSecret {
        name: secret_key().into(),
        digest: secret_key().digest,
    }
}

fn extensions() -> Extensions {
    Extensions(vec![(40_000, vec![1, 2, 3])])
}

fn provisioned() -> Provisioned {
    Provisioned {
        machine: Uid([1; 16]),
        operation: OperationId([2; 16]),
        image: Digest([3; 32]),
        disk: "S5X0".to_owned(),
    }
}

fn target() -> HostTarget {
    HostTarget {
        host: object(9, "rack-7"),
        bmc_address: "redfish+https://192.0.2.7/redfish/v1/Systems/1".to_owned(),
        credentials: Some(held_credentials().name.uid),
        trust: BmcTrust {
            ca_bundle: String::new(),
            pin: Some(Digest([4; 32])),
            insecure: false,
        },
        boot_mac: [2, 0, 0, 0, 0, 7],
        boot_mode: BootMode::Uefi,
        maintenance: false,
    }
}

pub(crate) fn machine_intent() -> MachineIntent {
    MachineIntent {
        target: target(),
        operation: OperationId([2; 16]),
        image: Image {
            url: "https://images.example/os.img.zst".to_owned(),
            digest: Digest([3; 32]),
            format: ImageFormat::Zstd,
            ca_bundle: String::new(),
        },
        root_hints: RootHints {
            device_name: Some("/dev/sda".to_owned()),
            min_size_gigabytes: Some(20),
            rotational: Some(false),
            ..RootHints::default()
        },
        allow_wipe: true,
        power: PowerState::On,
        cleaning: Cleaning::Metadata,
        hostname: "web-1".to_owned(),
        ssh_keys: vec!["ssh-ed25519 AAAA test".to_owned()],
        user_data: Some(secret_key()),
        provisioned: Some(provisioned()),
        adopt: Some(Uid([6; 16])),
        extensions: extensions(),
    }
}

pub(crate) fn host_intent() -> HostIntent {
    HostIntent {
        target: target(),
        inspection: Inspection::WhenOff,
        inspection_operation: OperationId([8; 16]),
        claimed_by: Some(Uid([1; 16])),
        provisioned: Some(provisioned()),
        externally_provisioned: false,
        extensions: extensions(),
    }
}

pub(crate) fn intent() -> Intent {
    Intent {
        fence: fence(),
        object: object(1, "web-1"),
        generation: Generation(7),
        kind: BodyKind::Machine,
        body: body::encode(&machine_intent()),
        absent: false,
        secrets: vec![held_credentials().name, held_value().name],
        extensions: extensions(),
    }
}

fn cause() -> Cause {
    Cause {
        reason: Reason::Progressing,
        message: "writing the image".to_owned(),
    }
}

pub(crate) fn machine_report() -> MachineReport {
    MachineReport {
        phase: MachinePhase::Installing,
        cause: cause(),
        power: Some(PowerState::On),
        host: Uid([9; 16]),
        operation: OperationId([2; 16]),
        attempt: 1,
        progress: Some(Progress {
            written: 1 << 30,
            total: 2 << 30,
        }),
        provisioned: Some(provisioned()),
        addresses: vec!["192.0.2.101".to_owned()],
        extensions: extensions(),
    }
}

pub(crate) fn host_report() -> HostReport {
    HostReport {
        phase: HostPhase::Available,
        cause: cause(),
        power: Some(PowerState::Off),
        reachable: true,
        bmc_certificate: Some(Digest([4; 32])),
        inventory: Some(Inventory {
            manufacturer: "Example".to_owned(),
            model: "M1".to_owned(),
            serial_number: "S1".to_owned(),
            system_uuid: "0".to_owned(),
            firmware: "1.2".to_owned(),
            boot_mode: Some(BootMode::Legacy),
            cpu_cores: 16,
            cpu_model: "X".to_owned(),
            memory_mib: 65_536,
            disks: vec![Disk {
                device_name: "/dev/sda".to_owned(),
                size: 1 << 38,
                in_use: true,
                ..Disk::default()
            }],
            nics: vec![Nic {
                name: "eth0".to_owned(),
                mac: [2, 0, 0, 0, 0, 7],
                carrier: true,
                speed: 10_000,
            }],
        }),
        inspected: Some(OperationId([8; 16])),
        extensions: extensions(),
    }
}

pub(crate) fn report() -> Report {
    Report {
        sequence: Sequence(1000),
        object: object(1, "web-1"),
        fence: fence(),
        generation: Generation(7),
        kind: BodyKind::Machine,
        body: body::encode(&machine_report()),
        gone: false,
        extensions: extensions(),
    }
}

pub(crate) fn hello() -> Hello {
    Hello {
        min_version: 1,
        max_version: 1,
        build: "0.1.0".to_owned(),
        capabilities: 0,
        boot: [0xb0; 16],
        store: [0x57; 16],
        epoch: HubEpoch(3),
        held: vec![Held {
            uid: Uid([1; 16]),
            fence: fence(),
            intent: Digest([5; 32]),
            report: Digest([6; 32]),
        }],
        outbox: (Sequence(999), Sequence(1000)),
        extensions: Hello::extensions_for(&[held_credentials(), held_value()]),
    }
}

pub(crate) fn welcome() -> Welcome {
    Welcome {
        version: 1,
        session: 12,
        epoch: HubEpoch(3),
        keep_alive_ms: 4000,
        resend: vec![Uid([1; 16])],
        extensions: Welcome::renew_only_extensions(),
    }
}

pub(crate) fn goodbye() -> Goodbye {
    Goodbye {
        code: 3,
        message: "the certificate is revoked".to_owned(),
    }
}

pub(crate) fn unsupported() -> Unsupported {
    Unsupported {
        kind: 900,
        version: 2,
    }
}

pub(crate) fn health() -> Health {
    Health {
        uptime: 86_400,
        load_hundredths: 150,
        memory_used_mib: 512,
        memory_total_mib: 2048,
        data_free_bytes: 1 << 33,
        objects: 2,
        outbox: 1,
        problems: vec!["StoreFull".to_owned()],
    }
}

pub(crate) fn renew() -> Renew {
    Renew {
        csr: vec![0x30, 1, 2],
    }
}

pub(crate) fn renewed() -> Renewed {
    Renewed {
        chain: vec![vec![0x30, 3]],
        roots: vec![vec![0x30, 4]],
    }
}

pub(crate) fn report_ack() -> ReportAck {
    ReportAck {
        through: Sequence(1000),
    }
}

pub(crate) fn intent_ack() -> IntentAck {
    IntentAck {
        uid: Uid([1; 16]),
        fence: fence(),
        outcome: IntentOutcome::Stored,
        held: fence(),
    }
}

pub(crate) fn secret_row() -> SecretRow {
    SecretRow {
        name: held_value().name,
        digest: held_value().digest,
        value: b"a value".to_vec(),
    }
}

pub(crate) fn secret_ack() -> SecretAck {
    SecretAck {
        held: held_credentials(),
    }
}

pub(crate) fn report_batch() -> ReportBatch {
    ReportBatch {
        reports: vec![report()],
    }
}

pub(crate) fn join() -> Join {
    Join {
        token: "vt1.0123456789.00112233445566778899aabbccddeeff.hash".to_owned(),
        name: "edge-1".to_owned(),
        csr: vec![0x30, 1, 2],
    }
}

pub(crate) fn joined() -> Joined {
    Joined {
        name: "edge-1".to_owned(),
        site: "edge-west".to_owned(),
        chain: vec![vec![0x30, 3]],
        roots: vec![vec![0x30, 4]],
    }
}
