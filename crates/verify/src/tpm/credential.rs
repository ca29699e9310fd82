//! TPM2_MakeCredential without a TPM: a secret that only the TPM of an endorsement key can open, and only if the
//! attestation key of the given Name is loaded there (TCG TPM 2.0 Library 1.59, part 1, 24; part 3, 12.6).
//!
//! The Name covers the attestation key's attributes, so a TPM that opens the credential vouches for those too; whoever
//! enrols a key checks them ([`Enrolling::check`]) before making one.

use claims::tpm::{HashAlgorithm, ObjectName};
use crypto::{HmacKey, RsaPublicKey};
use evidence::tpm::{KeyFields, Public, Symmetric};

use super::TpmVerifyError;
use super::ak::{AttestationKey, check_attributes, name_of, qualified_name, telling_name};
use super::ek::{EkError, EkRoots};

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
    ek: RsaPublicKey,
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
    /// The endorsement key is none by the TCG's template.
    #[error("the endorsement key is not of the template L-1: expected {expected}")]
    Ek {
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
        if verified.spki() != enrolling.ek.spki() {
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
        let key = check_template(ek)?;
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
        self.credential_with_seed(secret, &crypto::random_array()?)
    }

    fn credential_with_seed(&self, secret: &[u8], seed: &[u8; 32]) -> Result<Credential, EnrolError> {
        if secret.len() > 32 {
            return Err(EnrolError::Secret { got: secret.len() });
        }
        let name = self.ak_name.to_bytes();
        let (mut cipher_key, mut mac_key) = ([0; 16], [0; 32]);
        crypto::kdfa_sha256(seed, "STORAGE", &name, &[], &mut cipher_key);
        crypto::kdfa_sha256(seed, "INTEGRITY", &[], &[], &mut mac_key);
        let mut hidden = sized(secret);
        crypto::aes128_cfb_encrypt(&cipher_key, &mut hidden)?;
        let mac = HmacKey::new(&mac_key).tag(&[&hidden, &name]);
        let encrypted = self.ek.encrypt_oaep_sha256_labelled(seed, b"IDENTITY\0")?;
        let blob = sized(&[sized(&mac), hidden].concat());
        Ok(Credential { blob, encrypted_seed: sized(&encrypted) })
    }
}

/// Template L-1 of the EK Credential Profile: RSA-2048, SHA-256, a restricted decryption key with PolicyA and AES-128.
fn check_template(ek: &Public) -> Result<RsaPublicKey, EnrolError> {
    let fields = ek.fields();
    let wrong = |expected| EnrolError::Ek { expected };
    let attributes = fields.attributes;
    if fields.name_algorithm != HashAlgorithm::Sha256 {
        return Err(wrong("sha256 as its name algorithm"));
    }
    if !(attributes.restricted()
        && attributes.decrypt()
        && attributes.fixed_tpm()
        && attributes.fixed_parent())
        || attributes.sign()
        || !attributes.sensitive_data_origin()
    {
        return Err(wrong("the attributes of a restricted decryption key"));
    }
    if fields.auth_policy != POLICY_A {
        return Err(wrong("PolicyA"));
    }
    if fields.symmetric != Some(Symmetric { key_bits: 128 }) || fields.scheme.is_some() {
        return Err(wrong("aes-128-cfb and no scheme"));
    }
    match &fields.key {
        KeyFields::Rsa { bits: 2048, exponent: 65537, modulus } if modulus.len() == 256 => {
            RsaPublicKey::from_components(modulus, &[1, 0, 1]).map_err(|_| wrong("an rsa key of 2048 bits"))
        }
        _ => Err(wrong("an rsa key of 2048 bits")),
    }
}

/// TPM2B of at most 64 KiB.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes()[..], bytes].concat()
}

const ENDORSEMENT_HIERARCHY: u32 = 0x4000_000b;
/// PolicySecret of the endorsement hierarchy (EK Credential Profile 2.5, B.3.3), SHA-256.
const POLICY_A: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd,
    0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];
