//! The rules of a Machine's plan as tables, and whole lives on a simulated server with the agent dying at every point.

mod inputs;
mod release;

use std::net::IpAddr;

use vitistack_installer_wire::Failure as WireFailure;
use vitistack_protocol::ids::{Digest, OperationId, Uid};
use vitistack_protocol::message::intent::{MachineIntent, Provisioned};
use vitistack_protocol::message::numbered::{BodyKind, MachinePhase, PowerState, Reason};
use vitistack_protocol::message::report::MachineReport;

use super::super::boot::Timing;
use super::super::fixture::{self, DISK, Death, IMAGE, INSTALL, MACHINE, OTHER, Runs, Server};
use super::super::record::Record;
use super::super::redfish::{BootTarget, Power};
use super::super::step::Step;
use super::standing::Context;
use super::{Observed, UserData, plan, report};
use crate::driver::{Class, Heard, Next, Outcome};
use crate::image;
use crate::journal::Journal;
use crate::netboot::slot::Service;

fn observed(server: &mut Server) -> Observed {
    Observed {
        sight: server.sight(),
        image: image::State::Ready {
            path: "/cache/image".into(),
        },
        user_data: UserData::Here,
        answered: None,
    }
}

fn decide(machine: &MachineIntent, absent: bool, seen: &Observed, journal: &Journal) -> Next<Step> {
    plan::plan(
        &Context {
            object: MACHINE,
            absent,
            machine,
            observed: seen,
            record: Record::read(journal, machine.operation),
            timing: &Timing::default(),
        },
        journal,
    )
}

/// Lives until the plan ends. A guest that runs phones home, once the executor would take its call.
fn live(
    machine: &MachineIntent,
    absent: bool,
    server: &mut Server,
    journal: &mut Journal,
    death: Death,
) -> (String, usize) {
    fixture::run(server, journal, death, |server, journal| {
        if server.runs == Runs::Guest {
            let heard = Heard {
                operation: machine.operation,
                address: IpAddr::from([10, 99, 0, 100]),
                instance_id: MACHINE.to_string(),
            };
            let intent = fixture::machine(machine, absent);
            if let Some((step, note)) = super::hear(&intent, journal, &heard) {
                fixture::mark(journal, step, crate::journal::Stage::Done, note);
            }
        }
        let seen = observed(server);
        decide(machine, absent, &seen, journal)
    })
}

fn told(
    machine: &MachineIntent,
    absent: bool,
    server: &mut Server,
    journal: &Journal,
) -> MachineReport {
    let seen = observed(server);
    let next = decide(machine, absent, &seen, journal);
    let body = report::render(&report::Told {
        intent: &fixture::machine(machine, absent),
        machine: Some(machine),
        observed: Some(&seen),
        journal,
        outcome: Outcome::Planned(&next),
    });
    postcard::from_bytes(&body.body).unwrap()
}

fn proof(machine: Uid, operation: OperationId) -> Option<Provisioned> {
    Some(Provisioned {
        machine,
        operation,
        image: IMAGE,
        disk: DISK.to_owned(),
    })
}

fn installed() -> (Server, Journal) {
    let (mut server, mut journal) = (Server::off(), Journal::default());
    let (end, _) = live(
        &fixture::machine_intent(),
        false,
        &mut server,
        &mut journal,
        Death::Never,
    );
    assert_eq!(end, "done");
    (server, journal)
}

#[test]
fn an_installation_ends_running_with_a_proof() {
    let (mut server, journal) = installed();
    assert_eq!((server.installations, server.runs), (1, Runs::Guest));
    assert_eq!(server.boot, "Hdd");
    let report = told(&fixture::machine_intent(), false, &mut server, &journal);
    assert_eq!(report.phase, MachinePhase::Running);
    assert_eq!(report.cause.reason, Reason::PhonedHome);
    assert_eq!(report.provisioned, proof(MACHINE, INSTALL));
    assert_eq!(report.addresses, ["10.99.0.100"]);
    assert_eq!((report.attempt, report.power), (1, Some(PowerState::On)));
}

#[test]
fn killed_at_any_point_it_installs_once_in_one_attempt() {
    let machine = fixture::machine_intent();
    let (_, steps) = live(
        &machine,
        false,
        &mut Server::running_old_system(),
        &mut Journal::default(),
        Death::Never,
    );
    assert!(steps > 8, "{steps}");
    for at in 0..steps {
        for death in [Death::BeforeAct(at), Death::AfterAct(at)] {
            let (mut server, mut journal) = (Server::running_old_system(), Journal::default());
            let (end, _) = live(&machine, false, &mut server, &mut journal, death);
            assert_eq!(end, "done", "{death:?}");
            assert_eq!(server.installations, 1, "{death:?}");
            assert_eq!(journal.attempt, 1, "{death:?}");
            assert_eq!(server.runs, Runs::Guest, "{death:?}");
        }
    }
}

