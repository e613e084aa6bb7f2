//! Deletions: reads the options, deletes one object or a collection, and says what became of it.

use hyper::Response;
use serde_json::{Value, json};

use super::answer::{self, Body};
use super::read::{Filter, nameless};
use crate::engine::{Deleted, Engine};
use crate::failure::{Cause, Failure};
use crate::lifecycle::{DeleteOptions, Propagation};
use crate::object;
use crate::query::{self, Query};
use crate::resource::{Family, Resource};
use crate::store::Key;
use crate::view;

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
            let mut details = json!({ "name": key.name, "kind": resource.plural,
                                      "uid": object::uid(&object) });
            if !resource.group.is_empty() {
                object::root_mut(&mut details).insert("group".to_owned(), json!(resource.group));
            }
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                "details": details,
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
            // The answer lists what was there.
            Ok(Deleted::Gone(_) | Deleted::Held(_)) => {
                let object = view::outward(resource, row.object());
                items.push(nameless(resource, object));
            }
            // Somebody else was faster.
            Err(failure) if failure.code == 404 => {}
            Err(failure) => return Err(failure),
        }
    }
    let version = engine.store.version().to_string();
    let mut metadata = json!({ "resourceVersion": version });
    if resource.family == Family::Custom {
        object::root_mut(&mut metadata).insert("continue".to_owned(), json!(""));
    }
    let list = json!({ "kind": resource.list_kind, "apiVersion": resource.api_version(),
                       "metadata": metadata, "items": items });
    Ok(answer::json(200, &list))
}

fn options(query: &Query, sent: &Value) -> Result<(DeleteOptions, bool), Failure> {
    let text = |pointer: &str| {
        sent.pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let mut faults = query.faults.clone();
    let orphans = sent
        .get("orphanDependents")
        .filter(|value| !value.is_null());
    if let (Some(_), Some(name)) = (orphans, text("/propagationPolicy")) {
        let message = format!(
            "Invalid value: {name:?}: orphanDependents and deletionPropagation cannot be both set"
        );
        faults.push(Cause::new(
            "FieldValueInvalid",
            "propagationPolicy",
            message,
        ));
    }
    let mut named = |name: &str| {
        query::propagation(name).unwrap_or_else(|fault| {
            faults.push(fault);
            Propagation::Background
        })
    };
    let propagation = match (query.propagation, text("/propagationPolicy")) {
        (Some(given), _) => given,
        (None, Some(name)) => named(&name),
        (None, None) if sent.get("orphanDependents") == Some(&json!(true)) => Propagation::Orphan,
        (None, None) => Propagation::Background,
    };
    let rehearsals: Vec<&str> = sent
        .get("dryRun")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    faults.extend(query::dry_run_fault(&rehearsals));
    if !faults.is_empty() {
        return Err(Failure::options("DeleteOptions", &faults));
    }
    let dry_run = !rehearsals.is_empty();
    let options = DeleteOptions {
        uid: text("/preconditions/uid"),
        version: text("/preconditions/resourceVersion"),
        propagation,
    };
    Ok((options, dry_run || query.dry_run))
}
