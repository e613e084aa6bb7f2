use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use vitistack_api::conditions::{find, is_true, types};
use vitistack_api::machine::{IntentStatus, MachinePhase, MachineStatus, Placement};
use vitistack_protocol::identity::AgentName;
use vitistack_protocol::ids::{Digest, Generation, OperationId, Uid};
use vitistack_protocol::message::intent::{Credentials, MachineIntent, SecretName, SecretRow};
use vitistack_protocol::message::numbered::{
    ImageFormat, MachinePhase as Told, PowerState, Reason as Why,
};
use vitistack_protocol::message::report::MachineReport;

use super::compile::{Compiled, Sources, bury, present};
use super::status::{Facts, Heard, Leaving, status};
use super::*;
use crate::kinds::fixtures::{DIGEST, host, machine, proof, provider, report, uid};

mod forgotten;
mod up_to_date;

fn consumer(number: u8) -> Value {
    json!({"spec": {"consumerRef": {"name": "node-1", "namespace": "edge", "uid": uid(number)}}})
}

#[test]
fn the_claim_on_the_host_decides_and_a_machine_of_the_same_name_does_not_inherit_it() {
    let new = machine("node-1", 1, json!({}));
    let adopting = machine(
        "node-1",
        1,
        json!({"metadata": {"annotations": {"vitistack.io/adopt": uid(2)}}}),
    );
    let placed = machine(
        "node-1",
        1,
        json!({"status": {"placement": {"host": {
        "name": "a", "namespace": "edge", "uid": uid(50)}}}}),
    );
    let free = host("a", 50, json!({}));
    let ours = host("a", 50, consumer(1));
    let previous = host("a", 50, consumer(2));
    let mut held = previous.as_ref().clone();
    held.status = serde_json::from_value(json!({"quarantine": {"machineUID": uid(2)}})).ok();
    let held = Arc::new(held);
    let name = |claimed: Result<Claim, Refusal>| match claimed {
        Ok(Claim::Held(_)) => "held".to_owned(),
        Ok(Claim::Lost(_)) => "lost".to_owned(),
        Ok(Claim::Adopt(_)) => "adopt".to_owned(),
        Ok(Claim::Free) => "free".to_owned(),
        Err(refusal) => refusal.reason.as_str().to_owned(),
    };
    for (case, machine, host, expected) in [
        ("nobody has it", &new, &free, "free"),
        ("we have it", &new, &ours, "held"),
        (
            "a predecessor has it",
            &new,
            &previous,
            "HostClaimedByPrevious",
        ),
        (
            "a predecessor has it and may be followed",
            &adopting,
            &previous,
            "adopt",
        ),
        ("a predecessor was forced out of it", &new, &held, "free"),
        ("the claim was removed", &placed, &free, "lost"),
        ("another one took it", &placed, &previous, "HostNotFound"),
    ] {
        assert_eq!(
            name(claim(machine, std::slice::from_ref(host))),
            expected,
            "{case}"
        );
    }
    assert_eq!(name(claim(&placed, &[])), "HostNotFound");
}

fn credentials() -> SecretRow {
    credentials_with("secret")
}

fn credentials_with(password: &str) -> SecretRow {
    let credentials = Credentials {
        username: "admin".into(),
        password: password.into(),
    };
    SecretRow::of_credentials(Uid([3; 16]), &credentials)
}

fn compiled(spec: Value, more: Value, host: &Arc<BareMetalHost>) -> Result<MachineIntent, Refusal> {
    let mut machine = machine("node-1", 1, more);
    machine.spec = serde_json::from_value(spec).expect("the spec fits");
    let provider = provider(
        "edge",
        "rack",
        json!({"spec": {"capabilities": {"operatingSystems": [{
        "family": "linux", "distribution": "debian", "versions": ["12"],
        "architectures": ["amd64"], "defaultImageID": "https://images.example/debian-12.raw.zst"}]}}}),
    );
    let bmc = credentials();
    let compiled = present(&Sources {
        machine: &machine,
        host,
        provider: &provider,
        bmc: &bmc,
        heard: None,
        user_data: None,
    })?;
    Ok(compiled.intent.read().expect("a Machine's body"))
}

