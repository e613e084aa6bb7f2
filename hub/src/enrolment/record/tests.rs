use super::*;

fn data(epoch: Option<&str>) -> BTreeMap<String, String> {
    epoch
        .map(|text| (EPOCH.to_owned(), text.to_owned()))
        .into_iter()
        .collect()
}

#[test]
fn the_epoch_rises_from_what_is_written_and_never_from_a_guess() {
    for (written, next) in [
        (None, Some(1)),
        (Some("1"), Some(2)),
        (Some(" 41\n"), Some(42)),
        (Some(""), None),
        (Some("-1"), None),
        (Some("seven"), None),
        (Some("18446744073709551615"), None),
    ] {
        assert_eq!(next_epoch(&data(written)).ok(), next, "{written:?}");
    }
}
