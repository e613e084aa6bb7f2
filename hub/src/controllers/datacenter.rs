//! The shell of the Datacenter controller: references, counts and quota → status.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::say::say;
use super::{Error, Hub};
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
    say(hub, datacenter.as_ref(), &after).await?;
    Ok(Outcome::Done)
}
