//! Bytes to message and back: the only two functions that may cross that line.
//!
//! Reading, in this order: size; shape ([`crate::shape`]); fields; bounds; and the message encoded again must be
//! the bytes that came, which is how an unknown key or a surplus item is seen. Nothing is allocated before the
//! shape is known to be sound, and then nothing but what the bytes hold.

use minicbor::encode::Write;
use minicbor::{Decode, Encode};

use crate::{DecodeError, EncodeError, FieldError, shape};

/// A message of `keyfast/1`.
pub trait Message: Encode<()> + for<'b> Decode<'b, ()> {
    /// What errors call it.
    const NAME: &'static str;
    /// Most bytes that it may have.
    const MAX_LEN: usize;

    /// Checks lengths, counts, and what must come together.
    ///
    /// # Errors
    /// [`FieldError`] naming the first field that is out of bounds.
    fn check(&self) -> Result<(), FieldError>;
}

/// Writes a message.
///
/// # Errors
/// [`EncodeError::Field`] if a field is out of bounds; [`EncodeError::TooLong`] if the whole is above
/// [`Message::MAX_LEN`]. What is written here, [`decode`] takes.
pub fn encode<M: Message>(message: &M) -> Result<Vec<u8>, EncodeError> {
    message.check().map_err(|source| EncodeError::Field { message: M::NAME, source })?;
    let mut bytes = Vec::with_capacity(256);
    // A vector takes every byte, and no encoder of this crate fails by itself, so there is no error to pass on.
    let _infallible = minicbor::encode(message, &mut bytes);
    if bytes.len() > M::MAX_LEN {
        return Err(EncodeError::TooLong { message: M::NAME, max: M::MAX_LEN, got: bytes.len() });
    }
    Ok(bytes)
}

/// Reads a message from exactly `bytes`.
///
/// # Errors
/// [`DecodeError`]: its variants name each defect, where it is, and what was expected.
pub fn decode<M: Message>(bytes: &[u8]) -> Result<M, DecodeError> {
    if bytes.len() > M::MAX_LEN {
        return Err(DecodeError::TooLong { message: M::NAME, max: M::MAX_LEN, got: bytes.len() });
    }
    shape::check(bytes)?;
    let message: M = minicbor::decode(bytes).map_err(|error| refused::<M>(&error))?;
    message.check().map_err(|source| DecodeError::Field { message: M::NAME, source })?;
    let mut same = Compare { expected: bytes, at: 0 };
    let compared = minicbor::encode(&message, &mut same);
    match compared {
        Ok(()) if same.at == bytes.len() => Ok(message),
        _ => Err(DecodeError::Unknown { message: M::NAME, at: same.at }),
    }
}

/// Takes a [`FieldError`] out of minicbor's error, or keeps its text.
fn refused<M: Message>(error: &minicbor::decode::Error) -> DecodeError {
    let field = core::error::Error::source(error).and_then(|source| source.downcast_ref::<FieldError>());
    match field {
        Some(source) => DecodeError::Field { message: M::NAME, source: source.clone() },
        None => DecodeError::Other { message: M::NAME, reason: error.to_string() },
    }
}

/// Takes bytes for as long as they are the expected ones.
struct Compare<'a> {
    expected: &'a [u8],
    /// How many were.
    at: usize,
}

/// Another byte than the expected one.
struct Differs;

impl Write for Compare<'_> {
    type Error = Differs;

    fn write_all(&mut self, written: &[u8]) -> Result<(), Differs> {
        let rest = self.expected.get(self.at..).unwrap_or_default();
        let same = rest.iter().zip(written).take_while(|(a, b)| a == b).count();
        self.at = self.at.saturating_add(same);
        if same == written.len() { Ok(()) } else { Err(Differs) }
    }
}
