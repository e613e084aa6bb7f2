use serde_json::json;

use super::{Fields, Labels};
use crate::resource::Registry;

#[test]
fn label_selectors_match_as_kubectl_users_expect() {
    let object = json!({ "metadata": { "labels": { "a": "1", "x.io/b": "two" } } });
    let cases = [
        ("", true),
        ("a=1", true),
        ("a==1", true),
        ("a=2", false),
        ("a!=2", true),
        ("a!=1", false),
        ("c!=1", true),
        ("a in (1, 3),x.io/b", true),
        ("a in (2,3)", false),
        ("a notin (2,3)", true),
        ("c notin (1)", true),
        ("a", true),
        ("c", false),
        ("!c", true),
        ("!a", false),
        ("a=1,c", false),
    ];
    for (selector, expected) in cases {
        let labels = Labels::parse(selector).unwrap();
        assert_eq!(labels.matches(&object), expected, "{selector}");
    }
    for wrong in ["a b", "a within (1)", "=1", "a in 1)"] {
        assert_eq!(Labels::parse(wrong).unwrap_err().code, 400, "{wrong}");
    }
}

#[test]
fn field_selectors_know_the_fields_of_the_kind() {
    let registry = Registry::new(Vec::new());
    let events = registry.find("", "v1", "events").unwrap();
    let event = json!({
        "metadata": { "name": "e.1", "namespace": "ns" },
        "involvedObject": { "kind": "Machine", "name": "a,b" },
        "source": { "component": "hub" },
    });
    let cases = [
        ("metadata.name=e.1", true),
        ("metadata.name!=e.1", false),
        ("metadata.namespace=ns,involvedObject.kind=Machine", true),
        ("involvedObject.name=a\\,b", true),
        ("involvedObject.uid=", true),
        ("involvedObject.uid=u", false),
        ("source=hub", true),
    ];
    for (selector, expected) in cases {
        let fields = Fields::parse(selector, events).unwrap();
        assert_eq!(fields.matches(&event), expected, "{selector}");
    }
    let unknown = Fields::parse("spec.x=1", events).unwrap_err();
    assert_eq!(
        (unknown.code, unknown.message.as_str()),
        (400, "field label not supported: spec.x")
    );
    assert_eq!(
        Fields::parse("metadata.name", events).unwrap_err().code,
        400
    );
    let namespaces = registry.find("", "v1", "namespaces").unwrap();
    assert_eq!(
        Fields::parse("metadata.namespace=x", namespaces)
            .unwrap_err()
            .code,
        400
    );
}
