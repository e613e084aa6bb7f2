//! The program `vitistack-hub`.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use vitistack_api::names;
use vitistack_hub::args::{
    Arguments, CrdArguments, CrdVerb, OutputFormat, ResumeArguments, ServiceArguments, Verb,
};
use vitistack_hub::config::{self, Config};
use vitistack_hub::definitions::apply::Mode;
use vitistack_hub::{definitions, resume, run, telemetry};

fn main() -> anyhow::Result<()> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    let Arguments { verb } = Arguments::parse();
    match verb {
        Verb::Run(arguments) => {
            log(&arguments.service)?;
            block_on(serve(Config::of_run(arguments)))
        }
        Verb::Standalone(arguments) => {
            log(&arguments.service)?;
            block_on(serve(Config::of_standalone(arguments)))
        }
        Verb::Crd(arguments) => crd(arguments),
        Verb::Resume(arguments) => block_on(resume(arguments)),
        Verb::Reasons => print(&definitions::reasons()),
    }
}

fn crd(arguments: CrdArguments) -> anyhow::Result<()> {
    let CrdArguments { verb, out_dir } = arguments;
    match (verb, out_dir) {
        (
            Some(CrdVerb::Apply {
                kubeconfig,
                dry_run,
            }),
            _,
        ) => block_on(async {
            let client = run::client(kubeconfig.as_deref()).await?;
            let mode = if dry_run { Mode::DryRun } else { Mode::Write };
            definitions::apply::apply(client, mode, print).await
        }),
        (None, Some(directory)) => definitions::write_into(&directory),
        (None, None) => print(&definitions::yaml()),
    }
}

fn log(service: &ServiceArguments) -> anyhow::Result<()> {
    telemetry::install(service.log_format, &config::log_filter())
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("start the runtime")?
        .block_on(work)
}

/// Runs a hub until SIGTERM or SIGINT.
async fn serve(config: Config) -> anyhow::Result<()> {
    let cancel = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listen for SIGINT")?;
    let hub = run::run(config, cancel.clone());
    tokio::pin!(hub);
    tokio::select! {
        // The signals are cancel-safe; the hub is polled on below.
        ended = &mut hub => return ended,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    cancel.cancel();
    hub.await
}

/// Writes the choice and says what became of it.
async fn resume(arguments: ResumeArguments) -> anyhow::Result<()> {
    let choice = if arguments.side.accept_hub {
        names::resume::ACCEPT_HUB
    } else {
        names::resume::ACCEPT_AGENTS
    };
    let client = run::client(arguments.kubeconfig.as_deref()).await?;
    let bound = Duration::from_secs(arguments.timeout);
    let outcomes = resume::resume(
        client,
        &arguments.namespace,
        choice,
        &arguments.agents,
        bound,
    )
    .await?;
    print(&match arguments.output {
        OutputFormat::Json => {
            serde_json::to_string_pretty(&outcomes).context("encode the answer")? + "\n"
        }
        OutputFormat::Text => resume::text(&outcomes),
    })?;
    let late = outcomes.iter().filter(|outcome| !outcome.resumed).count();
    anyhow::ensure!(
        late == 0 || arguments.timeout == 0,
        "{late} of {} agents did not get on within {} s; the choice is kept and acted on as soon as they can",
        outcomes.len(),
        arguments.timeout
    );
    Ok(())
}

/// To standard output; a reader that went away is no error.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("write to standard output"),
    }
}
