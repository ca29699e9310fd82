//! The frames of the attester's Unix socket, version 1, and nothing that reads or writes one.
//!
//! # Specification
//!
//! A client connects to a Unix stream socket, sends one request, shuts down its writing half, and reads one answer
//! until the end of the stream. One connection carries one exchange. Integers are unsigned and big-endian.
//!
//! Request, 70 bytes, or up to 654 for operation 4:
//!
//! | offset | bytes | meaning |
//! |-|-|-|
//! | 0 | 4 | magic, `KFAT` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | operation: 1 attest, 2 say your kind of evidence, 3 say your keys, 4 activate a credential |
//! | 6 | 64 | operation 1: report data; operations 2 and 3: zeros |
//! | 6 | | operation 4: TPM2B_ID_OBJECT, at most 134 bytes, then TPM2B_ENCRYPTED_SECRET, at most 514 |
//!
//! Answer, 11 bytes and a body:
//!
//! | offset | bytes | meaning |
//! |-|-|-|
//! | 0 | 4 | magic, `KFAT` |
//! | 4 | 1 | version, 1 |
//! | 5 | 1 | status: 0 done, 1 malformed request, 2 unsupported version, 3 failed, 4 nothing to activate |
//! | 6 | 1 | status 0: the kind's code (`claims::EvidenceKind`); else 0 |
//! | 7 | 4 | length of the body |
//! | 11 | | status 0: by the operation, below; else UTF-8 text, 0 to 512 bytes |
//!
//! | operation | body |
//! |-|-|
//! | 1 | the evidence, 1 to 65536 bytes |
//! | 2 | nothing |
//! | 3 | the attestation key, TPM2B_PUBLIC; the endorsement key, TPM2B_PUBLIC, each at most 1026 bytes; how many certificates follow, 1 byte, 0 to 4; each certificate: its length, 2 bytes, and DER, 1 to 8192 bytes. The endorsement key's comes first, then its issuers' |
//! | 4 | the secret, 1 to 32 bytes |
//!
//! A TPM2B is two bytes of length and as many bytes, of which there MUST be one at least. Operations 3 and 4 are for
//! kinds whose attestation key a broker enrols, `tpm` and `svsm`; others MUST be answered with status 4.
//!
//! - A server MUST refuse a request of another length, magic, version or operation, an operation 2 or 3 whose report
//!   data is not zero, and an operation 4 with anything but these two structures, with status 1 or 2, and MUST go on
//!   serving others.
//! - A server MUST NOT send evidence that was made for other report data.
//! - A client MUST refuse an answer with another magic or version, an unknown status or kind, a length above these
//!   limits, or a body that is shorter or longer than its length says, or is not what the operation asks for.
//! - Both MUST bound the time that an exchange takes.
//! - The text is for people: it MUST NOT hold a secret, and nothing may depend on it.
//!
//! The format is keyfast's own.

mod bodies;

use core::fmt;

use claims::{EvidenceKind, ReportData};

use crate::activate::{Credential, TpmKeys};
pub use crate::frame_error::FrameError;

/// Most bytes of evidence in an answer.
pub const MAX_EVIDENCE: usize = 64 * 1024;
/// Most bytes of text in an answer.
pub const MAX_MESSAGE: usize = 512;
/// Bytes of a request of operation 1, 2 or 3.
pub const REQUEST_LEN: usize = 70;
/// Most bytes of a request.
pub const MAX_REQUEST: usize = REQUEST_HEADER_LEN + bodies::MAX_CREDENTIAL;
/// Most bytes of an answer.
pub const MAX_ANSWER: usize = HEADER_LEN + MAX_EVIDENCE;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Evidence over this report data.
    Attest(ReportData),
    /// The kind of evidence that would come.
    Kind,
    /// The keys that a broker enrols.
    Keys,
    /// The secret of this credential.
    Activate(Credential),
}

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Evidence of this kind; empty in answer to [`Request::Kind`].
    Done {
        /// Its kind.
        kind: EvidenceKind,
        /// Its bytes, at most [`MAX_EVIDENCE`].
        evidence: Vec<u8>,
    },
    /// The keys, in answer to [`Request::Keys`].
    Keys {
        /// The kind of evidence that they are for.
        kind: EvidenceKind,
        /// The keys.
        keys: TpmKeys,
    },
    /// A credential's secret, in answer to [`Request::Activate`].
    Secret {
        /// The kind of evidence that the key is for.
        kind: EvidenceKind,
        /// 1 to [`crate::activate::MAX_SECRET`] bytes.
        secret: Vec<u8>,
    },
    /// Neither.
    Failed {
        /// Why, coarsely.
        failure: Failure,
        /// Why, for people; cut to [`MAX_MESSAGE`] bytes when it is sent.
        message: String,
    },
}

