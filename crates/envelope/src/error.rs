//! Why a message could not be made or read, by blame: the message, the caller, or the system.

use std::io;

use keys::KeyError;

use crate::{FrameLen, MAX_CONTEXT_PAIRS, MAX_DATA_KEYS, MAX_HEADER};

/// Why [`crate::encrypt`], [`crate::decrypt`] or [`crate::Header::read`] failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The message is none of ours, or not whole, or altered, or its key is another.
    #[error(transparent)]
    Message(#[from] MessageError),
    /// The caller asked for what the format has no room for.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The data key could not be wrapped or unwrapped.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The cryptographic library failed.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// The input could not be read.
    #[error("cannot read the input: {0}")]
    Read(#[source] io::Error),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Write(#[source] io::Error),
}

/// What is wrong with a message that was to be decrypted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Another version of the format, or no message at all.
    #[error("not a message of format version 2: expected the first byte 2, got {got}")]
    Version {
        /// The first byte.
        got: u8,
    },
    /// A suite without key commitment, or an unknown one.
    #[error("unsupported algorithm suite: expected 0x0478 or 0x0578, got {got:#06x}")]
    Suite {
        /// The suite's number.
        got: u16,
    },
    /// The input ends early.
    #[error("the message is truncated: it ends inside {inside}")]
    Truncated {
        /// What the input ends in.
        inside: Inside,
    },
    /// The header's lengths add up to more than is read.
    #[error("the header is longer than {MAX_HEADER} bytes")]
    HeaderTooLong,
    /// The encryption context is not laid out as the format says.
    #[error("malformed encryption context: {defect}")]
    Context {
        /// The rule that it breaks.
        defect: &'static str,
    },
    /// No encrypted data key, or too many.
    #[error("wrong number of encrypted data keys: expected 1 to {MAX_DATA_KEYS}, got {got}")]
    DataKeyCount {
        /// The number in the header.
        got: u16,
    },
    /// The provider of a data key is not UTF-8.
    #[error("the provider of encrypted data key {index} is not UTF-8")]
    DataKeyProvider {
        /// Which data key, from 0.
        index: usize,
    },
    /// One block instead of frames, which cannot be decrypted in bounded memory.
    #[error(
        "the message is not framed; encrypt it again with a frame length of 1 to {} bytes",
        FrameLen::MAX
    )]
    NotFramed,
    /// A content type that the format does not know.
    #[error("unknown content type: expected 2, got {got}")]
    ContentType {
        /// The byte found.
        got: u8,
    },
    /// Frames of a length that is not read.
    #[error("unsupported frame length: expected 1 to {} bytes, got {got}", FrameLen::MAX)]
    FrameLength {
        /// The length in the header.
        got: u32,
    },
    /// The context's public key is missing, superfluous, or no point on P-384.
    #[error("the signer's public key in the encryption context is {defect}")]
    SignerKey {
        /// What is wrong with it.
        defect: &'static str,
    },
    /// No data key in the header is wrapped under the key that is at hand.
    #[error("no data key of this message is wrapped under `{wanted}`; found {found}")]
    NoDataKeyFor {
        /// The key that is at hand.
        wanted: String,
        /// Those that the header names.
        found: String,
    },
    /// The data key is not the one that the message commits to.
    #[error(
        "the data key does not match the message's key commitment; use the key that it was encrypted under"
    )]
    Commitment,
    /// The header was altered.
    #[error("the header does not verify: it was altered")]
    HeaderTag,
    /// A frame stands where another belongs.
    #[error("wrong frame: expected frame {expected}, got {got}")]
    Sequence {
        /// The number that is due, counted from 1.
        expected: u32,
        /// The number found.
        got: u32,
    },
    /// A frame's nonce is not its number.
    #[error("frame {sequence} has the nonce of another")]
    FrameNonce {
        /// The frame's number.
        sequence: u32,
    },
    /// The last frame claims more than a frame holds.
    #[error("the last frame is too long: expected at most {max} bytes, got {got}")]
    FinalFrameLength {
        /// The message's frame length.
        max: u32,
        /// The length that the frame claims.
        got: u32,
    },
    /// A frame was altered.
    #[error("frame {sequence} does not verify: it was altered")]
    FrameTag {
        /// The frame's number.
        sequence: u32,
    },
    /// More frames than their numbers can count.
    #[error("the message has more than 4294967295 frames")]
    TooManyFrames,
    /// The signature's length is none of a P-384 signature in DER.
    #[error("wrong length of the signature: expected 8 to 104 bytes, got {got}")]
    SignatureLength {
        /// The length in the footer.
        got: u16,
    },
    /// The signature is not of this message by the key in its context.
    #[error("the signature does not verify")]
    Signature,
    /// The input goes on after the message.
    #[error("bytes follow the end of the message; one input holds one message")]
    TrailingBytes,
}

/// Where an input ended that should have gone on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// In the header or its tag.
    Header,
    /// In, or right before, the frame of this number.
    Frame(u32),
    /// In the footer.
    Footer,
}

impl core::fmt::Display for Inside {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Header => f.write_str("the header"),
            Self::Frame(sequence) => write!(f, "frame {sequence}"),
            Self::Footer => f.write_str("the signature"),
        }
    }
}

/// What the caller asked for that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UsageError {
    /// A name that the format keeps for itself.
    #[error("the context name `{name}` is reserved; use one that does not start with `aws-crypto-`")]
    ReservedName {
        /// The name given.
        name: String,
    },
    /// A context name without a character.
    #[error("a context name is empty")]
    EmptyName,
    /// A context name given twice.
    #[error("the context name `{name}` is given twice")]
    RepeatedName {
        /// The name given.
        name: String,
    },
    /// More pairs than are read back.
    #[error("too many context pairs: expected at most {MAX_CONTEXT_PAIRS} with the signer's, got {got}")]
    TooManyPairs {
        /// Pairs given, the signer's included.
        got: usize,
    },
    /// Context and data keys leave no room in the header.
    #[error("context and data keys are too long: expected a header of at most {MAX_HEADER} bytes, got {got}")]
    HeaderTooLong {
        /// The header's length in bytes, or what is known of it.
        got: usize,
    },
    /// Nothing to wrap the data key under, or too much.
    #[error("wrong number of wrapping keys: expected 1 to {MAX_DATA_KEYS}, got {got}")]
    WrappingKeyCount {
        /// Keys given.
        got: usize,
    },
    /// Two wrapping keys of one name.
    #[error("two wrapping keys are called `{name}`")]
    RepeatedKeyName {
        /// Their name.
        name: String,
    },
    /// A key name that other implementations refuse.
    #[error("not a name for a wrapping key: {defect}")]
    KeyName {
        /// The rule that it breaks.
        defect: &'static str,
    },
    /// A frame length that is not read back.
    #[error("unsupported frame length: expected 1 to {} bytes, got {got}", FrameLen::MAX)]
    FrameLength {
        /// The length given.
        got: u32,
    },
    /// More plaintext than the frames' numbers can count.
    #[error("the input needs more than 4294967295 frames; use longer frames")]
    TooManyFrames,
    /// The input became shorter while it was read.
    #[error("the input became shorter while it was read")]
    InputShrank,
}
