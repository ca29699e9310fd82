//! RSA: OAEP with SHA-256, signatures with PSS and PKCS #1 1.5 (RFC 8017, 7.1, 8.1 and 8.2).

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use aws_lc_rs::signature::{self, ParsedPublicKey, RsaEncoding, RsaKeyPair, RsaParameters};
use secret::SecretBytes;
use zeroize::Zeroizing;

use crate::{Error, RsaScheme, spki};

const BAD_PUBLIC: Error = Error::BadKey { expected: "an RSA public key of 2048 to 8192 bits" };
const BAD_PRIVATE: Error =
    Error::BadKey { expected: "an RSA private key of 2048, 3072 or 4096 bits in PKCS #8" };

/// An RSA public key.
#[derive(Debug)]
pub struct RsaPublicKey {
    verifying: ParsedPublicKey,
    encrypting: OaepPublicEncryptingKey,
    spki: Vec<u8>,
}

impl RsaPublicKey {
    /// Reads a SubjectPublicKeyInfo in DER (RFC 5280, 4.1).
    ///
    /// # Errors
    /// [`Error::BadKey`] unless it is RSA of 2048 to 8192 bits.
    pub fn from_spki(der: &[u8]) -> Result<Self, Error> {
        let encrypting =
            PublicEncryptingKey::from_der(der).and_then(|key| Ok(OaepPublicEncryptingKey::new(key)?));
        let verifying = ParsedPublicKey::new(&signature::RSA_PSS_2048_8192_SHA384, der);
        Ok(Self {
            verifying: verifying.map_err(|_| BAD_PUBLIC)?,
            encrypting: encrypting.map_err(|_| BAD_PUBLIC)?,
            spki: der.to_vec(),
        })
    }

    /// Takes a modulus and an exponent, big-endian, without leading zeros.
    ///
    /// # Errors
    /// [`Error::BadKey`] unless they are of an RSA key of 2048 to 8192 bits.
    pub fn from_components(modulus: &[u8], exponent: &[u8]) -> Result<Self, Error> {
        Self::from_spki(&spki::of_components(modulus, exponent).ok_or(BAD_PUBLIC)?)
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Modulus and exponent, big-endian, without leading zeros.
    ///
    /// # Errors
    /// [`Error::BadKey`] if the key came in an encoding with other parameters.
    pub fn components(&self) -> Result<(Vec<u8>, Vec<u8>), Error> {
        spki::components(&self.spki).ok_or(BAD_PUBLIC)
    }

    /// Modulus length in bits.
    pub fn bits(&self) -> usize {
        self.encrypting.key_size_bits()
    }

    /// Checks a PSS signature with SHA-384, MGF1-SHA-384 and a 48-byte salt.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it is none of `message` by this key.
    pub fn verify_pss_sha384(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let verified = self.verifying.verify_sig(message, signature);
        verified.map_err(|_| Error::Mismatch { what: "rsa-pss signature" })
    }

    /// Checks a signature of this scheme.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it is none of `message` by this key.
    pub fn verify(&self, scheme: RsaScheme, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        let key = ParsedPublicKey::new(verification(scheme), &self.spki).map_err(|_| BAD_PUBLIC)?;
        key.verify_sig(message, signature).map_err(|_| Error::Mismatch { what: "rsa signature" })
    }

    /// Encrypts with OAEP, SHA-256, MGF1-SHA-256 and no label: as many bytes as the modulus has.
    ///
    /// # Errors
    /// [`Error::Length`] if `plaintext` is longer than the modulus less 66 bytes.
    pub fn encrypt_oaep_sha256(&self, plaintext: &[u8]) -> Result<Vec<u8>, Error> {
        self.encrypt_oaep_sha256_labelled(plaintext, &[])
    }

    /// As [`Self::encrypt_oaep_sha256`], with a label.
    ///
    /// # Errors
    /// [`Error::Length`] if `plaintext` is longer than the modulus less 66 bytes.
    pub fn encrypt_oaep_sha256_labelled(&self, plaintext: &[u8], label: &[u8]) -> Result<Vec<u8>, Error> {
        let expected = self.encrypting.max_plaintext_size(&OAEP_SHA256_MGF1SHA256);
        let too_long = Error::Length { what: "oaep plaintext, at most", expected, got: plaintext.len() };
        let mut out = vec![0; self.encrypting.ciphertext_size()];
        let label = (!label.is_empty()).then_some(label);
        let sealed = self.encrypting.encrypt(&OAEP_SHA256_MGF1SHA256, plaintext, &mut out, label);
        sealed.map_err(|_| too_long)?;
        Ok(out)
    }
}

/// An RSA private key.
pub struct RsaPrivateKey {
    decrypting: OaepPrivateDecryptingKey,
    pkcs8: SecretBytes,
    public: RsaPublicKey,
}

impl RsaPrivateKey {
    /// A fresh key of 2048, 3072 or 4096 bits.
    ///
    /// # Errors
    /// [`Error::BadKey`] for another size; [`Error::Internal`] if the library fails.
    pub fn generate(bits: u16) -> Result<Self, Error> {
        let size = match bits {
            2048 => KeySize::Rsa2048,
            3072 => KeySize::Rsa3072,
            4096 => KeySize::Rsa4096,
            _ => return Err(BAD_PRIVATE),
        };
        let failed = Error::Internal { what: "rsa generate" };
        let key = PrivateDecryptingKey::generate(size).map_err(|_| failed)?;
        let pkcs8 = AsDer::<Pkcs8V1Der<'_>>::as_der(&key).map_err(|_| failed)?;
        let pkcs8 = SecretBytes::from_vec(pkcs8.as_ref().to_vec());
        Self::from_parts(key, pkcs8)
    }

