//! [`SocketAttester`]: evidence from another process, over a Unix socket (see [`crate::codec`]).
//!
//! Connecting is bounded too: a listener that never accepts must not hold up a boot.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::codec::{Answer, MAX_ANSWER, Request};
use crate::{Activate, AttestError, Attester, Credential, DeadlineStream, FrameError, TpmKeys};
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
        match exchange(path, &Request::Kind, limit)? {
            Answer::Done { kind, .. } => Ok(Self::with_kind(path, kind, limit)),
            _ => Err(FrameError::Body { expected: "none", got: 0 }.into()),
        }
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
        self.ask(&Request::Attest(*report_data), |answer| match answer {
            Answer::Done { kind, evidence } => Some((kind, evidence)),
            _ => None,
        })
    }

    /// By the kind that the other process said; it is asked when its keys are.
    fn activation(&mut self) -> Result<Option<&mut dyn Activate>, AttestError> {
        let enrolled = matches!(self.kind, EvidenceKind::Tpm | EvidenceKind::Svsm);
        Ok(if enrolled { Some(self) } else { None })
    }
}

impl Activate for SocketAttester {
    fn keys(&mut self) -> Result<TpmKeys, AttestError> {
        self.ask(&Request::Keys, |answer| match answer {
            Answer::Keys { kind, keys } => Some((kind, keys)),
            _ => None,
        })
    }

    fn activate(&mut self, credential: &Credential) -> Result<Vec<u8>, AttestError> {
        self.ask(&Request::Activate(credential.clone()), |answer| match answer {
            Answer::Secret { kind, secret } => Some((kind, secret)),
            _ => None,
        })
    }
}

impl SocketAttester {
    /// One exchange, whose answer is of the kind that was promised.
    fn ask<T>(
        &self,
        request: &Request,
        part: impl FnOnce(Answer) -> Option<(EvidenceKind, T)>,
    ) -> Result<T, AttestError> {
        let answer = exchange(&self.path, request, self.limit)?;
        let (got, part) = part(answer).ok_or(FrameError::Body { expected: "what was asked for", got: 0 })?;
        if got != self.kind {
            return Err(AttestError::KindChanged { expected: self.kind, got });
        }
        Ok(part)
    }
}

/// One exchange on a connection of its own; never [`Answer::Failed`].
fn exchange(path: &Path, request: &Request, limit: Duration) -> Result<Answer, AttestError> {
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
        Answer::Failed { failure, message } => Err(AttestError::Refused { failure, message }),
        answer => Ok(answer),
    }
}

fn converse(mut stream: DeadlineStream, request: &Request) -> io::Result<Vec<u8>> {
    stream.write_all(&request.encode())?;
    stream.finish_writing()?;
    stream.read_at_most(MAX_ANSWER)
}
