//! [`Kek`]: the key that wraps DEKs.

use core::fmt;

use claims::{KeyKind, Sha256Digest, UnwrapAlgorithm};
use crypto::{Aes256Gcm, HmacKey, NONCE_LEN, RsaPrivateKey, TAG_LEN};
use secret::SecretBytes;

use crate::Dek;

/// Why a key could not be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The primitive refused.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// What was unwrapped is no DEK.
    #[error("wrong length of the data key: expected 32 bytes, got {got}")]
    DekLength {
        /// Bytes found.
        got: usize,
    },
    /// The algorithm belongs to another kind of key.
    #[error("wrapping algorithm and key do not fit: {algorithm:?} on a key of kind {kind}")]
    Algorithm {
        /// What was asked for.
        algorithm: UnwrapAlgorithm,
        /// What the key is.
        kind: KeyKind,
    },
    /// A sealed answer holds something that this version does not know.
    #[error("unknown kind of sealed key: {kind:?}; the broker may be newer than this agent")]
    UnknownPayload {
        /// The kind byte; `None` if there was none.
        kind: Option<u8>,
    },
    /// A secret cannot wrap keys.
    #[error("a key of kind {kind} wraps no keys")]
    NotAKek {
        /// What the key is.
        kind: KeyKind,
    },
}

/// A key-encryption key that is open in memory.
pub enum Kek {
    /// RSA.
    Rsa(Box<RsaPrivateKey>),
    /// AES-256, 32 bytes.
    Aes(SecretBytes),
}

impl Kek {
    /// A fresh KEK.
    ///
    /// # Errors
    /// [`KeyError::NotAKek`] for [`KeyKind::Secret`]; [`KeyError::Crypto`] if the library fails.
    pub fn generate(kind: KeyKind) -> Result<Self, KeyError> {
        match kind {
            KeyKind::Rsa { bits } => Ok(Self::Rsa(Box::new(RsaPrivateKey::generate(bits)?))),
            KeyKind::Aes256 => Ok(Self::Aes(SecretBytes::try_fill(32, crypto::random)?)),
            KeyKind::Secret => Err(KeyError::NotAKek { kind }),
        }
    }

    /// Reads the bytes that [`Self::to_bytes`] gave: PKCS #8 for RSA, 32 bytes for AES.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] if they are of another kind or length.
    pub fn from_bytes(kind: KeyKind, bytes: SecretBytes) -> Result<Self, KeyError> {
        let bad = |expected| KeyError::Crypto(crypto::Error::BadKey { expected });
        match kind {
            KeyKind::Rsa { bits } => {
                let key = RsaPrivateKey::from_pkcs8(bytes.expose())?;
                let fits = key.public().bits() == usize::from(bits);
                if fits { Ok(Self::Rsa(Box::new(key))) } else { Err(bad("a modulus of the kind's length")) }
            }
            KeyKind::Aes256 if bytes.len() == 32 => Ok(Self::Aes(bytes)),
            KeyKind::Aes256 => Err(bad("32 bytes")),
            KeyKind::Secret => Err(KeyError::NotAKek { kind }),
        }
    }

    /// Reads an RSA private key of any supported length.
    pub(crate) fn rsa_from_pkcs8(der: &SecretBytes) -> Result<Self, KeyError> {
        Ok(Self::Rsa(Box::new(RsaPrivateKey::from_pkcs8(der.expose())?)))
    }

    /// The bytes that travel sealed and rest wrapped.
    pub fn to_bytes(&self) -> &SecretBytes {
        match self {
            Self::Rsa(key) => key.pkcs8(),
            Self::Aes(bytes) => bytes,
        }
    }

    /// What kind it is.
    pub fn kind(&self) -> KeyKind {
        match self {
            Self::Rsa(key) => KeyKind::Rsa { bits: u16::try_from(key.public().bits()).unwrap_or(0) },
            Self::Aes(_) => KeyKind::Aes256,
        }
    }

    /// The public half's SubjectPublicKeyInfo in DER, where there is one.
    pub fn public_spki(&self) -> Option<&[u8]> {
        match self {
            Self::Rsa(key) => Some(key.public().spki()),
            Self::Aes(_) => None,
        }
    }

    /// Unwraps one DEK. `context` is the associated data of [`UnwrapAlgorithm::Aes256Gcm`]; the others take none.
    ///
    /// # Errors
    /// [`KeyError::Algorithm`] if it does not fit the key; [`KeyError::Crypto`] if `wrapped` was not made for it;
    /// [`KeyError::DekLength`] if something else was wrapped.
    pub fn unwrap_dek(
        &self,
        algorithm: UnwrapAlgorithm,
        wrapped: &[u8],
        context: &[u8],
    ) -> Result<Dek, KeyError> {
        let bytes = match (self, algorithm) {
            (Self::Rsa(key), UnwrapAlgorithm::RsaOaep256) => key.decrypt_oaep_sha256(wrapped)?,
            (Self::Aes(key), UnwrapAlgorithm::Aes256Kwp) => crypto::kwp_unwrap(key.expose(), wrapped)?,
            (Self::Aes(key), UnwrapAlgorithm::Aes256Gcm) => open_gcm(key, wrapped, context)?,
            _ => return Err(KeyError::Algorithm { algorithm, kind: self.kind() }),
        };
        Dek::from_secret(bytes)
    }
}

/// Opens nonce, ciphertext and tag, in this order.
fn open_gcm(key: &SecretBytes, wrapped: &[u8], context: &[u8]) -> Result<SecretBytes, KeyError> {
    let too_short =
        crypto::Error::Length { what: "wrapped key", expected: NONCE_LEN + TAG_LEN, got: wrapped.len() };
    let (nonce, rest) = wrapped.split_first_chunk::<NONCE_LEN>().ok_or(too_short)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(too_short)?;
    let aead = Aes256Gcm::new(key.expose())?;
    let opened =
        SecretBytes::try_fill(ciphertext.len(), |out| aead.open_to(*nonce, context, ciphertext, tag, out));
    Ok(opened?)
}

/// Pins a key's bytes without giving them away.
///
/// RSA: SHA-256 of the SubjectPublicKeyInfo, so that anyone with the public half can check it. AES-256 and secrets:
/// SHA-256 of the HMAC-SHA256, keyed with the bytes, of `keyfast/1 commitment`; a secret of little entropy could be
/// guessed against it, so commitments stay in salted records.
pub fn commitment(public_spki: Option<&[u8]>, bytes: &SecretBytes) -> Sha256Digest {
    match public_spki {
        Some(spki) => Sha256Digest(crypto::sha256(&[spki])),
        None => {
            let tag = HmacKey::new(bytes.expose()).tag(&[b"keyfast/1 commitment"]);
            Sha256Digest(crypto::sha256(&[&tag]))
        }
    }
}

impl fmt::Debug for Kek {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kek({}, ..)", self.kind())
    }
}
