//! [`RootKey`]: creates, wraps and seals KEKs.

use claims::{
    KeyAttributes, KeyId, KeyKind, KeyVersion, Operation, Origin, Region, ReleasePolicy, RingId,
    Sha256Digest, Suite, UnixTime, leaf,
};
use crypto::{Aes256Gcm, NONCE_LEN, TAG_LEN};
use keys::{Kek, KeyError, Payload, SealedKey, commitment};
use policy::Grant;
use secret::SecretBytes;
use std::collections::{BTreeMap, BTreeSet};

use crate::Embargoed;

/// A KEK at rest: attributes in the clear, and the key that only the root key opens. Anyone may hold one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKek {
    /// What is said about the key; associated data of `bytes`, so that neither moves without the other.
    pub attributes: KeyAttributes,
    /// Nonce (12 bytes), ciphertext, tag (16 bytes).
    pub bytes: Vec<u8>,
}

/// What an operator asks for when a key is made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its name.
    pub id: KeyId,
    /// Its version.
    pub version: KeyVersion,
    /// What kind it is.
    pub kind: KeyKind,
    /// What guests may ask of it.
    pub operations: BTreeSet<Operation>,
    /// Whether it is for simulated guests, and for no other.
    pub for_simulation: bool,
    /// The weakest suite it may be sealed with.
    pub suite_floor: Suite,
    /// The ring that it is in.
    pub ring: RingId,
    /// Where it may be used.
    pub region: Option<Region>,
    /// Its own policy.
    pub release_policy: Option<ReleasePolicy>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// When it is made.
    pub now: UnixTime,
}

impl NewKey {
    /// What is known of it once its bytes are there, in its first revision.
    pub fn attributes(self, origin: Origin, commitment: Sha256Digest) -> KeyAttributes {
        KeyAttributes {
            id: self.id,
            version: self.version,
            kind: self.kind,
            origin,
            operations: self.operations,
            for_simulation: self.for_simulation,
            suite_floor: self.suite_floor,
            enabled: true,
            revision: 1,
            created_at: self.now,
            ring: self.ring,
            region: self.region,
            release_policy: self.release_policy,
            tags: self.tags,
            commitment,
        }
    }
}

/// A key that was just made or brought.
#[derive(Debug)]
pub struct Created {
    /// The key at rest.
    pub wrapped: WrappedKek,
    /// The public half's SubjectPublicKeyInfo in DER, where there is one.
    pub public_spki: Option<Vec<u8>>,
}

/// The wrapped DEK and its context, as the guest sent them.
#[derive(Clone, Copy, Debug)]
pub struct UnwrapInput<'a> {
    /// The wrapped DEK.
    pub wrapped: &'a [u8],
    /// Associated data; empty where there is none.
    pub context: &'a [u8],
}

/// Why nothing was sealed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The store handed over another key than the grant names.
    #[error("the grant is for `{granted}` version {version} revision {revision}, the store gave `{stored}`")]
    OtherKey {
        /// The key granted.
        granted: KeyId,
        /// The version granted.
        version: KeyVersion,
        /// The revision that policy saw.
        revision: u64,
        /// The key found.
        stored: KeyId,
    },
    /// The row was altered, swapped, or wrapped under another root key.
    #[error("the key `{key}` at rest does not open: the row was altered, or the root key is another one")]
    Altered {
        /// The key.
        key: KeyId,
    },
    /// The wrapped DEK is not the one that the guest's evidence binds.
    #[error("the wrapped data key is not the one that the request's {what} names")]
    OtherDek {
        /// Which hash does not fit.
        what: &'static str,
    },
    /// The grant is for `unwrap` and no wrapped DEK came, or the other way round.
    #[error("a wrapped data key belongs to `unwrap`, and to nothing else")]
    UnwrapInput,
    /// The DEK does not unwrap under this key.
    #[error("the data key does not unwrap under `{key}`: {source}")]
    Unwrap {
        /// The key.
        key: KeyId,
        /// Why.
        source: KeyError,
    },
    /// A key could not be made or sealed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The primitive failed.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
}

/// The key that every KEK at rest is wrapped under: 32 bytes.
pub struct RootKey(Aes256Gcm);

impl RootKey {
    /// Takes 32 bytes.
    ///
    /// # Errors
    /// [`ReleaseError::Crypto`] if there are more or fewer.
    pub fn from_bytes(bytes: &SecretBytes) -> Result<Self, ReleaseError> {
        Ok(Self(Aes256Gcm::new(bytes.expose())?))
    }

    /// Makes a key and wraps it; the open key does not outlive the call.
    ///
    /// # Errors
    /// [`ReleaseError::Key`] if it cannot be made; a [`KeyKind::Secret`] is brought, not made.
    pub fn generate(&self, new: NewKey) -> Result<Created, ReleaseError> {
        let kek = Kek::generate(new.kind)?;
        self.wrap_new(new, Origin::Generated, kek.public_spki(), kek.to_bytes())
    }

    /// Takes over a secret's bytes and wraps them.
    ///
    /// # Errors
    /// [`ReleaseError::Crypto`] if the library fails.
    pub fn import_secret(&self, new: NewKey, bytes: &SecretBytes) -> Result<Created, ReleaseError> {
        let new = NewKey { kind: KeyKind::Secret, ..new };
        self.wrap_new(new, Origin::Imported, None, bytes)
    }

    fn wrap_new(
        &self,
        new: NewKey,
        origin: Origin,
        public_spki: Option<&[u8]>,
        bytes: &SecretBytes,
    ) -> Result<Created, ReleaseError> {
        let attributes = new.attributes(origin, commitment(public_spki, bytes));
        let wrapped = self.wrap(attributes, bytes)?;
        Ok(Created { wrapped, public_spki: public_spki.map(<[u8]>::to_vec) })
    }

