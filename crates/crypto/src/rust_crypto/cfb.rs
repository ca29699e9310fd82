//! AES-128 in CFB mode with 128-bit feedback (NIST SP 800-38A, 6.3), as TPMs protect credentials.
//!
//! It hides and authenticates nothing: whoever uses it puts a MAC around it.

use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::{BlockCipherEncrypt, KeyInit};

use crate::Error;

/// Encrypts in place with an initialisation vector of zeros: for a key that is used once.
///
/// # Errors
/// None in this back end.
pub fn aes128_cfb_encrypt(key: &[u8; 16], bytes: &mut [u8]) -> Result<(), Error> {
    let cipher = Aes128::new(key.into());
    let mut feedback = [0; 16];
    for block in bytes.chunks_mut(16) {
        let stream = next(&cipher, feedback);
        block.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
        feedback.iter_mut().zip(&*block).for_each(|(to, from)| *to = *from);
    }
    Ok(())
}

/// Decrypts in place what [`aes128_cfb_encrypt`] made.
///
/// # Errors
/// None in this back end.
pub fn aes128_cfb_decrypt(key: &[u8; 16], bytes: &mut [u8]) -> Result<(), Error> {
    let cipher = Aes128::new(key.into());
    let mut feedback = [0; 16];
    for block in bytes.chunks_mut(16) {
        let stream = next(&cipher, feedback);
        feedback.iter_mut().zip(&*block).for_each(|(to, from)| *to = *from);
        block.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
    }
    Ok(())
}

fn next(cipher: &Aes128, feedback: [u8; 16]) -> [u8; 16] {
    let mut block = feedback.into();
    cipher.encrypt_block(&mut block);
    block.into()
}
