//! The only crate that names a cryptographic primitive.
//!
//! Two back ends stand behind one API, as additive features, so that both can be compiled and compared:
//!
//! | module | feature | role |
//! |-|-|-|
//! | `aws_lc` | `aws-lc` (default) | does the work |
//! | `rust_crypto` | `rust-crypto` | the independent oracle; has no RSA private operation ([`Error::Unsupported`]) |
//!
//! The crate root re-exports `aws_lc` where it is compiled, else `rust_crypto`. Both draw their own randomness
//! from the operating system. What is the same in both (constant-time comparison, the suites' names) is at the
//! root. Suite [`Suite::XWing`] is the crate `hpke` in both; its `ml-kem` has not been audited.
//!
//! This crate must never hold a policy, a format of keyfast's own, or a key beyond the call that uses it.

#[cfg(not(any(feature = "aws-lc", feature = "rust-crypto")))]
compile_error!("choose a back end: feature `aws-lc` (default) or `rust-crypto`");

mod ecdsa_der;
mod error;
mod xwing;

#[cfg(feature = "aws-lc")]
pub mod aws_lc;

#[cfg(feature = "aws-lc")]
pub use aws_lc::*;
#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc")))]
pub use rust_crypto::*;

#[cfg(feature = "rust-crypto")]
pub mod rust_crypto;

pub use claims::Suite;
pub use error::Error;

/// Bytes of an AES-GCM nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes of an AES-GCM tag.
pub const TAG_LEN: usize = 16;

/// An HPKE ciphertext (RFC 9180, single shot).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The encapsulated key: 97 bytes for P-384, 1120 for X-Wing.
    pub encapsulated: Vec<u8>,
    /// The ciphertext and its 16-byte tag.
    pub ciphertext: Vec<u8>,
}

/// Compares secrets in a time that depends on their lengths only.
#[must_use]
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(a, b).into()
}