    /// Wraps the same key under changed attributes: another revision, enabled or disabled.
    ///
    /// # Errors
    /// [`ReleaseError::Altered`] if the row does not open.
    pub fn rewrap(&self, old: &WrappedKek, attributes: KeyAttributes) -> Result<WrappedKek, ReleaseError> {
        let bytes = self.open(old)?;
        self.wrap(attributes, &bytes)
    }

    fn wrap(&self, attributes: KeyAttributes, key: &SecretBytes) -> Result<WrappedKek, ReleaseError> {
        let nonce = crypto::random_array::<NONCE_LEN>()?;
        let mut bytes = nonce.to_vec();
        bytes.extend_from_slice(key.expose());
        let (_, ciphertext) = bytes.split_at_mut(NONCE_LEN);
        let tag = self.0.seal(nonce, &attributes.encode(), ciphertext)?;
        bytes.extend_from_slice(&tag);
        Ok(WrappedKek { attributes, bytes })
    }

    fn open(&self, wrapped: &WrappedKek) -> Result<SecretBytes, ReleaseError> {
        let altered = || ReleaseError::Altered { key: wrapped.attributes.id.clone() };
        let (nonce, rest) = wrapped.bytes.split_first_chunk::<NONCE_LEN>().ok_or_else(altered)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or_else(altered)?;
        let aad = wrapped.attributes.encode();
        let open = |out: &mut [u8]| self.0.open_to(*nonce, &aad, ciphertext, tag, out);
        SecretBytes::try_fill(ciphertext.len(), open).map_err(|_| altered())
    }

    /// The only road from the root key to key material: seals what `grant` says to whom `grant` says.
    ///
    /// `unwrap` is the guest's wrapped DEK, for [`Operation::Unwrap`] and only there.
    ///
    /// # Errors
    /// [`ReleaseError::OtherKey`] if `wrapped` is not the key, version and revision granted;
    /// [`ReleaseError::Altered`] if it does not open; [`ReleaseError::OtherDek`] and [`ReleaseError::Unwrap`] if
    /// the DEK is not the one attested or does not unwrap.
    pub fn seal(
        &self,
        grant: &Grant,
        wrapped: &WrappedKek,
        unwrap: Option<UnwrapInput<'_>>,
    ) -> Result<Embargoed, ReleaseError> {
        let attributes = &wrapped.attributes;
        if (grant.key(), grant.version(), grant.key_revision())
            != (&attributes.id, attributes.version, attributes.revision)
        {
            return Err(ReleaseError::OtherKey {
                granted: grant.key().clone(),
                version: grant.version(),
                revision: grant.key_revision(),
                stored: attributes.id.clone(),
            });
        }
        let Some(payload) = self.payload(grant, wrapped, unwrap)? else {
            return Ok(Embargoed::new(SealedKey::nothing()));
        };
        let aad = leaf::sealing_aad(grant.index(), grant.operation(), grant.key(), grant.version());
        let sealed = crypto::hpke_seal(grant.recipient(), grant.transcript_bytes(), &aad, payload.expose())?;
        Ok(Embargoed::new(sealed.into()))
    }

    /// The bytes to seal; `None` for `renew`.
    fn payload(
        &self,
        grant: &Grant,
        wrapped: &WrappedKek,
        unwrap: Option<UnwrapInput<'_>>,
    ) -> Result<Option<SecretBytes>, ReleaseError> {
        if unwrap.is_some() != (grant.operation() == Operation::Unwrap) {
            return Err(ReleaseError::UnwrapInput);
        }
        let kind = wrapped.attributes.kind;
        Ok(match (grant.operation(), unwrap) {
            (Operation::Renew, _) => None,
            (Operation::Release, _) => Some(Payload::encode(kek_code(kind)?, &self.open(wrapped)?)),
            (Operation::Secret, _) => Some(Payload::encode(Payload::SECRET, &self.open(wrapped)?)),
            (Operation::Unwrap, Some(input)) => Some(self.unwrap_dek(grant, wrapped, input)?),
            (Operation::Unwrap, None) => return Err(ReleaseError::UnwrapInput),
        })
    }

    fn unwrap_dek(
        &self,
        grant: &Grant,
        wrapped: &WrappedKek,
        input: UnwrapInput<'_>,
    ) -> Result<SecretBytes, ReleaseError> {
        let binding = grant.unwrap().ok_or(ReleaseError::UnwrapInput)?;
        let is = |digest: Sha256Digest, bytes: &[u8]| digest.0 == crypto::sha256(&[bytes]);
        if !is(binding.wrapped, input.wrapped) {
            return Err(ReleaseError::OtherDek { what: "hash of the wrapped key" });
        }
        if !is(binding.context, input.context) {
            return Err(ReleaseError::OtherDek { what: "hash of the context" });
        }
        let kek = Kek::from_bytes(wrapped.attributes.kind, self.open(wrapped)?)?;
        let dek = kek.unwrap_dek(binding.algorithm, input.wrapped, input.context);
        let dek = dek.map_err(|source| ReleaseError::Unwrap { key: grant.key().clone(), source })?;
        Ok(Payload::encode_dek(&dek))
    }
}

fn kek_code(kind: KeyKind) -> Result<u8, ReleaseError> {
    match kind {
        KeyKind::Rsa { .. } => Ok(Payload::KEK_RSA),
        KeyKind::Aes256 => Ok(Payload::KEK_AES),
        KeyKind::Secret => Err(ReleaseError::Key(KeyError::NotAKek { kind })),
    }
}