    /// Reads a PKCS #8 PrivateKeyInfo in DER (RFC 5208).
    ///
    /// # Errors
    /// [`Error::BadKey`] unless it is RSA of 2048, 3072 or 4096 bits.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, Error> {
        let key = PrivateDecryptingKey::from_pkcs8(der).map_err(|_| BAD_PRIVATE)?;
        if !matches!(key.key_size_bits(), 2048 | 3072 | 4096) {
            return Err(BAD_PRIVATE);
        }
        Self::from_parts(key, SecretBytes::from_vec(der.to_vec()))
    }

    fn from_parts(key: PrivateDecryptingKey, pkcs8: SecretBytes) -> Result<Self, Error> {
        let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(&key.public_key()).map_err(|_| BAD_PRIVATE)?;
        let public = RsaPublicKey::from_spki(spki.as_ref())?;
        let decrypting = OaepPrivateDecryptingKey::new(key).map_err(|_| BAD_PRIVATE)?;
        Ok(Self { decrypting, pkcs8, public })
    }

    /// The PKCS #8 PrivateKeyInfo in DER.
    pub fn pkcs8(&self) -> &SecretBytes {
        &self.pkcs8
    }

    /// The public half.
    pub fn public(&self) -> &RsaPublicKey {
        &self.public
    }

    /// Decrypts what [`RsaPublicKey::encrypt_oaep_sha256`] made.
    ///
    /// # Errors
    /// [`Error::Mismatch`], the same for every cause.
    pub fn decrypt_oaep_sha256(&self, ciphertext: &[u8]) -> Result<SecretBytes, Error> {
        self.decrypt_oaep_sha256_labelled(ciphertext, &[])
    }

    /// Decrypts what [`RsaPublicKey::encrypt_oaep_sha256_labelled`] made with this label.
    ///
    /// # Errors
    /// [`Error::Mismatch`], the same for every cause.
    pub fn decrypt_oaep_sha256_labelled(
        &self,
        ciphertext: &[u8],
        label: &[u8],
    ) -> Result<SecretBytes, Error> {
        let label = (!label.is_empty()).then_some(label);
        let mut room = Zeroizing::new(vec![0; self.decrypting.min_output_size()]);
        let opened = self.decrypting.decrypt(&OAEP_SHA256_MGF1SHA256, ciphertext, &mut room, label);
        let opened = opened.map(SecretBytes::take);
        opened.map_err(|_| Error::Mismatch { what: "rsa-oaep ciphertext" })
    }

    /// Signs with PSS, SHA-384, MGF1-SHA-384 and a 48-byte salt.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library fails.
    pub fn sign_pss_sha384(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.sign(RsaScheme::PssSha384, message)
    }

    /// Signs with this scheme.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library fails.
    pub fn sign(&self, scheme: RsaScheme, message: &[u8]) -> Result<Vec<u8>, Error> {
        let pair = RsaKeyPair::from_pkcs8(self.pkcs8.expose()).map_err(|_| BAD_PRIVATE)?;
        let mut signature = vec![0; pair.public_modulus_len()];
        let signed = pair.sign(encoding(scheme), &SystemRandom::new(), message, &mut signature);
        signed.map_err(|_| Error::Internal { what: "rsa sign" })?;
        Ok(signature)
    }
}

fn verification(scheme: RsaScheme) -> &'static RsaParameters {
    match scheme {
        RsaScheme::Pkcs1Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        RsaScheme::Pkcs1Sha384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        RsaScheme::Pkcs1Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        RsaScheme::PssSha256 => &signature::RSA_PSS_2048_8192_SHA256,
        RsaScheme::PssSha384 => &signature::RSA_PSS_2048_8192_SHA384,
        RsaScheme::PssSha512 => &signature::RSA_PSS_2048_8192_SHA512,
    }
}

fn encoding(scheme: RsaScheme) -> &'static dyn RsaEncoding {
    match scheme {
        RsaScheme::Pkcs1Sha256 => &signature::RSA_PKCS1_SHA256,
        RsaScheme::Pkcs1Sha384 => &signature::RSA_PKCS1_SHA384,
        RsaScheme::Pkcs1Sha512 => &signature::RSA_PKCS1_SHA512,
        RsaScheme::PssSha256 => &signature::RSA_PSS_SHA256,
        RsaScheme::PssSha384 => &signature::RSA_PSS_SHA384,
        RsaScheme::PssSha512 => &signature::RSA_PSS_SHA512,
    }
}
