//! [`SocketAttester`]: evidence from another process, over a Unix socket (see [`crate::codec`]).
//!
//! Connecting is bounded too: a listener that never accepts must not hold up a boot.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::codec::{Answer, MAX_ANSWER, Request};
use crate::{AttestError, Attester, DeadlineStream};
use claims::{EvidenceKind, ReportData};

/// Asks an attester that listens on a Unix socket.
#[derive(Clone, Debug)]
pub struct SocketAttester {
    path: PathBuf,
    kind: EvidenceKind,
    limit: Duration,
}

impl SocketAttester {
    /// Asks the attester at `path` for its kind of evidence. `limit` bounds each exchange as a whole.
    ///
    /// # Errors
    /// [`AttestError`], all but [`AttestError::KindChanged`] and [`AttestError::Device`].
    pub fn connect(path: &Path, limit: Duration) -> Result<Self, AttestError> {
        let (kind, _) = exchange(path, &Request::Kind, limit)?;
        Ok(Self::with_kind(path, kind, limit))
    }

    /// Takes the caller's word for the kind, and asks nobody yet.
    pub fn with_kind(path: &Path, kind: EvidenceKind, limit: Duration) -> Self {
        Self { path: path.to_owned(), kind, limit }
    }
}

impl Attester for SocketAttester {
    fn kind(&self) -> EvidenceKind {
        self.kind
    }

    fn attest(&mut self, report_data: &ReportData) -> Result<Vec<u8>, AttestError> {
        let (got, evidence) = exchange(&self.path, &Request::Attest(*report_data), self.limit)?;
        if got != self.kind {
            return Err(AttestError::KindChanged { expected: self.kind, got });
        }
        Ok(evidence)
    }
}

/// One exchange on a connection of its own.
fn exchange(path: &Path, request: &Request, limit: Duration) -> Result<(EvidenceKind, Vec<u8>), AttestError> {
    let timed_out = || AttestError::TimedOut { path: path.to_owned(), limit };
    let stream = DeadlineStream::connect(path, limit).map_err(|source| match source.kind() {
        io::ErrorKind::TimedOut => timed_out(),
        _ => AttestError::Unreachable { path: path.to_owned(), source },
    })?;
    let bytes = converse(stream, request).map_err(|source| match source.kind() {
        io::ErrorKind::TimedOut => timed_out(),
        _ => AttestError::Broken { path: path.to_owned(), source },
    })?;
    match Answer::decode(request, &bytes)? {
        Answer::Done { kind, evidence } => Ok((kind, evidence)),
        Answer::Failed { failure, message } => Err(AttestError::Refused { failure, message }),
    }
}

fn converse(mut stream: DeadlineStream, request: &Request) -> io::Result<Vec<u8>> {
    stream.write_all(&request.encode())?;
    stream.finish_writing()?;
    stream.read_at_most(MAX_ANSWER)
}
