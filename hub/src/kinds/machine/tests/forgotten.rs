use super::*;

#[test]
fn a_machine_that_runs_goes_on_running_where_only_its_agent_has_forgotten_it() {
    let own = report(Told::Booting, Why::Progressing, "").operation;
    let ran = json!({"phase": "Running", "operationID": own.to_string()});
    type Change = fn(&mut MachineReport);
    for (case, before, change, expected) in [
        ("forgotten", &ran, (|_| {}) as Change, Told::Running),
        (
            "it has just been installed",
            &json!({"phase": "Creating", "operationID": own.to_string()}),
            |_| {},
            Told::Booting,
        ),
        (
            "another installation",
            &json!({"phase": "Running", "operationID": "00"}),
            |_| {},
            Told::Booting,
        ),
        (
            "the agent has its records",
            &ran,
            |told| told.attempt = 1,
            Told::Booting,
        ),
        (
            "nothing is proven",
            &ran,
            |told| told.provisioned = None,
            Told::Booting,
        ),
        (
            "it is off",
            &ran,
            |told| told.power = Some(PowerState::Off),
            Told::Booting,
        ),
        (
            "it is silent for too long",
            &ran,
            |told| told.cause.reason = Why::GuestTimeout,
            Told::Booting,
        ),
    ] {
        let mut told = report(Told::Booting, Why::Progressing, "");
        told.attempt = 0;
        told.provisioned = Some(proof(1));
        change(&mut told);
        let machine = machine("node-1", 1, json!({"status": before}));
        let heard = Heard::beside(machine.status.as_ref(), told, Generation(1));
        assert_eq!(heard.report.phase, expected, "{case}");
    }
}
