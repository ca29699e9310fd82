//! RSA, which this back end has not: the crate `rsa` leaks private keys by its timing (RUSTSEC-2023-0071), and
//! where keyfast runs, the host is the one who measures. Its types have no value; what would make one fails.

use core::convert::Infallible;

use secret::SecretBytes;

use super::NAME;
use crate::{Error, RsaScheme};

/// An RSA public key: here never made.
#[derive(Debug)]
pub struct RsaPublicKey(Infallible);

impl RsaPublicKey {
    /// Reads no key.
    ///
    /// # Errors
    /// [`Error::Unsupported`] always.
    pub fn from_spki(_der: &[u8]) -> Result<Self, Error> {
        Err(Error::Unsupported { operation: "rsa public key", back_end: NAME })
    }

    /// Takes no key.
    ///
    /// # Errors
    /// [`Error::Unsupported`] always.
    pub fn from_components(_modulus: &[u8], _exponent: &[u8]) -> Result<Self, Error> {
        Err(Error::Unsupported { operation: "rsa public key", back_end: NAME })
    }

    /// Modulus and exponent, big-endian, without leading zeros.
    ///
    /// # Errors
    /// None: it cannot be called.
    pub fn components(&self) -> Result<(Vec<u8>, Vec<u8>), Error> {
        match self.0 {}
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &[u8] {
        match self.0 {}
    }

    /// Modulus length in bits.
    pub fn bits(&self) -> usize {
        match self.0 {}
    }

    /// Checks a PSS signature with SHA-384, MGF1-SHA-384 and a 48-byte salt.
    ///
    /// # Errors
    /// None: it cannot be called.
    pub fn verify_pss_sha384(&self, _message: &[u8], _signature: &[u8]) -> Result<(), Error> {
        match self.0 {}
    }

    /// Checks a signature of this scheme.
    ///
    /// # Errors
    /// None: it cannot be called.
    pub fn verify(&self, _scheme: RsaScheme, _message: &[u8], _signature: &[u8]) -> Result<(), Error> {
        match self.0 {}
    }

    /// As [`Self::encrypt_oaep_sha256`], with a label.
    ///
    /// # Errors
    /// None: it cannot be called.
    pub fn encrypt_oaep_sha256_labelled(&self, _plaintext: &[u8], _label: &[u8]) -> Result<Vec<u8>, Error> {
        match self.0 {}
    }

    /// Encrypts with OAEP, SHA-256, MGF1-SHA-256 and no label.
    ///
    /// # Errors
    /// None: it cannot be called.
    pub fn encrypt_oaep_sha256(&self, _plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        match self.0 {}
    }
}

/// An RSA private key: here never made.
pub struct RsaPrivateKey(Infallible);

impl RsaPrivateKey {
    /// Makes no key.
    ///
    /// # Errors
    /// [`Error::Unsupported`] always.
    pub fn generate(_bits: u16) -> Result<Self, Error> {
        Err(Error::Unsupported { operation: "rsa generate", back_end: NAME })
    }

    /// Reads no key.
    ///
    /// # Errors
    /// [`Error::Unsupported`] always.
    pub fn from_pkcs8(_der: &[u8]) -> Result<Self, Error> {
        Err(Error::Unsupported { operation: "rsa private key", back_end: NAME })
    }

    /// The PKCS #8 PrivateKeyInfo in DER.
    pub fn pkcs8(&self) -> &SecretBytes {
        match self.0 {}
    }

    /// The public half.
    pub fn public(&self) -> &RsaPublicKey {
        match self.0 {}
    }

    /// Decrypts what [`RsaPublicKey::encrypt_oaep_sha256`] made.
    ///
    /// # Errors
    /// None: it cannot be called.
    pub fn decrypt_oaep_sha256(&self, _ciphertext: &[u8]) -> Result<SecretBytes, Error> {
        match self.0 {}
    }

    /// Decrypts what [`RsaPublicKey::encrypt_oaep_sha256_labelled`] made with this label.
    ///
    /// # Errors
    /// None: it cannot be called.
    pub fn decrypt_oaep_sha256_labelled(
        &self,
        _ciphertext: &[u8],
        _label: &[u8],
    ) -> Result<SecretBytes, Error> {
        match self.0 {}
    }

    /// Signs with this scheme.
    ///
    /// # Errors
    /// None: it cannot be called.
    pub fn sign(&self, _scheme: RsaScheme, _message: &[u8]) -> Result<Vec<u8>, Error> {
        match self.0 {}
    }

    /// Signs with PSS, SHA-384, MGF1-SHA-384 and a 48-byte salt.
    ///
    /// # Errors
    /// None: it cannot be called.
    pub fn sign_pss_sha384(&self, _message: &[u8]) -> Result<Vec<u8>, Error> {
        match self.0 {}
    }
}