/// Why a server gives nothing. The code is the answer's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Failure {
    /// The request is no frame of this version.
    Malformed = 1,
    /// The request is of a version that the server does not speak.
    Version = 2,
    /// The platform gave no evidence, no keys, or no secret.
    Attestation = 3,
    /// This kind of evidence needs no enrolment, so there is nothing to activate.
    NoActivation = 4,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed request",
            Self::Version => "unsupported version",
            Self::Attestation => "attestation failed",
            Self::NoActivation => "nothing to activate",
        })
    }
}

impl Request {
    /// The request's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let zeros = [0; ReportData::LEN];
        let (operation, body) = match self {
            Self::Attest(report_data) => (ATTEST, report_data.0.to_vec()),
            Self::Kind => (KIND, zeros.to_vec()),
            Self::Keys => (KEYS, zeros.to_vec()),
            Self::Activate(credential) => (ACTIVATE, bodies::encode_credential(credential)),
        };
        [&MAGIC[..], &[VERSION, operation], &body].concat()
    }

    /// Reads a request; `bytes` is all that came, or the first [`MAX_REQUEST`] + 1 bytes of it.
    ///
    /// # Errors
    /// [`FrameError`], by the first of: magic, version, operation, length, contents.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let rest = after_version(bytes, REQUEST_LEN)?;
        let truncated = FrameError::Truncated { expected: REQUEST_LEN, got: bytes.len() };
        let (&operation, body) = rest.split_first().ok_or(truncated)?;
        match operation {
            ATTEST => Ok(Self::Attest(report_data(bytes.len(), body)?)),
            KIND | KEYS if !report_data(bytes.len(), body)?.is_zero() => Err(FrameError::StrayReportData),
            KIND => Ok(Self::Kind),
            KEYS => Ok(Self::Keys),
            ACTIVATE => bodies::decode_credential(body).map(Self::Activate),
            got => Err(FrameError::Operation { got }),
        }
    }
}

impl Answer {
    /// The answer's bytes.
    ///
    /// # Errors
    /// [`FrameError`] if the body is not one that an answer may have.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let (status, kind, body) = match self {
            Self::Done { kind, evidence } => (DONE, kind.code(), evidence.clone()),
            Self::Keys { kind, keys } => (DONE, kind.code(), bodies::encode_keys(keys)?),
            Self::Secret { kind, secret } => (DONE, kind.code(), bodies::check_secret(secret)?),
            Self::Failed { failure, message } => (*failure as u8, 0, cut(message).to_vec()),
        };
        let oversized = FrameError::Oversized { limit: MAX_EVIDENCE, got: body.len() };
        let len = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_EVIDENCE).ok_or(oversized)?;
        Ok([&MAGIC[..], &[VERSION, status, kind], &len.to_be_bytes(), &body].concat())
    }

    /// Reads an answer to `request`; `bytes` is all that came, or the first [`MAX_ANSWER`] + 1 bytes of it.
    ///
    /// # Errors
    /// [`FrameError`], by the first of: header, status, kind, length, body.
    pub fn decode(request: &Request, bytes: &[u8]) -> Result<Self, FrameError> {
        let truncated = FrameError::Truncated { expected: HEADER_LEN, got: bytes.len() };
        let rest = after_version(bytes, HEADER_LEN)?;
        let (&[status, kind], rest) = rest.split_first_chunk().ok_or(truncated)?;
        let (&len, body) = rest.split_first_chunk().ok_or(truncated)?;
        let failure = failure_of(status)?;
        let limit = if failure.is_some() { MAX_MESSAGE } else { request.most_of_answer() };
        check_body(body.len(), usize::try_from(u32::from_be_bytes(len)).unwrap_or(usize::MAX), limit)?;
        match (failure, EvidenceKind::from_code(kind)) {
            (None, Some(kind)) => done(request, kind, body),
            (Some(failure), None) if kind == 0 => {
                let message = core::str::from_utf8(body).map_err(|_| FrameError::Text)?;
                Ok(Self::Failed { failure, message: message.to_owned() })
            }
            _ => Err(FrameError::Kind { got: kind }),
        }
    }
}

