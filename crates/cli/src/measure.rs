//! `keyfast measure`: reference values from files, before anything is launched. No broker, no network, no secret.
//!
//! The calculation is `verify::measure`; here files are opened, within bounds, and results printed for people or, with
//! `--json`, for programs, under the same names. What this prints is what a machine *should* measure: it becomes a
//! rule only when somebody writes it into the reference values.

mod files;
mod snp;
mod table;

use std::io;
use std::path::PathBuf;

use clap::Subcommand;
use verify::measure::OvmfError;
use verify::measure::snp::LaunchError;


/// Subcommands of `keyfast measure`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The launch measurement of an SEV-SNP guest
    #[command(long_about = snp::ABOUT)]
    Snp(snp::SnpArgs),
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureFailure {
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", .path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is larger than anything that belongs there.
    #[error("`{}` is too large: expected at most {limit} bytes", .path.display())]
    TooLarge {
        /// Which one.
        path: PathBuf,
        /// Most bytes allowed.
        limit: u64,
    },
    /// The firmware cannot start an SEV-SNP guest.
    #[error("`{}`: {source}", .path.display())]
    Firmware {
        /// The file.
        path: PathBuf,
        /// Why.
        source: OvmfError,
    },
    /// The guest would not start so.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl MeasureFailure {
    /// The process's exit code: 4 for a file that is the problem, 2 for arguments.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Launch(_) | Self::Output(_) => 2,
            _ => 4,
        }
    }
}

/// Runs one subcommand, with its result on standard output.
///
/// # Errors
/// [`MeasureFailure`]; nothing is printed then.
pub fn run(command: &Command) -> Result<(), MeasureFailure> {
    let (table, json) = match command {
        Command::Snp(args) => (snp::measure(args)?, args.json),
    };
    Ok(table.print(json, &mut io::stdout().lock())?)
}