fn os(id: &str) -> Value {
    json!({"os": {"imageID": id, "imageDigest": DIGEST}})
}

#[test]
fn an_operation_that_was_attempted_is_called_begun_and_no_other_one() {
    let free = host("a", 50, json!({}));
    let plain = compiled(os("debian-12"), json!({}), &free).expect("it compiles");
    let own = plain.operation.to_string();
    for (case, status, begun) in [
        ("nothing was reported", json!({}), false),
        (
            "accepted, not begun",
            json!({"operationID": own, "attempt": 0}),
            false,
        ),
        ("begun", json!({"operationID": own, "attempt": 1}), true),
        (
            "another operation",
            json!({"operationID": "00", "attempt": 1}),
            false,
        ),
    ] {
        let intent = compiled(os("debian-12"), json!({"status": status}), &free);
        assert_eq!(intent.expect("it compiles").is_begun(), begun, "{case}");
    }
}

#[test]
fn the_image_is_a_url_or_an_entry_of_the_provider_and_its_packing_is_known_by_name() {
    let free = host("a", 50, json!({}));
    for (id, url, format) in [
        (
            "http://i.example/a.raw",
            "http://i.example/a.raw",
            ImageFormat::Raw,
        ),
        (
            "http://i.example/a.img.gz?x=1",
            "http://i.example/a.img.gz?x=1",
            ImageFormat::Gzip,
        ),
        (
            "debian-12",
            "https://images.example/debian-12.raw.zst",
            ImageFormat::Zstd,
        ),
    ] {
        let intent = compiled(os(id), json!({}), &free).expect("it compiles");
        assert_eq!(
            (intent.image.url.as_str(), intent.image.format),
            (url, format)
        );
    }
    for (spec, reason) in [
        (os("alpine"), Reason::ImageNotFound),
        (
            os("http://i.example/a.qcow2"),
            Reason::ImageFormatUnsupported,
        ),
        (
            json!({"os": {"imageID": "http://i.example/a.raw"}}),
            Reason::ImageDigestRequired,
        ),
    ] {
        let refusal = compiled(spec, json!({}), &free).expect_err("it is refused");
        assert_eq!(refusal.reason, reason, "{}", refusal.message);
        assert_eq!(refusal.outlook, crate::kinds::Outlook::Stalled);
    }
}

#[test]
fn only_a_new_token_is_a_new_installation_and_adoption_is_none() {
    let free = host("a", 50, json!({}));
    let own: Uid = uid(1).parse().expect("a UUID");
    let with = |more: Value| {
        let mut spec = os("http://i.example/a.raw");
        for (name, value) in more.as_object().expect("an object") {
            spec[name] = value.clone();
        }
        spec
    };
    let first = compiled(with(json!({})), json!({}), &free)
        .expect("it compiles")
        .operation;
    assert_eq!(first, OperationId::derive(own, "install", ""));
    let edited = with(json!({"userData": "#!/bin/sh", "sshKeys": ["ssh-ed25519 A"]}));
    assert_eq!(
        compiled(edited, json!({}), &free)
            .expect("it compiles")
            .operation,
        first
    );
    let again = with(json!({"reinstall": "2026-01"}));
    assert_ne!(
        compiled(again, json!({}), &free)
            .expect("it compiles")
            .operation,
        first
    );

    let carried = proof(2);
    let status =
        serde_json::to_value(crate::kinds::host::status::as_status(&carried)).expect("JSON");
    let host = host("a", 50, json!({"status": {"provisioned": status}}));
    let adopt = json!({"metadata": {"annotations": {"vitistack.io/adopt": uid(2)}}});
    let intent = compiled(with(json!({})), adopt, &host).expect("it compiles");
    assert_eq!(intent.operation, carried.operation);
    assert_eq!(intent.provisioned, Some(carried));
}

