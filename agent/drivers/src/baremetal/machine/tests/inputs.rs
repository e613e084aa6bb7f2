//! What the report says that the installation was made from.

use std::collections::HashSet;

use vitistack_installer_wire::Failure as WireFailure;

use super::{decide, live, observed, told};
use crate::baremetal::fixture::{self, DISK, Death, Runs, Server};
use crate::baremetal::step::{Kind, Task};
use crate::driver::Next;
use crate::journal::Journal;

#[test]
fn a_report_says_what_the_attempt_that_succeeded_was_made_from() {
    let (mut server, mut journal) = (Server::off(), Journal::default());
    server.fails_with = Some(WireFailure::RootDiskNotFound);
    let machine = fixture::machine_intent();
    live(&machine, false, &mut server, &mut journal, Death::Never);
    let report = told(&machine, false, &mut server, &journal);
    assert_eq!(report.inputs(), None, "nothing is on the disk");

    server.fails_with = None;
    let mut corrected = machine.clone();
    corrected.root_hints.serial_number = Some(DISK.to_owned());
    live(&corrected, false, &mut server, &mut journal, Death::Never);
    let mut edited = corrected.clone();
    edited.hostname.push('x');
    for wanted in [&corrected, &edited, &machine] {
        let report = told(wanted, false, &mut server, &journal);
        assert_eq!(report.inputs(), Some(corrected.inputs()));
    }
}

/// The intent changes after each step in turn, with and without the agent dying there.
#[test]
fn an_edit_at_any_point_never_makes_the_report_say_what_is_not_on_the_disk() {
    let machine = fixture::machine_intent();
    let mut edited = machine.clone();
    edited.hostname.push('x');
    let (_, steps) = live(
        &machine,
        false,
        &mut Server::running_old_system(),
        &mut Journal::default(),
        Death::Never,
    );
    let mut seen = HashSet::new();
    for at in 0..steps {
        for death in [Death::Never, Death::BeforeAct(at), Death::AfterAct(at)] {
            let (mut server, mut journal) = (Server::running_old_system(), Journal::default());
            let mut taken = 0;
            let (end, _) = fixture::run(&mut server, &mut journal, death, |server, journal| {
                let wanted = if taken > at { &edited } else { &machine };
                let seen = observed(server);
                let next = decide(wanted, false, &seen, journal);
                if let Next::Do(step) = &next {
                    taken += 1;
                    if let Kind::OpenInstaller { task, .. } = step.kind {
                        let inputs = wanted.inputs();
                        assert_eq!(task, Task::Install { inputs }, "what the plan is made from");
                    }
                }
                match next {
                    // The guest has nothing to say here.
                    Next::Wait { .. } if server.runs == Runs::Guest => Next::Done,
                    next => next,
                }
            });
            assert_eq!(
                (end.as_str(), server.runs),
                ("done", Runs::Guest),
                "{at} {death:?}"
            );
            let report = told(&edited, false, &mut server, &journal);
            assert_eq!(report.inputs(), server.inputs, "{at} {death:?}");
            assert!(report.inputs().is_some(), "{at} {death:?}");
            seen.insert(report.inputs());
        }
    }
    assert_eq!(seen.len(), 2, "edits came both too late and in time");
}