#[test]
fn what_failed_for_good_ends_with_its_reason_and_a_corrected_intent_goes_on() {
    for (failure, reason) in [
        (WireFailure::DiskNotEmpty, "fail DiskNotEmpty"),
        (WireFailure::RootDiskAmbiguous, "fail RootDiskAmbiguous"),
        (WireFailure::ImageTooLarge, "fail ImageTooLarge"),
        (WireFailure::ImageDigestMismatch, "fail ImageDigestMismatch"),
    ] {
        let (mut server, mut journal) = (Server::off(), Journal::default());
        server.fails_with = Some(failure);
        let machine = fixture::machine_intent();
        let (end, _) = live(&machine, false, &mut server, &mut journal, Death::Never);
        assert_eq!(end, reason);
        assert_eq!((server.power, journal.attempt), (Power::Off, 1));
        assert_ne!(server.boot, "Pxe");

        server.fails_with = None;
        let corrected = MachineIntent {
            allow_wipe: true,
            ..machine
        };
        let (end, _) = live(&corrected, false, &mut server, &mut journal, Death::Never);
        assert_eq!(end, "done");
        assert_eq!(server.installations, 1);
    }
}

#[test]
fn three_attempts_and_no_endless_power_cycles() {
    for (name, server, last) in [
        (
            "a disk that fails",
            Server {
                fails_with: Some(WireFailure::DiskWriteFailed),
                ..Server::off()
            },
            "DiskWriteFailed",
        ),
        (
            "a firmware that never boots from the network",
            Server {
                ignores_override: true,
                ..Server::off()
            },
            "BootOverrideIgnored",
        ),
    ] {
        let (mut server, mut journal) = (server, Journal::default());
        let machine = fixture::machine_intent();
        let (end, _) = live(&machine, false, &mut server, &mut journal, Death::Never);
        assert_eq!(end, "fail InstallAttemptsExhausted", "{name}");
        assert_eq!(journal.attempt, 3, "{name}");
        let report = told(&machine, false, &mut server, &journal);
        assert_eq!(report.phase, MachinePhase::Failed);
        assert!(
            report.cause.message.contains(last),
            "{}",
            report.cause.message
        );
    }
}

#[test]
fn a_bmc_that_loses_the_override_never_costs_the_old_system_its_power() {
    let mut server = Server {
        loses_override: true,
        ..Server::running_old_system()
    };
    let (end, _) = live(
        &fixture::machine_intent(),
        false,
        &mut server,
        &mut Journal::default(),
        Death::Never,
    );
    assert_eq!(end, "does not end");
    assert_eq!((server.power, server.runs), (Power::On, Runs::OldSystem));
    let mut seen = observed(&mut server);
    seen.sight.boot_sets = vec![BootTarget::Network; super::super::boot::BOOT_SETS];
    let mut journal = Journal::default();
    // As far as the slot, then the override is not set a fourth time.
    for _ in 0..2 {
        if let Next::Do(step) = decide(&fixture::machine_intent(), false, &seen, &journal) {
            fixture::about_to(&mut journal, &step);
            server.act(&step);
            fixture::done(&mut journal, &step);
            seen.sight.slot = server.slot.map(|(key, _)| key);
        }
    }
    let next = decide(&fixture::machine_intent(), false, &seen, &journal);
    assert_eq!(fixture::said(&next), "wait BootOverrideIgnored");
}

#[test]
fn who_may_write_a_disk() {
    let fresh = fixture::machine_intent();
    let begun = MachineIntent {
        extensions: MachineIntent::extensions_begun(),
        ..fresh.clone()
    };
    let with = |provisioned| MachineIntent {
        provisioned,
        ..fresh.clone()
    };
    let again = OperationId([7; 16]);
    for (name, machine, expected) in [
        ("a first claim", fresh.clone(), "do begin-attempt"),
        (
            "proof of this very operation",
            with(proof(MACHINE, INSTALL)),
            "do open-local-slot",
        ),
        (
            "a new reinstall token",
            with(proof(MACHINE, again)),
            "do begin-attempt",
        ),
        (
            "another Machine's host",
            with(proof(OTHER, again)),
            "fail HostClaimedByPrevious",
        ),
        (
            "another Machine's host, adopted",
            MachineIntent {
                adopt: Some(OTHER),
                ..with(proof(OTHER, again))
            },
            "do open-local-slot",
        ),
        (
            "an adoption that names a third Machine",
            MachineIntent {
                adopt: Some(MACHINE),
                ..with(proof(OTHER, again))
            },
            "fail HostClaimedByPrevious",
        ),
        (
            "begun, but an empty store and no proof",
            begun.clone(),
            "fail InstallStateUnknown",
        ),
        (
            "begun and proven",
            MachineIntent {
                provisioned: proof(MACHINE, INSTALL),
                ..begun
            },
            "do open-local-slot",
        ),
    ] {
        let seen = observed(&mut Server::off());
        let next = decide(&machine, false, &seen, &Journal::default());
        assert_eq!(fixture::said(&next), expected, "{name}");
    }
}

