//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::SignedDuration;

/// Join tokens, agents, hosts, and offline validation for VitiStack.
#[derive(Debug, Parser)]
#[command(name = "kubectl-viti", bin_name = "kubectl viti", version)]
pub(crate) struct Args {
    /// Where the cluster is.
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the cluster is, as kubectl is told.
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterArgs {
    /// File to read instead of $KUBECONFIG or ~/.kube/config.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Context of that file.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Namespace; the hub's for tokens and agents, the context's for hosts, unless told.
    #[arg(short, long, global = true, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tokens that agents join with.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Lists the agents.
    Agents {
        /// How.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Lists the bare-metal hosts.
    Hosts {
        /// In every namespace.
        #[arg(short = 'A', long)]
        all_namespaces: bool,
        /// How.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Checks manifests without a cluster. Ends with 1 if anything is wrong.
    Validate {
        /// A manifest, or - for standard input.
        #[arg(short, long = "filename", required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// How.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Prints a completion script.
    Completion {
        /// For which shell.
        shell: Shell,
    },
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Creates a token, good once, and prints it.
    Create {
        /// Site that the agent joins: a DNS label.
        #[arg(long, value_parser = label)]
        site: String,
        /// Namespaces whose objects the agent may see.
        #[arg(long, required = true, value_delimiter = ',', value_parser = label)]
        namespaces: Vec<String>,
        /// How long it is good: 30m, 1h, 7d.
        #[arg(long, default_value = "1h", value_parser = time_to_live)]
        ttl: SignedDuration,
        /// How.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Lists the tokens that are kept: those not used, and those whose agent has had no session yet.
    List {
        /// How.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
    },
    /// Makes a token useless.
    Revoke {
        /// Its id, or the token itself.
        id: String,
    },
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

fn label(text: &str) -> Result<String, String> {
    if vitistack_api::validate::is_label(text) {
        Ok(text.to_owned())
    } else {
        Err("must be a DNS label: lower-case letters, digits and -, at most 63 of them".to_owned())
    }
}

/// A month is as long as anybody takes to carry a token to a site.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 31);

fn time_to_live(text: &str) -> Result<SignedDuration, String> {
    let wrong = |_| "must be a time such as 30m, 1h or 7d".to_owned();
    let span: jiff::Span = text.parse().map_err(wrong)?;
    let duration = span
        .to_duration(jiff::SpanRelativeTo::days_are_24_hours())
        .map_err(wrong)?;
    if duration <= SignedDuration::ZERO || duration > LONGEST {
        return Err("must be more than nothing and at most 31d".to_owned());
    }
    Ok(duration)
}
