use super::{FieldValidation, Form, form, parse};

#[test]
fn parameters_are_read() {
    let query = parse(
        "labelSelector=a%3Db&limit=5&resourceVersion=7&watch=true&allowWatchBookmarks=1\
         &dryRun=All&fieldValidation=Strict&unknown=x&timeoutSeconds=30",
    )
    .unwrap();
    assert_eq!(query.labels, "a=b");
    assert_eq!(
        (query.limit, query.version, query.timeout_seconds),
        (Some(5), Some(7), Some(30))
    );
    assert!(query.watch && query.bookmarks && query.dry_run);
    assert_eq!(query.validation, FieldValidation::Strict);
}

#[test]
fn nonsense_is_a_bad_request() {
    for text in ["limit=x", "resourceVersion=abc"] {
        assert_eq!(parse(text).unwrap_err().code, 400, "{text}");
    }
    for text in [
        "dryRun=Some",
        "dryRun=",
        "fieldValidation=Maybe",
        "fieldManager=a%0Ab",
    ] {
        let query = parse(text).unwrap();
        assert_eq!(
            query.writes("PatchOptions", None).unwrap_err().code,
            422,
            "{text}"
        );
    }
    let forced = parse("force=true").unwrap();
    assert!(forced.writes("PatchOptions", Some(false)).is_err());
    assert!(
        parse("fieldManager=x&force=true")
            .unwrap()
            .writes("PatchOptions", Some(true))
            .is_ok()
    );
    assert!(
        parse("")
            .unwrap()
            .writes("PatchOptions", Some(true))
            .is_err(),
        "an apply names its manager"
    );
}

#[test]
fn the_first_form_that_can_be_served_wins() {
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    let cases = [
        ("", Some(Form::Whole)),
        ("application/json", Some(Form::Whole)),
        ("*/*", Some(Form::Whole)),
        (table, Some(Form::Table)),
        (
            "application/json;as=Table;v=v1beta1;g=meta.k8s.io, application/json",
            Some(Form::Whole),
        ),
        (
            "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            Some(Form::Metadata),
        ),
        (
            "application/vnd.kubernetes.protobuf,application/json",
            Some(Form::Whole),
        ),
        ("application/vnd.kubernetes.protobuf", None),
    ];
    for (accept, expected) in cases {
        assert_eq!(form(accept).ok(), expected, "{accept}");
    }
}
