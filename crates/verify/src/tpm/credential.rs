//! TPM2_MakeCredential without a TPM: a secret that only the TPM of an endorsement key can open, and only if the
//! attestation key of the given Name is loaded there (TCG TPM 2.0 Library 1.59, part 1, 24; part 3, 12.6).
//!
//! The Name covers the attestation key's attributes, so a TPM that opens the credential vouches for those too; whoever
//! enrols a key checks them ([`Enrolling::check`]) before making one. The endorsement key is by one of the templates of
//! [`super::template`]; the hash and the cipher that protect the credential are those of its template.

use claims::tpm::ObjectName;
use crypto::{EcdhKey, Hmac384Key, HmacKey};
use evidence::tpm::Public;

use super::TpmVerifyError;
use super::ak::{AttestationKey, check_attributes, name_of, qualified_name, telling_name};
use super::ek::{EkError, EkRoots};
use super::template::{EkKey, EndorsementKey, Protection};

/// A credential: two structures that TPM2_ActivateCredential takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// TPM2B_ID_OBJECT: MAC, and the secret encrypted.
    pub blob: Vec<u8>,
    /// TPM2B_ENCRYPTED_SECRET: the seed, encrypted to the endorsement key.
    pub encrypted_seed: Vec<u8>,
}

/// An attestation key and an endorsement key that fit the rules of enrolment. Nothing says yet that one TPM has both.
#[derive(Debug)]
pub struct Enrolling {
    ek: EndorsementKey,
    ek_name: ObjectName,
    ak_name: ObjectName,
    qualified_name: ObjectName,
}

