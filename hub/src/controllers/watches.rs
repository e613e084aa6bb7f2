//! One watch a kind: events into the caches, changes into the queue.

use std::sync::Arc;

use futures::{StreamExt as _, pin_mut};
use kube::core::DeserializeGuard;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use vitistack_api::agent::Agent;
use vitistack_api::datacenter::Datacenter;
use vitistack_api::host::BareMetalHost;
use vitistack_api::kubernetes_provider::KubernetesProvider;
use vitistack_api::machine::Machine;
use vitistack_api::machine_provider::MachineProvider;
use vitistack_protocol::Chain;

use super::Hub;
use super::wakes::Woken;
use crate::cache::Seen;

/// Starts all of them.
pub(super) fn start(tasks: &mut JoinSet<()>, hub: &Arc<Hub>, cancel: &CancellationToken) {
    let client = &hub.client;
    let (h, c) = (hub, cancel);
    tasks.spawn(follow::<Datacenter>(
        h.clone(),
        Api::all(client.clone()),
        c.clone(),
    ));
    tasks.spawn(follow::<MachineProvider>(
        h.clone(),
        Api::all(client.clone()),
        c.clone(),
    ));
    tasks.spawn(follow::<KubernetesProvider>(
        h.clone(),
        Api::all(client.clone()),
        c.clone(),
    ));
    tasks.spawn(follow::<Machine>(
        h.clone(),
        Api::all(client.clone()),
        c.clone(),
    ));
    tasks.spawn(follow::<BareMetalHost>(
        h.clone(),
        Api::all(client.clone()),
        c.clone(),
    ));
    let own = Api::namespaced(client.clone(), &hub.namespace);
    tasks.spawn(follow::<Agent>(h.clone(), own, c.clone()));
}

/// Follows one kind until `cancel`. An object that cannot be read, for example one of a newer hub, is left as it was
/// known and does not stop the others.
async fn follow<K: Woken + 'static>(
    hub: Arc<Hub>,
    api: Api<DeserializeGuard<K>>,
    cancel: CancellationToken,
) {
    let cache = K::cache(&hub);
    let stream = watcher(api, watcher::Config::default()).default_backoff();
    pin_mut!(stream);
    let mut listed = Vec::new();
    loop {
        let event = tokio::select! {
            // Both arms are cancel-safe: a stream gives an event only in the poll that returns it.
            () = cancel.cancelled() => return,
            event = stream.next() => event,
        };
        match event {
            Some(Ok(watcher::Event::Init)) => listed.clear(),
            Some(Ok(watcher::Event::InitApply(guard))) => {
                let name = (guard.namespace().unwrap_or_default(), guard.name_any());
                listed.push((name, guard.uid()));
                apply(&hub, guard);
            }
            Some(Ok(watcher::Event::InitDone)) => {
                for gone in cache.retain(&listed) {
                    K::gone(&hub, &gone);
                }
            }
            Some(Ok(watcher::Event::Apply(guard))) => apply(&hub, guard),
            Some(Ok(watcher::Event::Delete(guard))) => {
                if let Ok(object) = guard.0
                    && let Some(held) = cache.remove(&object)
                {
                    K::gone(&hub, &held);
                }
            }
            Some(Err(error)) => warn!(
                kind = K::CONTROLLER,
                error = %Chain(&error),
                "the watch broke off and starts again"
            ),
            None => return cancel.cancelled().await,
        }
    }
}

fn apply<K: Woken>(hub: &Hub, guard: DeserializeGuard<K>) {
    let object = match guard.0 {
        Ok(object) => object,
        Err(error) => {
            warn!(
                kind = K::CONTROLLER,
                namespace = error.metadata.namespace.as_deref(),
                name = error.metadata.name.as_deref(),
                error = %Chain(&error),
                "an object cannot be read and is left alone"
            );
            return;
        }
    };
    match K::cache(hub).apply(object.clone()) {
        Seen::Stale => {}
        Seen::New => K::changed(hub, &object, None),
        Seen::Changed(before) => K::changed(hub, &object, Some(&before)),
    }
}
