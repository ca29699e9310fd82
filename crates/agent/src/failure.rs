//! Why the agent gave up, and the exit code that says so.

use std::path::PathBuf;
use std::process::ExitCode;

use attester::AttestError;
use claims::{KeyId, RequestId};
use measure::SignatureListError;
use measure::uki::UkiError;
use wire::{Problem, Remedy};

use crate::config::ConfigError;
use crate::foresee::ForeseeError;
use crate::session::SessionError;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The configuration cannot be used. Exit code 3.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file of the agent's own state cannot be used. Exit code 3.
    #[error("cannot use the agent's state: {0}")]
    State(std::io::Error),
    /// The platform gave no evidence. Exit code 4.
    #[error("no evidence: {0}")]
    Attest(#[from] AttestError),
    /// No broker answered in time. Exit code 5.
    #[error("no broker answered within {wait_s} seconds; the last error: {last}")]
    Unreachable {
        /// How long was tried, in seconds.
        wait_s: u64,
        /// What happened the last time.
        last: String,
    },
    /// The broker refused the request as a whole. Exit code 6.
    #[error(
        "the broker refused: {}; the reason is the operator's to read: keyfast audit explain {}",
        problem.code.as_str(),
        id(problem)
    )]
    Refused {
        /// What it said.
        problem: Problem,
    },
    /// The broker denied a key. Exit code 6.
    #[error(
        "denied: {code} for `{key}`; the reason is the operator's to read: keyfast audit explain {request}"
    )]
    Denied {
        /// The key.
        key: KeyId,
        /// The coarse code.
        code: String,
        /// What to quote.
        request: RequestId,
    },
    /// The broker says that it would deny a key. Exit code 6.
    #[error(
        "would be denied: {denied} of {asked}; an operator reads the whole reason: keyfast audit explain {request}"
    )]
    WouldDeny {
        /// How many.
        denied: usize,
        /// Of how many.
        asked: usize,
        /// What to quote.
        request: RequestId,
    },
    /// The broker answers no preflights. Exit code 6.
    #[error(
        "the broker answers no preflights: it is older than this agent, or its operator has set `preflight = \"off\"`"
    )]
    NoPreflight,
    /// The next boot cannot be foreseen. Exit code 4.
    #[error("cannot foresee the next boot: {0}")]
    Foresee(#[from] ForeseeError),
    /// The image is none that can be measured. Exit code 8.
    #[error("`{}`: {source}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: UkiError,
    },
    /// The file is no contents of a dbx. Exit code 8.
    #[error("`{}`: {source}", path.display())]
    Dbx {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: SignatureListError,
    },
    /// The broker, or somebody in its place, misbehaved. Exit code 7.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The data could not be decrypted or written. Exit code 8.
    #[error("`{}`: {source}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: envelope::Error,
    },
    /// A file could not be opened or written. Exit code 8.
    #[error("cannot use `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What was asked for makes no sense. Exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The agent itself failed. Exit code 1.
    #[error("{0}")]
    Internal(String),
}

fn id(problem: &Problem) -> String {
    problem.request_id.map_or_else(|| "(no id)".to_owned(), |id| id.to_string())
}

impl Failure {
    /// The exit code, as `--help` lists it.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Internal(_) => 1,
            Self::Usage(_) => 2,
            Self::Config(_) | Self::State(_) => 3,
            Self::Attest(_) | Self::Foresee(_) => 4,
            Self::Unreachable { .. } => 5,
            Self::Refused { .. } | Self::Denied { .. } | Self::WouldDeny { .. } | Self::NoPreflight => 6,
            Self::Session(error) if error.blames_broker() => 7,
            Self::Session(_) => 1,
            Self::Data { .. } | Self::File { .. } | Self::Image { .. } | Self::Dbx { .. } => 8,
        })
    }

    /// Whether another try, with a new challenge, may go better.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Refused { problem } => problem.code.remedy(),
            _ => Remedy::Fix,
        }
    }
}

/// What `--help` says of exit codes.
pub const EXIT_CODES: &str = "Exit codes:
  0  done
  1  the agent itself failed
  2  wrong arguments
  3  configuration or state cannot be used
  4  the platform gave no evidence, or none that tells what the next boot will be
  5  no broker answered in time
  6  the broker refused or denied, or would; an operator reads why with `keyfast audit explain`
  7  the broker is not the pinned one, or left the release out of its log
  8  a file cannot be read, written, or decrypted";
