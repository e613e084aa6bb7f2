use super::*;

#[test]
fn columns_are_as_wide_as_their_widest_cell() {
    let rows = vec![
        vec!["a".to_owned(), "long cell".to_owned(), "x".to_owned()],
        vec!["bb".to_owned(), String::new(), "y".to_owned()],
    ];
    assert_eq!(
        render(&["N", "MIDDLE", "LAST"], &rows),
        "N    MIDDLE      LAST\na    long cell   x\nbb   <none>      y\n"
    );
    assert_eq!(render(&["N"], &[]), "No resources found.\n");
}

#[test]
fn a_span_is_told_in_its_largest_unit() {
    for (seconds, expected) in [
        (-5, "0s"),
        (119, "119s"),
        (120, "2m"),
        (7_199, "119m"),
        (7_200, "2h"),
        (172_800, "2d"),
    ] {
        assert_eq!(span(SignedDuration::from_secs(seconds)), expected);
    }
}
