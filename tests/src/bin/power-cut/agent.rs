//! The agent's store: intents, journals, reports and secrets, as its uplink and its executor write them.
//!
//! Rows by letter: `i` an intent's revision, `j` a journal's operation, `r` a report, `u` user data that an intent names.

use std::path::Path;

use anyhow::Context as _;
use tokio::task::JoinSet;
use vitistack_agent::store::{self, Facts, Settings, Store};
use vitistack_drivers::driver::Secrets as _;
use vitistack_drivers::journal::Journal;
use vitistack_protocol::ids::{
    Fence, Generation, HubEpoch, ObjectRef, OperationId, Revision, Sequence, Uid,
};
use vitistack_protocol::message::intent::{
    BmcTrust, HostIntent, HostTarget, Intent, SecretKey, SecretName, SecretRow,
};
use vitistack_protocol::message::numbered::{BodyKind, BootMode, Inspection, IntentOutcome};
use vitistack_protocol::message::{Extensions, body};

use crate::load::{self, Scenario, Turn, USER_DATA, WRITERS};
use crate::part::{self, Line, say};

/// Everything that the disk can hold; what happens at a limit is another test.
const QUOTA: u64 = 4 << 30;

fn open(place: &Path) -> anyhow::Result<(store::Opened, bool)> {
    let opened = store::open(&Settings {
        dir: part::data(place).join("store"),
        key_file: part::key_file(place),
        quota_bytes: QUOTA,
        ballast_bytes: 4 << 20,
    })
    .context("open the store")?;
    let reset = opened.lost.is_some();
    Ok((opened, reset))
}

/// Writes until it is killed.
pub(crate) async fn write(place: &Path, scenario: Scenario) -> anyhow::Result<()> {
    let (opened, _) = open(place)?;
    let mut tasks = JoinSet::new();
    let service = opened.service;
    tasks.spawn(async move { service.run().await.context("the store") });
    say(Line::Open);
    for writer in 0..WRITERS {
        let store = opened.store.clone();
        tasks.spawn(async move {
            for turn in 0.. {
                take(&store, scenario.turn(writer, turn)).await?;
            }
            Ok(())
        });
    }
    tasks.join_next().await.context("a task")??
}

async fn take(store: &Store, turn: Turn) -> anyhow::Result<()> {
    let Turn {
        row,
        value,
        user_data,
    } = turn;
    let mut secrets = Vec::new();
    if user_data {
        let secret = SecretRow::new(uid(row), load::user_data(row, value, USER_DATA));
        secrets.push(secret.name);
        store.take_secret(secret).await?;
    }
    let has_secrets = !secrets.is_empty();
    let taken = store.take_intent(intent(row, value, secrets)).await?;
    anyhow::ensure!(
        taken.outcome == IntentOutcome::Stored,
        "{:?}",
        taken.outcome
    );
    say(Line::Row(('i', row), value));
    if has_secrets {
        say(Line::Row(('u', row), value));
    }
    let journal = Journal {
        operation: Some(OperationId(uid(value).0)),
        attempt: 1,
        marks: Vec::new(),
    };
    store.write_journal(uid(row), journal).await?;
    say(Line::Row(('j', row), value));
    store.report(facts(row, value)).await?;
    say(Line::Row(('r', row), value));
    Ok(())
}

/// Says what is there.
pub(crate) async fn read(place: &Path) -> anyhow::Result<()> {
    let (opened, reset) = open(place)?;
    if reset {
        say(Line::Reset);
    }
    let store = opened.store;
    let mut tasks = JoinSet::new();
    tasks.spawn(opened.service.run());
    let held = store.position().held;
    for held in &held {
        let row = row_of(held.uid);
        let revision = held.fence.revision.0;
        say(Line::Row(('i', row), revision));
        let loaded = store
            .load(held.uid)
            .await?
            .context("an intent with a row")?;
        if let Some(OperationId(bytes)) = loaded.journal.operation {
            say(Line::Row(('j', row), row_of(Uid(bytes))));
        }
        for SecretName { uid, content } in &loaded.intent.secrets {
            let digest = content.context("user data is named by its content")?;
            let key = SecretKey { uid: *uid, digest };
            let bytes = loaded.secrets.secret(&key);
            if let Some((row, value)) = bytes.and_then(|bytes| load::read_user_data(&bytes)) {
                say(Line::Row(('u', row), value));
            }
        }
    }
    let mut after = Sequence(0);
    loop {
        let reports = store.waiting_reports(after, 1000).await?;
        let Some(last) = reports.last() else {
            return Ok(());
        };
        after = last.sequence;
        for report in reports {
            let value = report.body.first_chunk().copied().map(u64::from_be_bytes);
            let value = value.context("a report's body")?;
            say(Line::Row(('r', row_of(report.object.uid)), value));
        }
    }
}

fn uid(row: u64) -> Uid {
    let mut bytes = [7; 16];
    for (place, byte) in bytes.iter_mut().zip(row.to_be_bytes()) {
        *place = byte;
    }
    Uid(bytes)
}

fn row_of(uid: Uid) -> u64 {
    uid.0
        .first_chunk()
        .copied()
        .map_or(u64::MAX, u64::from_be_bytes)
}

fn object(row: u64) -> ObjectRef {
    ObjectRef {
        uid: uid(row),
        namespace: "edge".into(),
        name: format!("host-{row}"),
    }
}

fn fence(value: u64) -> Fence {
    Fence {
        epoch: HubEpoch(1),
        revision: Revision(value),
    }
}

fn facts(row: u64, value: u64) -> Facts {
    Facts {
        object: object(row),
        fence: fence(value),
        generation: Generation(1),
        kind: BodyKind::Host,
        body: value.to_be_bytes().to_vec(),
        gone: false,
    }
}

fn intent(row: u64, value: u64, secrets: Vec<SecretName>) -> Intent {
    let host = HostIntent {
        target: HostTarget {
            host: object(row),
            bmc_address: format!("redfish+https://192.0.2.1/redfish/v1/Systems/{value}"),
            credentials: None,
            trust: BmcTrust {
                // Now and then a body that goes into a file of its own.
                ca_bundle: "x".repeat(if row.is_multiple_of(17) { 9_000 } else { 300 }),
                ..BmcTrust::default()
            },
            boot_mac: [2, 0, 0, 0, 0, 1],
            boot_mode: BootMode::Uefi,
            maintenance: false,
        },
        inspection: Inspection::Never,
        inspection_operation: OperationId(uid(row).0),
        claimed_by: None,
        provisioned: None,
        externally_provisioned: false,
        extensions: Extensions::default(),
    };
    Intent {
        fence: fence(value),
        object: object(row),
        generation: Generation(1),
        kind: BodyKind::Host,
        body: body::encode(&host),
        absent: false,
        secrets,
        extensions: Extensions::default(),
    }
}