#[test]
fn a_tombstone_keeps_the_body_but_not_the_user_data() {
    let free = host("a", 50, json!({}));
    let machine = machine(
        "node-1",
        1,
        json!({"spec": {
        "userData": "#!/bin/sh", "os": {"imageID": "http://i.example/a.raw", "imageDigest": DIGEST}}}),
    );
    let provider = provider("edge", "rack", json!({}));
    let bmc = credentials();
    let sources = Sources {
        machine: &machine,
        host: &free,
        provider: &provider,
        bmc: &bmc,
        heard: None,
        user_data: None,
    };
    let sent = present(&sources).expect("it compiles").intent;
    assert_eq!(sent.secrets.len(), 2);
    let tombstone = bury(&sent, 2, None);
    assert!(tombstone.absent);
    assert_eq!(tombstone.generation, Generation(2));
    assert_eq!(tombstone.secrets, [bmc.name]);
    let (before, after): (MachineIntent, MachineIntent) = (
        sent.read().expect("a body"),
        tombstone.read().expect("a body"),
    );
    assert_eq!(after.target, before.target);
    assert_eq!(after.user_data, None);
    assert_eq!(bury(&tombstone, 2, None), tombstone);
    // A Secret that was made anew has another UID, and may hold what the old one lacked.
    let renewed = bury(&tombstone, 2, Some(Uid([4; 16])));
    assert_eq!(renewed.secrets, [SecretName::of_credentials(Uid([4; 16]))]);
    let renewed: MachineIntent = renewed.read().expect("a body");
    assert_eq!(renewed.target.credentials, Some(Uid([4; 16])));
}

#[test]
fn what_was_reported_is_in_the_intent_before_any_status_says_it() {
    let free = host("a", 50, json!({}));
    let provider = provider("edge", "rack", json!({}));
    let bmc = credentials();
    let machine = machine(
        "node-1",
        1,
        json!({"spec": {"os": {"imageID": "http://i.example/a.raw", "imageDigest": DIGEST}}}),
    );
    let compiled = |heard: Option<&MachineReport>| -> MachineIntent {
        let compiled = present(&Sources {
            machine: &machine,
            host: &free,
            provider: &provider,
            bmc: &bmc,
            heard,
            user_data: None,
        });
        compiled
            .expect("it compiles")
            .intent
            .read()
            .expect("a body")
    };
    let first = compiled(None);
    assert!(!first.is_begun());
    let mut told = report(Told::Installing, Why::Progressing, "");
    assert!(!compiled(Some(&told)).is_begun(), "another operation's");
    told.operation = first.operation;
    assert!(compiled(Some(&told)).is_begun());
    told.provisioned = Some(proof(1));
    assert_eq!(compiled(Some(&told)).provisioned, Some(proof(1)));
}

#[test]
fn a_rotated_password_leaves_the_intent_as_it_is_and_other_user_data_does_not() {
    let free = host("a", 50, json!({}));
    let provider = provider("edge", "rack", json!({}));
    let digest = |password: &str, user_data: &str| {
        let spec = json!({"spec": {
            "userData": user_data, "os": {"imageID": "http://i.example/a.raw", "imageDigest": DIGEST}}});
        let bmc = credentials_with(password);
        let compiled = present(&Sources {
            machine: &machine("node-1", 1, spec),
            host: &free,
            provider: &provider,
            bmc: &bmc,
            heard: None,
            user_data: None,
        });
        let Compiled { intent, rows } = compiled.expect("it compiles");
        assert!(rows.iter().any(|row| row.digest == bmc.digest));
        intent.digest()
    };
    let first = digest("one", "#!/bin/sh");
    assert_eq!(first, digest("two", "#!/bin/sh"));
    assert_ne!(first, digest("one", "#!/bin/bash"));
}

struct Case<'a> {
    machine: &'a Machine,
    heard: Option<Heard>,
    refusal: Option<Refusal>,
    leaving: Leaving,
    connected: bool,
    inputs: Option<(OperationId, Digest)>,
}

