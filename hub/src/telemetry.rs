//! Log lines on standard error. Owns the subscriber; must not be called twice in a process.

use tracing_subscriber::EnvFilter;

use crate::args::LogFormat;

/// Installs the subscriber. `filter` is `RUST_LOG`'s syntax.
///
/// # Errors
///
/// When a subscriber is already installed or `filter` cannot be read.
pub fn install(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .try_init()
            .map_err(|error| anyhow::anyhow!(error)),
        LogFormat::Text => builder.try_init().map_err(|error| anyhow::anyhow!(error)),
    }
}
