use serde_json::{Value, json};

use super::{Include, human, render};
use crate::builtin::age;
use crate::resource::{Column, Family, Registry, Resource};

fn column(name: &str, kind: &str, path: &str) -> Column {
    Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        path: path.to_owned(),
        ..age()
    }
}

fn resource(columns: Vec<Column>) -> Resource {
    let registry = Registry::new(Vec::new());
    let mut resource = (**registry.find("", "v1", "configmaps").unwrap()).clone();
    resource.family = Family::Custom;
    resource.columns = columns;
    resource
}

fn cells(resource: &Resource, object: Value) -> Value {
    let now = "2026-01-02T00:00:00Z".parse().unwrap();
    let table = render(resource, vec![object], json!({}), Include::None, now);
    table["rows"][0]["cells"].clone()
}

#[test]
fn cells_follow_the_columns() {
    let resource = resource(vec![
        column("Phase", "string", ".status.phase"),
        column(
            "Ready",
            "string",
            ".status.conditions[?(@.type==\"Ready\")].status",
        ),
        column("Cores", "integer", ".spec.cores"),
        column("On", "boolean", ".spec.on"),
        column("Tags", "string", ".spec.tags[*]"),
        column("Gone", "string", ".spec.gone"),
        age(),
    ]);
    let object = json!({
        "metadata": { "name": "m", "creationTimestamp": "2026-01-01T23:59:00Z" },
        "spec": { "cores": 4, "on": true, "tags": ["a", "b"] },
        "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] },
    });
    let expected = json!(["m", "Running", "True", 4, true, "a,b", null, "60s"]);
    assert_eq!(cells(&resource, object), expected);
}

#[test]
fn a_row_carries_what_was_asked_for() {
    let resource = resource(vec![age()]);
    let object = json!({ "kind": "X", "metadata": { "name": "m" }, "spec": { "a": 1 } });
    let now = "2026-01-02T00:00:00Z".parse().unwrap();
    let with = |include| render(&resource, vec![object.clone()], json!({}), include, now);
    assert_eq!(with(Include::None)["rows"][0]["object"], Value::Null);
    let metadata = &with(Include::Metadata)["rows"][0]["object"];
    assert_eq!(metadata["kind"], "PartialObjectMetadata");
    assert_eq!(metadata.get("spec"), None);
    assert_eq!(with(Include::Object)["rows"][0]["object"], object);
}

#[test]
fn secrets_show_how_many_values_they_hold() {
    let registry = Registry::new(Vec::new());
    let secrets = registry.find("", "v1", "secrets").unwrap();
    let secret =
        json!({ "metadata": { "name": "s" }, "type": "Opaque", "data": { "a": "", "b": "" } });
    assert_eq!(cells(secrets, secret), json!(["s", "Opaque", 2, null]));
}

#[test]
fn events_show_their_object_in_both_forms() {
    let registry = Registry::new(Vec::new());
    let core = registry.find("", "v1", "events").unwrap();
    let event = json!({ "metadata": { "name": "e", "creationTimestamp": "2026-01-01T23:59:30Z" },
                        "type": "Normal", "reason": "Created", "message": "made",
                        "lastTimestamp": "2026-01-01T23:59:30Z",
                        "involvedObject": { "kind": "Machine", "name": "m" } });
    let row = cells(core, event);
    assert_eq!(row[0], "30s");
    assert_eq!(row[3], "machine/m");
}

#[test]
fn ages_read_as_in_kubectl() {
    let cases = [
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (125, "2m5s"),
        (900, "15m"),
        (11_000, "3h3m"),
        (90_000, "25h"),
        (180_000, "2d2h"),
        (864_000, "10d"),
        (70_000_000, "2y80d"),
        (400_000_000, "12y"),
        (-5, "<invalid>"),
    ];
    for (seconds, expected) in cases {
        assert_eq!(human(seconds), expected, "{seconds}");
    }
}
