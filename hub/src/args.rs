//! What can be typed behind `vitistack-hub`.
//!
//! Owns names, defaults and help texts. Must not resolve anything: `config` turns this into settings.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The VitiStack hub: watches the VitiStack resources and sends intents to the agents at the sites.
#[derive(Debug, Parser)]
#[command(name = "vitistack-hub", version)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run against a Kubernetes cluster.
    Run(RunArguments),
    /// Run without a cluster: serve the Kubernetes API for VitiStack's own kinds from a directory.
    Standalone(StandaloneArguments),
    /// Print the custom resource definitions, or apply them.
    Crd(CrdArguments),
    /// After the hub's data was restored from a backup: say whose state counts where agents are ahead.
    Resume(ResumeArguments),
    /// Print every condition reason and what to do about it, as markdown.
    Reasons,
}

/// Flags of `crd`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct CrdArguments {
    /// What to do with them; printing, if nothing is said.
    #[command(subcommand)]
    pub verb: Option<CrdVerb>,
    /// Write one file a kind into this directory instead of printing them.
    #[arg(long, value_name = "DIR")]
    pub out_dir: Option<PathBuf>,
}

/// What to do with the definitions.
#[derive(Debug, Subcommand)]
pub enum CrdVerb {
    /// Apply them to a cluster, and wait until they are served. Definitions that cannot be changed to these (of another
    /// scope, or with versions that this program does not know) are named, and then nothing is written.
    Apply {
        /// How to reach the API; without it the in-cluster account, else the usual kubeconfig.
        #[arg(long, value_name = "FILE")]
        kubeconfig: Option<PathBuf>,
        /// Ask the API what would happen, and write nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    /// How to reach the API; without it the in-cluster account, else the usual kubeconfig.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// What both ways of running share.
    #[command(flatten)]
    pub service: ServiceArguments,
}

/// Flags of `standalone`.
#[derive(Debug, Args)]
pub struct StandaloneArguments {
    /// Where everything is kept; `kubeconfig` is written there.
    #[arg(long, value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Key that everything in the data directory is sealed with, 32 bytes; it must lie outside. Without this flag the
    /// systemd credential `seal.key` where there is one, else the data directory's own name with `.key` behind it. A key
    /// that is missing is made when the data directory is new.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Where the Kubernetes API listens.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:6443")]
    pub api: SocketAddr,
    /// What both ways of running share.
    #[command(flatten)]
    pub service: ServiceArguments,
}

/// Flags of `resume`.
#[derive(Debug, Args)]
pub struct ResumeArguments {
    /// Agents to resume; without any, all that are paused.
    #[arg(value_name = "AGENT")]
    pub agents: Vec<String>,
    /// The choice.
    #[command(flatten)]
    pub side: Side,
    /// How to reach the API; without it the in-cluster account, else the usual kubeconfig.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The hub's own namespace.
    #[arg(long, value_name = "NAME", default_value = "vitistack-system")]
    pub namespace: String,
    /// How long to wait until hub and agents agree; 0 does not wait.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub timeout: u64,
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t = OutputFormat::Text)]
    pub output: OutputFormat,
}

/// Whose state counts. Exactly one is required.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Side {
    /// What the agents hold stands, until an object is changed. What they hold of objects that this hub does not know
    /// is left alone either way.
    #[arg(long)]
    pub accept_agents: bool,
    /// What the hub wants is carried out, as if it had been changed now: an object that was deleted since the backup is
    /// made again.
    #[arg(long)]
    pub accept_hub: bool,
}

/// How an answer looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people.
    Text,
    /// One JSON array.
    Json,
}

/// Flags that both ways of running share.
#[derive(Clone, Debug, Args)]
pub struct ServiceArguments {
    /// The hub's own namespace: authority, join tokens, Agents, the Lease.
    #[arg(long, value_name = "NAME", default_value = "vitistack-system")]
    pub namespace: String,
    /// Where agents dial in (QUIC, so UDP).
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:7443")]
    pub listen: SocketAddr,
    /// What agents are told to dial, host:port; the listening address if it is not a wildcard.
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise: Option<String>,
    /// Where /healthz, /readyz and /metrics are.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub http: SocketAddr,
    /// Write a JSON object with all addresses to this file once everything listens.
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = LogFormat::Json)]
    pub log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}
