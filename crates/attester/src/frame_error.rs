//! [`FrameError`]: what can be wrong with a frame of [`crate::codec`].

use crate::codec::{MAGIC, VERSION};

/// Why bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// There are fewer bytes than the frame has.
    #[error("truncated frame: expected {expected} bytes, got {got}")]
    Truncated {
        /// Bytes that the frame has, or its header where that is incomplete.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// There are more bytes than the frame has.
    #[error("bytes after the frame: expected {expected} bytes, got at least {got}")]
    TooLong {
        /// Bytes that the frame has.
        expected: usize,
        /// Bytes seen.
        got: usize,
    },
    /// The frame starts with something else.
    #[error("not a frame of the attester's protocol: expected {MAGIC:02x?}, got {got:02x?}")]
    Magic {
        /// The first four bytes.
        got: [u8; 4],
    },
    /// The frame is of another version.
    #[error("unsupported version of the attester's protocol: expected {VERSION}, got {got}")]
    Version {
        /// Version found.
        got: u8,
    },
    /// The operation has no meaning.
    #[error("unknown operation: expected 1 to 4, got {got}")]
    Operation {
        /// Code found.
        got: u8,
    },
    /// Operation 2 or 3 carries report data.
    #[error("report data in a request that takes none: expected zeros")]
    StrayReportData,
    /// The status has no meaning.
    #[error("unknown status: expected 0 to 4, got {got}")]
    Status {
        /// Code found.
        got: u8,
    },
    /// The kind has no meaning, or stands where none belongs.
    #[error("unknown kind of evidence: got {got}")]
    Kind {
        /// Code found.
        got: u8,
    },
    /// The body is longer than it may be.
    #[error("oversized body: expected at most {limit} bytes, got {got}")]
    Oversized {
        /// Most bytes that this status allows.
        limit: usize,
        /// Bytes announced.
        got: usize,
    },
    /// Operation 1 was answered with nothing, or operation 2 with something.
    #[error("wrong body for the operation: expected {expected}, got {got} bytes")]
    Body {
        /// What the operation asks for.
        expected: &'static str,
        /// Bytes found.
        got: usize,
    },
    /// A part of the body is missing, or has another length than it may have.
    #[error("malformed {field}: expected at most {limit}, all there and not empty, got {got}")]
    Field {
        /// Which part.
        field: &'static str,
        /// The most that it may have, with its length.
        limit: usize,
        /// What it says that it has; 0 where nothing says it.
        got: usize,
    },
    /// Something stands behind the last part of the body.
    #[error("bytes after the body's last part: expected none, got {got}")]
    Stray {
        /// How many.
        got: usize,
    },
    /// The text is no UTF-8.
    #[error("the text of the answer is not utf-8")]
    Text,
}
