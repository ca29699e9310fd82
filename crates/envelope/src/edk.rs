//! Data keys wrapped under KEKs, as the raw keyrings of the AWS Encryption SDK lay them out.
//!
//! | keyring | provider | information | ciphertext |
//! |-|-|-|-|
//! | raw RSA, OAEP with SHA-256 and MGF1-SHA-256 | namespace | name | as many bytes as the modulus has |
//! | raw AES-256-GCM | namespace | name, 128 (tag bits) and 12 (nonce bytes) in four bytes each, nonce | ciphertext, tag |
//!
//! The associated data of the second is the encoded encryption context; the first has none.

use claims::{KeyId, KeyVersion, UnwrapAlgorithm};
use crypto::{Aes256Gcm, NONCE_LEN, RsaPublicKey};
use keys::{Dek, Kek};
use secret::SecretBytes;

use crate::{Error, UsageError};

/// What a wrapping key is called in a header: a namespace and a name in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName {
    namespace: String,
    name: String,
}

impl KeyName {
    /// The namespace of keys that brokers hold.
    pub const NAMESPACE: &'static str = "keyfast";
    /// Longest namespace and longest name, in bytes.
    pub const MAX_LEN: usize = 1024;

    /// The name of a broker's key: `db/3` in the namespace `keyfast` for version 3 of `db`.
    pub fn of(key: &KeyId, version: KeyVersion) -> Self {
        Self { namespace: Self::NAMESPACE.to_owned(), name: format!("{key}/{version}") }
    }

    /// A name of someone else's key.
    ///
    /// # Errors
    /// [`UsageError::KeyName`] if a part is empty, longer than [`Self::MAX_LEN`], or the namespace is that of AWS KMS.
    pub fn new(namespace: &str, name: &str) -> Result<Self, UsageError> {
        let wrong = |defect| Err(UsageError::KeyName { defect });
        if namespace.starts_with("aws-kms") {
            return wrong("the namespace `aws-kms` belongs to AWS");
        }
        if namespace.is_empty() || name.is_empty() {
            return wrong("namespace and name must not be empty");
        }
        if namespace.len() > Self::MAX_LEN || name.len() > Self::MAX_LEN {
            return wrong("namespace and name have at most 1024 bytes each");
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// Which of a broker's keys it names, if any.
    pub fn key(&self) -> Option<(KeyId, KeyVersion)> {
        let (key, version) = self.name.split_once('/')?;
        let found = (key.parse().ok()?, KeyVersion(version.parse().ok()?));
        (*self == Self::of(&found.0, found.1)).then_some(found)
    }
}

impl core::fmt::Display for KeyName {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}:{}", self.namespace.escape_debug(), self.name.escape_debug())
    }
}

/// A key that the data key of a new message is wrapped under, and its name.
pub struct Wrapping<'a> {
    /// What it is called.
    pub name: KeyName,
    /// The key.
    pub key: WrappingKey<'a>,
}

/// The key of a [`Wrapping`].
pub enum WrappingKey<'a> {
    /// The public half of an RSA KEK.
    Rsa(&'a RsaPublicKey),
    /// A KEK that is at hand; of an RSA KEK the public half is used.
    Kek(&'a Kek),
}

/// A data key as `keys` and the broker's `unwrap` take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedDek {
    /// How it was wrapped.
    pub algorithm: UnwrapAlgorithm,
    /// The wrapped bytes; for AES-GCM the 12-byte nonce, ciphertext and tag.
    pub wrapped: Vec<u8>,
    /// The associated data: the encoded encryption context for AES-GCM, else empty.
    pub context: Vec<u8>,
}

/// An entry of a header, as it stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EncryptedDataKey {
    pub(crate) provider: String,
    pub(crate) information: Vec<u8>,
    pub(crate) ciphertext: Vec<u8>,
}

impl EncryptedDataKey {
    /// Wraps `dek`. `context` is the encoded encryption context.
    pub(crate) fn wrap(wrapping: &Wrapping<'_>, dek: &Dek, context: &[u8]) -> Result<Self, Error> {
        let (provider, name) = (wrapping.name.namespace.clone(), wrapping.name.name.as_bytes().to_vec());
        let rsa = |key: &RsaPublicKey| key.encrypt_oaep_sha256(dek.expose());
        let (information, ciphertext) = match wrapping.key {
            WrappingKey::Rsa(key) => (name, rsa(key)?),
            WrappingKey::Kek(Kek::Rsa(key)) => (name, rsa(key.public())?),
            WrappingKey::Kek(Kek::Aes(key)) => wrap_aes(name, key, dek, context)?,
        };
        Ok(Self { provider, information, ciphertext })
    }

