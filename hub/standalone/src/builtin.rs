//! The built-in kinds: Secret, ConfigMap, Namespace, both Events, Lease, and the read-only
//! CustomResourceDefinition. Their schemas are small: what `kubectl explain` shows and what strict
//! field validation needs.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;
use serde_json::{Map, Value, json};

use crate::fields;
use crate::resource::{Column, Family, Resource, qualified};

/// Every built-in kind.
pub(crate) fn resources() -> Vec<Resource> {
    vec![
        namespace(),
        secret(),
        config_map(),
        core_event(),
        event(),
        lease(),
        definition(),
    ]
}

/// The column that kinds without columns of their own have.
pub(crate) fn age() -> Column {
    column("Age", "date", ".metadata.creationTimestamp", 0)
}

fn column(name: &str, kind: &str, path: &str, priority: i32) -> Column {
    Column {
        name: name.to_owned(),
        kind: kind.to_owned(),
        format: String::new(),
        description: String::new(),
        priority,
        path: path.to_owned(),
    }
}

struct Shape {
    family: Family,
    group: &'static str,
    plural: &'static str,
    kind: &'static str,
    short: &'static [&'static str],
    namespaced: bool,
    columns: Vec<Column>,
    selectable: &'static [&'static str],
    description: &'static str,
    properties: Value,
}

