//! A small Kubernetes API, served from a directory: what a hub without a cluster talks to.
//!
//! It serves the kinds that the caller hands in, and Secret, ConfigMap, Namespace, Event and Lease:
//! discovery, OpenAPI v3, tables, get, list, watch, create, update, JSON and merge patch, status
//! subresource, finalizers, owner references, namespace deletion, strict field validation,
//! defaults, dry run, server-side apply with field ownership. Enough for `kubectl` and for kube-rs.
//!
//! Shape: pure modules decide and render (`lifecycle`, `admit`, `patch`, `fields`, `selector`, `table`,
//! `openapi`, `discovery`, `collect::plan`); `store` keeps, `engine` joins the two, `http` is the
//! shell.
//!
//! Tasks, all in the JoinSet of [`Server`]: the accept loop (which owns a task a connection), the
//! collector, and the store's writer on a blocking thread.
//!
//! Limits: one process, one machine, loopback unless told otherwise, one bearer token that may do
//! everything. Whoever needs more runs a Kubernetes cluster.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

mod admit;
mod builtin;
mod collect;
mod discovery;
mod engine;
mod failure;
mod fields;
mod http;
mod identity;
mod jsonpath;
mod lifecycle;
mod object;
mod openapi;
mod patch;
mod path;
mod protobuf;
mod query;
mod resource;
mod selector;
mod store;
mod table;
mod view;
mod warning;

pub use identity::Error as IdentityError;

/// What to serve, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Holds everything: objects, certificates, token, kubeconfig. Made with mode 0700.
    pub data_dir: PathBuf,
    /// Key that the objects are sealed with: 32 bytes. Outside `data_dir`; made with mode 0600 where there is none yet.
    pub key_file: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The kinds to serve beside the built-in ones.
    pub crds: Vec<CustomResourceDefinition>,
}

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The objects cannot be read or written.
    #[error("the store of the API failed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Certificates, token or kubeconfig cannot be made.
    #[error("the identity of the API cannot be set up")]
    Identity(#[source] IdentityError),
    /// The address cannot be used.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The objects that are always there cannot be put in place.
    #[error("cannot put the initial objects in place: {0}")]
    Furnish(String),
    /// A task of the server ended early.
    #[error("a task of the API ended early")]
    Task(#[source] tokio::task::JoinError),
}

/// A server that listens. Dropping it ends it hard; [`Server::join`] waits for its end.
#[derive(Debug)]
pub struct Server {
    /// The address that it listens on.
    pub address: SocketAddr,
    /// The file by which clients find and trust it.
    pub kubeconfig: PathBuf,
    ending: CancellationToken,
    tasks: JoinSet<Result<(), Error>>,
}

impl Options {
    /// Opens the store, listens, and serves until `ending` is cancelled. When this returns, the
    /// kubeconfig is written and every kind is served.
    pub async fn start(self, ending: CancellationToken) -> Result<Server, Error> {
        let Self {
            data_dir,
            key_file,
            listen,
            crds,
        } = self;
        let (identity, handle, writer) = {
            let data_dir = data_dir.clone();
            blocking(move || open(&data_dir, &key_file, listen)).await??
        };
        let mut tasks = JoinSet::new();
        tasks.spawn_blocking(move || writer.run().map_err(store_error));
        let definitions = definitions(&crds);
        let registry = resource::Registry::new(crds);
        let engine = Arc::new(engine::Engine {
            registry,
            store: handle,
        });
        engine::furnish(&engine, &definitions)
            .await
            .map_err(|f| Error::Furnish(f.message))?;

        let listen_error = |source| Error::Listen {
            address: listen,
            source,
        };
        let listener = TcpListener::bind(listen).await.map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        let kubeconfig = data_dir.join("kubeconfig");
        let (tls, token_digest) = (identity.tls.clone(), identity.token_digest);
        let path = kubeconfig.clone();
        blocking(move || identity.write_kubeconfig(&path, address))
            .await?
            .map_err(Error::Identity)?;

        let service = Arc::new(http::Service {
            engine: engine.clone(),
            token_digest,
            digest: digest(&definitions),
            ending: ending.clone(),
        });
        tasks.spawn(async move {
            http::serve(listener, tls.into(), service).await;
            Ok(())
        });
        let token = ending.clone();
        tasks.spawn(async move {
            collect::run(engine, token).await;
            Ok(())
        });
        tracing::info!(%address, kubeconfig = %kubeconfig.display(), "standalone API serves");
        Ok(Server {
            address,
            kubeconfig,
            ending,
            tasks,
        })
    }
}

impl Server {
    /// Serves until the token that was given to [`Options::start`] is cancelled, then ends in
    /// order: no new requests, open ones finish, the last write is on disk. If a part fails
    /// before, the rest is ended and the error returned.
    pub async fn join(mut self) -> Result<(), Error> {
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.map_err(Error::Task).and_then(|inner| inner);
            if result.is_ok() {
                result = ended;
            }
            // One part without the others serves nobody.
            self.ending.cancel();
        }
        result
    }
}

fn open(
    data_dir: &Path,
    key_file: &Path,
    listen: SocketAddr,
) -> Result<(identity::Identity, store::Handle, store::Writer), Error> {
    store::must_be_outside(key_file, data_dir).map_err(store_error)?;
    let identity =
        identity::Identity::load(&data_dir.join("api"), listen.ip()).map_err(Error::Identity)?;
    let (handle, writer) = store::open(&data_dir.join("store"), key_file).map_err(store_error)?;
    Ok((identity, handle, writer))
}

fn store_error(error: store::DiskError) -> Error {
    Error::Store(Box::new(error))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(Error::Task)
}

/// The definitions as objects that say that they are served.
fn definitions(crds: &[CustomResourceDefinition]) -> Vec<Value> {
    let condition = |kind: &str, reason: &str| {
        json!({ "type": kind, "status": "True", "reason": reason, "message": "served",
                "lastTransitionTime": "1970-01-01T00:00:00Z" })
    };
    crds.iter()
        .map(|crd| {
            let mut object = serde_json::to_value(crd).unwrap_or_default();
            if let Some(names) = object
                .pointer_mut("/spec/names")
                .and_then(Value::as_object_mut)
            {
                let list = json!(format!("{}List", crd.spec.names.kind));
                names.entry("listKind").or_insert(list);
            }
            let names = object.pointer("/spec/names").cloned().unwrap_or_default();
            let stored: Vec<&str> = crd
                .spec
                .versions
                .iter()
                .filter(|v| v.storage)
                .map(|v| v.name.as_str())
                .collect();
            let status = json!({
                "acceptedNames": names,
                "storedVersions": stored,
                "conditions": [condition("NamesAccepted", "NoConflicts"),
                               condition("Established", "InitialNamesAccepted")],
            });
            object::root_mut(&mut object).insert("status".to_owned(), status);
            object
        })
        .collect()
}

fn digest(definitions: &[Value]) -> String {
    let mut hash = Sha256::new();
    for definition in definitions {
        hash.update(definition.to_string());
    }
    hash.update(env!("CARGO_PKG_VERSION"));
    hex::encode(hash.finalize())
}
