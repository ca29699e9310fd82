//! The attester's end of the socket (see [`crate::codec`]): one call serves one accepted connection.
//!
//! Accepting, and how many connections are served at once, is the caller's business.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::codec::{Answer, Failure, FrameError, MAX_REQUEST, Request};
use crate::{Activate, AttestError, Attester, DeadlineStream};

/// Why a client got nothing. The listener lives on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The client did not finish its request, or take its answer, in time.
    #[error("the client did not finish within {} ms", limit.as_millis())]
    TimedOut {
        /// How long it had.
        limit: Duration,
    },
    /// The connection broke.
    #[error("the connection to the client broke: {0}")]
    Broken(#[source] io::Error),
    /// The client misbehaved; it was told so.
    #[error("malformed request: {0}")]
    Malformed(#[from] FrameError),
    /// The platform gave what no answer may carry; the client was told that there is none.
    #[error("unusable evidence or keys: {0}")]
    Unsendable(#[source] FrameError),
    /// The client asked to enrol a key of evidence that needs no enrolment; it was told so.
    #[error("asked for the keys of evidence of kind {kind}, which needs no enrolment")]
    NoActivation {
        /// The kind of evidence.
        kind: claims::EvidenceKind,
    },
    /// The platform gave no evidence, no keys or no secret; the client was told that, and not why.
    #[error(transparent)]
    Attest(#[from] AttestError),
}

/// Reads one request, has `attester` answer it, and writes the answer, all within `limit`.
///
/// # Errors
/// [`ServeError`]; where the client could still be told, it was.
pub fn answer(stream: UnixStream, attester: &mut dyn Attester, limit: Duration) -> Result<(), ServeError> {
    let mut stream = DeadlineStream::new(stream, limit);
    let broken = |error: io::Error| match error.kind() {
        io::ErrorKind::TimedOut => ServeError::TimedOut { limit },
        _ => ServeError::Broken(error),
    };
    let bytes = stream.read_at_most(MAX_REQUEST).map_err(broken)?;
    let (answer, outcome) = decide(&bytes, attester);
    let (frame, outcome) = match answer.encode() {
        Ok(frame) => (frame, outcome),
        Err(error) => (failed(Failure::Attestation, "").encode()?, Err(ServeError::Unsendable(error))),
    };
    let sent = stream.write_all(&frame).and_then(|()| stream.finish_writing()).map_err(broken);
    outcome.and(sent)
}

fn decide(bytes: &[u8], attester: &mut dyn Attester) -> (Answer, Result<(), ServeError>) {
    let request = match Request::decode(bytes) {
        Ok(request) => request,
        Err(error) => {
            let failure = match error {
                FrameError::Version { .. } => Failure::Version,
                _ => Failure::Malformed,
            };
            return (failed(failure, &error.to_string()), Err(error.into()));
        }
    };
    match fulfil(&request, attester) {
        Ok(answer) => (answer, Ok(())),
        Err(error @ ServeError::NoActivation { .. }) => (failed(Failure::NoActivation, ""), Err(error)),
        Err(error) => (failed(Failure::Attestation, ""), Err(error)),
    }
}

fn fulfil(request: &Request, attester: &mut dyn Attester) -> Result<Answer, ServeError> {
    let kind = attester.kind();
    Ok(match request {
        Request::Attest(report_data) => Answer::Done { kind, evidence: attester.attest(report_data)? },
        Request::Kind => Answer::Done { kind, evidence: Vec::new() },
        Request::Keys => Answer::Keys { kind, keys: activation(attester)?.keys()? },
        Request::Activate(credential) => {
            Answer::Secret { kind, secret: activation(attester)?.activate(credential)? }
        }
    })
}

fn activation(attester: &mut dyn Attester) -> Result<&mut dyn Activate, ServeError> {
    let kind = attester.kind();
    attester.activation()?.ok_or(ServeError::NoActivation { kind })
}

fn failed(failure: Failure, message: &str) -> Answer {
    Answer::Failed { failure, message: message.to_owned() }
}