    /// The key that this entry is wrapped under, and how; `None` for an entry of another keyring.
    fn layout(&self) -> Option<(KeyName, UnwrapAlgorithm, &[u8])> {
        let named = |name: &[u8]| KeyName::new(&self.provider, str::from_utf8(name).ok()?).ok();
        // The byte 128 between zeros is not UTF-8, so no name looks like the other layout.
        if let Some(name) = named(&self.information) {
            return Some((name, UnwrapAlgorithm::RsaOaep256, &[]));
        }
        let (head, nonce) = self.information.split_last_chunk::<NONCE_LEN>()?;
        let name = named(head.strip_suffix(&AES_PARAMETERS)?)?;
        Some((name, UnwrapAlgorithm::Aes256Gcm, nonce))
    }

    /// The name of its key, if it is of a keyring known here.
    pub(crate) fn key_name(&self) -> Option<KeyName> {
        self.layout().map(|(name, ..)| name)
    }

    /// What is to be unwrapped, if it is wrapped under `wanted`.
    pub(crate) fn wrapped_under(
        &self,
        wanted: &KeyName,
        context: impl FnOnce() -> Vec<u8>,
    ) -> Option<WrappedDek> {
        let (name, algorithm, nonce) = self.layout()?;
        let context = || if algorithm == UnwrapAlgorithm::Aes256Gcm { context() } else { Vec::new() };
        let wrapped = || [nonce, &self.ciphertext].concat();
        (name == *wanted).then(|| WrappedDek { algorithm, wrapped: wrapped(), context: context() })
    }
}

/// Wraps under AES-256-GCM with a fresh nonce: the information and the ciphertext.
fn wrap_aes(
    name: Vec<u8>,
    key: &SecretBytes,
    dek: &Dek,
    context: &[u8],
) -> Result<(Vec<u8>, Vec<u8>), crypto::Error> {
    let nonce = crypto::random_array::<NONCE_LEN>()?;
    let mut ciphertext = dek.expose().to_vec();
    let tag = Aes256Gcm::new(key.expose())?.seal(nonce, context, &mut ciphertext)?;
    ciphertext.extend_from_slice(&tag);
    Ok(([name.as_slice(), &AES_PARAMETERS, &nonce].concat(), ciphertext))
}

/// A tag of 128 bits and a nonce of 12 bytes, four bytes each, big-endian.
const AES_PARAMETERS: [u8; 8] = [0, 0, 0, 128, 0, 0, 0, 12];

#[cfg(test)]
mod tests {
    use super::*;
    use claims::KeyKind;

    #[test]
    fn a_name_of_a_broker_key_reads_back() {
        let (key, version) = ("db.main".parse().unwrap(), KeyVersion(3));
        let name = KeyName::of(&key, version);
        assert_eq!(name.to_string(), "keyfast:db.main/3");
        assert_eq!(name.key(), Some((key, version)));
        for other in ["db", "db/", "db/03", "/3", "db/3/4", "DB/3"] {
            assert_eq!(KeyName::new("keyfast", other).unwrap().key(), None, "{other}");
        }
        assert_eq!(KeyName::new("elsewhere", "db/3").unwrap().key(), None);
    }

    #[test]
    fn names_that_other_implementations_refuse_are_refused() {
        for (namespace, name) in [("aws-kms", "a"), ("aws-kms-mrk", "a"), ("", "a"), ("a", "")] {
            assert!(KeyName::new(namespace, name).is_err(), "{namespace} {name}");
        }
        assert!(KeyName::new(&"a".repeat(1025), "a").is_err());
    }

    #[test]
    fn an_aes_entry_opens_under_its_key_name_and_context_only() {
        let kek = Kek::generate(KeyKind::Aes256).unwrap();
        let dek = Dek::generate().unwrap();
        let name = KeyName::new("keyfast", "a/1").unwrap();
        let wrapping = Wrapping { name: name.clone(), key: WrappingKey::Kek(&kek) };
        let entry = EncryptedDataKey::wrap(&wrapping, &dek, b"context").unwrap();
        assert_eq!(entry.key_name(), Some(name.clone()));
        assert_eq!(entry.information.len(), 3 + 8 + 12);

        let other = KeyName::new("keyfast", "a/2").unwrap();
        assert_eq!(entry.wrapped_under(&other, Vec::new), None);
        let wrapped = entry.wrapped_under(&name, || b"context".to_vec()).unwrap();
        let open = |context: &[u8]| kek.unwrap_dek(wrapped.algorithm, &wrapped.wrapped, context);
        assert_eq!(open(&wrapped.context).unwrap().expose(), dek.expose());
        assert!(open(b"another").is_err());
    }
}
