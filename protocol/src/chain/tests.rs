use super::*;

#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Told {
    text: &'static str,
    source: Option<Box<Self>>,
}

fn told(texts: &[&'static str]) -> Box<Told> {
    let (first, rest) = texts.split_first().expect("at least one");
    Box::new(Told {
        text: first,
        source: (!rest.is_empty()).then(|| told(rest)),
    })
}

#[test]
fn every_cause_is_said_and_none_twice() {
    for (texts, expected) in [
        (&["it failed"][..], "it failed"),
        (
            &["cannot dial", "no answer", "timed out"],
            "cannot dial: no answer: timed out",
        ),
        (
            &["cannot read f: denied", "denied", "denied"],
            "cannot read f: denied",
        ),
    ] {
        assert_eq!(Chain(told(texts).as_ref()).to_string(), expected);
    }
}
