//! [`Activate`]: the TPM whose attestation key a broker must know before it believes the evidence.
//!
//! A broker asks for the keys, makes a credential that only the TPM of this endorsement key can open, and only if this
//! attestation key is loaded there (TPM2_MakeCredential); the TPM opens it (TPM2_ActivateCredential), and the secret is
//! the proof. Nothing is judged here: what the keys are worth is the broker's to say.
//!
//! Structures are those of the TCG TPM 2.0 Library 1.59, part 2, big-endian, each with its own two bytes of length.

use crate::AttestError;

/// A TPM that has an attestation key and an endorsement key, and opens credentials.
pub trait Activate {
    /// The keys, and what vouches for the endorsement key.
    ///
    /// # Errors
    /// [`AttestError`]; asking again is allowed.
    fn keys(&mut self) -> Result<TpmKeys, AttestError>;

    /// TPM2_ActivateCredential: the secret, 1 to [`MAX_SECRET`] bytes. It is of use to nobody but the broker that made
    /// it, and only until the enrolment ends.
    ///
    /// # Errors
    /// [`AttestError`], also where the credential is for another TPM or another attestation key.
    fn activate(&mut self, credential: &Credential) -> Result<Vec<u8>, AttestError>;
}

/// What a TPM says of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmKeys {
    /// The attestation key, TPM2B_PUBLIC, at most [`MAX_PUBLIC`] bytes.
    pub ak: Vec<u8>,
    /// The endorsement key, TPM2B_PUBLIC, at most [`MAX_PUBLIC`] bytes.
    pub ek: Vec<u8>,
    /// The endorsement key's certificate, then its issuers', DER, at most [`MAX_CERTIFICATES`] of at most
    /// [`MAX_CERTIFICATE`] bytes each; none where the TPM has none.
    pub certificates: Vec<Vec<u8>>,
}

/// What TPM2_ActivateCredential takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// TPM2B_ID_OBJECT, at most [`MAX_BLOB`] bytes.
    pub blob: Vec<u8>,
    /// TPM2B_ENCRYPTED_SECRET, at most [`MAX_SEED`] bytes.
    pub encrypted_seed: Vec<u8>,
}

/// Most bytes of a TPM2B_PUBLIC.
pub const MAX_PUBLIC: usize = 1026;
/// Most certificates.
pub const MAX_CERTIFICATES: usize = 4;
/// Most bytes of a certificate.
pub const MAX_CERTIFICATE: usize = 8 * 1024;
/// Most bytes of a TPM2B_ID_OBJECT: its length, then two TPM2B of a SHA-512 digest at most.
pub const MAX_BLOB: usize = 134;
/// Most bytes of a TPM2B_ENCRYPTED_SECRET: its length, and what RSA-4096 encrypts to.
pub const MAX_SEED: usize = 514;
/// Most bytes of a credential's secret.
pub const MAX_SECRET: usize = 32;
