//! The encrypted-message format for files, blobs and streams.
//!
//! Messages are those of the AWS Encryption SDK, format version 2, in the two suites with key commitment that
//! derive with HKDF-SHA512: 0x0478 and, signed, 0x0578 ([`AlgorithmSuite`]). So a data owner encrypts to the public
//! half of a KEK with any implementation of that format, and a guest that holds the KEK, or may have a broker
//! unwrap with it, decrypts here.
//!
//! The way of a message on the reading side:
//!
//! 1. [`Header::read`] takes the header, within fixed bounds. Nothing in it is authentic yet.
//! 2. The caller gets the [`keys::Dek`]: from its own KEK ([`Header::unwrap_dek`]), or by handing the
//!    [`WrappedDek`] of [`Header::wrapped_dek`] to a broker.
//! 3. [`decrypt`] checks the key commitment in constant time, then the header's tag, then every frame, the end of
//!    the message and, in 0x0578, the signature; all cores at work, in memory that does not grow with the message.
//!
//! [`encrypt`] is the other side. Regular files are read and written at their positions by all workers at once,
//! pipes in order; see [`Source`] and [`Sink`]. A file gets its final name only when everything verified; a pipe
//! sees frames, each of them authentic, before the end of the message did, so its reader needs the exit code.
//!
//! **Secrecy is not origin.** Anybody can encrypt to a public key, and whoever can decrypt a message can make
//! another with the same data key, signed by a key of his own. [`Header::signer`] is worth something only where the
//! caller compares it with a key that it pinned.
//!
//! This crate must never fetch a key, keep one longer than the call, or put a name on a file that did not verify.
//!
//! Format: AWS Encryption SDK Developer Guide, "Message format reference", "Body AAD reference" and "IV reference".

#![deny(clippy::arithmetic_side_effects)]

mod buffer;
mod context;
mod decrypt;
mod edk;
mod effort;
mod encrypt;
mod error;
pub mod file;
mod frame;
mod header;
mod pipeline;
mod sink;
mod source;
mod suite;

pub use context::EncryptionContext;
pub use decrypt::decrypt;
pub use edk::{KeyName, WrappedDek, Wrapping, WrappingKey};
pub use effort::{Effort, Summary};
pub use encrypt::{Options, Signature, encrypt};
pub use error::{Error, Inside, MessageError, UsageError};
pub use frame::FrameLen;
pub use header::Header;
pub use sink::Sink;
pub use source::Source;
pub use suite::AlgorithmSuite;

/// Longest header that is read or written, with its tag, in bytes.
pub const MAX_HEADER: usize = 64 * 1024;
/// Most encrypted data keys in a header.
pub const MAX_DATA_KEYS: usize = 16;
/// Most pairs in an encryption context, the signer's public key included.
pub const MAX_CONTEXT_PAIRS: usize = 64;
