//! [`Dek`]: the key that data is encrypted with.

use core::fmt;

use secret::SecretBytes;

use crate::KeyError;

/// A data-encryption key: 32 secret bytes.
pub struct Dek(SecretBytes);

impl Dek {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// A fresh DEK, for the owner's side.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] if the system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self(SecretBytes::try_fill(Self::LEN, crypto::random)?))
    }

    /// Takes 32 bytes for a DEK. Who calls this has unwrapped them.
    pub(crate) fn from_secret(bytes: SecretBytes) -> Result<Self, KeyError> {
        match bytes.len() {
            Self::LEN => Ok(Self(bytes)),
            got => Err(KeyError::DekLength { got }),
        }
    }

    pub(crate) fn secret(&self) -> &SecretBytes {
        &self.0
    }

    /// The 32 bytes, for key derivation in `envelope` and for wrapping.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

impl fmt::Debug for Dek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dek(..)")
    }
}
