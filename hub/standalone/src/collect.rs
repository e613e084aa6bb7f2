//! Collects what nobody needs any more: dependents of owners that are gone, contents of namespaces
//! that are being deleted, and Events of yesterday.
//!
//! [`plan`] is pure: all rows in, steps out. The task ([`run`]) plans after each change that can
//! matter and once a minute, and takes the steps through the engine. A step that fails is planned
//! again; nothing is remembered in between.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;
use crate::failure::Failure;
use crate::lifecycle::{DeleteOptions, FOREGROUND, ORPHAN, Propagation};
use crate::object;
use crate::resource::Registry;
use crate::store::{Key, Row};

#[cfg(test)]
mod tests;

/// How often a plan is made without a cause; Events age by themselves.
const PERIOD: Duration = Duration::from_secs(60);
/// Pause after a plan, so that a burst of writes makes one plan.
const SETTLE: Duration = Duration::from_millis(20);
/// How long an Event is kept, as kube-apiserver has it.
const EVENT_SECONDS: i64 = 3600;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// Delete this object, if it still is the one with this UID.
    Delete {
        key: Key,
        uid: String,
        propagation: Propagation,
    },
    /// The namespace is empty: let it go.
    Finish { key: Key },
    /// Remove a finalizer of ours.
    Release { key: Key, finalizer: &'static str },
    /// Remove references to owners.
    Disown { key: Key, owners: Vec<String> },
}

/// What is to be done about `rows`, which are all there are. Pure.
fn plan(registry: &Registry, rows: &[Arc<Row>]) -> Vec<Step> {
    let mut steps = namespaces(rows);
    steps.extend(dependents(registry, rows));
    steps.extend(owners(rows));
    steps
}

/// Contents of namespaces that are being deleted go; then the namespace.
fn namespaces(rows: &[Arc<Row>]) -> Vec<Step> {
    let mut contents: HashMap<&str, Vec<&Row>> = rows
        .iter()
        .filter(|row| &*row.key.resource == "namespaces" && row.meta.deleting)
        .map(|row| (row.key.name.as_str(), Vec::new()))
        .collect();
    if contents.is_empty() {
        return Vec::new();
    }
    for row in rows.iter().filter(|row| !row.key.namespace.is_empty()) {
        if let Some(list) = contents.get_mut(row.key.namespace.as_str()) {
            list.push(row);
        }
    }
    let mut steps = Vec::new();
    for (name, rows) in contents {
        if rows.is_empty() {
            steps.push(Step::Finish {
                key: crate::engine::namespace_key(name),
            });
        }
        steps.extend(
            rows.into_iter()
                .filter(|row| !row.meta.deleting)
                .map(remove),
        );
    }
    steps
}

fn remove(row: &Row) -> Step {
    Step::Delete {
        key: row.key.clone(),
        uid: row.meta.uid.clone(),
        propagation: Propagation::Background,
    }
}

/// An object whose owners are all gone goes too. An owner of a kind that is not served here may
/// exist elsewhere, so such an object stays.
fn dependents(registry: &Registry, rows: &[Arc<Row>]) -> Vec<Step> {
    let owned: Vec<&Row> = rows
        .iter()
        .map(AsRef::as_ref)
        .filter(|row| !row.meta.owners.is_empty() && !row.meta.deleting)
        .collect();
    if owned.is_empty() {
        return Vec::new();
    }
    let living: HashSet<&str> = rows.iter().map(|row| row.meta.uid.as_str()).collect();
    let waiting: HashSet<&str> = rows
        .iter()
        .filter(|r| waits(r))
        .map(|r| &*r.meta.uid)
        .collect();
    let mut steps = Vec::new();
    for row in owned {
        let owners = &row.meta.owners;
        let known = owners
            .iter()
            .all(|o| registry.serves_kind(&o.api_version, &o.kind));
        let gone: Vec<String> = owners
            .iter()
            .filter(|o| !living.contains(o.uid.as_str()))
            .map(|o| o.uid.clone())
            .collect();
        let doomed = owners
            .iter()
            .all(|o| gone.contains(&o.uid) || waiting.contains(o.uid.as_str()));
        if known && doomed {
            steps.push(remove(row));
        } else if known && !gone.is_empty() {
            steps.push(Step::Disown {
                key: row.key.clone(),
                owners: gone,
            });
        }
    }
    steps
}

/// Whether this object waits for its dependents before it goes.
fn waits(row: &Row) -> bool {
    row.meta.deleting && row.meta.finalizers.iter().any(|f| f == FOREGROUND)
}

