//! ECDSA on P-384 with SHA-384 and on P-256 with SHA-256 (FIPS 186-5), and Ed25519 (RFC 8032).

use aws_lc_rs::digest::{Digest, SHA384};
use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPublicKeyCompressedBin, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED,
    ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair, ParsedPublicKey,
};
use secret::SecretBytes;

use crate::{Error, sec1};

const BAD_POINT: Error = Error::BadKey { expected: "a point on P-384, SEC 1, 49 or 97 bytes" };
const BAD_P256_POINT: Error = Error::BadKey { expected: "a point on P-256, SEC 1, 65 bytes" };
const BAD_PRIVATE: Error = Error::BadKey { expected: "a P-384 private key in PKCS #8" };
const BAD_ECDSA: Error = Error::Mismatch { what: "ecdsa signature" };

/// A public key for ECDSA on P-384, parsed once and used for many signatures.
#[derive(Clone, Debug)]
pub struct P384PublicKey {
    fixed: ParsedPublicKey,
    asn1: ParsedPublicKey,
}

impl P384PublicKey {
    /// Reads a point: 97 bytes uncompressed or 49 compressed (SEC 1, 2.3.3).
    ///
    /// # Errors
    /// [`Error::BadKey`] if it is not on the curve or is the point at infinity.
    pub fn from_sec1(point: &[u8]) -> Result<Self, Error> {
        if !sec1::is_point(point) {
            return Err(BAD_POINT);
        }
        let fixed = ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point).map_err(|_| BAD_POINT)?;
        let asn1 = ParsedPublicKey::new(&ECDSA_P384_SHA384_ASN1, point).map_err(|_| BAD_POINT)?;
        Ok(Self { fixed, asn1 })
    }

    /// Checks a signature over `message`: r then s, 48 bytes each, big-endian.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it is none of `message` by this key.
    pub fn verify_fixed(&self, message: &[u8], signature: &[u8; 96]) -> Result<(), Error> {
        self.fixed.verify_sig(message, signature).map_err(|_| BAD_ECDSA)
    }

    /// Checks a DER signature (RFC 3279, 2.2.3) over a message with this SHA-384.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it is none of such a message by this key.
    pub fn verify_der_digest(&self, sha384: &[u8; 48], signature: &[u8]) -> Result<(), Error> {
        let digest = Digest::import_less_safe(sha384, &SHA384).map_err(|_| BAD_ECDSA)?;
        self.asn1.verify_digest_sig(&digest, signature).map_err(|_| BAD_ECDSA)
    }
}

/// A public key for ECDSA on P-256, to verify with.
#[derive(Clone, Debug)]
pub struct P256PublicKey(ParsedPublicKey);

impl P256PublicKey {
    /// Reads a point: 65 bytes uncompressed (SEC 1, 2.3.3).
    ///
    /// # Errors
    /// [`Error::BadKey`] if it is not on the curve or is the point at infinity.
    pub fn from_sec1(point: &[u8; 65]) -> Result<Self, Error> {
        if !sec1::is_p256_point(point) {
            return Err(BAD_P256_POINT);
        }
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map(Self).map_err(|_| BAD_P256_POINT)
    }

    /// Checks a signature over `message` with SHA-256: r then s, 32 bytes each, big-endian.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it is none of `message` by this key.
    pub fn verify_fixed(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), Error> {
        self.0.verify_sig(message, signature).map_err(|_| BAD_ECDSA)
    }
}

/// A private key for ECDSA on P-384.
pub struct P384SigningKey(EcdsaKeyPair);

impl P384SigningKey {
    /// A fresh key.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system gives no randomness.
    pub fn generate() -> Result<Self, Error> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING);
        pair.map(Self).map_err(|_| Error::Internal { what: "ecdsa generate" })
    }

    /// Reads a PKCS #8 PrivateKeyInfo in DER.
    ///
    /// # Errors
    /// [`Error::BadKey`] unless it is a P-384 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING, der).map(Self).map_err(|_| BAD_PRIVATE)
    }

    /// The PKCS #8 PrivateKeyInfo in DER.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library fails.
    pub fn to_pkcs8(&self) -> Result<SecretBytes, Error> {
        let der = self.0.to_pkcs8v1().map_err(|_| Error::Internal { what: "ecdsa to pkcs8" })?;
        Ok(SecretBytes::from_vec(der.as_ref().to_vec()))
    }

    /// The public point, uncompressed, 97 bytes.
    pub fn public_sec1(&self) -> Vec<u8> {
        self.0.public_key().as_ref().to_vec()
    }

    /// The public point, compressed, 49 bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library fails.
    pub fn public_sec1_compressed(&self) -> Result<Vec<u8>, Error> {
        let failed = Error::Internal { what: "ecdsa point compression" };
        let point: EcPublicKeyCompressedBin<'_> = self.0.public_key().as_be_bytes().map_err(|_| failed)?;
        Ok(point.as_ref().to_vec())
    }

    /// The SubjectPublicKeyInfo in DER.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library fails.
    pub fn public_spki(&self) -> Result<Vec<u8>, Error> {
        let failed = Error::Internal { what: "ecdsa to spki" };
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().map_err(|_| failed)?;
        Ok(der.as_ref().to_vec())
    }

    /// Signs a message with this SHA-384; DER.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library fails.
    pub fn sign_der_digest(&self, sha384: &[u8; 48]) -> Result<Vec<u8>, Error> {
        let failed = Error::Internal { what: "ecdsa sign" };
        let digest = Digest::import_less_safe(sha384, &SHA384).map_err(|_| failed)?;
        Ok(self.0.sign_digest(&digest).map_err(|_| failed)?.as_ref().to_vec())
    }

    /// Signs `message`: r then s, 48 bytes each, big-endian.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library fails.
    pub fn sign_fixed(&self, message: &[u8]) -> Result<[u8; 96], Error> {
        let der = self.sign_der_digest(&super::sha384(&[message]))?;
        super::ecdsa_der::to_fixed(&der).ok_or(Error::Internal { what: "ecdsa sign" })
    }
}

/// A public key for Ed25519, 32 bytes. If they encode no point, nothing verifies under it.
#[derive(Clone, Debug)]
pub struct Ed25519PublicKey(ParsedPublicKey, [u8; 32]);

impl Ed25519PublicKey {
    /// Reads 32 bytes.
    ///
    /// # Errors
    /// [`Error::BadKey`] if the library refuses them.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        let key = ParsedPublicKey::new(&ED25519, bytes);
        Ok(Self(key.map_err(|_| Error::BadKey { expected: "an Ed25519 public key" })?, *bytes))
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
        self.0.verify_sig(message, signature).map_err(|_| Error::Mismatch { what: "ed25519 signature" })
    }
}

/// A private key for Ed25519.
pub struct Ed25519SigningKey(Ed25519KeyPair);

impl Ed25519SigningKey {
    /// The key that a 32-byte seed stands for (RFC 8032, 5.1.5).
    ///
    /// # Errors
    /// [`Error::BadKey`] if it has another length.
    pub fn from_seed(seed: &[u8]) -> Result<Self, Error> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed);
        pair.map(Self).map_err(|_| Error::BadKey { expected: "an Ed25519 seed, 32 bytes" })
    }

    /// The public key, 32 bytes.
    pub fn public(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.public_key().as_ref());
        out
    }

    /// The 64-byte signature of `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0; 64];
        out.copy_from_slice(self.0.sign(message).as_ref());
        out
    }
}
