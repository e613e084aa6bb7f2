//! The rules of a host's plan as tables, and whole inspections on a simulated server with the agent dying at any point.

use vitistack_protocol::ids::OperationId;
use vitistack_protocol::message::intent::{HostIntent, Provisioned};
use vitistack_protocol::message::numbered::{BodyKind, HostPhase, Inspection, Reason};
use vitistack_protocol::message::report::{Disk, HostReport, Inventory};

use super::super::boot::Timing;
use super::super::fixture::{self, Death, IMAGE, INSPECT, MACHINE, Runs, Server};
use super::super::record::{self, Record};
use super::super::redfish::Power;
use super::super::step::{Kind, Step, note};
use super::plan::{self, Context};
use super::{Observed, report};
use crate::driver::{Class, Next, Outcome};
use crate::journal::Journal;
use crate::netboot::slot::Service;

fn observed(server: &mut Server) -> Observed {
    Observed {
        sight: server.sight(),
        nics: Vec::new(),
    }
}

fn decide(host: &HostIntent, absent: bool, seen: &Observed, journal: &Journal) -> Next<Step> {
    plan::plan(&Context {
        absent,
        host,
        observed: seen,
        journal,
        record: Record::read(journal, host.inspection_operation),
        timing: &Timing::default(),
    })
}

fn live(
    host: &HostIntent,
    absent: bool,
    server: &mut Server,
    journal: &mut Journal,
    death: Death,
) -> (String, usize) {
    fixture::run(server, journal, death, |server, journal| {
        let seen = observed(server);
        decide(host, absent, &seen, journal)
    })
}

fn told(host: &HostIntent, server: &mut Server, journal: &Journal) -> HostReport {
    let seen = observed(server);
    let next = decide(host, false, &seen, journal);
    let body = report::render(&report::Told {
        intent: &fixture::intent(BodyKind::Host, note(host), false),
        host: Some(host),
        observed: Some(&seen),
        journal,
        outcome: Outcome::Planned(&next),
    });
    postcard::from_bytes(&body.body).unwrap()
}

#[test]
fn a_server_that_is_off_is_inspected_once_and_left_off() {
    let host = fixture::host_intent();
    let (_, steps) = live(
        &host,
        false,
        &mut Server::off(),
        &mut Journal::default(),
        Death::Never,
    );
    let deaths = (0..steps).flat_map(|at| [Death::BeforeAct(at), Death::AfterAct(at)]);
    for death in std::iter::once(Death::Never).chain(deaths) {
        let (mut server, mut journal) = (Server::off(), Journal::default());
        let (end, _) = live(&host, false, &mut server, &mut journal, death);
        assert_eq!(end, "done", "{death:?}");
        assert_eq!((server.inspections, journal.attempt), (1, 1), "{death:?}");
        assert_eq!(server.power, Power::Off, "{death:?}");
        assert_ne!(server.boot, "Pxe", "{death:?}");
        let report = told(&host, &mut server, &journal);
        assert_eq!(report.phase, HostPhase::Available);
        assert_eq!(report.inspected, Some(INSPECT));
        assert_eq!(report.inventory.unwrap().cpu_cores, 4);
    }
}

#[test]
fn a_user_may_switch_an_inspected_server_on() {
    let (mut server, mut journal) = (Server::off(), Journal::default());
    let host = fixture::host_intent();
    live(&host, false, &mut server, &mut journal, Death::Never);
    server.power = Power::On;
    server.agent_dies();
    live(&host, false, &mut server, &mut journal, Death::Never);
    assert_eq!(server.power, Power::On);
}

#[test]
fn a_server_that_was_running_runs_again_afterwards() {
    let host = HostIntent {
        inspection: Inspection::Reboot,
        ..fixture::host_intent()
    };
    let (mut server, mut journal) = (Server::running_old_system(), Journal::default());
    let (end, _) = live(&host, false, &mut server, &mut journal, Death::Never);
    assert_eq!((end.as_str(), server.inspections), ("done", 1));
    assert_eq!((server.power, server.runs), (Power::On, Runs::OldSystem));
}

