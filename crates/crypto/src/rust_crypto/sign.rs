//! ECDSA on P-384 with SHA-384 and on P-256 with SHA-256 (FIPS 186-5; nonces as in RFC 6979), and Ed25519 (RFC 8032).

use ed25519_dalek::{Signer, Verifier, VerifyingKey};
use getrandom::SysRng;
use p384::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p384::ecdsa::{self, Signature, SigningKey};
use p384::elliptic_curve::Generate;
use p384::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use secret::SecretBytes;

use crate::{Error, sec1};

const BAD_POINT: Error = Error::BadKey { expected: "a point on P-384, SEC 1, 49 or 97 bytes" };
const BAD_P256_POINT: Error = Error::BadKey { expected: "a point on P-256, SEC 1, 65 bytes" };
const BAD_PRIVATE: Error = Error::BadKey { expected: "a P-384 private key in PKCS #8" };
const BAD_ECDSA: Error = Error::Mismatch { what: "ecdsa signature" };

/// A public key for ECDSA on P-384, parsed once and used for many signatures.
#[derive(Clone, Debug)]
pub struct P384PublicKey(ecdsa::VerifyingKey);

impl P384PublicKey {
    /// Reads a point: 97 bytes uncompressed or 49 compressed (SEC 1, 2.3.3).
    ///
    /// # Errors
    /// [`Error::BadKey`] if it is not on the curve or is the point at infinity.
    pub fn from_sec1(point: &[u8]) -> Result<Self, Error> {
        if !sec1::is_point(point) {
            return Err(BAD_POINT);
        }
        ecdsa::VerifyingKey::from_sec1_bytes(point).map(Self).map_err(|_| BAD_POINT)
    }

    /// Checks a signature over `message`: r then s, 48 bytes each, big-endian.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it is none of `message` by this key.
    pub fn verify_fixed(&self, message: &[u8], signature: &[u8; 96]) -> Result<(), Error> {
        let signature = Signature::from_slice(signature).map_err(|_| BAD_ECDSA)?;
        self.0.verify_prehash(&super::sha384(&[message]), &signature).map_err(|_| BAD_ECDSA)
    }

    /// Checks a DER signature (RFC 3279, 2.2.3) over a message with this SHA-384.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it is none of such a message by this key.
    pub fn verify_der_digest(&self, sha384: &[u8; 48], signature: &[u8]) -> Result<(), Error> {
        let signature = Signature::from_der(signature).map_err(|_| BAD_ECDSA)?;
        self.0.verify_prehash(sha384, &signature).map_err(|_| BAD_ECDSA)
    }
}

/// A public key for ECDSA on P-256, to verify with.
#[derive(Clone, Debug)]
pub struct P256PublicKey(p256::ecdsa::VerifyingKey);

impl P256PublicKey {
    /// Reads a point: 65 bytes uncompressed (SEC 1, 2.3.3).
    ///
    /// # Errors
    /// [`Error::BadKey`] if it is not on the curve or is the point at infinity.
    pub fn from_sec1(point: &[u8; 65]) -> Result<Self, Error> {
        if !sec1::is_p256_point(point) {
            return Err(BAD_P256_POINT);
        }
        p256::ecdsa::VerifyingKey::from_sec1_bytes(point).map(Self).map_err(|_| BAD_P256_POINT)
    }

    /// Checks a signature over `message` with SHA-256: r then s, 32 bytes each, big-endian.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it is none of `message` by this key.
    pub fn verify_fixed(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), Error> {
        let signature = p256::ecdsa::Signature::from_slice(signature).map_err(|_| BAD_ECDSA)?;
        self.0.verify_prehash(&super::sha256(&[message]), &signature).map_err(|_| BAD_ECDSA)
    }
}

/// A private key for ECDSA on P-384.
pub struct P384SigningKey(SigningKey);

impl P384SigningKey {
    /// A fresh key.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system gives no randomness.
    pub fn generate() -> Result<Self, Error> {
        let key = SigningKey::try_generate_from_rng(&mut SysRng);
        key.map(Self).map_err(|_| Error::Internal { what: "ecdsa generate" })
    }

