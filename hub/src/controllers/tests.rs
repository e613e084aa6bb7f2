//! The controllers against the standalone API, with an agent that is driven by hand.

use std::time::Duration;

use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use prometheus_client::registry::Registry;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vitistack_api::conditions::{find, types};
use vitistack_api::host::HostPhase;
use vitistack_api::machine::MachinePhase;
use vitistack_protocol::ids::HubEpoch;
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::intent::{MachineIntent, Provisioned, SecretName};
use vitistack_protocol::message::numbered::{
    HostPhase as HostTold, MachinePhase as Told, PowerState, Reason as Why,
};
use vitistack_protocol::message::report::{Cause, HostReport, MachineReport};

use super::*;
use crate::dispatch::fake;
use crate::queue::{Queue, REST};

mod credentials;
mod writes;

/// Longest wait for a condition. Far more than it takes; a loaded machine syncs its disk in seconds.
const BOUND: Duration = Duration::from_secs(60);
const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// A standalone API, the controllers, and what is needed to look at both.
struct Site {
    client: Client,
    handle: dispatch::Handle,
    hub: Arc<Hub>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
    _directory: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        Self::resting(REST).await
    }

    /// One where what is only told again rests for `rest`.
    async fn resting(rest: Duration) -> Self {
        // Another test may have been first; one provider is installed for the whole process.
        drop(rustls::crypto::ring::default_provider().install_default());
        let directory = tempfile::tempdir().expect("a temporary directory");
        let stop = CancellationToken::new();
        let server = vitistack_standalone::Options {
            data_dir: directory.path().join("data"),
            key_file: directory.path().join("seal.key"),
            listen: "127.0.0.1:0".parse().expect("an address"),
            crds: vitistack_api::crd::crds(),
        }
        .start(stop.clone())
        .await
        .expect("the API starts");
        let file = Kubeconfig::read_from(&server.kubeconfig).expect("a kubeconfig");
        let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
            .await
            .expect("a usable kubeconfig");
        let client = Client::try_from(config).expect("a client");
        let handle = dispatch::Handle::new(HubEpoch(1));
        let (announcer, publisher) = events::channel(client.clone(), "test".into());
        let mut hub = Hub::new(
            client.clone(),
            "vitistack-system".into(),
            handle.clone(),
            announcer,
            Metrics::register(&mut Registry::default()),
        );
        hub.queue = Queue::resting(rest);
        let hub = Arc::new(hub);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            server.join().await.expect("the API ends well");
        });
        let (running, stopping) = (hub.clone(), stop.clone());
        tasks.spawn(async move {
            run(running, publisher, || {}, stopping)
                .await
                .expect("the controllers end well");
        });
        Self {
            client,
            handle,
            hub,
            stop,
            tasks,
            _directory: directory,
        }
    }

    async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no task panicked");
        }
    }

    fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn create<K>(&self, namespace: &str, object: Value) -> K
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + serde::Serialize
            + Clone
            + std::fmt::Debug,
    {
        let object = serde_json::from_value(object).expect("it fits its kind");
        let api = self.api::<K>(namespace);
        api.create(&PostParams::default(), &object)
            .await
            .expect("it is taken")
    }

    /// Waits until `holds` is true of an object.
    async fn until<K>(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(Option<&K>) -> bool,
    ) -> Option<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let api = self.api::<K>("edge");
        let deadline = Instant::now() + BOUND;
        loop {
            let object = api.get_opt(name).await.expect("the API answers");
            if holds(object.as_ref()) {
                return object;
            }
            assert!(Instant::now() < deadline, "never {what}: {object:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Lets the agent take what comes until `holds` is true of it.
    async fn serve(
        &self,
        agent: &mut fake::Agent,
        what: &str,
        holds: impl Fn(&fake::Agent) -> bool,
    ) {
        let deadline = Instant::now() + BOUND;
        loop {
            agent.take();
            if holds(agent) {
                return;
            }
            assert!(Instant::now() < deadline, "never {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The edge site: provider, agent object, credentials, a host, a Machine.
    async fn furnish(&self) -> (Uid, Uid) {
        let namespace: k8s_openapi::api::core::v1::Namespace =
            serde_json::from_value(json!({"metadata": {"name": "edge"}})).expect("a namespace");
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(self.client.clone());
        namespaces
            .create(&PostParams::default(), &namespace)
            .await
            .expect("it is taken");
        let version = "vitistack.io/v1alpha1";
        self.create::<Machine>(
            "edge",
            json!({
                "apiVersion": version, "kind": "Machine", "metadata": {"name": "node-1"},
                "spec": {
                    "machineProviderRef": {"name": "rack"},
                    "os": {"imageID": "http://images.example/os.img.gz", "imageDigest": DIGEST},
                    "userData": "#!/bin/sh\n",
                },
            }),
        )
        .await;
        self.create::<BareMetalHost>(
            "edge",
            json!({
                "apiVersion": version, "kind": "BareMetalHost", "metadata": {"name": "server-1"},
                "spec": {
                    "machineProviderRef": {"name": "rack"},
                    "bmc": {
                        "address": "redfish://192.0.2.10/redfish/v1/Systems/1",
                        "credentialsRef": {"name": "bmc-1"},
                    },
                    "bootMAC": "52:54:00:00:00:01",
                },
            }),
        )
        .await;
        self.create::<k8s_openapi::api::core::v1::Secret>(
            "edge",
            json!({
                "metadata": {"name": "bmc-1"},
                "stringData": {"username": "admin", "password": "secret"},
            }),
        )
        .await;
        self.create::<MachineProvider>(
            "edge",
            json!({
                "apiVersion": version, "kind": "MachineProvider", "metadata": {"name": "rack"},
                "spec": {"providerType": "baremetal", "region": "edge-west"},
            }),
        )
        .await;
        self.create::<Agent>(
            "vitistack-system",
            json!({
                "apiVersion": version, "kind": "Agent", "metadata": {"name": "edge-1"},
                "spec": {"site": "edge-west", "servedNamespaces": ["edge"]},
            }),
        )
        .await;
        let machine = self
            .api::<Machine>("edge")
            .get("node-1")
            .await
            .expect("it is there");
        let host = self
            .api::<BareMetalHost>("edge")
            .get("server-1")
            .await
            .expect("it is there");
        let uid = |text: Option<String>| text.and_then(|text| text.parse().ok()).expect("a UID");
        (uid(machine.metadata.uid), uid(host.metadata.uid))
    }

    async fn annotate<K>(&self, name: &str, annotation: &str, value: Option<&str>)
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        let patch = json!({"metadata": {"annotations": {annotation: value}}});
        self.api::<K>("edge")
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .expect("it is taken");
    }

    async fn delete<K>(&self, name: &str)
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        self.api::<K>("edge")
            .delete(name, &DeleteParams::default())
            .await
            .expect("it is taken");
    }
}

fn edge_1() -> AgentName {
    AgentName::new("edge-west", "edge-1").expect("a name")
}

fn host_report(phase: HostTold) -> HostReport {
    HostReport {
        phase,
        cause: Cause {
            reason: Why::None,
            message: String::new(),
        },
        power: Some(PowerState::Off),
        reachable: true,
        bmc_certificate: None,
        inventory: None,
        inspected: None,
        extensions: Extensions::default(),
    }
}

fn machine_report(phase: Told, why: Why, host: Uid, proof: Option<Provisioned>) -> MachineReport {
    MachineReport {
        phase,
        cause: Cause {
            reason: why,
            message: String::new(),
        },
        power: Some(PowerState::On),
        host,
        operation: vitistack_protocol::ids::OperationId([5; 16]),
        attempt: 1,
        progress: None,
        provisioned: proof,
        addresses: vec!["10.99.0.100".into()],
        extensions: Extensions::default(),
    }
}

fn proof_of(intent: &Intent) -> Provisioned {
    let body: MachineIntent = intent.read().expect("a Machine's body");
    Provisioned {
        machine: intent.object.uid,
        operation: body.operation,
        image: body.image.digest,
        disk: "QM00001".into(),
    }
}

fn phase(machine: Option<&Machine>) -> Option<MachinePhase> {
    machine?.status.as_ref()?.phase
}

fn host_phase(host: Option<&BareMetalHost>) -> Option<HostPhase> {
    host?.status.as_ref()?.phase
}

fn why(machine: Option<&Machine>) -> String {
    let status = machine
        .and_then(|machine| machine.status.clone())
        .unwrap_or_default();
    find(&status.conditions, types::READY)
        .map(|ready| ready.reason.clone())
        .unwrap_or_default()
}

/// Up to a Machine that runs.
async fn running(site: &Site) -> (fake::Agent, Uid, Uid) {
    let (machine, host) = site.furnish().await;
    let mut agent = fake::Agent::connect(&site.handle, &edge_1());
    site.serve(&mut agent, "the host's intent", |agent| {
        agent.intents.contains_key(&host)
    })
    .await;
    agent.report(host, &host_report(HostTold::Available), false);
    site.serve(&mut agent, "the Machine's intent", |agent| {
        agent.intents.contains_key(&machine)
    })
    .await;
    let intent = agent.intents[&machine].clone();
    let proof = proof_of(&intent);
    agent.report(
        machine,
        &machine_report(Told::Running, Why::PhonedHome, host, Some(proof)),
        false,
    );
    site.until::<Machine>("node-1", "Running", |machine| {
        phase(machine) == Some(MachinePhase::Running)
    })
    .await;
    (agent, machine, host)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_runs_and_leaves_whatever_goes_before_it() {
    let site = Site::start().await;
    let (mut agent, machine, host) = running(&site).await;
    let secrets: Vec<_> = agent.intents[&machine].secrets.clone();
    assert!(
        secrets.iter().all(|name| agent.secrets.contains_key(name)),
        "secrets go before intents"
    );
    site.until::<BareMetalHost>("server-1", "Provisioned", |host| {
        host_phase(host) == Some(HostPhase::Provisioned)
    })
    .await;
    // The proof comes back to the agent, and its reports are acked once they stand in the API.
    site.serve(&mut agent, "the proof in the intent", |agent| {
        agent.intents[&machine]
            .read::<MachineIntent>()
            .expect("a body")
            .provisioned
            .is_some()
    })
    .await;
    let deadline = Instant::now() + BOUND;
    let mut acked = None;
    while acked.is_none() {
        acked = agent.acked();
        assert!(Instant::now() < deadline, "the reports are never acked");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // Everything that the Machine named goes first.
    site.delete::<k8s_openapi::api::core::v1::Secret>("bmc-1")
        .await;
    site.delete::<MachineProvider>("rack").await;
    site.delete::<BareMetalHost>("server-1").await;
    site.delete::<Machine>("node-1").await;
    site.serve(&mut agent, "the Machine's tombstone", |agent| {
        agent.intents[&machine].absent
    })
    .await;
    let tombstone: MachineIntent = agent.intents[&machine].read().expect("a body");
    let named = tombstone.target.credentials.map(SecretName::of_credentials);
    assert!(
        named.is_some_and(|name| agent.secrets.contains_key(&name)),
        "a Secret that the agent holds"
    );
    agent.report(
        machine,
        &machine_report(Told::Gone, Why::None, host, None),
        true,
    );
    site.until::<Machine>("node-1", "gone", |machine| machine.is_none())
        .await;
    site.serve(&mut agent, "the host's tombstone", |agent| {
        agent.intents[&host].absent
    })
    .await;
    agent.report(host, &host_report(HostTold::Gone), true);
    site.until::<BareMetalHost>("server-1", "gone", |host| host.is_none())
        .await;
    let left = site
        .api::<Machine>("edge")
        .list(&ListParams::default())
        .await
        .expect("a list");
    assert!(left.items.is_empty());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_removal_quarantines_the_host_until_the_site_has_cleaned_it() {
    let site = Site::start().await;
    let (mut agent, machine, _) = running(&site).await;
    agent.disconnect();
    site.delete::<Machine>("node-1").await;
    site.until::<Machine>("node-1", "Terminating", |machine| {
        phase(machine) == Some(MachinePhase::Terminating)
    })
    .await;
    site.annotate::<Machine>("node-1", "vitistack.io/force-delete", Some("another UID"))
        .await;
    site.annotate::<Machine>(
        "node-1",
        "vitistack.io/force-delete",
        Some(&machine.to_string()),
    )
    .await;
    site.until::<Machine>("node-1", "gone", |machine| machine.is_none())
        .await;
    let held = site
        .until::<BareMetalHost>("server-1", "Quarantined", |host| {
            host_phase(host) == Some(HostPhase::Quarantined)
        })
        .await
        .expect("it is there");
    assert!(held.spec.consumer_ref.is_some(), "nobody else may claim it");

    agent.reconnect();
    site.serve(&mut agent, "the tombstone", |agent| {
        agent
            .intents
            .get(&machine)
            .is_some_and(|intent| intent.absent)
    })
    .await;
    let host: Uid = held
        .metadata
        .uid
        .and_then(|uid| uid.parse().ok())
        .expect("a UID");
    agent.report(
        machine,
        &machine_report(Told::Gone, Why::None, host, None),
        true,
    );
    let free = site
        .until::<BareMetalHost>("server-1", "free", |host| {
            host.is_some_and(|host| host.spec.consumer_ref.is_none())
                && host_phase(host) != Some(HostPhase::Quarantined)
        })
        .await
        .expect("it is there");
    assert_eq!(free.status.expect("a status").provisioned, None);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_machine_is_not_released() {
    let site = Site::start().await;
    let (mut agent, machine, host) = running(&site).await;
    site.annotate::<Machine>("node-1", "vitistack.io/protect", Some("true"))
        .await;
    let refused = site
        .api::<Machine>("edge")
        .delete("node-1", &DeleteParams::default())
        .await;
    assert!(
        matches!(refused, Err(kube::Error::Api(status)) if status.code == 403),
        "the own API refuses at once"
    );
    site.annotate::<Machine>("node-1", "vitistack.io/protect", None)
        .await;
    site.delete::<Machine>("node-1").await;
    site.serve(&mut agent, "the tombstone", |agent| {
        agent.intents[&machine].absent
    })
    .await;
    // As on an API without our admission: it is deleted already, and protected now. The finalizer holds.
    site.annotate::<Machine>("node-1", "vitistack.io/protect", Some("true"))
        .await;
    site.until::<Machine>("node-1", "refused", |machine| why(machine) == "Protected")
        .await;
    agent.report(
        machine,
        &machine_report(Told::Gone, Why::None, host, None),
        true,
    );
    site.annotate::<Machine>("node-1", "vitistack.io/protect", None)
        .await;
    site.until::<Machine>("node-1", "gone", |machine| machine.is_none())
        .await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_hub_writes_nothing() {
    let site = Site::start().await;
    let (mut agent, machine, _) = running(&site).await;
    site.serve(&mut agent, "the proof in the intent", |agent| {
        agent.intents[&machine]
            .read::<MachineIntent>()
            .expect("a body")
            .provisioned
            .is_some()
    })
    .await;
    let versions = async || {
        let machines = site
            .api::<Machine>("edge")
            .list(&ListParams::default())
            .await;
        let hosts = site
            .api::<BareMetalHost>("edge")
            .list(&ListParams::default())
            .await;
        let providers = site
            .api::<MachineProvider>("edge")
            .list(&ListParams::default())
            .await;
        let mut versions = Vec::new();
        versions.extend(
            machines
                .expect("a list")
                .items
                .into_iter()
                .map(|m| m.metadata.resource_version),
        );
        versions.extend(
            hosts
                .expect("a list")
                .items
                .into_iter()
                .map(|h| h.metadata.resource_version),
        );
        versions.extend(
            providers
                .expect("a list")
                .items
                .into_iter()
                .map(|p| p.metadata.resource_version),
        );
        versions
    };
    // Settled: the same twice, with time for what rests before it is told, and a full resync after it.
    let settling = REST + Duration::from_secs(1);
    let deadline = Instant::now() + BOUND;
    let mut before = versions().await;
    loop {
        tokio::time::sleep(settling).await;
        let now = versions().await;
        if now == before {
            break;
        }
        before = now;
        assert!(Instant::now() < deadline, "it never settles");
    }
    site.hub.queue_resync();
    tokio::time::sleep(settling).await;
    assert_eq!(versions().await, before);
    site.stop().await;
}
