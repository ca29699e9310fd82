//! AES-256 key wrap with padding (RFC 5649; NIST SP 800-38F, KWP).
//!
//! The library wipes its copy of the key-encryption key; the expanded key stays on the stack until it is overwritten.

use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
use secret::SecretBytes;
use zeroize::Zeroizing;

use crate::Error;

/// Wraps `key` under the 32-byte `kek`: 8 bytes longer than `key`, rounded up to a multiple of 8.
///
/// # Errors
/// [`Error::BadKey`] if `kek` has another length; [`Error::Length`] if `key` is empty.
pub fn kwp_wrap(kek: &[u8], key: &[u8]) -> Result<Vec<u8>, Error> {
    let kek = AesKek::new(&AES_256, kek).map_err(|_| Error::BadKey { expected: "32 bytes" })?;
    let mut wrapped = vec![0; key.len().saturating_add(15)];
    let wrong_length = Error::Length { what: "key to wrap", expected: 1, got: key.len() };
    let len = kek.wrap_with_padding(key, &mut wrapped).map_err(|_| wrong_length)?.len();
    wrapped.truncate(len);
    Ok(wrapped)
}

/// Unwraps what [`kwp_wrap`] made.
///
/// # Errors
/// [`Error::BadKey`] if `kek` is not 32 bytes long; [`Error::Mismatch`] if `wrapped` was not made under it.
pub fn kwp_unwrap(kek: &[u8], wrapped: &[u8]) -> Result<SecretBytes, Error> {
    let mismatch = Error::Mismatch { what: "wrapped key" };
    let kek = AesKek::new(&AES_256, kek).map_err(|_| Error::BadKey { expected: "32 bytes" })?;
    let mut room = Zeroizing::new(vec![0; wrapped.len()]);
    let opened = kek.unwrap_with_padding(wrapped, &mut room).map(SecretBytes::take);
    opened.map_err(|_| mismatch)
}
