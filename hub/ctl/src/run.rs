//! One function a command: asks the cluster, lets the pure modules decide and render, prints.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::CommandFactory as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use serde_json::json;
use vitistack_api::agent::Agent;
use vitistack_api::host::BareMetalHost;
use vitistack_api::names::{self, hub_config};

use crate::args::{Args, ClusterArgs, Command, Output, TokenCommand};
use crate::cluster::{Cluster, in_time};
use crate::{agents, hosts, output, token, validate};

/// Does what the command line says.
pub(crate) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Args { cluster, command } = args;
    match command {
        Command::Token(command) => tokens(&cluster, command).await?,
        Command::Agents { output } => list_agents(&cluster, output).await?,
        Command::Hosts {
            all_namespaces,
            output,
        } => list_hosts(&cluster, all_namespaces, output).await?,
        Command::Validate { files, output } => {
            let mut findings = Vec::new();
            let mut documents = 0;
            for file in &files {
                let text = read(file)?;
                let checked = validate::text(&file.display().to_string(), &text);
                documents += checked.documents;
                findings.extend(checked.findings);
            }
            match output {
                Output::Json => output::json(&validate::to_json(&findings))?,
                Output::Text => output::answer(&validate::to_text(&findings))?,
            }
            if !findings.is_empty() {
                return Ok(ExitCode::FAILURE);
            }
            output::aside(&format!("{documents} objects, nothing wrong"));
        }
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "kubectl-viti", &mut script);
            output::answer(&String::from_utf8_lossy(&script))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .context("standard input cannot be read")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))
}

/// The hub's namespace, unless told otherwise.
fn hub_namespace(args: &ClusterArgs) -> &str {
    args.namespace
        .as_deref()
        .unwrap_or(names::DEFAULT_HUB_NAMESPACE)
}

async fn tokens(args: &ClusterArgs, command: TokenCommand) -> anyhow::Result<()> {
    let namespace = hub_namespace(args);
    let cluster = Cluster::connect(args).await?;
    let secrets = cluster.namespaced::<Secret>(namespace);
    match command {
        TokenCommand::Create {
            site,
            namespaces,
            ttl,
            output,
        } => {
            let maps = cluster.namespaced::<ConfigMap>(namespace);
            let map = in_time(maps.get_opt(names::HUB_CONFIG_MAP))
                .await
                .context("the hub's ConfigMap cannot be read")?;
            let ca_hash = map
                .and_then(|map| map.data?.remove(hub_config::CA_HASH))
                .with_context(|| {
                    format!(
                        "no hub has started yet in namespace {namespace}: ConfigMap {} with {} is not there",
                        names::HUB_CONFIG_MAP,
                        hub_config::CA_HASH
                    )
                })?;
            let grant = token::Grant {
                site,
                namespaces,
                expires: Timestamp::now() + ttl,
            };
            let minted = token::mint(rand::random(), rand::random(), &ca_hash, grant)?;
            in_time(secrets.create(&PostParams::default(), &minted.secret))
                .await
                .context("the token's Secret cannot be created")?;
            match output {
                Output::Text => output::answer(&format!("{}\n", minted.text))?,
                Output::Json => output::json(&minted.to_json())?,
            }
            output::aside(&format!("good once, until {}", minted.expires));
        }
        TokenCommand::List { output } => {
            let only_ours = ListParams::default().labels(token::LABEL);
            let list = in_time(secrets.list(&only_ours))
                .await
                .context("the tokens cannot be listed")?;
            let known = token::known(&list.items);
            match output {
                Output::Text => output::answer(&token::to_table(&known, Timestamp::now()))?,
                Output::Json => output::json(&token::to_json(&known))?,
            }
        }
        TokenCommand::Revoke { id } => {
            let name = token::secret_name(&id)?;
            let Some(secret) = in_time(secrets.get_opt(&name))
                .await
                .context("the token cannot be looked up")?
            else {
                bail!("there is no such token; it may have been used");
            };
            if secret.type_.as_deref() != Some(names::JOIN_TOKEN_TYPE) {
                bail!("Secret {name} is no join token");
            }
            // The UID keeps a Secret that took the name in between.
            let this_one = DeleteParams {
                preconditions: Some(Preconditions {
                    uid: secret.metadata.uid,
                    resource_version: None,
                }),
                ..DeleteParams::default()
            };
            in_time(secrets.delete(&name, &this_one))
                .await
                .context("the token's Secret cannot be deleted")?;
            output::aside("revoked");
        }
    }
    Ok(())
}

async fn list_agents(args: &ClusterArgs, output: Output) -> anyhow::Result<()> {
    let cluster = Cluster::connect(args).await?;
    let api = cluster.namespaced::<Agent>(hub_namespace(args));
    let list = in_time(api.list(&ListParams::default()))
        .await
        .context("the agents cannot be listed")?;
    match output {
        Output::Text => output::answer(&agents::to_table(&list.items, Timestamp::now())),
        Output::Json => output::json(&json!({"items": list.items})),
    }
}

async fn list_hosts(args: &ClusterArgs, all: bool, output: Output) -> anyhow::Result<()> {
    let cluster = Cluster::connect(args).await?;
    let api = if all {
        cluster.everywhere::<BareMetalHost>()
    } else {
        let own = args.namespace.as_deref();
        cluster.namespaced::<BareMetalHost>(own.unwrap_or_else(|| cluster.default_namespace()))
    };
    let list = in_time(api.list(&ListParams::default()))
        .await
        .context("the hosts cannot be listed")?;
    match output {
        Output::Text => output::answer(&hosts::to_table(&list.items, all, Timestamp::now())),
        Output::Json => output::json(&json!({"items": list.items})),
    }
}