#[test]
fn who_is_never_booted_to_be_inspected() {
    let base = fixture::host_intent();
    let mut maintained = base.clone();
    maintained.target.maintenance = true;
    for (name, host, server, expected, phase) in [
        (
            "running",
            base.clone(),
            Server::running_old_system(),
            "wait InspectionWaits",
            HostPhase::Available,
        ),
        (
            "claimed",
            HostIntent {
                claimed_by: Some(MACHINE),
                ..base.clone()
            },
            Server::off(),
            "done",
            HostPhase::InUse,
        ),
        (
            "somebody else's installation",
            HostIntent {
                externally_provisioned: true,
                ..base.clone()
            },
            Server::off(),
            "done",
            HostPhase::Available,
        ),
        (
            "carries an installation of ours",
            HostIntent {
                provisioned: Some(Provisioned {
                    machine: MACHINE,
                    operation: OperationId([7; 16]),
                    image: IMAGE,
                    disk: String::new(),
                }),
                ..base.clone()
            },
            Server::off(),
            "done",
            HostPhase::Available,
        ),
        (
            "inspection is off",
            HostIntent {
                inspection: Inspection::Never,
                ..base
            },
            Server::off(),
            "done",
            HostPhase::Available,
        ),
        (
            "maintenance",
            maintained,
            Server::off(),
            "done",
            HostPhase::Available,
        ),
    ] {
        let (mut server, mut journal) = (server, Journal::default());
        let power = server.power;
        let mut last = String::new();
        let (end, _) = fixture::run(
            &mut server,
            &mut journal,
            Death::Never,
            |server, journal| {
                let seen = observed(server);
                let next = decide(&host, false, &seen, journal);
                last = fixture::said(&next);
                next
            },
        );
        assert_eq!(last, expected, "{name}: {end}");
        assert_eq!((server.power, server.inspections), (power, 0), "{name}");
        let report = told(&host, &mut server, &journal);
        assert_eq!(report.phase, phase, "{name}");
        assert!(report.inspected.is_none());
    }
}

#[test]
fn without_a_boot_network_the_bmc_tells_what_it_knows() {
    let host = fixture::host_intent();
    let mut seen = observed(&mut Server::off());
    seen.sight.service = Service::Disabled;
    let next = decide(&host, false, &seen, &Journal::default());
    assert_eq!(fixture::said(&next), "wait NetbootDisabled");
}

#[test]
fn a_bmc_that_does_not_answer_is_registering_with_the_reason() {
    let host = fixture::host_intent();
    let mut server = Server {
        bmc: Some(fixture::trouble(
            Reason::BmcAuthenticationFailed,
            Class::Unauthenticated,
        )),
        ..Server::off()
    };
    let report = told(&host, &mut server, &Journal::default());
    assert_eq!(report.phase, HostPhase::Registering);
    assert_eq!(report.cause.reason, Reason::BmcAuthenticationFailed);
    assert!(!report.reachable);
}

#[test]
fn three_boots_without_an_installer_end_with_the_server_off() {
    let host = fixture::host_intent();
    let (mut server, mut journal) = (
        Server {
            ignores_override: true,
            ..Server::off()
        },
        Journal::default(),
    );
    let (end, _) = live(&host, false, &mut server, &mut journal, Death::Never);
    assert_eq!(end, "fail InstallAttemptsExhausted");
    assert_eq!((journal.attempt, server.power), (3, Power::Off));
}

#[test]
fn a_claim_in_the_middle_of_an_inspection_gets_the_slot() {
    let (mut server, mut journal) = (Server::off(), Journal::default());
    let mut host = fixture::host_intent();
    let mut rounds = 0;
    let (end, _) = fixture::run(
        &mut server,
        &mut journal,
        Death::Never,
        |server, journal| {
            rounds += 1;
            if rounds > 5 {
                host.claimed_by = Some(MACHINE);
            }
            let seen = observed(server);
            decide(&host, false, &seen, journal)
        },
    );
    assert_eq!((end.as_str(), server.slot), ("done", None));
}

#[test]
fn a_host_that_vanishes_is_forgotten_even_without_its_bmc() {
    let host = fixture::host_intent();
    let (mut server, mut journal) = (Server::off(), Journal::default());
    live(&host, false, &mut server, &mut journal, Death::Never);
    server.bmc = Some(fixture::trouble(Reason::BmcUnreachable, Class::Retry));
    let (end, _) = live(&host, true, &mut server, &mut journal, Death::Never);
    assert_eq!((end.as_str(), server.slot), ("done", None));
}

#[test]
fn a_large_inventory_is_kept_in_parts_and_only_whole() {
    let inventory = Inventory {
        model: "many disks".to_owned(),
        disks: (0..24)
            .map(|number| Disk {
                device_name: format!("/dev/disk{number}"),
                serial_number: format!("SERIAL-{number:040}"),
                model: "a model with a name of some length".to_owned(),
                ..Disk::default()
            })
            .collect(),
        ..Inventory::default()
    };
    let bytes = note(&inventory);
    let mut journal = Journal::default();
    let parts: Vec<_> = bytes.chunks(super::super::step::INVENTORY_PART).collect();
    assert!(parts.len() > 2);
    for (part, chunk) in parts.iter().enumerate() {
        assert_eq!(record::inspected(&journal, INSPECT), None, "part {part}");
        let step = Step {
            operation: INSPECT,
            kind: Kind::RecordInspected {
                part,
                bytes: chunk.to_vec(),
            },
        };
        fixture::about_to(&mut journal, &step);
        fixture::done(&mut journal, &step);
    }
    assert_eq!(record::inspected(&journal, INSPECT), Some(inventory));
}
