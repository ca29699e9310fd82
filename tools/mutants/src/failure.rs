//! Why nothing came of a run.

use std::io;
use std::path::{Path, PathBuf};

/// Why nothing came of a run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("cannot use {path}: {source}", path = path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot start {program}: {source}")]
    Start { program: String, source: io::Error },
    #[error("`{command}` failed:\n{said}")]
    Command { command: String, said: String },
    #[error("cannot read what {from} says: {message}")]
    Said { from: String, message: String },
    #[error("{path} cannot be rewritten: {message}")]
    Source { path: String, message: String },
    #[error("no change can be blamed for what the compiler says:\n{said}")]
    Blameless { said: String },
    #[error("`{test}` fails without any change")]
    Fails { test: String },
}

impl Failure {
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }

    pub(crate) fn start(program: &str) -> impl FnOnce(io::Error) -> Self {
        let program = program.to_owned();
        move |source| Self::Start { program, source }
    }

    pub(crate) fn said(from: &str, message: impl core::fmt::Display) -> Self {
        Self::Said { from: from.to_owned(), message: message.to_string() }
    }
}
