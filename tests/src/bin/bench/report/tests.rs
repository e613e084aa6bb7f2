use super::*;

fn measured(outcome: anyhow::Result<Vec<Figure>>) -> Measured {
    Measured {
        group: "agents",
        about: "many agents",
        load: [0.5, 1.25],
        seconds: 12.3,
        outcome,
    }
}

fn context() -> Context {
    Context {
        short: true,
        count: None,
        programs: "/nowhere".into(),
    }
}

fn figures() -> Vec<Figure> {
    vec![
        Figure::told("memory an agent", 31.25, "KiB")
            .must(Must::AtMost(40.0))
            .part("total", 31_250.0)
            .note("1000 agents"),
        Figure::told("creates", 290.0, "/s")
            .must(Must::AtLeast(300.0))
            .peer("kube-apiserver", 291.4),
    ]
}

#[test]
fn a_table_shows_figure_limit_peer_and_verdict_with_parts_and_notes_below() {
    let expected = "
agents: many agents
12 s, load average 0.50 before and 1.25 after
FIGURE            MEASURED   MUST BE     PEER                      VERDICT
memory an agent   31.2 KiB   <= 40 KiB   -                         reached
  - total: 31250
  (1000 agents)
creates           290 /s     >= 300 /s   291 /s (kube-apiserver)   MISSED
";
    assert_eq!(table(&measured(Ok(figures()))), expected);
}

#[test]
fn a_group_that_could_not_be_measured_says_why() {
    let error = anyhow::anyhow!("no such file").context("the hub did not start");
    let text = table(&measured(Err(error)));
    assert!(
        text.ends_with("NOT MEASURED: the hub did not start: no such file\n"),
        "{text}"
    );
}

#[test]
fn numbers_are_as_long_as_they_tell_something() {
    for (value, expected) in [
        (0.0, "0"),
        (7.0, "7"),
        (0.123, "0.12"),
        (15.66, "15.7"),
        (261.4, "261"),
        (f64::NAN, "nothing"),
    ] {
        assert_eq!(number(value), expected);
    }
}

#[test]
fn the_summary_counts_verdicts_and_says_that_short_numbers_prove_nothing() {
    let all = [
        measured(Ok(figures())),
        measured(Err(anyhow::anyhow!("broken"))),
    ];
    let text = summary(&all, &context());
    assert!(
        text.starts_with("1 figures reached, 1 missed, 0 told, 1 groups not measured; "),
        "{text}"
    );
    assert!(text.ends_with("(short: no figure is proved)"), "{text}");
}

#[test]
fn json_holds_limits_verdicts_and_errors() {
    let all = [
        measured(Ok(figures())),
        measured(Err(anyhow::anyhow!("broken"))),
    ];
    let value = json(&all, &context());
    let memory = &value["groups"][0]["figures"][0];
    assert_eq!(memory["must"]["atMost"], 40.0);
    assert_eq!(memory["verdict"], "reached");
    assert_eq!(value["groups"][0]["error"], Value::Null);
    assert_eq!(value["groups"][1]["error"], "broken");
    assert_eq!(value["groups"][1]["figures"], json!([]));
}
