//! AES in CFB mode with 128-bit feedback (NIST SP 800-38A, 6.3), as TPMs protect credentials.
//!
//! It hides and authenticates nothing: whoever uses it puts a MAC around it.

use aes_gcm::aes::cipher::{Block, BlockCipherEncrypt, KeyInit, consts::U16};
use aes_gcm::aes::{Aes128, Aes256};

use crate::Error;

/// Encrypts in place with an initialisation vector of zeros: for a key that is used once.
///
/// # Errors
/// None in this back end.
pub fn aes128_cfb_encrypt(key: &[u8; 16], bytes: &mut [u8]) -> Result<(), Error> {
    encrypt(&Aes128::new(key.into()), bytes)
}

/// Decrypts in place what [`aes128_cfb_encrypt`] made.
///
/// # Errors
/// None in this back end.
pub fn aes128_cfb_decrypt(key: &[u8; 16], bytes: &mut [u8]) -> Result<(), Error> {
    decrypt(&Aes128::new(key.into()), bytes)
}

/// As [`aes128_cfb_encrypt`], with a key of 256 bits.
///
/// # Errors
/// None in this back end.
pub fn aes256_cfb_encrypt(key: &[u8; 32], bytes: &mut [u8]) -> Result<(), Error> {
    encrypt(&Aes256::new(key.into()), bytes)
}

/// Decrypts in place what [`aes256_cfb_encrypt`] made.
///
/// # Errors
/// None in this back end.
pub fn aes256_cfb_decrypt(key: &[u8; 32], bytes: &mut [u8]) -> Result<(), Error> {
    decrypt(&Aes256::new(key.into()), bytes)
}

fn encrypt(cipher: &impl BlockCipherEncrypt<BlockSize = U16>, bytes: &mut [u8]) -> Result<(), Error> {
    let mut feedback = [0; 16];
    for block in bytes.chunks_mut(16) {
        let stream = next(cipher, feedback);
        block.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
        feedback.iter_mut().zip(&*block).for_each(|(to, from)| *to = *from);
    }
    Ok(())
}

fn decrypt(cipher: &impl BlockCipherEncrypt<BlockSize = U16>, bytes: &mut [u8]) -> Result<(), Error> {
    let mut feedback = [0; 16];
    for block in bytes.chunks_mut(16) {
        let stream = next(cipher, feedback);
        feedback.iter_mut().zip(&*block).for_each(|(to, from)| *to = *from);
        block.iter_mut().zip(stream).for_each(|(byte, key)| *byte ^= key);
    }
    Ok(())
}

fn next<C: BlockCipherEncrypt<BlockSize = U16>>(cipher: &C, feedback: [u8; 16]) -> [u8; 16] {
    let mut block: Block<C> = feedback.into();
    cipher.encrypt_block(&mut block);
    block.into()
}
