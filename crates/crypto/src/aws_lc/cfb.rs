//! AES in CFB mode with 128-bit feedback (NIST SP 800-38A, 6.3), as TPMs protect credentials.
//!
//! It hides and authenticates nothing: whoever uses it puts a MAC around it.

use aws_lc_rs::cipher::{
    AES_128, AES_256, DecryptingKey, DecryptionContext, EncryptingKey, EncryptionContext, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;

use crate::Error;

const FAILED: Error = Error::Internal { what: "aes-cfb" };

/// Encrypts in place with an initialisation vector of zeros: for a key that is used once.
///
/// # Errors
/// [`Error::Internal`] if the library fails.
pub fn aes128_cfb_encrypt(key: &[u8; 16], bytes: &mut [u8]) -> Result<(), Error> {
    encrypt(UnboundCipherKey::new(&AES_128, key).map_err(|_| FAILED)?, bytes)
}

/// Decrypts in place what [`aes128_cfb_encrypt`] made.
///
/// # Errors
/// [`Error::Internal`] if the library fails.
pub fn aes128_cfb_decrypt(key: &[u8; 16], bytes: &mut [u8]) -> Result<(), Error> {
    decrypt(UnboundCipherKey::new(&AES_128, key).map_err(|_| FAILED)?, bytes)
}

/// As [`aes128_cfb_encrypt`], with a key of 256 bits.
///
/// # Errors
/// [`Error::Internal`] if the library fails.
pub fn aes256_cfb_encrypt(key: &[u8; 32], bytes: &mut [u8]) -> Result<(), Error> {
    encrypt(UnboundCipherKey::new(&AES_256, key).map_err(|_| FAILED)?, bytes)
}

/// Decrypts in place what [`aes256_cfb_encrypt`] made.
///
/// # Errors
/// [`Error::Internal`] if the library fails.
pub fn aes256_cfb_decrypt(key: &[u8; 32], bytes: &mut [u8]) -> Result<(), Error> {
    decrypt(UnboundCipherKey::new(&AES_256, key).map_err(|_| FAILED)?, bytes)
}

fn encrypt(key: UnboundCipherKey, bytes: &mut [u8]) -> Result<(), Error> {
    let key = EncryptingKey::cfb128(key).map_err(|_| FAILED)?;
    let context = EncryptionContext::Iv128(FixedLength::from([0; 16]));
    key.less_safe_encrypt(bytes, context).map(drop).map_err(|_| FAILED)
}

fn decrypt(key: UnboundCipherKey, bytes: &mut [u8]) -> Result<(), Error> {
    let key = DecryptingKey::cfb128(key).map_err(|_| FAILED)?;
    let context = DecryptionContext::Iv128(FixedLength::from([0; 16]));
    key.decrypt(bytes, context).map(drop).map_err(|_| FAILED)
}
