//! Collects what nobody needs any more: dependents of owners that are gone, contents of namespaces
//! that are being deleted, and Events of yesterday.
//!
//! [`plan`] is pure: all rows in, steps out. The task ([`run`]) plans after each change that can
//! matter and once a minute, and takes the steps through the engine. A step that fails is planned
//! again; nothing is remembered in between.

use std::collections::HashMap;
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
use crate::store::{Key, Owner, Row};

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
    /// Delete this object, if it still is the one with this UID, at this version: a reference may be
    /// taken away meanwhile, and one to another owner come.
    Delete {
        key: Key,
        uid: String,
        version: u64,
        propagation: Propagation,
    },
    /// The namespace is empty: let it go.
    Finish { key: Key },
    /// Remove a finalizer of ours.
    Release { key: Key, finalizer: &'static str },
    /// Remove references to owners.
    Disown { key: Key, owners: Vec<String> },
    /// No owner waits for this object any more: it and they would wait for each other.
    Unblock { key: Key },
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
                .map(|row| remove(row, Propagation::Background)),
        );
    }
    steps
}

fn remove(row: &Row, propagation: Propagation) -> Step {
    Step::Delete {
        key: row.key.clone(),
        uid: row.meta.uid.clone(),
        version: row.version,
        propagation,
    }
}

/// How an owner that an object names stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is there.
    Solid,
    /// It is being deleted and waits for its dependents.
    Waiting,
    /// There is no such object: the reference dangles.
    Gone,
}

/// How `owner` of `row` stands, none where that cannot be known: its kind is not served here and may exist elsewhere.
fn standing(
    registry: &Registry,
    present: &HashMap<&Key, &Row>,
    row: &Row,
    owner: &Owner,
) -> Option<Standing> {
    let resource = registry.of_kind(&owner.api_version, &owner.kind)?;
    let home = match (resource.namespaced, row.key.namespace.as_str()) {
        (false, _) => "",
        // What has no namespace cannot name an owner in one.
        (true, "") => return None,
        // An owner in another namespace is none.
        (true, home) => home,
    };
    let key = Key::new(resource.storage.clone(), home, &owner.name);
    Some(match present.get(&key) {
        Some(found) if found.meta.uid != owner.uid => Standing::Gone,
        Some(found) if waits(found) => Standing::Waiting,
        Some(_) => Standing::Solid,
        None => Standing::Gone,
    })
}

/// An object whose owners are all gone goes too, and one with an owner left loses the others.
///
/// Design note: the rules are those of the garbage collector in kube-controller-manager, held by the suite
/// `conformance`; that Events are no part of it is one of them.
fn dependents(registry: &Registry, rows: &[Arc<Row>]) -> Vec<Step> {
    let owned: Vec<&Row> = rows
        .iter()
        .map(AsRef::as_ref)
        .filter(|row| !row.meta.owners.is_empty() && !row.meta.deleting && !is_event(row))
        .collect();
    if owned.is_empty() {
        return Vec::new();
    }
    let present: HashMap<&Key, &Row> = rows.iter().map(|row| (&row.key, row.as_ref())).collect();
    let mut steps = Vec::new();
    for row in owned {
        let owners = &row.meta.owners;
        let standings: Option<Vec<Standing>> = owners
            .iter()
            .map(|owner| standing(registry, &present, row, owner))
            .collect();
        let Some(standings) = standings else {
            continue;
        };
        if !standings.contains(&Standing::Solid) {
            steps.push(collected(rows, row, standings.contains(&Standing::Waiting)));
            continue;
        }
        // An owner that waits is let go of too, or it would wait for what stays.
        let lost: Vec<String> = owners
            .iter()
            .zip(&standings)
            .filter(|(_, standing)| **standing != Standing::Solid)
            .map(|(owner, _)| owner.uid.clone())
            .collect();
        if !lost.is_empty() {
            steps.push(Step::Disown {
                key: row.key.clone(),
                owners: lost,
            });
        }
    }
    steps
}

/// How an object goes that no owner holds; `awaited` says that one waits for it.
fn collected(rows: &[Arc<Row>], row: &Row, awaited: bool) -> Step {
    let own = || {
        rows.iter()
            .filter(|other| !is_event(other) && owns(row, other))
    };
    let has = |finalizer: &str| row.meta.finalizers.iter().any(|f| f == finalizer);
    // Who waits for it waits for what it owns.
    if awaited && own().next().is_some() {
        let circle = own().any(|other| waits(other));
        if circle && row.meta.owners.iter().any(|owner| owner.blocks) {
            return Step::Unblock {
                key: row.key.clone(),
            };
        }
        return remove(row, Propagation::Foreground);
    }
    if has(ORPHAN) {
        remove(row, Propagation::Orphan)
    } else if has(FOREGROUND) {
        remove(row, Propagation::Foreground)
    } else {
        remove(row, Propagation::Background)
    }
}

fn owns(owner: &Row, row: &Row) -> bool {
    row.meta.owners.iter().any(|o| o.uid == owner.meta.uid)
}

fn is_event(row: &Row) -> bool {
    &*row.key.resource == "events"
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
            let mut owners = row.meta.owners.iter();
            !is_event(row) && owners.any(|o| o.uid == owner.meta.uid && o.blocks)
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
        for row in rows.iter().filter(|row| !is_event(row) && owns(owner, row)) {
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
    rows.iter()
        .filter(stale)
        .map(|row| remove(row, Propagation::Background))
        .collect()
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
            let events: Vec<Arc<Row>> = rows.iter().filter(|row| is_event(row)).cloned().collect();
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
    | Step::Disown { key, .. }
    | Step::Unblock { key }) = step;
    let Some(resource) = engine.registry.of_storage(&key.resource) else {
        return Ok(());
    };
    match step {
        Step::Delete {
            uid,
            version,
            propagation,
            ..
        } => {
            let options = DeleteOptions {
                uid: Some(uid.clone()),
                propagation: *propagation,
                version: Some(version.to_string()),
            };
            match engine.delete(resource, key, &options, false).await {
                // It went or changed, which makes a new plan; a protected one stays until it is not.
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
        Step::Unblock { .. } => engine.adjust(resource, key, unblock).await,
    }
}

fn unblock(object: &mut Value) -> bool {
    let owners = object
        .pointer_mut("/metadata/ownerReferences")
        .and_then(Value::as_array_mut);
    let mut changed = false;
    for owner in owners.into_iter().flatten() {
        let blocks = owner.get_mut("blockOwnerDeletion");
        if let Some(blocks) = blocks.filter(|blocks| blocks.as_bool() == Some(true)) {
            *blocks = Value::Bool(false);
            changed = true;
        }
    }
    changed
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