fn said(case: &Case<'_>) -> MachineStatus {
    let agent = AgentName::new("edge-west", "edge-1").expect("a name");
    let facts = Facts {
        machine: case.machine,
        placement: Some(Placement::default()),
        provider: None,
        host: None,
        agent: Some(&agent),
        agent_is_connected: case.connected,
        intent: case.refusal.is_none().then(|| IntentStatus {
            revision: 1,
            epoch: Some(1),
            digest: DIGEST.into(),
            accepted: None,
        }),
        inputs: case.inputs,
        refusal: case.refusal.clone(),
        heard: case.heard.as_ref(),
        leaving: case.leaving.clone(),
    };
    status(&facts, &Time(jiff::Timestamp::UNIX_EPOCH))
}

fn heard(report: MachineReport) -> Option<Heard> {
    Some(Heard {
        report,
        generation: Generation(1),
    })
}

#[test]
fn an_agent_without_its_records_does_not_make_a_begun_operation_a_first_one() {
    let mut told = report(Told::Failed, Why::InstallStateUnknown, "");
    told.attempt = 0;
    let own = told.operation.to_string();
    for (case, before, expected) in [
        ("begun", json!({"operationID": own, "attempt": 2}), Some(2)),
        ("not begun", json!({"operationID": own}), None),
        (
            "another operation",
            json!({"operationID": "00", "attempt": 2}),
            None,
        ),
    ] {
        let status = said(&Case {
            machine: &machine("node-1", 1, json!({"status": before})),
            heard: heard(told.clone()),
            refusal: None,
            leaving: Leaving::No,
            connected: true,
            inputs: None,
        });
        assert_eq!(status.attempt, expected, "{case}");
    }
}

#[test]
fn the_phase_follows_the_report() {
    let machine = machine("node-1", 1, json!({}));
    for (told, why, phase, ready, reason) in [
        (
            Told::Pending,
            Why::Progressing,
            MachinePhase::Creating,
            false,
            Reason::Progressing,
        ),
        (
            Told::Installing,
            Why::Progressing,
            MachinePhase::Creating,
            false,
            Reason::Progressing,
        ),
        (
            Told::Installing,
            Why::BmcUnreachable,
            MachinePhase::Creating,
            false,
            Reason::BmcUnreachable,
        ),
        (
            Told::Booting,
            Why::None,
            MachinePhase::Creating,
            false,
            Reason::Progressing,
        ),
        (
            Told::Running,
            Why::PhonedHome,
            MachinePhase::Running,
            true,
            Reason::PhonedHome,
        ),
        (
            Told::Running,
            Why::ProbeAnswered,
            MachinePhase::Running,
            true,
            Reason::ProbeAnswered,
        ),
        (
            Told::Stopping,
            Why::Progressing,
            MachinePhase::Stopping,
            false,
            Reason::Progressing,
        ),
        (
            Told::Stopped,
            Why::None,
            MachinePhase::Stopped,
            true,
            Reason::PoweredOff,
        ),
        (
            Told::Failed,
            Why::DiskNotEmpty,
            MachinePhase::Failed,
            false,
            Reason::DiskNotEmpty,
        ),
    ] {
        let status = said(&Case {
            machine: &machine,
            heard: heard(report(told, why, "")),
            refusal: None,
            leaving: Leaving::No,
            connected: true,
            inputs: None,
        });
        assert_eq!(status.phase, Some(phase), "{told:?}");
        assert_eq!(is_true(&status.conditions, types::READY), ready, "{told:?}");
        let known = find(&status.conditions, types::READY).expect("Ready is always there");
        assert_eq!(known.reason, reason.as_str(), "{told:?}");
        let stalled = is_true(&status.conditions, types::STALLED);
        assert_eq!(stalled, told == Told::Failed, "{told:?}");
    }
}

#[test]
fn a_new_generation_is_not_ready_until_the_agent_has_answered_for_it() {
    let edited = machine("node-1", 1, json!({"metadata": {"generation": 2}}));
    let case = |connected| Case {
        machine: &edited,
        heard: heard(report(Told::Running, Why::PhonedHome, "")),
        refusal: None,
        leaving: Leaving::No,
        connected,
        inputs: None,
    };
    let status = said(&case(true));
    assert_eq!(status.phase, Some(MachinePhase::Running));
    assert!(!is_true(&status.conditions, types::READY));
    assert!(is_true(&status.conditions, types::RECONCILING));
    let away = said(&case(false));
    let known = find(&away.conditions, types::READY).expect("Ready is always there");
    assert_eq!(known.reason, Reason::AgentDisconnected.as_str());
}

