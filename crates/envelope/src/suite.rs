//! The algorithm suites, and what they derive from a data key.
//!
//! Source: AWS Encryption SDK, "Algorithms reference": HKDF-SHA512 with the 32-byte message id as salt; the label
//! `DERIVEKEY` behind the suite's number gives the key for AES-256-GCM, the label `COMMITKEY` the commitment.

use crypto::Aes256Gcm;
use keys::Dek;
use secret::SecretBytes;

use crate::MessageError;

/// A suite with key commitment. The code is what stands in a header, two bytes, big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum AlgorithmSuite {
    /// AES-256-GCM, HKDF-SHA512, key commitment.
    Committing = 0x0478,
    /// The same, and an ECDSA P-384 signature over the SHA-384 of everything before it.
    CommittingSigned = 0x0578,
}

impl AlgorithmSuite {
    /// The code: 0x0478 or 0x0578.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The suite of a code.
    ///
    /// # Errors
    /// [`MessageError::Suite`] for every other.
    pub fn from_code(code: u16) -> Result<Self, MessageError> {
        let known = [Self::Committing, Self::CommittingSigned].into_iter().find(|suite| suite.code() == code);
        known.ok_or(MessageError::Suite { got: code })
    }

    /// Whether messages end with a signature.
    pub fn is_signed(self) -> bool {
        self == Self::CommittingSigned
    }

    /// The key commitment: 32 bytes that stand in the header.
    pub(crate) fn commitment(self, dek: &Dek, message_id: &[u8; 32]) -> Result<[u8; 32], crypto::Error> {
        let mut commitment = [0; 32];
        crypto::hkdf_sha512(message_id, dek.expose(), &[b"COMMITKEY"], &mut commitment)?;
        Ok(commitment)
    }

    /// The key that header and frames are under.
    pub(crate) fn aead(self, dek: &Dek, message_id: &[u8; 32]) -> Result<Aes256Gcm, crypto::Error> {
        let info: [&[u8]; 2] = [&self.code().to_be_bytes(), b"DERIVEKEY"];
        let key = SecretBytes::try_fill(32, |out| crypto::hkdf_sha512(message_id, dek.expose(), &info, out))?;
        Aes256Gcm::new(key.expose())
    }
}
