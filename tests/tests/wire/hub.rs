//! The hub's side: a standalone API, the authority, the endpoint.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, ResourceExt};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vitistack_api::agent::{Agent, AgentSpec};
use vitistack_hub::dispatch::{Handle, Server};
use vitistack_hub::enrolment::{self, Authority, CA_SECRET, ENROLMENT_ANNOTATION};
use vitistack_protocol::identity::JoinToken;
use vitistack_protocol::ids::{
    Digest, Fence, Generation, HubEpoch, ObjectRef, Revision, Sequence, Uid,
};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::intent::{Credentials, Intent, SecretRow};
use vitistack_protocol::message::numbered::BodyKind;
use vitistack_protocol::message::report::Report;

pub(crate) const NAMESPACE: &str = "vitistack-system";

pub(crate) struct Hub {
    pub(crate) handle: Handle,
    pub(crate) authority: Arc<Authority>,
    pub(crate) address: SocketAddr,
    client: Client,
    serving: Serving,
    api: (CancellationToken, JoinHandle<()>),
    _place: TempDir,
}

struct Serving {
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Hub {
    pub(crate) async fn start() -> Self {
        // Whoever is first installs it; the others find it there.
        drop(rustls::crypto::ring::default_provider().install_default());
        let place = tempfile::tempdir().unwrap();
        let cancel = CancellationToken::new();
        let options = vitistack_standalone::Options {
            data_dir: place.path().join("api"),
            key_file: place.path().join("seal.key"),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            crds: vitistack_api::crd::crds(),
        };
        let server = options.start(cancel.clone()).await.unwrap();
        let client = client(&server.kubeconfig).await;
        let api = own(async move { server.join().await.unwrap() });
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (handle, authority, address, serving) = serve(&client, any).await;
        Self {
            handle,
            authority,
            address,
            client,
            serving,
            api: (cancel, api),
            _place: place,
        }
    }

    /// Stops the endpoint and starts another at the same address, with nothing in memory and a higher epoch.
    pub(crate) async fn restart(&mut self) {
        self.serving.stop().await;
        let (handle, authority, address, serving) = serve(&self.client, self.address).await;
        self.handle = handle;
        self.authority = authority;
        self.address = address;
        self.serving = serving;
    }

    pub(crate) async fn stop(mut self) {
        self.serving.stop().await;
        self.api.0.cancel();
        self.api.1.await.unwrap();
    }

    /// Makes a join token with its Secret.
    pub(crate) async fn token(&self, expires: Timestamp) -> JoinToken {
        let hash = self.authority.signer().hash();
        let token = JoinToken::from_random(rand(), rand(), hash);
        let data = [
            ("site", "edge-west".to_owned()),
            ("namespaces", "production".to_owned()),
            ("secret-hash", token.secret_hash()),
            ("expires", expires.to_string()),
        ];
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(format!("vitistack-token-{}", token.id())),
                ..ObjectMeta::default()
            },
            type_: Some("vitistack.io/join-token".to_owned()),
            string_data: Some(
                data.into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
            ),
            ..Secret::default()
        };
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        secrets
            .create(&PostParams::default(), &secret)
            .await
            .unwrap();
        token
    }

    pub(crate) async fn token_secrets(&self) -> Vec<String> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        let all = secrets.list(&ListParams::default()).await.unwrap();
        all.iter()
            .map(ResourceExt::name_any)
            .filter(|name| name.starts_with("vitistack-token-"))
            .collect()
    }

    pub(crate) async fn agent(&self, name: &str) -> Option<Agent> {
        self.agents_api().get_opt(name).await.unwrap()
    }

    pub(crate) async fn agents(&self) -> Vec<String> {
        let all = self
            .agents_api()
            .list(&ListParams::default())
            .await
            .unwrap();
        all.iter().map(ResourceExt::name_any).collect()
    }

    pub(crate) async fn delete_agent(&self, name: &str) {
        self.agents_api()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
    }

    pub(crate) async fn revoke_agent(&self, name: &str) {
        let patch = Patch::Merge(serde_json::json!({ "spec": { "revoked": true } }));
        self.agents_api()
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Makes an Agent as if a token had been used long ago. Returns once the hub has learnt of it by its watch; until then
    /// it refuses that agent's handshake.
    pub(crate) async fn enrol(&self, enrolment: &str) {
        let name = super::name();
        let mut agent = Agent::new(
            &name.name,
            AgentSpec {
                site: name.site.clone(),
                served_namespaces: vec!["production".to_owned()],
                revoked: None,
            },
        );
        agent.metadata.annotations = Some(BTreeMap::from([(
            ENROLMENT_ANNOTATION.to_owned(),
            enrolment.to_owned(),
        )]));
        self.agents_api()
            .create(&PostParams::default(), &agent)
            .await
            .unwrap();
        super::until(super::SOON, "the agent is admitted", async || {
            let admitted = self.authority.roster().admits(&name, enrolment);
            admitted.then_some(())
        })
        .await;
    }

    /// As another replica would.
    pub(crate) async fn open_authority(&self) -> Result<Authority, enrolment::Error> {
        Authority::open(self.client.clone(), NAMESPACE).await
    }

    pub(crate) async fn damage_authority(&self) {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), NAMESPACE);
        let mut secret = secrets.get(CA_SECRET).await.unwrap();
        secret.data.get_or_insert_default().remove("ca.key");
        secrets
            .replace(CA_SECRET, &PostParams::default(), &secret)
            .await
            .unwrap();
    }

    fn agents_api(&self) -> Api<Agent> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }
}