#[test]
fn nothing_is_touched_before_everything_is_here() {
    let machine = fixture::machine_intent();
    let failed = |retry_in| image::State::Failed {
        reason: Reason::ImageDigestMismatch,
        message: "other bytes".to_owned(),
        retry_in: std::time::Duration::from_secs(retry_in),
    };
    type Change = Box<dyn Fn(&mut Observed)>;
    let cases: Vec<(&str, Change, &str)> = vec![
        (
            "no image",
            Box::new(|seen| seen.image = image::State::Absent),
            "do fetch-image",
        ),
        (
            "an image on its way",
            Box::new(|seen| {
                seen.image = image::State::Fetching {
                    received: 1,
                    total: 2,
                }
            }),
            "wait Progressing",
        ),
        (
            "a wrong digest",
            Box::new(move |seen| seen.image = failed(60)),
            "wait ImageDigestMismatch",
        ),
        (
            "a wrong digest, a while ago",
            Box::new(move |seen| seen.image = failed(0)),
            "do fetch-image",
        ),
        (
            "no user data",
            Box::new(|seen| seen.user_data = UserData::Missing),
            "wait Progressing",
        ),
        (
            "no boot network",
            Box::new(|seen| seen.sight.service = Service::Disabled),
            "wait NetbootDisabled",
        ),
        (
            "another DHCP server",
            Box::new(|seen| {
                seen.sight.service = Service::ForeignDhcpServer {
                    server: [192, 0, 2, 1].into(),
                }
            }),
            "wait ForeignDhcpServer",
        ),
        (
            "no BMC",
            Box::new(|seen| {
                seen.sight.bmc = Err(fixture::trouble(Reason::BmcUnreachable, Class::Retry))
            }),
            "wait BmcUnreachable",
        ),
    ];
    for (name, change, expected) in cases {
        let mut seen = observed(&mut Server::running_old_system());
        change(&mut seen);
        let next = decide(&machine, false, &seen, &Journal::default());
        assert_eq!(fixture::said(&next), expected, "{name}");
    }
}

#[test]
fn maintenance_stops_every_step_that_touches_the_server() {
    let mut machine = fixture::machine_intent();
    machine.target.maintenance = true;
    let seen = observed(&mut Server::running_old_system());
    let next = decide(&machine, false, &seen, &Journal::default());
    assert_eq!(fixture::said(&next), "wait Progressing");

    let (mut server, journal) = installed();
    let seen = observed(&mut server);
    assert_eq!(
        fixture::said(&decide(&machine, false, &seen, &journal)),
        "done",
        "what runs goes on running"
    );
    let next = decide(&machine, true, &seen, &journal);
    assert_eq!(fixture::said(&next), "wait Progressing");
}

#[test]
fn power_follows_the_intent() {
    let (mut server, mut journal) = installed();
    let stopped = MachineIntent {
        power: PowerState::Off,
        ..fixture::machine_intent()
    };
    let (end, _) = live(&stopped, false, &mut server, &mut journal, Death::Never);
    assert_eq!((end.as_str(), server.power), ("done", Power::Off));
    let report = told(&stopped, false, &mut server, &journal);
    assert_eq!(report.phase, MachinePhase::Stopped);

    let (end, _) = live(
        &fixture::machine_intent(),
        false,
        &mut server,
        &mut journal,
        Death::Never,
    );
    assert_eq!((end.as_str(), server.runs), ("done", Runs::Guest));
    assert_eq!(server.installations, 1);

    server.power = Power::Off;
    let mut seen = observed(&mut server);
    seen.sight.power_ons = super::super::boot::POWER_ONS;
    let next = decide(&fixture::machine_intent(), false, &seen, &journal);
    assert_eq!(fixture::said(&next), "wait PowerActionIgnored");
}

