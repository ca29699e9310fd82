//! `keyfast measure`: reference values from files, before anything is launched. No broker, no network, no secret.
//!
//! The calculation is the crate `measure`; here files are opened, within bounds, and results printed for people or, with
//! `--json`, for programs, under the same names. What this prints is what a machine *should* measure: it becomes a
//! rule only when somebody writes it into the reference values.

mod files;
mod id_block;
mod snp;
mod table;
mod uki;

use std::io;
use std::path::PathBuf;

use clap::Subcommand;
use measure::id_block::IdBlockError;
use measure::snp::LaunchError;
use measure::uki::UkiError;
use measure::{OvmfError, PublicKeyError};

use crate::file::FileError;

/// Subcommands of `keyfast measure`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The launch measurement of an SEV-SNP guest
    #[command(long_about = snp::ABOUT)]
    Snp(snp::SnpArgs),
    /// An ID block and the digests of its keys
    #[command(long_about = id_block::ABOUT)]
    IdBlock(id_block::IdBlockArgs),
    /// PCR 4, 9 and 11 of a machine that boots a unified kernel image
    #[command(long_about = uki::ABOUT)]
    Uki(uki::UkiArgs),
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureFailure {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The firmware cannot start an SEV-SNP guest.
    #[error("`{}`: {source}", .path.display())]
    Firmware {
        /// The file.
        path: PathBuf,
        /// Why.
        source: OvmfError,
    },
    /// No ID block, or one that firmware would refuse.
    #[error("`{}`: {source}", .path.display())]
    IdBlock {
        /// The file.
        path: PathBuf,
        /// Why.
        source: IdBlockError,
    },
    /// No public key that firmware knows.
    #[error("`{}`: {source}", .path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PublicKeyError,
    },
    /// No unified kernel image, or one that is not understood.
    #[error("`{}`: {source}", .path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        source: UkiError,
    },
    /// The guest would not start so.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl MeasureFailure {
    /// The process's exit code: 1 for a signature that does not verify, 2 for arguments, 4 for a file that is the
    /// problem.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::IdBlock { source: IdBlockError::Signature { .. }, .. } => 1,
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
        Command::IdBlock(args) => (id_block::measure(args)?, args.json),
        Command::Uki(args) => (uki::measure(args)?, args.json),
    };
    Ok(table.print(json, &mut crate::output::stdout())?)
}
