//! Deletions: reads the options, deletes one object or a collection, and says what became of it.

use hyper::Response;
use serde_json::{Value, json};

use super::answer::{self, Body};
use super::read::Filter;
use crate::engine::{Deleted, Engine};
use crate::failure::Failure;
use crate::lifecycle::{DeleteOptions, Propagation};
use crate::object;
use crate::query::{self, Query};
use crate::resource::Resource;
use crate::store::Key;

/// Deletes one object.
pub(super) async fn one(
    engine: &Engine,
    resource: &Resource,
    key: &Key,
    query: &Query,
    body: &Value,
) -> Result<Response<Body>, Failure> {
    let (options, dry_run) = options(query, body)?;
    match engine.delete(resource, key, &options, dry_run).await? {
        Deleted::Held(object) => Ok(answer::json(200, &object)),
        Deleted::Gone(object) => {
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                "details": { "name": key.name, "group": resource.group, "kind": resource.plural,
                             "uid": object::uid(&object) },
            });
            Ok(answer::json(200, &status))
        }
    }
}

/// Deletes every object of a resource that the query selects.
pub(super) async fn collection(
    engine: &Engine,
    resource: &Resource,
    namespace: Option<&str>,
    query: &Query,
    body: &Value,
) -> Result<Response<Body>, Failure> {
    let (options, dry_run) = options(query, body)?;
    let filter = Filter::parse(query, resource)?;
    let page = engine.store.list(&resource.storage, namespace);
    let mut items = Vec::new();
    for row in page.rows.iter().filter(|row| filter.takes(resource, row)) {
        match engine.delete(resource, &row.key, &options, dry_run).await {
            Ok(Deleted::Gone(object) | Deleted::Held(object)) => items.push(object),
            // Somebody else was faster.
            Err(failure) if failure.code == 404 => {}
            Err(failure) => return Err(failure),
        }
    }
    let version = engine.store.version().to_string();
    let list = json!({ "kind": resource.list_kind, "apiVersion": resource.api_version(),
                       "metadata": { "resourceVersion": version }, "items": items });
    Ok(answer::json(200, &list))
}

fn options(query: &Query, sent: &Value) -> Result<(DeleteOptions, bool), Failure> {
    let text = |pointer: &str| {
        sent.pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let propagation = match (query.propagation, text("/propagationPolicy")) {
        (Some(given), _) => given,
        (None, Some(name)) => query::propagation(&name)?,
        (None, None) if sent.get("orphanDependents") == Some(&json!(true)) => Propagation::Orphan,
        (None, None) => Propagation::Background,
    };
    let dry_run = sent
        .get("dryRun")
        .and_then(Value::as_array)
        .is_some_and(|d| !d.is_empty());
    let options = DeleteOptions {
        uid: text("/preconditions/uid"),
        version: text("/preconditions/resourceVersion"),
        propagation,
    };
    Ok((options, dry_run || query.dry_run))
}
