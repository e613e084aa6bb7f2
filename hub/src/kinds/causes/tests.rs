use super::*;

#[test]
fn every_reason_of_an_agent_is_called_by_its_own_name_in_conditions() {
    for told in Told::ALL.iter().copied() {
        let (reason, _) = translate(told);
        if told != Told::None {
            assert_eq!(format!("{reason:?}"), format!("{told:?}"));
        }
    }
}

#[test]
fn a_cause_without_words_is_explained_by_its_reason() {
    let silent = Cause {
        reason: Told::DiskNotEmpty,
        message: String::new(),
    };
    let refusal = refusal(&silent);
    assert_eq!(refusal.message, Reason::DiskNotEmpty.meaning());
    assert_eq!(refusal.outlook, Outlook::Stalled);
}
