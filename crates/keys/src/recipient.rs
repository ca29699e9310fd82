//! [`RecipientSecret`] and [`open`]: the last step of a key's way, in the guest.

use claims::{KeyId, KeyVersion, Operation, RecipientKey, Suite, leaf};
use crypto::Sealed;
use secret::SecretBytes;

use crate::receipt::Accepted;
use crate::{Dek, Kek, KeyError, Payload, Receipted, commitment};

/// The private half of the key that the guest's evidence binds. Used for one request, hence spent by [`open`].
pub struct RecipientSecret {
    secret: SecretBytes,
    public: RecipientKey,
}

impl RecipientSecret {
    /// A fresh key pair.
    ///
    /// # Errors
    /// [`KeyError::Crypto`] if the system gives no randomness.
    pub fn generate(suite: Suite) -> Result<Self, KeyError> {
        let (secret, public) = crypto::hpke_generate(suite)?;
        Ok(Self { secret, public })
    }

    /// The public half, which goes into the transcript.
    pub fn public(&self) -> &RecipientKey {
        &self.public
    }
}

/// What one request brought.
pub struct Opened {
    /// Place of the request in the transcript.
    pub index: u32,
    /// The key that was asked for.
    pub key: KeyId,
    /// The version that the broker chose or was told.
    pub version: KeyVersion,
    /// What came.
    pub content: OpenedContent,
}

/// What came for a guest.
#[derive(Debug)]
pub enum OpenedContent {
    /// For `release`.
    Kek(Kek),
    /// For `unwrap`.
    Dek(Dek),
    /// For `secret`.
    Secret(SecretBytes),
    /// For `renew`: nothing but the receipt.
    Renewed,
}

/// Why a receipted answer did not open.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The sealed bytes are not for this guest, transcript, place, key or version.
    #[error("the sealed key for `{key}` does not open: it was made for another guest, request or version")]
    NotForUs {
        /// The key that was asked for.
        key: KeyId,
    },
    /// What was sealed is of another kind than what was asked for.
    #[error("the answer for `{key}` holds something else than `{operation}` asks for; refuse this broker")]
    WrongContent {
        /// The key that was asked for.
        key: KeyId,
        /// What was asked for.
        operation: Operation,
    },
    /// The key is not the one that its record in the log commits to.
    #[error("the key sealed as `{key}` is not the one that the log commits to; refuse this broker")]
    Planted {
        /// The key that was asked for.
        key: KeyId,
    },
    /// The key bytes are malformed.
    #[error("the key sealed as `{key}` is malformed: {source}")]
    Malformed {
        /// The key that was asked for.
        key: KeyId,
        /// What is wrong with it.
        source: KeyError,
    },
}

/// Opens every key of a request at once. The recipient secret is spent: a second answer opens with nothing.
///
/// # Errors
/// [`OpenError`] for the first answer that is not what its receipt and request say.
pub fn open(secret: RecipientSecret, receipted: Receipted) -> Result<Vec<Opened>, OpenError> {
    let (transcript, accepted) = receipted.into_parts();
    accepted.into_iter().map(|answer| open_one(&secret, &transcript, answer)).collect()
}

fn open_one(secret: &RecipientSecret, transcript: &[u8], answer: Accepted) -> Result<Opened, OpenError> {
    let Accepted { index, operation, key, version, key_commitment, sealed } = answer;
    if operation == Operation::Renew {
        return match sealed.is_nothing() {
            true => Ok(Opened { index, key, version, content: OpenedContent::Renewed }),
            false => Err(OpenError::WrongContent { key, operation }),
        };
    }
    let aad = leaf::sealing_aad(index, operation, &key, version);
    let sealed = Sealed { encapsulated: sealed.encapsulated, ciphertext: sealed.ciphertext };
    let opened = crypto::hpke_open(secret.public.suite, &secret.secret, transcript, &aad, &sealed);
    let bytes = opened.map_err(|_| OpenError::NotForUs { key: key.clone() })?;
    let payload =
        Payload::decode(&bytes).map_err(|source| OpenError::Malformed { key: key.clone(), source })?;
    let content = match (operation, payload) {
        (Operation::Release, Payload::Kek(kek)) => {
            if commitment(kek.public_spki(), kek.to_bytes()) != key_commitment {
                return Err(OpenError::Planted { key });
            }
            OpenedContent::Kek(kek)
        }
        (Operation::Secret, Payload::Secret(bytes)) => {
            if commitment(None, &bytes) != key_commitment {
                return Err(OpenError::Planted { key });
            }
            OpenedContent::Secret(bytes)
        }
        (Operation::Unwrap, Payload::Dek(dek)) => OpenedContent::Dek(dek),
        _ => return Err(OpenError::WrongContent { key, operation }),
    };
    Ok(Opened { index, key, version, content })
}