    /// Reads a PKCS #8 PrivateKeyInfo in DER.
    ///
    /// # Errors
    /// [`Error::BadKey`] unless it is a P-384 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        SigningKey::from_pkcs8_der(der).map(Self).map_err(|_| BAD_PRIVATE)
    }

    /// The PKCS #8 PrivateKeyInfo in DER.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library fails.
    pub fn to_pkcs8(&self) -> Result<SecretBytes, Error> {
        let der = self.0.to_pkcs8_der().map_err(|_| Error::Internal { what: "ecdsa to pkcs8" })?;
        Ok(SecretBytes::from_vec(der.as_bytes().to_vec()))
    }

    /// The public point, uncompressed, 97 bytes.
    pub fn public_sec1(&self) -> Vec<u8> {
        self.0.verifying_key().to_sec1_point(false).as_bytes().to_vec()
    }

    /// The public point, compressed, 49 bytes.
    ///
    /// # Errors
    /// None in this back end.
    pub fn public_sec1_compressed(&self) -> Result<Vec<u8>, Error> {
        Ok(self.0.verifying_key().to_sec1_point(true).as_bytes().to_vec())
    }

    /// The SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library fails.
    pub fn public_spki(&self) -> Result<Vec<u8>, Error> {
        let der = self.0.verifying_key().to_public_key_der();
        der.map(|der| der.as_bytes().to_vec()).map_err(|_| Error::Internal { what: "ecdsa to spki" })
    }

    /// Signs a message with this SHA-384; DER.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library fails.
    pub fn sign_der_digest(&self, sha384: &[u8; 48]) -> Result<Vec<u8>, Error> {
        Ok(self.sign_digest(sha384)?.to_der().as_bytes().to_vec())
    }

    /// Signs `message`: r then s, 48 bytes each, big-endian.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library fails.
    pub fn sign_fixed(&self, message: &[u8]) -> Result<[u8; 96], Error> {
        Ok(self.sign_digest(&super::sha384(&[message]))?.to_bytes().into())
    }

    fn sign_digest(&self, sha384: &[u8; 48]) -> Result<Signature, Error> {
        self.0.sign_prehash(sha384).map_err(|_| Error::Internal { what: "ecdsa sign" })
    }
}

/// A public key for Ed25519, 32 bytes. If they encode no point, nothing verifies under it.
#[derive(Clone, Debug)]
pub struct Ed25519PublicKey(Option<VerifyingKey>, [u8; 32]);

impl Ed25519PublicKey {
    /// Reads 32 bytes.
    ///
    /// # Errors
    /// None in this back end.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        // The crate also decodes what is not canonical; RFC 8032 (5.1.3) does not, nor does aws-lc.
        let canonical = |key: &VerifyingKey| key.to_edwards().compress().as_bytes() == bytes;
        Ok(Self(VerifyingKey::from_bytes(bytes).ok().filter(canonical), *bytes))
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.1
    }

    /// Checks a 64-byte signature.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it is none of `message` by this key.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let mismatch = Error::Mismatch { what: "ed25519 signature" };
        let signature = ed25519_dalek::Signature::from_slice(signature).map_err(|_| mismatch)?;
        let verified = self.0.as_ref().map(|key| key.verify(message, &signature));
        verified.is_some_and(|verified| verified.is_ok()).then_some(()).ok_or(mismatch)
    }
}

/// A private key for Ed25519.
pub struct Ed25519SigningKey(ed25519_dalek::SigningKey);

impl Ed25519SigningKey {
    /// The key that a 32-byte seed stands for (RFC 8032, 5.1.5).
    ///
    /// # Errors
    /// [`Error::BadKey`] if it has another length.
    pub fn from_seed(seed: &[u8]) -> Result<Self, Error> {
        let seed: &[u8; 32] =
            seed.try_into().map_err(|_| Error::BadKey { expected: "an Ed25519 seed, 32 bytes" })?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(seed)))
    }

    /// The public key, 32 bytes.
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The 64-byte signature of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}
