use super::{Part, parse};

#[test]
fn parts_of_a_file_of_a_hundred_bytes() {
    let bytes = |first, last| Part::Bytes { first, last };
    let table = [
        ("bytes=0-", bytes(0, 99)),
        ("bytes=0-0", bytes(0, 0)),
        ("bytes=10-19", bytes(10, 19)),
        ("bytes=90-200", bytes(90, 99)),
        ("bytes=99-", bytes(99, 99)),
        ("bytes=100-", Part::Unsatisfiable),
        ("bytes=-10", bytes(90, 99)),
        ("bytes=-1000", bytes(0, 99)),
        ("bytes=-0", Part::Unsatisfiable),
        ("bytes=19-10", Part::Whole),
        ("bytes=0-1,5-6", Part::Whole),
        ("bytes=-", Part::Whole),
        ("bytes=x-", Part::Whole),
        ("bytes=+1-", Part::Whole),
        ("bytes=99999999999999999999-", Part::Whole),
        ("lines=1-2", Part::Whole),
        ("", Part::Whole),
    ];
    for (value, expected) in table {
        assert_eq!(parse(value, 100), expected, "{value:?}");
    }
}

#[test]
fn an_empty_file_has_no_part() {
    for value in ["bytes=0-", "bytes=-1"] {
        assert_eq!(parse(value, 0), Part::Unsatisfiable, "{value}");
    }
}
