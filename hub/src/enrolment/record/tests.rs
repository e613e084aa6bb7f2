use super::*;

fn data(epoch: Option<&str>) -> BTreeMap<String, String> {
    epoch
        .map(|text| (EPOCH.to_owned(), text.to_owned()))
        .into_iter()
        .collect()
}

#[test]
fn the_epoch_rises_from_what_is_written_and_never_from_a_guess() {
    for (written, above, next) in [
        (None, 0, Some(1)),
        (Some("1"), 0, Some(2)),
        (Some("1"), 1, Some(2)),
        (Some("1"), 7, Some(8)),
        (Some("9"), 7, Some(10)),
        (Some(" 41\n"), 0, Some(42)),
        (Some(""), 7, None),
        (Some("-1"), 0, None),
        (Some("seven"), 0, None),
        (Some("18446744073709551615"), 0, None),
        (Some("1"), u64::MAX, None),
    ] {
        assert_eq!(
            next_epoch(&data(written), above).ok(),
            next,
            "{written:?} above {above}"
        );
    }
}