impl Request {
    /// Most bytes of the body of an answer to it.
    fn most_of_answer(&self) -> usize {
        match self {
            Self::Attest(_) | Self::Kind => MAX_EVIDENCE,
            Self::Keys => bodies::MAX_KEYS,
            Self::Activate(_) => crate::activate::MAX_SECRET,
        }
    }
}

/// The report data of a request of `got` bytes.
fn report_data(got: usize, body: &[u8]) -> Result<ReportData, FrameError> {
    let report_data = body.try_into().map_err(|_| match got {
        ..REQUEST_LEN => FrameError::Truncated { expected: REQUEST_LEN, got },
        _ => FrameError::TooLong { expected: REQUEST_LEN, got },
    })?;
    Ok(ReportData(report_data))
}

/// Checks magic and version; what follows them. `expected` is the length to name where even these are missing.
fn after_version(bytes: &[u8], expected: usize) -> Result<&[u8], FrameError> {
    let truncated = FrameError::Truncated { expected, got: bytes.len() };
    let (magic, rest) = bytes.split_first_chunk::<4>().ok_or(truncated)?;
    if *magic != MAGIC {
        return Err(FrameError::Magic { got: *magic });
    }
    match rest.split_first().ok_or(truncated)? {
        (&VERSION, rest) => Ok(rest),
        (&got, _) => Err(FrameError::Version { got }),
    }
}

/// The failure that a status stands for; `None` for success.
fn failure_of(status: u8) -> Result<Option<Failure>, FrameError> {
    match status {
        DONE => Ok(None),
        1 => Ok(Some(Failure::Malformed)),
        2 => Ok(Some(Failure::Version)),
        3 => Ok(Some(Failure::Attestation)),
        4 => Ok(Some(Failure::NoActivation)),
        got => Err(FrameError::Status { got }),
    }
}

fn check_body(got: usize, announced: usize, limit: usize) -> Result<(), FrameError> {
    let whole = |body: usize| HEADER_LEN.saturating_add(body);
    if announced > limit {
        return Err(FrameError::Oversized { limit, got: announced });
    }
    match got.cmp(&announced) {
        core::cmp::Ordering::Less => {
            Err(FrameError::Truncated { expected: whole(announced), got: whole(got) })
        }
        core::cmp::Ordering::Equal => Ok(()),
        core::cmp::Ordering::Greater => {
            Err(FrameError::TooLong { expected: whole(announced), got: whole(got) })
        }
    }
}

fn done(request: &Request, kind: EvidenceKind, body: &[u8]) -> Result<Answer, FrameError> {
    let expected = match (request, body.is_empty()) {
        (Request::Attest(_), false) | (Request::Kind, true) => {
            return Ok(Answer::Done { kind, evidence: body.to_vec() });
        }
        (Request::Attest(_), true) => "evidence",
        (Request::Kind, false) => "none",
        (Request::Keys, _) => return Ok(Answer::Keys { kind, keys: bodies::decode_keys(body)? }),
        (Request::Activate(_), _) => return Ok(Answer::Secret { kind, secret: bodies::check_secret(body)? }),
    };
    Err(FrameError::Body { expected, got: body.len() })
}

/// The text's first [`MAX_MESSAGE`] bytes, cut between characters.
fn cut(message: &str) -> &[u8] {
    let end = message.floor_char_boundary(MAX_MESSAGE);
    message.as_bytes().get(..end).unwrap_or_default()
}

pub(crate) const MAGIC: [u8; 4] = *b"KFAT";
pub(crate) const VERSION: u8 = 1;
const ATTEST: u8 = 1;
const KIND: u8 = 2;
const KEYS: u8 = 3;
const ACTIVATE: u8 = 4;
const DONE: u8 = 0;
const REQUEST_HEADER_LEN: usize = 6;
const HEADER_LEN: usize = 11;

#[cfg(test)]
mod tests;
