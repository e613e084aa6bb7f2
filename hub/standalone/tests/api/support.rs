//! Starts servers and clients, and waits for what must come true.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use vitistack_standalone::{Error, Options};

/// How long anything may take to come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct Running {
    pub(crate) directory: TempDir,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    ending: CancellationToken,
    task: JoinHandle<Result<(), Error>>,
}

impl Running {
    pub(crate) async fn start() -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        Self::start_in(tempfile::tempdir().unwrap(), any).await
    }

    /// In a directory on a filesystem of the test's own.
    pub(crate) async fn start_on(place: &Path) -> Self {
        let any = "127.0.0.1:0".parse().unwrap();
        Self::start_in(tempfile::tempdir_in(place).unwrap(), any).await
    }

    async fn start_in(directory: TempDir, listen: SocketAddr) -> Self {
        // A second install in the same process is refused, and no loss.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let mut crds = vitistack_api::crd::crds();
        crds.push(widgets());
        let options = Options {
            data_dir: directory.path().join("data"),
            key_file: directory.path().join("seal.key"),
            listen,
            crds,
        };
        let ending = CancellationToken::new();
        let server = options.start(ending.clone()).await.unwrap();
        let (address, kubeconfig) = (server.address, server.kubeconfig.clone());
        let client = client(&kubeconfig).await;
        #[expect(clippy::disallowed_methods, reason = "the handle is joined in `stop`")]
        let task = tokio::spawn(server.join());
        Self {
            directory,
            kubeconfig,
            address,
            client,
            ending,
            task,
        }
    }

    /// Ends the server in order and gives its directory back.
    pub(crate) async fn stop(self) -> TempDir {
        self.ending.cancel();
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        self.directory
    }

    /// Ends the server and starts another one at the same address in the same directory.
    pub(crate) async fn restart(self) -> Self {
        let address = self.address;
        let directory = self.stop().await;
        Self::start_in(directory, address).await
    }

    pub(crate) fn widgets(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &widget_resource())
    }
}

pub(crate) async fn client(kubeconfig: &Path) -> Client {
    Client::try_from(config(kubeconfig).await).unwrap()
}

pub(crate) async fn config(kubeconfig: &Path) -> Config {
    let file = Kubeconfig::read_from(kubeconfig).unwrap();
    Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .unwrap()
}

pub(crate) fn widget_resource() -> ApiResource {
    let kind = GroupVersionKind::gvk("test.vitistack.io", "v1", "Widget");
    ApiResource::from_gvk_with_plural(&kind, "widgets")
}

pub(crate) fn widget(name: &str, spec: Value) -> DynamicObject {
    DynamicObject::new(name, &widget_resource()).data(json!({ "spec": spec }))
}

pub(crate) async fn create(api: &Api<DynamicObject>, object: &DynamicObject) -> DynamicObject {
    api.create(&PostParams::default(), object).await.unwrap()
}

/// The code of a refusal.
pub(crate) fn code<T: std::fmt::Debug>(result: kube::Result<T>) -> u16 {
    match result {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("a refusal was expected: {other:?}"),
    }
}

/// Asks until the answer is yes.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, ask: impl Fn() -> F) {
    let asked = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked)
        .await
        .unwrap_or_else(|_| panic!("never came: {what}"));
}

/// A kind with one of everything: default, enumeration, pattern, CEL, list, map, columns.
fn widgets() -> CustomResourceDefinition {
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.test.vitistack.io" },
        "spec": {
            "group": "test.vitistack.io",
            "scope": "Namespaced",
            "names": { "plural": "widgets", "singular": "widget", "kind": "Widget",
                       "shortNames": ["wd"], "categories": ["all"] },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": { "status": {} },
                "selectableFields": [{ "jsonPath": ".status.phase" }],
                "additionalPrinterColumns": [
                    { "name": "Size", "type": "integer", "jsonPath": ".spec.size" },
                    { "name": "Phase", "type": "string", "jsonPath": ".status.phase" },
                    { "name": "Color", "type": "string", "jsonPath": ".spec.color", "priority": 1 },
                    { "name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp" },
                ],
                "schema": { "openAPIV3Schema": {
                    "type": "object", "required": ["spec"],
                    "properties": {
                        "spec": {
                            "type": "object", "description": "What is wanted.",
                            "required": ["size"],
                            "properties": {
                                "size": { "type": "integer", "minimum": 1, "description": "How large." },
                                "color": { "type": "string", "default": "red", "enum": ["red", "blue"] },
                                "tags": { "type": "object", "additionalProperties": { "type": "string" } },
                                "parts": { "type": "array", "items": { "type": "object",
                                    "properties": { "name": { "type": "string" } } } },
                            },
                            "x-kubernetes-validations": [
                                { "rule": "self.color != 'blue' || self.size > 1",
                                  "message": "a blue widget is larger than 1" },
                                { "rule": "self.size >= oldSelf.size", "message": "a widget never shrinks" },
                            ],
                        },
                        "status": {
                            "type": "object",
                            "properties": {
                                "phase": { "type": "string" },
                                "conditions": { "type": "array", "items": { "type": "object",
                                    "properties": {
                                        "type": { "type": "string" }, "status": { "type": "string" },
                                    } } },
                            },
                        },
                    },
                } },
            }],
        },
    });
    serde_json::from_value(definition).unwrap()
}
