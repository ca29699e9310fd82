//! What `keyfast-agent` can be asked to do.

mod decrypt;
mod enrol;
mod evidence;
mod keys;
mod preflight;
mod verdicts;

use std::path::PathBuf;

use attester::Choice;
use clap::{Parser, Subcommand, ValueEnum};

use crate::config::Config;
use crate::failure::{EXIT_CODES, Failure};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "keyfast-agent",
    version,
    about = "Attest this guest to a key broker, get keys, and use them here and nowhere else",
    long_about = "Attest this guest to a key broker, get keys, and use them here and nowhere else.\n\n\
        The broker is the one that the configuration pins. Every release must be in its public log, or the key is \
        refused. No key or plaintext is written anywhere but where you say.",
    after_help = EXIT_CODES,
    max_term_width = 100
)]
pub struct Cli {
    /// Configuration file
    #[arg(long, global = true, env = "KEYFAST_AGENT_CONFIG", default_value = Config::PATH)]
    config: PathBuf,
    /// Ask this attester, whatever the configuration says: auto, configfs-tsm, sev-guest, tpm, azure, svsm or socket
    #[arg(long, global = true, value_name = "NAME")]
    attester: Option<Choice>,
    /// How log lines look
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    Decrypt(decrypt::Decrypt),
    Secret(keys::Secret),
    Renew(keys::Renew),
    Preflight(preflight::Preflight),
    Evidence(evidence::Evidence),
    Enrol(enrol::Enrol),
}

/// Runs one command.
///
/// # Errors
/// [`Failure`], whose exit code the caller returns.
pub fn run(cli: &Cli) -> Result<(), Failure> {
    let config = || -> Result<Config, Failure> {
        let mut config = Config::read(&cli.config)?;
        config.attester = cli.attester.unwrap_or(config.attester);
        Ok(config)
    };
    match &cli.command {
        Command::Decrypt(args) => decrypt::run(&config()?, args),
        Command::Secret(args) => keys::secret(&config()?, args),
        Command::Renew(args) => keys::renew(&config()?, args),
        Command::Preflight(args) => preflight::run(&config()?, args),
        Command::Evidence(args) => {
            let (choice, places) = Config::read_attester(&cli.config)?;
            evidence::run(cli.attester.unwrap_or(choice), &places, args)
        }
        Command::Enrol(args) => enrol::run(&config()?, args),
    }
}
