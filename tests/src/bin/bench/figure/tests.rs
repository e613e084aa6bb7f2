use super::*;

fn verdict(value: f64, must: Must) -> Verdict {
    Figure::told("a figure", value, "ms").must(must).verdict()
}

#[test]
fn a_figure_at_its_limit_is_reached() {
    assert_eq!(verdict(50.0, Must::AtMost(50.0)), Verdict::Reached);
    assert_eq!(verdict(50.0, Must::AtLeast(50.0)), Verdict::Reached);
}

#[test]
fn a_figure_past_its_limit_is_missed() {
    assert_eq!(verdict(50.1, Must::AtMost(50.0)), Verdict::Missed);
    assert_eq!(verdict(49.9, Must::AtLeast(50.0)), Verdict::Missed);
}

#[test]
fn a_figure_that_is_no_number_is_missed() {
    assert_eq!(verdict(f64::NAN, Must::AtMost(50.0)), Verdict::Missed);
    assert_eq!(verdict(f64::NAN, Must::AtLeast(50.0)), Verdict::Missed);
}

#[test]
fn a_figure_without_a_promise_is_told() {
    assert_eq!(Figure::told("a figure", 1.0, "").verdict(), Verdict::Told);
}
