//! AES-128 in CFB mode with 128-bit feedback (NIST SP 800-38A, 6.3), as TPMs protect credentials.
//!
//! It hides and authenticates nothing: whoever uses it puts a MAC around it.

use aws_lc_rs::cipher::{
    AES_128, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;

use crate::Error;

const FAILED: Error = Error::Internal { what: "aes-128-cfb" };

/// Encrypts in place with an initialisation vector of zeros: for a key that is used once.
///
/// # Errors
/// [`Error::Internal`] if the library fails.
pub fn aes128_cfb_encrypt(key: &[u8; 16], bytes: &mut [u8]) -> Result<(), Error> {
    let key = UnboundCipherKey::new(&AES_128, key).and_then(EncryptingKey::cfb128).map_err(|_| FAILED)?;
    let context = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    key.less_safe_encrypt(bytes, context).map(drop).map_err(|_| FAILED)
}

/// Decrypts in place what [`aes128_cfb_encrypt`] made.
///
/// # Errors
/// [`Error::Internal`] if the library fails.
pub fn aes128_cfb_decrypt(key: &[u8; 16], bytes: &mut [u8]) -> Result<(), Error> {
    let key = UnboundCipherKey::new(&AES_128, key).and_then(DecryptingKey::cfb128).map_err(|_| FAILED)?;
    let context = DecryptionContext::Iv128(FixedLength::from([0; 16]));
    key.decrypt(bytes, context).map(drop).map_err(|_| FAILED)
}
