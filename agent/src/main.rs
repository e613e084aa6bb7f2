//! `vitistack-agent`: the command line.

mod check;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand, ValueEnum};
use tokio_util::sync::CancellationToken;
use vitistack_agent::{config, run};

#[derive(Parser)]
#[command(
    name = "vitistack-agent",
    version,
    about = "Carries out at a site what a VitiStack hub wants, and goes on when the line to the hub is down."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the agent. It joins the hub by itself while it has no certificate yet.
    Run {
        /// The agent's configuration.
        #[arg(long, value_name = "FILE", default_value = "/etc/vitistack/agent.toml")]
        config: PathBuf,
        /// Write {"netboot": "address:port" or null} here once everything listens.
        #[arg(long, value_name = "FILE")]
        ready_file: Option<PathBuf>,
        /// How log lines look.
        #[arg(long, value_enum, default_value_t = LogFormat::Json)]
        log_format: LogFormat,
    },
    /// Say whether a configuration is valid, and change nothing.
    CheckConfig {
        /// The agent's configuration.
        #[arg(long, value_name = "FILE", default_value = "/etc/vitistack/agent.toml")]
        config: PathBuf,
    },
    /// Say whether an image can be fetched from here, with the trust that the agent has. Nothing is kept of it.
    CheckImage(check::ImageArguments),
    /// Say whether a BMC can be reached from here, whether its certificate and the account are good, and what it says of
    /// its system. Nothing is changed there.
    CheckBmc(check::BmcArguments),
    /// Print a completion script.
    Completion {
        /// For which shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Json,
    Text,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Run {
            config,
            ready_file,
            log_format,
        } => start(&config, ready_file, log_format).map(|()| ExitCode::SUCCESS),
        Command::CheckConfig { config } => check::config(&config).map(|()| ExitCode::SUCCESS),
        Command::CheckImage(arguments) => check::image(&arguments),
        Command::CheckBmc(arguments) => check::bmc(&arguments),
        Command::Completion { shell } => {
            let mut command = Arguments::command();
            clap_complete::generate(
                shell,
                &mut command,
                "vitistack-agent",
                &mut std::io::stdout(),
            );
            Ok(ExitCode::SUCCESS)
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("vitistack-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(
    path: &std::path::Path,
    ready_file: Option<PathBuf>,
    log_format: LogFormat,
) -> anyhow::Result<()> {
    let config = config::load(path)?;
    log(log_format)?;
    // Two threads: the work is waiting, and every further thread costs memory on an edge box.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(16)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let cancel = CancellationToken::new();
        let signals = cancel.clone();
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        let mut work = tokio::task::JoinSet::new();
        work.spawn(run::run(config, ready_file, cancel));
        loop {
            tokio::select! {
                // All cancel-safe: signals and `join_next` lose nothing when dropped.
                _ = terminate.recv() => signals.cancel(),
                pressed = tokio::signal::ctrl_c() => {
                    pressed?;
                    signals.cancel();
                }
                Some(ended) = work.join_next() => return ended?,
            }
        }
    })
}

fn log(format: LogFormat) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(config::log_filter())?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder.json().flatten_event(true).init(),
        LogFormat::Text => builder.init(),
    }
    Ok(())
}
