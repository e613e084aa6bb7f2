//! The shell of the Datacenter controller: references, counts and quota → status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource as _;

use super::{Error, Hub, events, write};
use crate::kinds::datacenter::{Facts, status};
use crate::queue::{Key, Outcome};

/// Says how the Datacenter is.
pub(super) async fn reconcile(hub: &Hub, key: &Key) -> Result<Outcome, Error> {
    let Some(datacenter) = hub.caches.datacenters.find(&key.namespace, &key.name) else {
        return Ok(Outcome::Done);
    };
    let facts = Facts {
        datacenter: &datacenter,
        field: &hub.field(),
        kubernetes_providers: &hub.caches.kubernetes_providers.all(),
    };
    let now = Time(jiff::Timestamp::now());
    let after = status(&facts, &now);
    let before = datacenter.status.as_ref();
    if write::status(hub, datacenter.as_ref(), before, &after)
        .await?
        .is_some()
    {
        let old = before.cloned().unwrap_or_default();
        if let Some(announcement) = events::transition(
            datacenter.object_ref(&()),
            (old.phase, after.phase),
            &old.conditions,
            &after.conditions,
        ) {
            hub.events.announce(announcement);
        }
    }
    Ok(Outcome::Done)
}