/// Keys that cannot be enrolled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The attestation key is not fit for quotes.
    #[error(transparent)]
    Ak(#[from] TpmVerifyError),
    /// The endorsement key is none by the TCG's templates.
    #[error("the endorsement key is not of the template {template}: expected {expected}")]
    Ek {
        /// The template that it comes nearest to.
        template: &'static str,
        /// What it should have.
        expected: &'static str,
    },
    /// The endorsement key's certificate leads to no root of the operator's, or is of another key.
    #[error(transparent)]
    Certificate(#[from] EkError),
    /// The secret is longer than a credential carries.
    #[error("secret too long: expected at most 32 bytes, got {got}")]
    Secret {
        /// Bytes given.
        got: usize,
    },
    /// The library failed.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
}

impl Enrolling {
    /// Checks both keys, and that `certificates` (the endorsement key's first, then its issuers, DER) lead from this
    /// very endorsement key to one of `roots` at `now`.
    ///
    /// # Errors
    /// [`EnrolError`], the first rule that a key or certificate breaks.
    pub fn check(
        ak: &Public,
        ek: &Public,
        certificates: &[Vec<u8>],
        roots: &EkRoots,
        now: claims::UnixTime,
    ) -> Result<(Self, super::ek::VerifiedEk), EnrolError> {
        let enrolling = Self::without_certificate(ak, ek)?;
        let verified = roots.verify(certificates, now)?;
        if verified.spki() != enrolling.ek.spki {
            return Err(EkError::OtherKey.into());
        }
        Ok((enrolling, verified))
    }

    /// As [`Self::check`], for an endorsement key that something else vouches for: an operator, or the manifest of a
    /// secure VM service under an SNP report.
    ///
    /// # Errors
    /// [`EnrolError`], the first rule that a key breaks.
    pub fn without_certificate(ak: &Public, ek: &Public) -> Result<Self, EnrolError> {
        check_attributes(ak.fields().attributes, &mut |_, _| ())?;
        AttestationKey::of_public(ak)?;
        let key = EndorsementKey::of_public(ek)?;
        let (ek_name, ak_name) = (name_of(ek), telling_name(ak)?);
        let parent = qualified_name(&ENDORSEMENT_HIERARCHY.to_be_bytes(), &ek_name);
        let qualified_name = qualified_name(&parent.to_bytes(), &ak_name);
        Ok(Self { ek: key, ek_name, ak_name, qualified_name })
    }

    /// The attestation key's Name.
    pub fn ak_name(&self) -> &ObjectName {
        &self.ak_name
    }

    /// The endorsement key's Name.
    pub fn ek_name(&self) -> &ObjectName {
        &self.ek_name
    }

    /// The attestation key's qualified Name, if it lies right under the endorsement key. Under another parent its quotes
    /// say another one, and enrolment must not keep this.
    pub fn qualified_name(&self) -> &ObjectName {
        &self.qualified_name
    }

    /// A credential for at most 32 bytes of secret.
    ///
    /// # Errors
    /// [`EnrolError::Secret`] for a longer secret; [`EnrolError::Crypto`] if the system gives no randomness.
    pub fn credential(&self, secret: &[u8]) -> Result<Credential, EnrolError> {
        if secret.len() > 32 {
            return Err(EnrolError::Secret { got: secret.len() });
        }
        let (seed, encrypted) = self.seed()?;
        let name = self.ak_name.to_bytes();
        let mut hidden = sized(secret);
        let mac = match self.ek.protection {
            Protection::Sha256Aes128 => {
                let (mut cipher_key, mut mac_key) = ([0; 16], [0; 32]);
                crypto::kdfa_sha256(&seed, "STORAGE", &name, &[], &mut cipher_key);
                crypto::kdfa_sha256(&seed, "INTEGRITY", &[], &[], &mut mac_key);
                crypto::aes128_cfb_encrypt(&cipher_key, &mut hidden)?;
                HmacKey::new(&mac_key).tag(&[&hidden, &name]).to_vec()
            }
            Protection::Sha384Aes256 => {
                let (mut cipher_key, mut mac_key) = ([0; 32], [0; 48]);
                crypto::kdfa_sha384(&seed, "STORAGE", &name, &[], &mut cipher_key);
                crypto::kdfa_sha384(&seed, "INTEGRITY", &[], &[], &mut mac_key);
                crypto::aes256_cfb_encrypt(&cipher_key, &mut hidden)?;
                Hmac384Key::new(&mac_key).tag(&[&hidden, &name]).to_vec()
            }
        };
        let blob = sized(&[sized(&mac), hidden].concat());
        Ok(Credential { blob, encrypted_seed: sized(&encrypted) })
    }

    /// A seed as long as the endorsement key's hash, and what tells it to the TPM: encrypted with RSA, or a fresh point
    /// (TPMS_ECC_POINT) from which both derive it (part 1, 24.2, B.10.3 and C.6.1).
    fn seed(&self) -> Result<(Vec<u8>, Vec<u8>), EnrolError> {
        match &self.ek.key {
            EkKey::Rsa(key) => {
                let seed: [u8; 32] = crypto::random_array()?;
                let encrypted = key.encrypt_oaep_sha256_labelled(&seed, b"IDENTITY\0")?;
                Ok((seed.to_vec(), encrypted))
            }
            EkKey::Ecc { curve, point } => {
                let own = EcdhKey::generate(*curve)?;
                let (shared, sent) = (own.agree(point)?, own.public_sec1()?);
                let ([own_x, own_y], [ek_x, _]) = (coordinates(&sent), coordinates(point));
                let seed = match self.ek.protection {
                    Protection::Sha256Aes128 => {
                        crypto::kdfe_sha256(shared.expose(), "IDENTITY", own_x, ek_x).to_vec()
                    }
                    Protection::Sha384Aes256 => {
                        crypto::kdfe_sha384(shared.expose(), "IDENTITY", own_x, ek_x).to_vec()
                    }
                };
                Ok((seed, [sized(own_x), sized(own_y)].concat()))
            }
        }
    }
}

/// x and y of an uncompressed point.
fn coordinates(point: &[u8]) -> [&[u8]; 2] {
    let both = point.get(1..).unwrap_or_default();
    let (x, y) = both.split_at_checked(both.len() / 2).unwrap_or_default();
    [x, y]
}

/// TPM2B of at most 64 KiB.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes()[..], bytes].concat()
}

const ENDORSEMENT_HIERARCHY: u32 = 0x4000_000b;