impl Serving {
    async fn stop(&mut self) {
        self.cancel.cancel();
        (&mut self.task).await.unwrap();
    }
}

async fn serve(
    client: &Client,
    address: SocketAddr,
) -> (Handle, Arc<Authority>, SocketAddr, Serving) {
    let authority = Arc::new(Authority::open(client.clone(), NAMESPACE).await.unwrap());
    let epoch = enrolment::raise_epoch(client, NAMESPACE, HubEpoch(0));
    let handle = Handle::new(epoch.await.unwrap());
    let server = Server::bind(address, Arc::clone(&authority), handle.clone()).unwrap();
    let address = server.address().unwrap();
    authority.publish(&address.to_string()).await.unwrap();
    let cancel = CancellationToken::new();
    let task = own({
        let cancel = cancel.clone();
        async move { server.run(cancel).await.unwrap() }
    });
    (handle, authority, address, Serving { cancel, task })
}

/// A task that the harness itself awaits or aborts with its runtime.
pub(crate) fn own(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::runtime::Handle::current().spawn(work)
}

async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .unwrap();
    Client::try_from(config).unwrap()
}

pub(crate) fn token_in(life: Duration) -> Timestamp {
    Timestamp::now() + life
}

fn rand<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    for chunk in bytes.chunks_mut(16) {
        let random = uuid::Uuid::new_v4().into_bytes();
        chunk.copy_from_slice(&random[..chunk.len()]);
    }
    bytes
}

pub(crate) fn secret(last: u8, password: &str) -> SecretRow {
    let credentials = Credentials {
        username: "operator".to_owned(),
        password: password.to_owned(),
    };
    SecretRow::of_credentials(Uid([last; 16]), &credentials)
}

pub(crate) fn intent(last: u8, epoch: HubEpoch, revision: u64) -> Intent {
    Intent {
        fence: Fence {
            epoch,
            revision: Revision(revision),
        },
        object: ObjectRef {
            uid: Uid([last; 16]),
            namespace: "production".to_owned(),
            name: format!("m-{last}"),
        },
        generation: Generation(1),
        kind: BodyKind::Machine,
        body: vec![last],
        absent: false,
        secrets: Vec::new(),
        extensions: Extensions::default(),
    }
}

pub(crate) fn report(about: &Intent, sequence: u64) -> Report {
    Report {
        sequence: Sequence(sequence),
        object: about.object.clone(),
        fence: about.fence,
        generation: about.generation,
        kind: about.kind,
        body: Digest::of(&about.body).0.to_vec(),
        gone: false,
        extensions: Extensions::default(),
    }
}
