//! What becomes of a server when its Machine goes.

use vitistack_protocol::ids::OperationId;
use vitistack_protocol::message::intent::MachineIntent;
use vitistack_protocol::message::numbered::{Cleaning, MachinePhase, Reason};

use super::super::release;
use super::{decide, installed, live, observed, proof, told};
use crate::baremetal::fixture::{self, DISK, Death, INSTALL, MACHINE, OTHER, Runs, Server};
use crate::baremetal::record::Record;
use crate::baremetal::redfish::Power;
use crate::driver::Class;
use crate::journal::Journal;

#[test]
fn a_release_cleans_switches_off_and_is_gone_killed_at_any_point() {
    let machine = fixture::machine_intent();
    let (server, journal) = installed();
    let end_of = |death| {
        let (mut server, mut journal) = (server.clone(), journal.clone());
        let (end, steps) = live(&machine, true, &mut server, &mut journal, death);
        assert_eq!(end, "done", "{death:?}");
        assert_eq!(server.wipes, 1, "{death:?}");
        assert_eq!((server.power, server.slot), (Power::Off, None), "{death:?}");
        assert_ne!(server.boot, "Pxe", "{death:?}");
        let report = told(&machine, true, &mut server, &journal);
        assert_eq!(report.phase, MachinePhase::Gone);
        assert_eq!(report.provisioned, None);
        steps
    };
    for at in 0..end_of(Death::Never) {
        end_of(Death::BeforeAct(at));
        end_of(Death::AfterAct(at));
    }
}

#[test]
fn an_interrupted_installation_is_released_from_every_step() {
    let machine = fixture::machine_intent();
    for stop in 0..14 {
        let (mut server, mut journal) = (Server::running_old_system(), Journal::default());
        let mut rounds = 0;
        // The tombstone arrives after `stop` rounds.
        let (end, _) = fixture::run(
            &mut server,
            &mut journal,
            Death::Never,
            |server, journal| {
                rounds += 1;
                let seen = observed(server);
                decide(&machine, rounds > stop, &seen, journal)
            },
        );
        assert_eq!(end, "done", "after {stop} rounds");
        assert_ne!(server.boot, "Pxe", "after {stop} rounds");
        assert_eq!(server.slot, None, "after {stop} rounds");
        let wrote = server.installations > 0;
        assert_eq!(server.wipes > 0, wrote, "after {stop} rounds");
        if server.installations == 0 && server.power == Power::On {
            assert_eq!(server.runs, Runs::OldSystem, "after {stop} rounds");
        }
    }
}

#[test]
fn release_without_cleaning_leaves_the_disk() {
    let machine = MachineIntent {
        cleaning: Cleaning::None,
        ..fixture::machine_intent()
    };
    let (mut server, mut journal) = installed();
    let (end, _) = live(&machine, true, &mut server, &mut journal, Death::Never);
    assert_eq!((end.as_str(), server.wipes), ("done", 0));
    assert_eq!((server.power, server.installed), (Power::Off, true));
}

#[test]
fn another_machines_host_is_given_back_untouched() {
    let machine = MachineIntent {
        provisioned: proof(OTHER, OperationId([7; 16])),
        ..fixture::machine_intent()
    };
    let mut server = Server {
        installed: true,
        bmc: Some(fixture::trouble(Reason::BmcUnreachable, Class::Retry)),
        ..Server::running_old_system()
    };
    let (end, steps) = live(
        &machine,
        true,
        &mut server,
        &mut Journal::default(),
        Death::Never,
    );
    assert_eq!((end.as_str(), steps), ("done", 0));
}

#[test]
fn a_dead_bmc_holds_a_release_up_with_its_reason() {
    let (mut server, journal) = installed();
    server.bmc = Some(fixture::trouble(Reason::BmcUnreachable, Class::Retry));
    let seen = observed(&mut server);
    let next = decide(&fixture::machine_intent(), true, &seen, &journal);
    assert_eq!(fixture::said(&next), "wait BmcUnreachable");
}

#[test]
fn an_empty_store_believes_the_proof_and_releases_by_it() {
    let machine = MachineIntent {
        provisioned: proof(MACHINE, INSTALL),
        ..fixture::machine_intent()
    };
    let (mut server, _) = installed();
    server.agent_dies();
    let mut journal = Journal::default();
    let (end, _) = live(&machine, true, &mut server, &mut journal, Death::Never);
    assert_eq!((end.as_str(), server.wipes), ("done", 1));
    let attempt = Record::read(&journal, release::operation(MACHINE)).begun;
    assert_eq!(attempt.unwrap().disks, [DISK], "the disk that was written");
}
