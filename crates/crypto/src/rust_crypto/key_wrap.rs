//! AES-256 key wrap with padding (RFC 5649; NIST SP 800-38F, KWP).

use aes_kw::{KeyInit, KwpAes256};
use secret::SecretBytes;
use zeroize::Zeroizing;

use crate::Error;

/// Wraps `key` under the 32-byte `kek`: 8 bytes longer than `key`, rounded up to a multiple of 8.
///
/// # Errors
/// [`Error::BadKey`] if `kek` has another length; [`Error::Length`] if `key` is empty.
pub fn kwp_wrap(kek: &[u8], key: &[u8]) -> Result<Vec<u8>, Error> {
    let kek = expand(kek)?;
    let wrong_length = Error::Length { what: "key to wrap", expected: 1, got: key.len() };
    if key.is_empty() {
        return Err(wrong_length);
    }
    let mut wrapped = vec![0; key.len().div_ceil(8).saturating_add(1).saturating_mul(8)];
    kek.wrap_key(key, &mut wrapped).map_err(|_| wrong_length)?;
    Ok(wrapped)
}

/// Unwraps what [`kwp_wrap`] made.
///
/// # Errors
/// [`Error::BadKey`] if `kek` is not 32 bytes long; [`Error::Mismatch`] if `wrapped` was not made under it.
pub fn kwp_unwrap(kek: &[u8], wrapped: &[u8]) -> Result<SecretBytes, Error> {
    let mismatch = Error::Mismatch { what: "wrapped key" };
    let kek = expand(kek)?;
    // The crate takes 8 bytes for a wrapped nothing and decrypts none of them; two blocks are the least there is.
    if wrapped.len() < 16 {
        return Err(mismatch);
    }
    let mut room = Zeroizing::new(vec![0; wrapped.len()]);
    let key = kek.unwrap_key(wrapped, &mut room).map_err(|_| mismatch)?;
    Ok(SecretBytes::from_vec(key.to_vec()))
}

fn expand(kek: &[u8]) -> Result<KwpAes256, Error> {
    KwpAes256::new_from_slice(kek).map_err(|_| Error::BadKey { expected: "32 bytes" })
}