#[test]
fn a_hub_that_has_heard_nothing_yet_takes_nothing_back() {
    let plain = machine("node-1", 1, json!({}));
    let running = said(&Case {
        machine: &plain,
        heard: heard(report(Told::Running, Why::PhonedHome, "")),
        refusal: None,
        leaving: Leaving::No,
        connected: true,
        inputs: None,
    });
    let mut known = plain;
    known.status = Some(running.clone());
    let restarted = said(&Case {
        machine: &known,
        heard: None,
        refusal: None,
        leaving: Leaving::No,
        connected: false,
        inputs: None,
    });
    assert_eq!(restarted, running);
}

#[test]
fn a_refusal_of_a_machine_that_runs_says_so_without_stopping_it() {
    let machine = machine("node-1", 1, json!({}));
    let mut running = report(Told::Running, Why::PhonedHome, "");
    running.provisioned = Some(proof(1));
    let refusal = Refusal::stalled(Reason::ImageNotFound, "no such image");
    let status = said(&Case {
        machine: &machine,
        heard: heard(running),
        refusal: Some(refusal.clone()),
        leaving: Leaving::No,
        connected: true,
        inputs: None,
    });
    assert_eq!(status.phase, Some(MachinePhase::Running));
    assert!(is_true(&status.conditions, types::READY));
    let known = find(&status.conditions, types::UP_TO_DATE).expect("it is said");
    assert_eq!(known.reason, Reason::ImageNotFound.as_str());
    let unplaced = said(&Case {
        machine: &machine,
        heard: None,
        refusal: Some(refusal),
        leaving: Leaving::No,
        connected: true,
        inputs: None,
    });
    assert_eq!(unplaced.phase, Some(MachinePhase::Failed));
    assert_eq!(unplaced.failure_reason.as_deref(), Some("ImageNotFound"));
}

#[test]
fn progress_is_told_in_percent_and_only_while_bytes_are_written() {
    let machine = machine("node-1", 1, json!({}));
    let mut writing = report(Told::Installing, Why::Progressing, "writing the image");
    writing.progress = Some(vitistack_protocol::message::report::Progress {
        written: 1 << 30,
        total: 4 << 30,
    });
    writing.power = Some(PowerState::On);
    let mut case = Case {
        machine: &machine,
        heard: heard(writing.clone()),
        refusal: None,
        leaving: Leaving::No,
        connected: true,
        inputs: None,
    };
    let progress = said(&case).progress.expect("it is told");
    assert_eq!(
        (progress.written_bytes, progress.percent),
        (1 << 30, Some(25))
    );
    writing.phase = Told::Booting;
    case.heard = heard(writing);
    assert_eq!(said(&case).progress, None);
}

#[test]
fn a_machine_that_leaves_is_terminating_and_says_what_keeps_it() {
    let machine = machine("node-1", 1, json!({}));
    let mut case = Case {
        machine: &machine,
        heard: heard(report(Told::Running, Why::PhonedHome, "")),
        refusal: None,
        leaving: Leaving::Waits("agent edge-1 releases the host".into()),
        connected: true,
        inputs: None,
    };
    let status = said(&case);
    assert_eq!(status.phase, Some(MachinePhase::Terminating));
    assert_eq!(
        status.message.as_deref(),
        Some("agent edge-1 releases the host")
    );
    case.heard = heard(report(Told::Releasing, Why::BmcUnreachable, "no route"));
    let known = said(&case);
    let ready = find(&known.conditions, types::READY).expect("Ready is always there");
    assert_eq!(ready.reason, Reason::BmcUnreachable.as_str());
    assert_eq!(known.phase, Some(MachinePhase::Terminating));
}
