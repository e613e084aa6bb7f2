use std::collections::HashMap;

use super::{AgentName, Roster};

fn name(agent: &str) -> AgentName {
    AgentName::new("edge", agent).unwrap()
}

#[test]
fn who_watches_hears_of_those_that_are_no_longer_admitted_and_of_nobody_else() {
    let roster = Roster::new();
    let mut losses = roster.losses();
    type Change = (&'static str, fn(&Roster), bool);
    let steps: [Change; 8] = [
        (
            "a comes",
            |roster| roster.admit(name("a"), "1".into()),
            false,
        ),
        (
            "a again",
            |roster| roster.admit(name("a"), "1".into()),
            false,
        ),
        (
            "b comes",
            |roster| roster.admit(name("b"), "1".into()),
            false,
        ),
        ("a anew", |roster| roster.admit(name("a"), "2".into()), true),
        ("nobody goes", |roster| roster.revoke(&name("c")), false),
        ("b goes", |roster| roster.revoke(&name("b")), true),
        (
            "one more in a list",
            |roster| {
                let all = [(name("a"), "2".to_owned()), (name("c"), "1".to_owned())];
                roster.replace(HashMap::from(all));
            },
            false,
        ),
        (
            "one less in a list",
            |roster| roster.replace(HashMap::from([(name("c"), "1".to_owned())])),
            true,
        ),
    ];
    for (what, step, heard) in steps {
        step(&roster);
        assert_eq!(losses.has_changed().unwrap(), heard, "{what}");
        losses.mark_unchanged();
    }
    assert!(!roster.admits(&name("a"), "2"));
    assert!(roster.admits(&name("c"), "1"));
}
