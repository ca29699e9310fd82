//! `POST /v1/enrol` and `POST /v1/enrol/proof`: an attestation key becomes one that the broker believes (SPEC.md, 5.5).
//!
//! The broker encrypts a secret to the endorsement key, bound to the Name of the attestation key; only the TPM that
//! holds both opens it. Nothing here is confidential but that secret, which is worth nothing afterwards.

use claims::UnixTime;
use minicbor::{Decode, Encode};

use crate::{FieldError, Message, bounds};

/// The keys of a TPM.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EnrolRequest {
    /// The attestation key as TPM2B_PUBLIC, 1 to [`Self::MAX_PUBLIC`] bytes.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub ak: Vec<u8>,
    /// The endorsement key as TPM2B_PUBLIC, 1 to [`Self::MAX_PUBLIC`] bytes.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub ek: Vec<u8>,
    /// X.509 certificates in DER: the endorsement key's, then its issuers', up to [`Self::MAX_CERTIFICATES`] of 1 to
    /// [`Self::MAX_CERTIFICATE`] bytes. None where something else vouches for the endorsement key.
    #[n(2)]
    #[cbor(with = "crate::codec::byte_strings")]
    pub certificates: Vec<Vec<u8>>,
}

impl EnrolRequest {
    /// Most bytes of a public area.
    pub const MAX_PUBLIC: usize = 1024;
    /// Most certificates.
    pub const MAX_CERTIFICATES: usize = 4;
    /// Most bytes of a certificate.
    pub const MAX_CERTIFICATE: usize = 8 * 1024;
}

impl Message for EnrolRequest {
    const NAME: &'static str = "enrol request";
    const MAX_LEN: usize = 36 * 1024;

    fn check(&self) -> Result<(), FieldError> {
        bounds::length("attestation key", &self.ak, 1..=Self::MAX_PUBLIC)?;
        bounds::length("endorsement key", &self.ek, 1..=Self::MAX_PUBLIC)?;
        bounds::count("certificates", &self.certificates, 0..=Self::MAX_CERTIFICATES)?;
        let mut certificates = self.certificates.iter();
        certificates.try_for_each(|der| bounds::length("certificate", der, 1..=Self::MAX_CERTIFICATE))
    }
}

/// A secret for the TPM that holds both keys.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EnrolChallenge {
    /// To be sent back as it is, 1 to [`Self::MAX_TOKEN`] bytes; only the broker reads it.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub token: Vec<u8>,
    /// TPM2B_ID_OBJECT, 1 to [`Self::MAX_CREDENTIAL`] bytes.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub credential: Vec<u8>,
    /// TPM2B_ENCRYPTED_SECRET, 1 to [`Self::MAX_CREDENTIAL`] bytes.
    #[n(2)]
    #[cbor(with = "minicbor::bytes")]
    pub encrypted_seed: Vec<u8>,
    /// When the broker stops taking the token, by the broker's clock.
    #[n(3)]
    #[cbor(with = "crate::codec::time")]
    pub expires: UnixTime,
}

impl EnrolChallenge {
    /// Most bytes of a token.
    pub const MAX_TOKEN: usize = 512;
    /// Most bytes of either part of a credential.
    pub const MAX_CREDENTIAL: usize = 1024;
}

impl Message for EnrolChallenge {
    const NAME: &'static str = "enrol challenge";
    const MAX_LEN: usize = 3 * 1024;

    fn check(&self) -> Result<(), FieldError> {
        bounds::length("token", &self.token, 1..=Self::MAX_TOKEN)?;
        bounds::length("credential", &self.credential, 1..=Self::MAX_CREDENTIAL)?;
        bounds::length("encrypted seed", &self.encrypted_seed, 1..=Self::MAX_CREDENTIAL)
    }
}

/// The secret, opened.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct EnrolProof {
    /// The token of the challenge, unchanged.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub token: Vec<u8>,
    /// What TPM2_ActivateCredential gave, 1 to [`Self::MAX_SECRET`] bytes.
    #[n(1)]
    #[cbor(with = "minicbor::bytes")]
    pub secret: Vec<u8>,
}

impl EnrolProof {
    /// Most bytes of a secret.
    pub const MAX_SECRET: usize = 64;
}

/// Without the secret.
impl core::fmt::Debug for EnrolProof {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EnrolProof").finish_non_exhaustive()
    }
}

impl Message for EnrolProof {
    const NAME: &'static str = "enrol proof";
    const MAX_LEN: usize = 1024;

    fn check(&self) -> Result<(), FieldError> {
        bounds::length("token", &self.token, 1..=EnrolChallenge::MAX_TOKEN)?;
        bounds::length("secret", &self.secret, 1..=Self::MAX_SECRET)
    }
}

/// The attestation key is believed from now on.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Enrolled {
    /// Its Name, as the broker computed it: 34, 50 or 66 bytes.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub ak_name: Vec<u8>,
    /// Until when, by the broker's clock.
    #[n(1)]
    #[cbor(with = "crate::codec::time")]
    pub until: UnixTime,
}

impl Message for Enrolled {
    const NAME: &'static str = "enrolled";
    const MAX_LEN: usize = 128;

    fn check(&self) -> Result<(), FieldError> {
        bounds::length("name", &self.ak_name, 34..=66)
    }
}
