use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};
use vitistack_api::conditions::{Reason, find, is_true, types};
use vitistack_api::host::{BareMetalHostStatus, HostPhase};
use vitistack_protocol::ids::Digest;
use vitistack_protocol::message::numbered::{
    BodyKind, HostPhase as Told, MachinePhase, PowerState, Reason as Why,
};
use vitistack_protocol::message::report::{Cause, HostReport, MachineReport};

use super::status::{Facts, as_status, is_news, status};
use super::*;
use crate::kinds::fixtures::{host, machine, proof, report as machine_report, uid};

const SECRET: Option<Uid> = Some(Uid([3; 16]));

fn report(phase: Told, why: Why, reachable: bool) -> HostReport {
    HostReport {
        phase,
        cause: Cause {
            reason: why,
            message: String::new(),
        },
        power: Some(PowerState::Off),
        reachable,
        bmc_certificate: None,
        inventory: None,
        inspected: None,
        extensions: Extensions::default(),
    }
}

struct Case<'a> {
    host: &'a BareMetalHost,
    consumer: Option<&'a Machine>,
    heard: Option<HostReport>,
    carried: Option<(MachineReport, bool)>,
    quarantine: Option<Quarantine>,
}

fn said(case: &Case<'_>) -> BareMetalHostStatus {
    let facts = Facts {
        host: case.host,
        consumer: case.consumer,
        agent: None,
        agent_is_connected: true,
        intent: None,
        refusal: None,
        heard: case.heard.as_ref(),
        carried: case.carried.as_ref().map(|(report, gone)| (report, *gone)),
        quarantine: case.quarantine.clone(),
        accepted: false,
        leaving: None,
    };
    status(&facts, &Time(jiff::Timestamp::UNIX_EPOCH))
}

fn new_host(more: Value) -> BareMetalHost {
    let mut host = host("a", 50, more).as_ref().clone();
    host.status = None;
    host
}

fn claimed() -> Value {
    json!({"spec": {"consumerRef": {"name": "node-1", "namespace": "edge", "uid": uid(1)}}})
}

#[test]
fn the_intent_says_who_claims_the_host_and_goes_out_again_as_its_tombstone() {
    let host = new_host(claimed());
    let intent = compile(&host, SECRET, false).expect("it compiles");
    let body: HostIntent = intent.read().expect("a host's body");
    assert_eq!(intent.kind, BodyKind::Host);
    assert_eq!(body.claimed_by, uid(1).parse().ok());
    assert_eq!(body.target.boot_mac, [0x52, 0x54, 0, 0, 0, 1]);
    let tombstone = compile(&host, SECRET, true).expect("it compiles");
    assert!(tombstone.absent);
    assert_eq!(tombstone.body, intent.body);
}

#[test]
fn a_new_inspection_is_asked_for_by_annotation_only() {
    let operation = |more: Value| {
        let intent = compile(&new_host(more), SECRET, false).expect("it compiles");
        intent
            .read::<HostIntent>()
            .expect("a host's body")
            .inspection_operation
    };
    let first = operation(json!({}));
    assert_eq!(operation(claimed()), first);
    let again = json!({"metadata": {"annotations": {"vitistack.io/inspect": "2"}}});
    assert_ne!(operation(again), first);
}

#[test]
fn the_phase_follows_claim_proof_and_report() {
    let free = new_host(json!({}));
    let taken = new_host(claimed());
    let foreign = new_host(json!({"spec": {"externallyProvisioned": true}}));
    let present = machine("node-1", 1, json!({}));
    let leaving = machine(
        "node-1",
        1,
        json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}),
    );
    let mut installed = machine_report(MachinePhase::Booting, Why::Progressing, "");
    installed.provisioned = Some(proof(1));
    let installing = machine_report(MachinePhase::Installing, Why::Progressing, "");
    let available = || Some(report(Told::Available, Why::None, true));
    for (name, host, consumer, heard, carried, phase) in [
        (
            "nothing known",
            &free,
            None,
            None,
            None,
            HostPhase::Registering,
        ),
        (
            "looked at",
            &free,
            None,
            Some(report(Told::Inspecting, Why::Progressing, true)),
            None,
            HostPhase::Inspecting,
        ),
        ("free", &free, None, available(), None, HostPhase::Available),
        (
            "ill",
            &free,
            None,
            Some(report(Told::Failed, Why::BmcProtocolError, false)),
            None,
            HostPhase::Failed,
        ),
        (
            "claimed",
            &taken,
            Some(&present),
            available(),
            None,
            HostPhase::Provisioning,
        ),
        (
            "written",
            &taken,
            Some(&present),
            available(),
            Some((installing, false)),
            HostPhase::Provisioning,
        ),
        (
            "installed",
            &taken,
            Some(&present),
            available(),
            Some((installed, false)),
            HostPhase::Provisioned,
        ),
        (
            "left",
            &taken,
            Some(&leaving),
            available(),
            None,
            HostPhase::Releasing,
        ),
        (
            "somebody else's",
            &foreign,
            None,
            available(),
            None,
            HostPhase::ExternallyProvisioned,
        ),
        (
            "given back, agent behind",
            &free,
            None,
            Some(report(Told::InUse, Why::None, true)),
            None,
            HostPhase::Releasing,
        ),
    ] {
        let case = Case {
            host,
            consumer,
            heard,
            carried,
            quarantine: None,
        };
        assert_eq!(said(&case).phase, Some(phase), "{name}");
    }
}

