//! Why a cryptographic operation did not succeed.

/// Says as little as the primitive does: which step failed, never by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A public or private key is malformed, of another kind, or out of range.
    #[error("malformed or unsuitable key: expected {expected}")]
    BadKey {
        /// What the operation takes.
        expected: &'static str,
    },
    /// A signature or authentication tag does not match.
    #[error("{what} does not verify")]
    Mismatch {
        /// What was checked.
        what: &'static str,
    },
    /// An input has a length that the operation cannot take.
    #[error("wrong length of {what}: expected {expected} bytes, got {got}")]
    Length {
        /// Which input.
        what: &'static str,
        /// Bytes that the operation takes.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// This back end lacks the operation; use the other one.
    #[error("{operation} is not supported by the back end {back_end}")]
    Unsupported {
        /// What was asked for.
        operation: &'static str,
        /// Who lacks it.
        back_end: &'static str,
    },
    /// The operating system gave no randomness, or the library failed where it should not.
    #[error("{what} failed in the cryptographic library")]
    Internal {
        /// Which operation.
        what: &'static str,
    },
}