/// Owners that are being deleted and wait for their dependents, or let go of them.
fn owners(rows: &[Arc<Row>]) -> Vec<Step> {
    let mut steps = Vec::new();
    let held = |finalizer: &str| {
        let finalizer = finalizer.to_owned();
        move |row: &&Arc<Row>| row.meta.deleting && row.meta.finalizers.contains(&finalizer)
    };
    for owner in rows.iter().filter(held(FOREGROUND)) {
        let blocked = rows.iter().any(|row| {
            row.meta
                .owners
                .iter()
                .any(|o| o.uid == owner.meta.uid && o.blocks)
        });
        if !blocked {
            steps.push(Step::Release {
                key: owner.key.clone(),
                finalizer: FOREGROUND,
            });
        }
    }
    for owner in rows.iter().filter(held(ORPHAN)) {
        let uid = &owner.meta.uid;
        let mut free = true;
        for row in rows
            .iter()
            .filter(|row| row.meta.owners.iter().any(|o| o.uid == *uid))
        {
            free = false;
            steps.push(Step::Disown {
                key: row.key.clone(),
                owners: vec![uid.clone()],
            });
        }
        if free {
            steps.push(Step::Release {
                key: owner.key.clone(),
                finalizer: ORPHAN,
            });
        }
    }
    steps
}

/// Events that are older than they are kept.
fn stale_events(rows: &[Arc<Row>], now: Timestamp) -> Vec<Step> {
    let stale = |row: &&Arc<Row>| {
        let event = row.object();
        let last = ["/series/lastObservedTime", "/lastTimestamp", "/eventTime"]
            .iter()
            .find_map(|path| event.pointer(path).and_then(Value::as_str))
            .unwrap_or_else(|| object::text(&event, "creationTimestamp"));
        let last = last
            .parse::<Timestamp>()
            .map_or(i64::MIN, Timestamp::as_second);
        now.as_second().saturating_sub(last) > EVENT_SECONDS
    };
    rows.iter().filter(stale).map(|row| remove(row)).collect()
}

/// Plans and acts until `ending` is cancelled.
pub(crate) async fn run(engine: Arc<Engine>, ending: CancellationToken) {
    let mut newest = engine.store.newest();
    let mut period = tokio::time::interval(PERIOD);
    loop {
        // Cancel-safe: each arm only waits.
        let timed = tokio::select! {
            () = ending.cancelled() => return,
            _ = period.tick() => true,
            changed = newest.changed() => {
                if changed.is_err() {
                    return;
                }
                false
            }
        };
        newest.borrow_and_update();
        let rows = engine.store.everything();
        let mut steps = plan(&engine.registry, &rows);
        if timed {
            let events: Vec<Arc<Row>> = rows
                .iter()
                .filter(|row| &*row.key.resource == "events")
                .cloned()
                .collect();
            steps.extend(stale_events(&events, Timestamp::now()));
        }
        drop(rows);
        for step in steps {
            if let Err(failure) = act(&engine, &step).await {
                tracing::warn!(?step, error = failure.message, "collection step failed");
            }
        }
        tokio::time::sleep(SETTLE).await;
    }
}

async fn act(engine: &Engine, step: &Step) -> Result<(), Failure> {
    let (Step::Delete { key, .. }
    | Step::Finish { key }
    | Step::Release { key, .. }
    | Step::Disown { key, .. }) = step;
    let Some(resource) = engine.registry.of_storage(&key.resource) else {
        return Ok(());
    };
    match step {
        Step::Delete {
            uid, propagation, ..
        } => {
            let uid = Some(uid.clone());
            let options = DeleteOptions {
                uid,
                propagation: *propagation,
                version: None,
            };
            match engine.delete(resource, key, &options, false).await {
                // It went, or another object took its name; a protected one stays until it is not.
                Err(failure) if matches!(failure.code, 403 | 404 | 409) => Ok(()),
                other => other.map(drop),
            }
        }
        Step::Finish { .. } => {
            let edit = |object: &mut Value| object::root_mut(object).remove("spec").is_some();
            engine.adjust(resource, key, edit).await
        }
        Step::Release { finalizer, .. } => {
            let edit = |object: &mut Value| {
                let kept: Vec<String> = object::finalizers(object)
                    .into_iter()
                    .map(str::to_owned)
                    .collect();
                let left: Vec<&str> = kept
                    .iter()
                    .map(String::as_str)
                    .filter(|f| f != finalizer)
                    .collect();
                object::write_finalizers(object, &left);
                left.len() < kept.len()
            };
            engine.adjust(resource, key, edit).await
        }
        Step::Disown { owners, .. } => {
            let edit = |object: &mut Value| disown(object, owners);
            engine.adjust(resource, key, edit).await
        }
    }
}

fn disown(object: &mut Value, owners: &[String]) -> bool {
    let meta = object::metadata_mut(object);
    let Some(list) = meta
        .get_mut("ownerReferences")
        .and_then(Value::as_array_mut)
    else {
        return false;
    };
    let before = list.len();
    list.retain(|owner| {
        let uid = owner.get("uid").and_then(Value::as_str).unwrap_or_default();
        !owners.iter().any(|gone| gone == uid)
    });
    let changed = list.len() < before;
    if list.is_empty() {
        meta.remove("ownerReferences");
    }
    changed
}