#[test]
fn only_the_sites_word_takes_the_proof_away() {
    let mut taken = new_host(claimed());
    taken.status = Some(BareMetalHostStatus {
        provisioned: Some(as_status(&proof(1))),
        ..BareMetalHostStatus::default()
    });
    let case = |carried| Case {
        host: &taken,
        consumer: None,
        heard: None,
        carried,
        quarantine: None,
    };
    let pending = machine_report(MachinePhase::Pending, Why::Progressing, "");
    assert!(said(&case(None)).provisioned.is_some());
    assert!(
        said(&case(Some((pending.clone(), false))))
            .provisioned
            .is_some()
    );
    assert_eq!(said(&case(Some((pending, true)))).provisioned, None);
}

#[test]
fn a_machines_report_is_news_for_its_host_when_the_proof_changes() {
    let mut host = new_host(claimed());
    let progress = machine_report(MachinePhase::Pending, Why::Progressing, "");
    let proven = MachineReport {
        provisioned: Some(proof(1)),
        ..progress.clone()
    };
    let gone = machine_report(MachinePhase::Gone, Why::None, "");
    assert!(!is_news(&host, &progress, false), "on its way");
    assert!(is_news(&host, &proven, false), "installed");
    host.status = Some(BareMetalHostStatus {
        provisioned: Some(as_status(&proof(1))),
        ..BareMetalHostStatus::default()
    });
    assert!(!is_news(&host, &proven, false), "told already");
    assert!(!is_news(&host, &progress, false), "no word of a change");
    assert!(is_news(&host, &gone, false), "nothing is left");
    assert!(is_news(&host, &progress, true), "and is forgotten");
}

#[test]
fn the_first_certificate_is_pinned_and_a_later_one_is_not() {
    let mut host = new_host(json!({}));
    let mut told = report(Told::Available, Why::None, true);
    told.bmc_certificate = Some(Digest([1; 32]));
    let first = said(&Case {
        host: &host,
        consumer: None,
        heard: Some(told.clone()),
        carried: None,
        quarantine: None,
    });
    let pin = Digest([1; 32]).to_string();
    assert_eq!(
        first.bmc_certificate.as_ref().map(|pin| pin.sha256.clone()),
        Some(pin.clone())
    );
    host.status = Some(first);
    told.bmc_certificate = Some(Digest([2; 32]));
    told.cause.reason = Why::BmcCertificateChanged;
    told.reachable = false;
    told.phase = Told::Failed;
    let changed = said(&Case {
        host: &host,
        consumer: None,
        heard: Some(told),
        carried: None,
        quarantine: None,
    });
    assert_eq!(changed.bmc_certificate.map(|pin| pin.sha256), Some(pin));
    let trusted = find(&changed.conditions, types::BMC_TRUSTED).expect("it is said");
    assert_eq!(
        (trusted.status.as_str(), trusted.reason.as_str()),
        ("False", "BMCCertificateChanged")
    );
    let intent = compile(&host, SECRET, false).expect("it compiles");
    let body: HostIntent = intent.read().expect("a host's body");
    assert_eq!(
        body.target.trust.pin,
        Some(Digest([1; 32])),
        "the pin goes back with every intent"
    );
}

#[test]
fn a_refused_password_is_reachable_but_not_authenticated() {
    let host = new_host(json!({}));
    let told = report(Told::Registering, Why::BmcAuthenticationFailed, false);
    let status = said(&Case {
        host: &host,
        consumer: None,
        heard: Some(told),
        carried: None,
        quarantine: None,
    });
    assert!(is_true(&status.conditions, types::REACHABLE));
    let known = find(&status.conditions, types::AUTHENTICATED).expect("it is said");
    assert_eq!(known.reason, Reason::BmcAuthenticationFailed.as_str());
    let ready = find(&status.conditions, types::READY).expect("Ready is always there");
    assert_eq!(ready.reason, Reason::BmcAuthenticationFailed.as_str());
}

#[test]
fn a_host_is_held_back_from_a_forced_removal_until_cleaned_or_accepted() {
    let taken = new_host(claimed());
    let forced = machine(
        "node-1",
        1,
        json!({
            "metadata": {
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "annotations": {"vitistack.io/force-delete": uid(1)},
            },
            "status": {"intent": {"revision": 4, "digest": "sha256:00"}},
        }),
    );
    let regular = machine(
        "node-1",
        1,
        json!({
            "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"},
            "status": {"intent": {"revision": 4, "digest": "sha256:00"}},
        }),
    );
    assert_eq!(hold(&taken, Some(&regular), |_| false), Hold::None);
    let Hold::Held(quarantine) = hold(&taken, Some(&forced), |_| false) else {
        panic!("the host is held back");
    };
    assert_eq!(quarantine.machine_uid, uid(1));
    assert_eq!(
        quarantine.intent.as_ref().map(|intent| intent.revision),
        Some(4)
    );

    let mut held = taken;
    held.status = Some(BareMetalHostStatus {
        quarantine: Some(quarantine),
        ..BareMetalHostStatus::default()
    });
    assert!(matches!(hold(&held, None, |_| false), Hold::Held(_)));
    assert!(
        matches!(hold(&held, Some(&forced), |_| true), Hold::Held(_)),
        "the Machine goes first"
    );
    assert_eq!(hold(&held, None, |_| true), Hold::Ends { machine: uid(1) });
    let accepted = [("vitistack.io/accept".to_owned(), uid(1))];
    held.metadata.annotations = Some(accepted.into());
    assert_eq!(hold(&held, None, |_| false), Hold::Ends { machine: uid(1) });
}
