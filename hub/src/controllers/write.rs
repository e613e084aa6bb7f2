//! Writes to the API, each with a deadline and each tested against the state that it was planned from.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt as _};
use serde::Serialize;
use serde_json::{Value, json};
use vitistack_fault as fault;

use super::object::Object;
use super::wakes::Woken;
use super::{Error, Hub};
use crate::cache::Seen;
use crate::merge;
use crate::metrics::Controller;

/// Deadline of one write. The API answers in milliseconds or is in trouble; then the back-off is the better place to
/// wait in.
const DEADLINE: Duration = Duration::from_secs(15);

/// Whether the object carries our finalizer.
pub(super) fn is_held<K: Object>(object: &K) -> bool {
    let ours = finalizer::<K>();
    object.finalizers().contains(&ours)
}

fn finalizer<K: Object>() -> String {
    vitistack_api::names::finalizer(&K::kind(&()))
}

/// Adds our finalizer and returns the object with it.
pub(super) async fn hold<K: Woken>(hub: &Hub, object: &K) -> Result<K, Error> {
    let mut finalizers = object.finalizers().to_vec();
    finalizers.push(finalizer::<K>());
    let patch = json!({"metadata": {"finalizers": finalizers}});
    fault::before("hub.finalizer.add");
    let held = merge_patch(hub, object, patch, "finalizer").await?;
    fault::after("hub.finalizer.add");
    take_in(hub, held.clone());
    Ok(held)
}

/// Removes our finalizer. The object is left in the cache for the watch to remove: it may be gone already.
pub(super) async fn release<K: Object>(hub: &Hub, object: &K) -> Result<(), Error> {
    let ours = finalizer::<K>();
    let others: Vec<&String> = object
        .finalizers()
        .iter()
        .filter(|finalizer| **finalizer != ours)
        .collect();
    let patch = json!({"metadata": {"finalizers": others}});
    fault::before("hub.finalizer.remove");
    merge_patch(hub, object, patch, "finalizer").await?;
    fault::after("hub.finalizer.remove");
    Ok(())
}

/// Changes an object by a merge patch that holds only if nobody changed it since, and puts the result into the cache.
pub(super) async fn change<K: Woken>(
    hub: &Hub,
    object: &K,
    patch: Value,
    what: &'static str,
) -> Result<K, Error> {
    let changed = merge_patch(hub, object, patch, what).await?;
    take_in(hub, changed.clone());
    Ok(changed)
}

/// Writes the status, if it differs, and puts the result into the cache. Returns the object as it then is.
pub(super) async fn status<K: Woken, S: Serialize + Sync>(
    hub: &Hub,
    object: &K,
    before: Option<&S>,
    after: &S,
) -> Result<Option<K>, Error> {
    let encode = |status: &S| {
        serde_json::to_value(status).map_err(|source| Error::Encode {
            what: "status",
            source,
        })
    };
    let before = before.map_or(Ok(Value::Object(serde_json::Map::new())), encode)?;
    let after = encode(after)?;
    let Some(changes) = merge::diff(&before, &after) else {
        return Ok(None);
    };
    let patch = tested(object, json!({"status": changes}));
    let api = api(hub, object);
    let name = object.name_any();
    let params = PatchParams::default();
    let merge = Patch::Merge(&patch);
    let controller = K::CONTROLLER;
    let place = match controller {
        "machine" if changes.get("intent").is_some() => "hub.intent-status.write",
        "machine" if changes.get("placement").is_some() => "hub.placement-status.write",
        "machine" => "hub.machine-status.write",
        "baremetalhost" => "hub.host-status.write",
        _ => "hub.other-status.write",
    };
    let call = api.patch_status(&name, &params, &merge);
    fault::before(place);
    let written = within(call, "status").await?;
    fault::after(place);
    hub.metrics
        .status_writes
        .get_or_create(&Controller { controller })
        .inc();
    take_in(hub, written.clone());
    Ok(Some(written))
}

/// The watch will bring this state too, but may be behind it: what depends on the object is woken now.
fn take_in<K: Woken>(hub: &Hub, written: K) {
    match K::cache(hub).apply(written.clone()) {
        Seen::Stale => {}
        Seen::New => K::changed(hub, &written, None),
        Seen::Changed(before) => K::changed(hub, &written, Some(&before)),
    }
}

async fn merge_patch<K: Object>(
    hub: &Hub,
    object: &K,
    patch: Value,
    what: &'static str,
) -> Result<K, Error> {
    let patch = tested(object, patch);
    let api = api(hub, object);
    let name = object.name_any();
    let params = PatchParams::default();
    let merge = Patch::Merge(&patch);
    within(api.patch(&name, &params, &merge), what).await
}

/// The patch with UID and resourceVersion of the object that it was planned from: it is refused with a conflict if
/// that is not the newest state any more.
fn tested<K: Object>(object: &K, mut patch: Value) -> Value {
    let mut metadata = patch.get("metadata").cloned().unwrap_or_else(|| json!({}));
    if let Some(fields) = metadata.as_object_mut() {
        fields.insert("resourceVersion".into(), json!(object.resource_version()));
        fields.insert("uid".into(), json!(object.uid()));
    }
    if let Some(fields) = patch.as_object_mut() {
        fields.insert("metadata".into(), metadata);
    }
    patch
}

fn api<K: Object>(hub: &Hub, object: &K) -> Api<K> {
    Api::namespaced(hub.client.clone(), &object.namespace().unwrap_or_default())
}

async fn within<T>(
    call: impl Future<Output = Result<T, kube::Error>>,
    what: &'static str,
) -> Result<T, Error> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(Ok(written)) => Ok(written),
        Ok(Err(source)) => Err(Error::Write { what, source }),
        Err(_) => Err(Error::Deadline { what }),
    }
}
