//! `kubectl viti`: join tokens, agents, hosts, and offline validation. Runs bare as `kubectl-viti` too.
//!
//! Owns the terminal: only here and in [`run`] is anything printed. What goes to standard output is the answer and
//! nothing else, so that it can be piped; everything said beside it goes to standard error.

mod agents;
mod args;
mod cluster;
mod hosts;
mod output;
mod run;
mod table;
mod token;
mod validate;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            output::aside(&format!("error: no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run::run(args)) {
        Ok(code) => code,
        Err(error) => {
            output::aside(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
