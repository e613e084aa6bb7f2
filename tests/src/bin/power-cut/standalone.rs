//! The standalone hub's store, through its own API: an answer is the acknowledgement.
//!
//! Rows by letter: `c` a ConfigMap, `u` a Secret with user data.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use vitistack_standalone::{Options, Server};

use crate::load::{self, Scenario, Turn, USER_DATA, WRITERS};
use crate::part::{self, Line, say};

const NAMESPACE: &str = "default";
/// Text beside the value: about what a Machine takes.
const FILLING: usize = 1500;

async fn start(place: &Path) -> anyhow::Result<(Server, Client)> {
    let server = Options {
        data_dir: part::data(place),
        key_file: part::key_file(place),
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        crds: Vec::new(),
    }
    .start(CancellationToken::new())
    .await
    .context("start the API")?;
    let file = Kubeconfig::read_from(&server.kubeconfig).context("the kubeconfig")?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
        .await
        .context("the kubeconfig")?;
    let client = Client::try_from(config).context("a client")?;
    Ok((server, client))
}

/// Writes until it is killed.
pub(crate) async fn write(place: &Path, scenario: Scenario) -> anyhow::Result<()> {
    let (server, client) = start(place).await?;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { server.join().await.context("the API") });
    say(Line::Open);
    for writer in 0..WRITERS {
        let client = client.clone();
        tasks.spawn(async move {
            for turn in 0.. {
                put(&client, scenario.turn(writer, turn)).await?;
            }
            Ok(())
        });
    }
    tasks.join_next().await.context("a task")??
}

async fn put(client: &Client, turn: Turn) -> anyhow::Result<()> {
    let Turn {
        row,
        value,
        user_data,
    } = turn;
    if user_data {
        let secret = Secret {
            metadata: named(row),
            data: Some(BTreeMap::from([(
                "userData".to_owned(),
                ByteString(load::user_data(row, value, USER_DATA)),
            )])),
            ..Secret::default()
        };
        write_one(client, row, value, &secret).await?;
        say(Line::Row(('u', row), value));
    } else {
        let map = ConfigMap {
            metadata: named(row),
            data: Some(BTreeMap::from([
                ("value".to_owned(), value.to_string()),
                ("filling".to_owned(), "x".repeat(FILLING)),
            ])),
            ..ConfigMap::default()
        };
        write_one(client, row, value, &map).await?;
        say(Line::Row(('c', row), value));
    }
    Ok(())
}

/// The first value makes the object, the others patch it.
async fn write_one<K>(client: &Client, row: u64, value: u64, object: &K) -> anyhow::Result<()>
where
    K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(client.clone(), NAMESPACE);
    if value == 1 {
        api.create(&PostParams::default(), object).await?;
    } else {
        let patch = Patch::Merge(object);
        api.patch(&format!("row-{row}"), &PatchParams::default(), &patch)
            .await?;
    }
    Ok(())
}

fn named(row: u64) -> kube::api::ObjectMeta {
    kube::api::ObjectMeta {
        name: Some(format!("row-{row}")),
        ..Default::default()
    }
}

/// Says what is there.
pub(crate) async fn read(place: &Path) -> anyhow::Result<()> {
    let (server, client) = start(place).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    for map in maps.list(&ListParams::default()).await? {
        let row = map.metadata.name.as_deref().and_then(row_of);
        let value = map.data.as_ref().and_then(|data| data.get("value"));
        if let (Some(row), Some(value)) = (row, value) {
            say(Line::Row(('c', row), value.parse().context("a value")?));
        }
    }
    let secrets: Api<Secret> = Api::namespaced(client, NAMESPACE);
    for secret in secrets.list(&ListParams::default()).await? {
        let data = secret.data.as_ref().and_then(|data| data.get("userData"));
        if let Some((row, value)) = data.and_then(|bytes| load::read_user_data(&bytes.0)) {
            say(Line::Row(('u', row), value));
        }
    }
    drop(server);
    Ok(())
}

fn row_of(name: &str) -> Option<u64> {
    name.strip_prefix("row-")?.parse().ok()
}