#[test]
fn an_operating_system_is_asked_before_its_power_is_cut() {
    let (mut server, journal) = installed();
    let stopped = MachineIntent {
        power: PowerState::Off,
        ..fixture::machine_intent()
    };
    let mut seen = observed(&mut server);
    if let Ok(system) = &mut seen.sight.bmc {
        system.resets.push("GracefulShutdown".to_owned());
    }
    let mut say = |shutdown: Option<u64>| {
        seen.sight.shutdown = shutdown.map(std::time::Duration::from_secs);
        fixture::said(&decide(&stopped, false, &seen, &journal))
    };
    assert_eq!(say(None), "do shut-down");
    assert_eq!(say(Some(5)), "wait Progressing");
    assert_eq!(say(Some(500)), "do power-off");
}

#[test]
fn a_machine_created_switched_off_is_installed_and_left_off() {
    let machine = MachineIntent {
        power: PowerState::Off,
        ..fixture::machine_intent()
    };
    let (mut server, mut journal) = (Server::off(), Journal::default());
    let (end, _) = live(&machine, false, &mut server, &mut journal, Death::Never);
    assert_eq!((end.as_str(), server.installations), ("done", 1));
    assert_eq!(server.power, Power::Off);
}

#[test]
fn a_silent_guest_is_late_and_a_probe_makes_it_running() {
    let machine = fixture::machine_intent();
    let (mut server, mut journal) = installed();
    journal
        .marks
        .retain(|mark| mark.step != super::number::PHONED_HOME);
    let mut seen = observed(&mut server);
    seen.sight.guest = std::time::Duration::from_secs(60);
    let next = decide(&machine, false, &seen, &journal);
    assert_eq!(fixture::said(&next), "wait Progressing");
    seen.sight.guest = std::time::Duration::from_secs(7200);
    let next = decide(&machine, false, &seen, &journal);
    assert_eq!(fixture::said(&next), "wait GuestTimeout");
    seen.answered = Some(IpAddr::from([10, 99, 0, 100]));
    let Next::Do(step) = decide(&machine, false, &seen, &journal) else {
        panic!("the probe answered");
    };
    fixture::about_to(&mut journal, &step);
    fixture::done(&mut journal, &step);
    let report = told(&machine, false, &mut server, &journal);
    assert_eq!(report.phase, MachinePhase::Running);
    assert_eq!(report.cause.reason, Reason::ProbeAnswered);
}

#[test]
fn only_the_guest_of_this_installation_is_heard() {
    let machine = fixture::machine_intent();
    let (_, journal) = installed();
    let heard = Heard {
        operation: INSTALL,
        address: IpAddr::from([10, 99, 0, 7]),
        instance_id: MACHINE.to_string(),
    };
    let hear = |absent, journal: &Journal, heard: &Heard| {
        super::hear(&fixture::machine(&machine, absent), journal, heard).is_some()
    };
    assert!(hear(false, &journal, &heard));
    assert!(!hear(true, &journal, &heard), "it is being released");
    assert!(
        !hear(false, &Journal::default(), &heard),
        "it was never started"
    );
    let other = Heard {
        instance_id: OTHER.to_string(),
        ..heard.clone()
    };
    assert!(!hear(false, &journal, &other));
    let old = Heard {
        operation: OperationId([8; 16]),
        ..heard
    };
    assert!(!hear(false, &journal, &old));
}

#[test]
fn a_machine_that_runs_goes_on_running_without_its_bmc() {
    let (mut server, journal) = installed();
    server.bmc = Some(fixture::trouble(Reason::BmcUnreachable, Class::Retry));
    let report = told(&fixture::machine_intent(), false, &mut server, &journal);
    assert_eq!(report.phase, MachinePhase::Running);
    assert_eq!(report.cause.reason, Reason::BmcUnreachable);
}

#[test]
fn a_changed_image_before_the_first_byte_is_another_try_with_its_own_budget() {
    let (mut server, mut journal) = (Server::off(), Journal::default());
    server.fails_with = Some(WireFailure::DiskWriteFailed);
    let machine = fixture::machine_intent();
    live(&machine, false, &mut server, &mut journal, Death::Never);
    let mut changed = machine;
    changed.image.digest = Digest([8; 32]);
    let (end, _) = live(&changed, false, &mut server, &mut journal, Death::Never);
    assert_eq!(end, "fail InstallAttemptsExhausted");
    assert_eq!(journal.attempt, 6);
}

#[test]
fn bodies_that_cannot_be_read_fail_and_say_so() {
    let intent = fixture::intent(BodyKind::Machine, vec![1], false);
    assert!(matches!(super::body(&intent), Err(super::Error::Body(_))));
}
