use super::*;

#[test]
fn an_edit_after_the_installation_began_is_not_up_to_date_until_a_new_one() {
    let (one, two) = (Digest([1; 32]), Digest([2; 32]));
    let operation = OperationId([7; 16]);
    let mut machine = machine("node-1", 1, json!({}));
    let mut step = |told: Told, operation: OperationId, inputs: Digest| {
        let mut told = report(told, Why::Progressing, "");
        told.provisioned = Some(proof(1));
        let status = said(&Case {
            machine: &machine,
            heard: heard(told),
            refusal: None,
            leaving: Leaving::No,
            connected: true,
            inputs: Some((operation, inputs)),
        });
        machine.status = Some(status.clone());
        is_true(&status.conditions, types::UP_TO_DATE)
    };
    assert!(step(Told::Pending, operation, one));
    assert!(
        step(Told::Pending, operation, two),
        "nothing is written yet"
    );
    assert!(step(Told::Installing, operation, two));
    assert!(!step(Told::Running, operation, one));
    assert!(
        step(Told::Running, operation, two),
        "the edit was taken back"
    );
    assert!(
        step(Told::Running, OperationId([8; 16]), one),
        "a new token is a new installation"
    );
}

#[test]
fn the_spec_is_compared_with_what_the_attempt_that_succeeded_was_made_from() {
    let (first, corrected, edited) = (Digest([1; 32]), Digest([2; 32]), Digest([3; 32]));
    let operation = OperationId([7; 16]);
    let mut machine = machine("node-1", 1, json!({}));
    let mut step = |told: Told, made_from: Option<Digest>, wanted: Digest| {
        let mut told = report(told, Why::Progressing, "");
        told.provisioned = made_from.map(|_| proof(1));
        told.extensions = MachineReport::extensions_of(made_from);
        let status = said(&Case {
            machine: &machine,
            heard: heard(told),
            refusal: None,
            leaving: Leaving::No,
            connected: true,
            inputs: Some((operation, wanted)),
        });
        machine.status = Some(status.clone());
        find(&status.conditions, types::UP_TO_DATE).map(|known| known.status == "True")
    };
    assert_eq!(step(Told::Pending, None, first), None);
    assert_eq!(step(Told::Installing, None, first), None);
    assert_eq!(
        step(Told::Failed, None, corrected),
        None,
        "the first attempt failed, and the user corrects the hints"
    );
    assert_eq!(step(Told::Installing, None, corrected), None);
    assert_eq!(step(Told::Booting, Some(corrected), corrected), Some(true));
    assert_eq!(step(Told::Running, Some(corrected), corrected), Some(true));
    assert_eq!(step(Told::Running, Some(corrected), edited), Some(false));
    assert_eq!(
        step(Told::Running, Some(corrected), first),
        Some(false),
        "what the failed attempt was to install is not what is on the disk"
    );
    assert_eq!(
        step(Told::Running, None, corrected),
        None,
        "nothing is known of an installation without its proof"
    );
}
