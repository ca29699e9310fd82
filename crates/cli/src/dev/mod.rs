//! `keyfast dev`: a broker and a simulated TEE host on this machine, to try things out.
//!
//! Starts the very binaries that production runs, in processes of their own. What is simulated is the TEE: its
//! root is trusted by this broker alone, its policy says that it is for development, and keys made for it never
//! go to genuine guests.

mod guest;
mod layout;
mod process;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use claims::snp::Product;
use clap::Subcommand;

use crate::output::say;
use crate::policy::FolderError;

pub use guest::GuestArgs;
pub use layout::Layout;

/// Subcommands of `keyfast dev`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start a broker and a simulated TEE host in the background
    #[command(
        long_about = "Start a broker (SQLite, TLS 1.3) and a simulated TEE host in the background.\n\n\
        The broker's identity key, journal key, CA and root key are made on first start. Its policy is for \
        development: it permits simulated guests only, and only keys that `keyfast keys create --simulation` made."
    )]
    Up,
    /// Run a command as a simulated guest would
    #[command(long_about = "Run a command as a simulated guest would.\n\n\
        The command finds keyfast-agent in its PATH and its configuration in KEYFAST_AGENT_CONFIG; the agent gets \
        its evidence from keyfast-simtee, through the same socket attester that any external attester would use.\n\n\
        Example: keyfast dev guest web -- keyfast-agent decrypt data.kf --output data\n\n\
        A guest of kind tpm, azure-vtpm or svsm has a vTPM, whose endorsement key is certified under the simulated \
        host's ek-root.pem. Its boot can be altered: `--kind svsm --secure-boot off`.")]
    Guest(Box<GuestArgs>),
    /// Say what runs and where
    Status,
    /// Print the broker's identity, for `keyfast encrypt --broker`
    Identity,
    /// Print the URL that guests reach the broker at
    Url,
    /// Stop both; keys and journal stay
    Down {
        /// Delete keys, journal and everything else as well
        #[arg(long)]
        purge: bool,
    },
}

/// Why a development set-up did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevError {
    /// A file or directory could not be used.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A binary that belongs to this one is missing.
    #[error("`{}` is missing; build the whole workspace with `cargo build --release`", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// A process ended or did not answer in time.
    #[error("{name} did not start: {reason}; see `{}`", log.display())]
    Start {
        /// Which.
        name: &'static str,
        /// What happened.
        reason: String,
        /// What it wrote.
        log: PathBuf,
    },
    /// Nothing runs.
    #[error("the development set-up is not running; start it with `keyfast dev up`")]
    Down,
    /// The simulated TEE host refused.
    #[error("keyfast-simtee: {0}")]
    Simtee(String),
    /// The case cannot be used.
    #[error(transparent)]
    Case(#[from] FolderError),
    /// The case's guest runs on another product than the host plays.
    #[error("the guest of `{}` runs on {wanted}, and this simulated host is {host}", path.display())]
    Product {
        /// The case.
        path: PathBuf,
        /// Its product.
        wanted: Product,
        /// The host's.
        host: String,
    },
    /// A process does not end.
    #[error("process {pid} ({name}) does not end; look at `{}`", log.display())]
    Stuck {
        /// Which.
        name: &'static str,
        /// Its id.
        pid: i32,
        /// What it wrote.
        log: PathBuf,
    },
}

pub(crate) fn io_error(
    action: &'static str,
    path: &std::path::Path,
) -> impl FnOnce(std::io::Error) -> DevError {
    let path = path.to_owned();
    move |source| DevError::Io { action, path, source }
}

/// Runs one subcommand.
///
/// # Errors
/// [`DevError`].
pub fn run(command: &Command) -> Result<ExitCode, DevError> {
    let layout = Layout::from_environment();
    match command {
        Command::Up => up::up(&layout)?,
        Command::Guest(args) => return guest::run(&layout, args),
        Command::Status => up::status(&layout)?,
        Command::Identity => say!("{}", layout.identity()?),
        Command::Url => say!("{}", up::broker_url(&layout)?),
        Command::Down { purge } => up::down(&layout, *purge)?,
    }
    Ok(ExitCode::SUCCESS)
}
