//! AES-256-GCM (NIST SP 800-38D) with the caller's nonce.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, KeyInit};

use crate::{Error, NONCE_LEN, TAG_LEN};

const BAD_TAG: Error = Error::Mismatch { what: "aes-256-gcm tag" };

/// A key for AES-256-GCM, expanded once and used for many messages.
pub struct Aes256Gcm(aes_gcm::Aes256Gcm);

impl Aes256Gcm {
    /// Expands a 32-byte key.
    ///
    /// # Errors
    /// [`Error::BadKey`] if it has another length.
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        let key = aes_gcm::Aes256Gcm::new_from_slice(key);
        key.map(Self).map_err(|_| Error::BadKey { expected: "32 bytes" })
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
        let tag = self.0.encrypt_inout_detached(&nonce.into(), aad, buffer.into());
        tag.map(Into::into).map_err(|_| Error::Internal { what: "aes-256-gcm seal" })
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
        let opened = self.0.decrypt_inout_detached(&nonce.into(), aad, buffer.into(), tag.into());
        opened.map_err(|_| BAD_TAG)
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
        let buffer = InOutBuf::new(ciphertext, plaintext).map_err(|_| BAD_TAG)?;
        self.0.decrypt_inout_detached(&nonce.into(), aad, buffer, tag.into()).map_err(|_| BAD_TAG)
    }
}
