//! `keyfast-agent`: parses the command line, hardens the process, runs one command, returns its exit code.

use std::io::IsTerminal;
use std::process::ExitCode;

use agent::command::{Cli, LogFormat, run};
use clap::Parser;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.log_format);
    let hardening = secret::harden_process();
    tracing::debug!(%hardening, "process hardened");
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("keyfast-agent: {failure}");
            failure.exit_code()
        }
    }
}

/// Log lines go to standard error; `KEYFAST_LOG` filters them. If it is unset: warnings, and which attester was picked.
fn log_to_stderr(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("KEYFAST_LOG").unwrap_or_else(|_| EnvFilter::new("warn,attester=info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
}
