//! Keys on their way to a guest: [`SealedKey`] in transit, [`Payload`] inside it.

use claims::Sha256Digest;
use crypto::Sealed;
use secret::SecretBytes;

use crate::{Dek, Kek, KeyError};

/// An HPKE ciphertext to the guest's attested key. It opens for nobody else, so it may be copied and stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedKey {
    /// The encapsulated key; empty for `renew`, which carries no key.
    pub encapsulated: Vec<u8>,
    /// The ciphertext and its tag; empty for `renew`.
    pub ciphertext: Vec<u8>,
}

impl SealedKey {
    /// What `renew` is answered with.
    pub fn nothing() -> Self {
        Self { encapsulated: Vec::new(), ciphertext: Vec::new() }
    }

    /// Whether it is [`Self::nothing`].
    pub fn is_nothing(&self) -> bool {
        self.encapsulated.is_empty() && self.ciphertext.is_empty()
    }

    /// SHA-256 of the encapsulated key, then the ciphertext: what the journal's leaf holds.
    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest(crypto::sha256(&[&self.encapsulated, &self.ciphertext]))
    }
}

impl From<Sealed> for SealedKey {
    fn from(sealed: Sealed) -> Self {
        Self { encapsulated: sealed.encapsulated, ciphertext: sealed.ciphertext }
    }
}

/// What is inside a [`SealedKey`]: one byte for the kind, then the bytes of the key.
pub enum Payload {
    /// 1: an RSA KEK, PKCS #8 in DER; 2: an AES-256 KEK, 32 bytes.
    Kek(Kek),
    /// 3: an unwrapped DEK, 32 bytes.
    Dek(Dek),
    /// 4: opaque bytes.
    Secret(SecretBytes),
}

impl Payload {
    /// Kind byte of an RSA KEK.
    pub const KEK_RSA: u8 = 1;
    /// Kind byte of an AES-256 KEK.
    pub const KEK_AES: u8 = 2;
    /// Kind byte of a DEK.
    pub const DEK: u8 = 3;
    /// Kind byte of a secret.
    pub const SECRET: u8 = 4;

    /// The bytes to seal: `kind`, then `key`.
    pub fn encode(kind: u8, key: &SecretBytes) -> SecretBytes {
        let mut bytes = Vec::with_capacity(key.len().saturating_add(1));
        bytes.push(kind);
        bytes.extend_from_slice(key.expose());
        SecretBytes::from_vec(bytes)
    }

    /// The bytes to seal for a DEK.
    pub fn encode_dek(dek: &Dek) -> SecretBytes {
        Self::encode(Self::DEK, dek.secret())
    }

    /// Reads what [`Self::encode`] made.
    ///
    /// # Errors
    /// [`KeyError::UnknownPayload`] for another kind byte or none; else as the key's own reader.
    pub(crate) fn decode(bytes: &SecretBytes) -> Result<Self, KeyError> {
        let (kind, key) = bytes.expose().split_first().ok_or(KeyError::UnknownPayload { kind: None })?;
        let key = SecretBytes::from_vec(key.to_vec());
        match *kind {
            Self::KEK_RSA => Ok(Self::Kek(Kek::rsa_from_pkcs8(&key)?)),
            Self::KEK_AES => Ok(Self::Kek(Kek::from_bytes(claims::KeyKind::Aes256, key)?)),
            Self::DEK => Ok(Self::Dek(Dek::from_secret(key)?)),
            Self::SECRET => Ok(Self::Secret(key)),
            other => Err(KeyError::UnknownPayload { kind: Some(other) }),
        }
    }
}
