//! Renders the OpenAPI v3 documents that `kubectl explain` and client-side checks read. Pure.

use serde_json::{Map, Value, json};

use crate::builtin;
use crate::resource::{Family, Registry, Resource};

#[cfg(test)]
mod tests;

const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// `/openapi/v3`: which documents there are. `digest` changes when any of them does.
pub(crate) fn index(registry: &Registry, digest: &str) -> Value {
    let mut paths = Map::new();
    for resource in registry.all() {
        let path = version_path(&resource.group, &resource.version);
        let url = format!("/openapi/v3/{path}?hash={digest}");
        paths.insert(path, json!({ "serverRelativeURL": url }));
    }
    json!({ "paths": paths })
}

/// The document of one group and version.
pub(crate) fn document(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for resource in registry.of_version(group, version) {
        schemas.insert(schema_name(resource), schema(resource));
        paths.extend(operations(resource));
    }
    if paths.is_empty() {
        return None;
    }
    schemas.insert(
        METADATA.to_owned(),
        json!({ "type": "object", "description": "Name, labels and bookkeeping of an object.",
                "properties": builtin::metadata_properties() }),
    );
    Some(json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": "unversioned" },
        "paths": paths,
        "components": { "schemas": schemas },
    }))
}

/// `api/V` or `apis/G/V`.
fn version_path(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

/// Group reversed, version, kind: the convention of Kubernetes.
fn schema_name(resource: &Resource) -> String {
    let reversed: Vec<&str> = match resource.group.as_str() {
        "" => vec!["io", "k8s", "api", "core"],
        group => group.rsplit('.').collect(),
    };
    format!(
        "{}.{}.{}",
        reversed.join("."),
        resource.version,
        resource.kind
    )
}

fn identity(resource: &Resource) -> Value {
    json!({ "group": resource.group, "version": resource.version, "kind": resource.kind })
}

fn schema(resource: &Resource) -> Value {
    let mut schema = serde_json::to_value(&resource.schema).unwrap_or_default();
    let root = crate::object::root_mut(&mut schema);
    let properties = crate::object::child_mut(root, "properties");
    let standard = [
        ("apiVersion", "Group and version of this object's schema."),
        ("kind", "Kind of this object."),
    ];
    for (key, description) in standard {
        properties
            .entry(key)
            .or_insert_with(|| json!({ "type": "string", "description": description }));
    }
    properties.insert(
        "metadata".to_owned(),
        json!({ "description": "Name, labels and bookkeeping.",
                "allOf": [{ "$ref": format!("#/components/schemas/{METADATA}") }] }),
    );
    if !resource.selectable.is_empty() && resource.family == Family::Custom {
        let fields: Vec<Value> = resource
            .selectable
            .iter()
            .map(|path| json!({ "fieldPath": path.strip_prefix('.').unwrap_or(path) }))
            .collect();
        root.insert(
            "x-kubernetes-selectable-fields".to_owned(),
            Value::Array(fields),
        );
    }
    root.insert(
        "x-kubernetes-group-version-kind".to_owned(),
        json!([identity(resource)]),
    );
    plain(&mut schema);
    schema
}

/// Whole bounds as whole numbers, and what a number or a text is, spelled out.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            for key in ["minimum", "maximum"] {
                if let Some(bound) = map
                    .get(key)
                    .and_then(Value::as_f64)
                    .filter(|b| b.fract() == 0.0)
                    && let Ok(whole) = format!("{bound:.0}").parse::<i64>()
                {
                    map.insert(key.to_owned(), json!(whole));
                }
            }
            if map.get("x-kubernetes-int-or-string") == Some(&json!(true)) {
                let either = json!([{ "type": "integer" }, { "type": "string" }]);
                map.entry("anyOf").or_insert(either);
            }
            map.values_mut().for_each(plain);
        }
        Value::Array(list) => list.iter_mut().for_each(plain),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn operations(resource: &Resource) -> Map<String, Value> {
    let base = format!("/{}", version_path(&resource.group, &resource.version));
    let scope = if resource.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    let plural = &resource.plural;
    let collection = format!("{base}{scope}/{plural}");
    let object = format!("{collection}/{{name}}");
    let mut paths = Map::new();
    if resource.namespaced {
        let all = json!({ "get": operation(resource, "list", &[], None) });
        paths.insert(format!("{base}/{plural}"), all);
    }
    let write = ["dryRun", "fieldManager", "fieldValidation"];
    let drop = ["dryRun", "propagationPolicy"];
    let (mut many, mut one) = (Map::new(), Map::new());
    many.insert("get".to_owned(), operation(resource, "list", &[], None));
    one.insert("get".to_owned(), operation(resource, "get", &[], None));
    if resource.writable() {
        let json_body = Some("application/json");
        many.insert(
            "post".to_owned(),
            operation(resource, "post", &write, json_body),
        );
        many.insert(
            "delete".to_owned(),
            operation(resource, "deletecollection", &drop, None),
        );
        one.insert(
            "put".to_owned(),
            operation(resource, "put", &write, json_body),
        );
        let merge = Some("application/merge-patch+json");
        one.insert(
            "patch".to_owned(),
            operation(resource, "patch", &write, merge),
        );
        one.insert(
            "delete".to_owned(),
            operation(resource, "delete", &drop, None),
        );
    }
    let status = json!({
        "get": operation(resource, "get", &[], None),
        "put": operation(resource, "put", &write, Some("application/json")),
        "patch": operation(resource, "patch", &write, Some("application/merge-patch+json")),
    });
    if resource.has_status {
        paths.insert(format!("{object}/status"), status);
    }
    paths.insert(collection, Value::Object(many));
    paths.insert(object, Value::Object(one));
    paths
}

fn operation(resource: &Resource, action: &str, parameters: &[&str], body: Option<&str>) -> Value {
    let reference = json!({ "$ref": format!("#/components/schemas/{}", schema_name(resource)) });
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } }))
        .collect();
    let mut operation = json!({
        "parameters": parameters,
        "responses": { "200": { "description": "OK",
                                "content": { "application/json": { "schema": reference } } } },
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": identity(resource),
    });
    if let (Some(media), Some(map)) = (body, operation.as_object_mut()) {
        let content = json!({ media: { "schema": reference } });
        map.insert(
            "requestBody".to_owned(),
            json!({ "content": content, "required": true }),
        );
    }
    operation
}
