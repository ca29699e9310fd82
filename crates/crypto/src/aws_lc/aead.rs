//! AES-256-GCM (NIST SP 800-38D) with the caller's nonce.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::{Error, NONCE_LEN, TAG_LEN};

/// A key for AES-256-GCM, expanded once and used for many messages.
pub struct Aes256Gcm(LessSafeKey);

impl Aes256Gcm {
    /// Expands a 32-byte key.
    ///
    /// # Errors
    /// [`Error::BadKey`] if it has another length.
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| Error::BadKey { expected: "32 bytes" })?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Encrypts `buffer` in place and returns the tag. A nonce must never be used twice under one key.
    ///
    /// # Errors
    /// [`Error::Internal`] if the message is longer than the mode allows (64 GiB).
    pub fn seal(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG_LEN], Error> {
        let failed = Error::Internal { what: "aes-256-gcm seal" };
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), buffer).map_err(|_| failed)?;
        tag.as_ref().try_into().map_err(|_| failed)
    }

    /// Decrypts `buffer` in place.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if tag, nonce, associated data or ciphertext do not belong together; `buffer` then
    /// holds nothing of use.
    pub fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_LEN],
    ) -> Result<(), Error> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.0.open_in_place_separate_tag(nonce, Aad::from(aad), tag, buffer);
        opened.map(|_| ()).map_err(|_| Error::Mismatch { what: "aes-256-gcm tag" })
    }

    /// Decrypts `ciphertext` into `plaintext`, which has the same length.
    ///
    /// # Errors
    /// As [`Self::open`], and if the lengths differ.
    pub fn open_to(
        &self,
        nonce: [u8; NONCE_LEN],
        aad: &[u8],
        ciphertext: &[u8],
        tag: &[u8; TAG_LEN],
        plaintext: &mut [u8],
    ) -> Result<(), Error> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.0.open_separate_gather(nonce, Aad::from(aad), ciphertext, tag, plaintext);
        opened.map_err(|_| Error::Mismatch { what: "aes-256-gcm tag" })
    }
}
