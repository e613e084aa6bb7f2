//! What users write is accepted, read back as it was sent, and refused with one letter wrong.

use std::path::PathBuf;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde_json::{Value, json};
use vitistack_api::agent::Agent;
use vitistack_api::crd::{crds, schema_of};
use vitistack_api::datacenter::Datacenter;
use vitistack_api::host::BareMetalHost;
use vitistack_api::kubernetes_provider::KubernetesProvider;
use vitistack_api::machine::Machine;
use vitistack_api::machine_provider::MachineProvider;
use vitistack_api::schema::{check, default_into, prune, unknown_fields};
use vitistack_api::validate;

/// Every document below `tests/manifests`, with its file's name.
fn manifests() -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/manifests");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the folder is part of the sources") {
        let path = entry.expect("readable").path();
        let text = std::fs::read_to_string(&path).expect("readable");
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).expect("YAML");
        for document in documents {
            let place = format!("{}: {}", path.display(), document["metadata"]["name"]);
            all.push((place, document));
        }
    }
    assert!(all.len() >= 16, "only {} documents found", all.len());
    all
}

fn definition<'a>(all: &'a [CustomResourceDefinition], object: &Value) -> &'a JSONSchemaProps {
    let crd = all
        .iter()
        .find(|crd| object["kind"] == json!(crd.spec.names.kind))
        .expect("a kind of ours");
    schema_of(crd).expect("it has a schema")
}

/// The typed form of `object`, and that back.
fn retyped(object: &Value) -> Option<Value> {
    fn through<T: serde::Serialize + serde::de::DeserializeOwned>(object: &Value) -> Option<Value> {
        let typed: T = serde_json::from_value(object.clone()).expect("the type reads it");
        Some(serde_json::to_value(typed).expect("the type writes it"))
    }
    match object["kind"].as_str().expect("a kind") {
        "Agent" => through::<Agent>(object),
        "BareMetalHost" => through::<BareMetalHost>(object),
        "Datacenter" => through::<Datacenter>(object),
        "KubernetesProvider" => through::<KubernetesProvider>(object),
        "Machine" => through::<Machine>(object),
        "MachineProvider" => through::<MachineProvider>(object),
        _ => None,
    }
}

#[test]
fn each_manifest_is_accepted_and_read_back_as_sent() {
    let all = crds();
    for (place, sent) in manifests() {
        let schema = definition(&all, &sent);
        assert_eq!(
            unknown_fields(schema, &sent),
            Vec::<String>::new(),
            "{place}"
        );
        let mut stored = sent.clone();
        prune(schema, &mut stored);
        default_into(schema, &mut stored);
        assert_eq!(check(schema, &stored, None), [], "{place}");
        assert_eq!(stored, sent, "{place}");
        let kind = sent["kind"].as_str().expect("a kind");
        assert_eq!(validate::object(kind, &stored), [], "{place}");
    }
}

#[test]
fn the_types_lose_nothing_that_the_schema_lets_in() {
    for (place, sent) in manifests() {
        let back = retyped(&sent).expect("a kind of ours");
        let expected = match sent["spec"].as_object() {
            Some(_) if sent["metadata"]["name"] == "kiosk" => {
                let mut spec = sent["spec"].clone();
                spec["powerState"] = json!("On");
                spec
            }
            _ => sent["spec"].clone(),
        };
        assert_eq!(back["spec"], expected, "{place}");
    }
}

/// One pointer for each key that the schema names, below `spec`.
fn named_keys(schema: &JSONSchemaProps, value: &Value, pointer: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                if let Some(known) = schema.properties.as_ref().and_then(|all| all.get(key)) {
                    let place = format!("{pointer}/{key}");
                    named_keys(known, inner, &place, found);
                    found.push(place);
                }
            }
        }
        Value::Array(list) => {
            if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
                for (index, inner) in list.iter().enumerate() {
                    named_keys(items, inner, &format!("{pointer}/{index}"), found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn one_wrong_letter_in_any_key_is_refused() {
    let all = crds();
    let mut tried = 0;
    for (place, sent) in manifests() {
        let schema = definition(&all, &sent);
        let mut keys = Vec::new();
        named_keys(schema, &sent, "", &mut keys);
        for pointer in keys {
            let (parent, key) = pointer.rsplit_once('/').expect("it starts with a slash");
            let mut wrong = sent.clone();
            let object = wrong
                .pointer_mut(parent)
                .and_then(Value::as_object_mut)
                .expect("the key's object");
            let inner = object.remove(key).expect("the key");
            object.insert(format!("{}_", &key[..key.len() - 1]), inner);
            assert!(
                !unknown_fields(schema, &wrong).is_empty(),
                "{place}: {pointer} may be misspelt"
            );
            tried += 1;
        }
    }
    assert!(tried > 300, "only {tried} keys were tried");
}