fn build(shape: Shape) -> Resource {
    let Shape {
        family,
        group,
        plural,
        kind,
        short,
        namespaced,
        columns,
        selectable,
        description,
        properties,
    } = shape;
    let mut all = json!({
        "apiVersion": text("Group and version of this object's schema."),
        "kind": text("Kind of this object."),
        "metadata": { "type": "object", "description": "Name, labels and bookkeeping." },
    });
    if let (Some(all), Value::Object(own)) = (all.as_object_mut(), properties) {
        all.extend(own);
    }
    let schema = json!({ "type": "object", "description": description, "properties": all });
    let schema = parsed(schema);
    Resource {
        family,
        group: group.to_owned(),
        version: "v1".to_owned(),
        plural: plural.to_owned(),
        singular: kind.to_lowercase(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        short_names: short.iter().map(|s| (*s).to_owned()).collect(),
        categories: Vec::new(),
        namespaced,
        has_status: family == Family::Namespace,
        columns,
        selectable: selectable.iter().map(|s| (*s).to_owned()).collect(),
        owned: fields::schema_of(&schema),
        schema,
        storage: match family {
            // One set of rows, two views.
            Family::Event => "events".into(),
            _ => qualified(group, plural).as_str().into(),
        },
    }
}

fn parsed(schema: Value) -> JSONSchemaProps {
    serde_json::from_value(schema).expect("the literal schemas of this module are schemas")
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn number(description: &str) -> Value {
    json!({ "type": "integer", "format": "int32", "description": description })
}

fn flag(description: &str) -> Value {
    json!({ "type": "boolean", "description": description })
}

fn time(description: &str) -> Value {
    json!({ "type": "string", "description": description, "nullable": true })
}

fn texts(description: &str) -> Value {
    json!({ "type": "array", "items": { "type": "string" }, "description": description })
}

fn map(description: &str) -> Value {
    json!({ "type": "object", "additionalProperties": { "type": "string" },
            "description": description, "nullable": true })
}

fn object(description: &str, properties: Value) -> Value {
    json!({ "type": "object", "description": description, "properties": properties })
}

/// An object that is owned as one.
fn whole(description: &str, properties: Value) -> Value {
    let mut schema = object(description, properties);
    if let Some(map) = schema.as_object_mut() {
        map.insert("x-kubernetes-map-type".to_owned(), json!("atomic"));
    }
    schema
}

/// The schema of the metadata.
pub(crate) fn metadata_schema() -> JSONSchemaProps {
    parsed(json!({ "type": "object", "properties": metadata_properties() }))
}

/// Properties of the metadata that every object has; `explain` shows them.
pub(crate) fn metadata_properties() -> Map<String, Value> {
    let owner = whole(
        "One owner.",
        json!({
            "apiVersion": text("Group and version of the owner."),
            "kind": text("Kind of the owner."),
            "name": text("Name of the owner."),
            "uid": text("UID of the owner."),
            "controller": flag("Whether the owner manages this object."),
            "blockOwnerDeletion": flag("Whether a foreground deletion of the owner waits for this object."),
        }),
    );
    let all = json!({
        "name": text("Name, unique among the objects of a kind in a namespace."),
        "generateName": text("Prefix from which the server makes a name where none is given."),
        "namespace": text("Namespace in which the object lives."),
        "labels": map("Keys and values to select objects by."),
        "annotations": map("Keys and values that tools keep with the object."),
        "finalizers": { "type": "array", "items": { "type": "string" }, "x-kubernetes-list-type": "set",
                        "description": "Who must agree before a deleted object goes." },
        "ownerReferences": { "type": "array", "items": owner,
                             "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["uid"],
                             "description": "Objects that this one depends on; it goes when they are gone." },
        "uid": text("Identity of this object in time, set by the server."),
        "resourceVersion": text("Changes with each write; an update that names an older one is refused."),
        "generation": json!({ "type": "integer", "format": "int64",
                              "description": "Counts the changes of the desired state." }),
        "creationTimestamp": time("When the server created the object."),
        "deletionTimestamp": time("When deletion was asked for."),
        "deletionGracePeriodSeconds": json!({ "type": "integer", "format": "int64",
                                              "description": "Seconds that a graceful deletion may take." }),
        "selfLink": text("Unused."),
        "managedFields": { "type": "array", "description": "Who owns which field, kept by the server.",
                           "x-kubernetes-list-type": "atomic",
                           "items": { "type": "object", "properties": {
                               "manager": text("Name of the manager."),
                               "operation": text("Apply or Update."),
                               "apiVersion": text("Version of the object that it wrote."),
                               "time": time("When it last took a field."),
                               "fieldsType": text("FieldsV1."),
                               "fieldsV1": { "type": "object", "description": "The fields that it owns.",
                                             "x-kubernetes-preserve-unknown-fields": true },
                               "subresource": text("Through which subresource it wrote."),
                           } } },
    });
    match all {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn namespace() -> Resource {
    build(Shape {
        family: Family::Namespace,
        group: "",
        plural: "namespaces",
        kind: "Namespace",
        short: &["ns"],
        namespaced: false,
        columns: vec![column("Status", "string", ".status.phase", 0), age()],
        selectable: &[".status.phase"],
        description: "A scope for names. Deleting it deletes what it holds.",
        properties: json!({
            "spec": object("How the namespace behaves.", json!({
                "finalizers": texts("Who must agree before the namespace goes."),
            })),
            "status": object("What is so.", json!({
                "phase": text("Active or Terminating."),
                "conditions": { "type": "array", "description": "State of the deletion.",
                                "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
                                "items": { "type": "object", "properties": {
                                    "type": text("Name of the condition."),
                                    "status": text("True, False or Unknown."),
                                    "reason": text("Why, for machines."),
                                    "message": text("Why, for people."),
                                    "lastTransitionTime": time("When the status changed."),
                                } } },
            })),
        }),
    })
}

fn secret() -> Resource {
    build(Shape {
        family: Family::Secret,
        group: "",
        plural: "secrets",
        kind: "Secret",
        short: &[],
        namespaced: true,
        columns: vec![
            column("Type", "string", ".type", 0),
            column("Data", "count", ".data", 0),
            age(),
        ],
        selectable: &[".type"],
        description: "Values that are not for everybody's eyes.",
        properties: json!({
            "data": { "type": "object", "nullable": true, "description": "Values in base64.",
                      "additionalProperties": { "type": "string", "format": "byte" } },
            "stringData": map("Values as text; written into data, never read back."),
            "type": text("What the Secret is for."),
            "immutable": flag("Whether the values are fixed for ever."),
        }),
    })
}

fn config_map() -> Resource {
    build(Shape {
        family: Family::ConfigMap,
        group: "",
        plural: "configmaps",
        kind: "ConfigMap",
        short: &["cm"],
        namespaced: true,
        columns: vec![column("Data", "count", ".data", 0), age()],
        selectable: &[],
        description: "Configuration as keys and values.",
        properties: json!({
            "data": map("Values as text."),
            "binaryData": { "type": "object", "nullable": true, "description": "Values in base64.",
                            "additionalProperties": { "type": "string", "format": "byte" } },
            "immutable": flag("Whether the values are fixed for ever."),
        }),
    })
}

fn reference(description: &str) -> Value {
    whole(
        description,
        json!({
            "apiVersion": text("Group and version."),
            "kind": text("Kind."),
            "namespace": text("Namespace."),
            "name": text("Name."),
            "uid": text("UID."),
            "resourceVersion": text("Version of the object that was meant."),
            "fieldPath": text("Part of the object that was meant."),
        }),
    )
}

fn series() -> Value {
    object(
        "How often it was seen.",
        json!({
            "count": number("How often."),
            "lastObservedTime": time("When last."),
        }),
    )
}

fn source(description: &str) -> Value {
    object(
        description,
        json!({
            "component": text("Program."),
            "host": text("Machine."),
        }),
    )
}

fn event_columns() -> Vec<Column> {
    vec![
        column("Last Seen", "date", "event:last", 0),
        column("Type", "string", ".type", 0),
        column("Reason", "string", ".reason", 0),
        column("Object", "string", "event:object", 0),
        column("Subobject", "string", "event:subobject", 1),
        column("Source", "string", "event:source", 1),
        column("Message", "string", ".message", 0),
        column("First Seen", "date", "event:first", 1),
        column("Count", "string", "event:count", 1),
        Column {
            format: "name".to_owned(),
            ..column("Name", "string", ".metadata.name", 1)
        },
    ]
}

const EVENT_FIELDS: &[&str] = &[
    ".involvedObject.kind",
    ".involvedObject.namespace",
    ".involvedObject.name",
    ".involvedObject.uid",
    ".involvedObject.apiVersion",
    ".involvedObject.resourceVersion",
    ".involvedObject.fieldPath",
    ".reason",
    ".reportingComponent",
    ".source",
    ".type",
];

fn core_event() -> Resource {
    build(Shape {
        family: Family::CoreEvent,
        group: "",
        plural: "events",
        kind: "Event",
        short: &["ev"],
        namespaced: true,
        columns: event_columns(),
        selectable: EVENT_FIELDS,
        description: "Something that happened to an object.",
        properties: json!({
            "involvedObject": reference("To whom it happened."),
            "reason": text("What happened, for machines."),
            "message": text("What happened, for people."),
            "source": source("Who says so."),
            "firstTimestamp": time("When first."),
            "lastTimestamp": time("When last."),
            "count": number("How often."),
            "type": text("Normal or Warning."),
            "eventTime": time("When, exactly."),
            "series": series(),
            "action": text("What was done."),
            "related": reference("Another object that has to do with it."),
            "reportingComponent": text("Controller that says so."),
            "reportingInstance": text("Instance of the controller."),
        }),
    })
}

fn event() -> Resource {
    build(Shape {
        family: Family::Event,
        group: "events.k8s.io",
        plural: "events",
        kind: "Event",
        short: &["ev"],
        namespaced: true,
        columns: event_columns(),
        selectable: &[
            ".regarding.kind",
            ".regarding.namespace",
            ".regarding.name",
            ".regarding.uid",
            ".regarding.apiVersion",
            ".reason",
            ".reportingController",
            ".type",
        ],
        description: "Something that happened to an object.",
        properties: json!({
            "regarding": reference("To whom it happened."),
            "reason": text("What happened, for machines."),
            "note": text("What happened, for people."),
            "type": text("Normal or Warning."),
            "eventTime": time("When, exactly."),
            "series": series(),
            "action": text("What was done."),
            "related": reference("Another object that has to do with it."),
            "reportingController": text("Controller that says so."),
            "reportingInstance": text("Instance of the controller."),
            "deprecatedSource": source("Older form of the reporting controller."),
            "deprecatedFirstTimestamp": time("Older form of the time."),
            "deprecatedLastTimestamp": time("Older form of the time."),
            "deprecatedCount": number("Older form of the series."),
        }),
    })
}

fn lease() -> Resource {
    build(Shape {
        family: Family::Lease,
        group: "coordination.k8s.io",
        plural: "leases",
        kind: "Lease",
        short: &[],
        namespaced: true,
        columns: vec![column("Holder", "string", ".spec.holderIdentity", 0), age()],
        selectable: &[],
        description: "Who leads, and until when.",
        properties: json!({
            "spec": object("The lease.", json!({
                "holderIdentity": text("Who holds it."),
                "leaseDurationSeconds": number("How long it holds after a renewal."),
                "acquireTime": time("When the holder got it."),
                "renewTime": time("When the holder last renewed it."),
                "leaseTransitions": number("How often the holder changed."),
                "strategy": text("How leaders are chosen."),
                "preferredHolder": text("Who should hold it."),
            })),
        }),
    })
}

fn definition() -> Resource {
    let mut resource = build(Shape {
        family: Family::Definition,
        group: "apiextensions.k8s.io",
        plural: "customresourcedefinitions",
        kind: "CustomResourceDefinition",
        short: &["crd", "crds"],
        namespaced: false,
        columns: vec![column(
            "Created At",
            "string",
            ".metadata.creationTimestamp",
            0,
        )],
        selectable: &[],
        description: "A kind that this server serves. Read-only here: the program brings its kinds along.",
        properties: json!({
            "spec": { "type": "object", "description": "Names, scope and schema.",
                      "x-kubernetes-preserve-unknown-fields": true },
            "status": { "type": "object", "description": "Whether it is served.",
                        "x-kubernetes-preserve-unknown-fields": true },
        }),
    });
    resource.categories = vec!["api-extensions".to_owned()];
    resource
}
