//! A P-384 public key, from a PEM file and as SEV-SNP firmware lays it out (AMD SEV-SNP ABI 1.58, chapter 10: 0x404
//! bytes of curve, QX and QY in 72 little-endian bytes each, and zeros).

use crypto::P384PublicKey;
use der::asn1::ObjectIdentifier;
use der::{Decode, pem};
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::little_endian::{put, u32_at};

/// A key of an image's author: its ID key, or the key that certifies that.
#[derive(Clone, Debug)]
pub struct SnpPublicKey {
    key: P384PublicKey,
    encoded: [u8; Self::LEN],
}

/// A file or a structure that holds no such key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// Not PEM, or not a public key in it.
    #[error("not a public key in PEM: expected `-----BEGIN PUBLIC KEY-----`")]
    NotPem,
    /// The half that stays with its owner.
    #[error(
        "this is a private key, which nothing here needs: expected the public half, as `openssl pkey -in KEY -pubout` \
         writes it"
    )]
    Private,
    /// Another kind of key.
    #[error(
        "another kind of key: expected elliptic curve P-384 (secp384r1), the only one that firmware knows"
    )]
    NotP384,
    /// A point that is compressed or not on the curve.
    #[error("malformed key: expected an uncompressed point on P-384")]
    Point,
    /// A curve without a meaning.
    #[error("curve not known: expected 2 (P-384), got {got}")]
    Curve {
        /// The code found.
        got: u32,
    },
    /// Bytes that must be zero.
    #[error("reserved byte {at:#x} of the key is set: expected 0")]
    Reserved {
        /// Which byte, from the key's start.
        at: usize,
    },
}

impl SnpPublicKey {
    /// Bytes of the key as firmware lays it out.
    pub const LEN: usize = 0x404;

    /// Reads a SubjectPublicKeyInfo (RFC 5480) in PEM.
    ///
    /// # Errors
    /// [`PublicKeyError::NotPem`], [`PublicKeyError::Private`], [`PublicKeyError::NotP384`] or
    /// [`PublicKeyError::Point`].
    pub fn from_pem(file: &[u8]) -> Result<Self, PublicKeyError> {
        if file.windows(PRIVATE.len()).any(|window| window == PRIVATE) {
            return Err(PublicKeyError::Private);
        }
        let (label, der) = pem::decode_vec(file).map_err(|_| PublicKeyError::NotPem)?;
        if label != "PUBLIC KEY" {
            return Err(PublicKeyError::NotPem);
        }
        let spki = SubjectPublicKeyInfoRef::from_der(&der).map_err(|_| PublicKeyError::NotPem)?;
        let algorithm = (spki.algorithm.oid, spki.algorithm.parameters_oid().ok());
        if algorithm != (EC_PUBLIC_KEY, Some(SECP384R1)) {
            return Err(PublicKeyError::NotP384);
        }
        Self::from_sec1(spki.subject_public_key.as_bytes().unwrap_or_default())
    }

    fn from_sec1(point: &[u8]) -> Result<Self, PublicKeyError> {
        let Some((4, coordinates)) = point.split_first() else {
            return Err(PublicKeyError::Point);
        };
        let key = P384PublicKey::from_sec1(point).map_err(|_| PublicKeyError::Point)?;
        let mut encoded = [0; Self::LEN];
        put(&mut encoded, 0, &P384.to_le_bytes());
        for (at, coordinate) in [QX, QY].into_iter().zip(coordinates.chunks(48)) {
            put(&mut encoded, at, &reversed(coordinate));
        }
        Ok(Self { key, encoded })
    }

    /// Reads a key as firmware lays it out.
    ///
    /// # Errors
    /// [`PublicKeyError::Curve`], [`PublicKeyError::Reserved`] or [`PublicKeyError::Point`].
    pub fn parse(encoded: &[u8; Self::LEN]) -> Result<Self, PublicKeyError> {
        let got = u32_at(encoded, 0).unwrap_or(0);
        if got != P384 {
            return Err(PublicKeyError::Curve { got });
        }
        let coordinate = |at: usize| reversed(encoded.iter().skip(at).take(48));
        let key = Self::from_sec1(&[&[4][..], &coordinate(QX), &coordinate(QY)].concat())?;
        let differs = encoded.iter().zip(&key.encoded).position(|(got, expected)| got != expected);
        differs.map_or(Ok(key), |at| Err(PublicKeyError::Reserved { at }))
    }

    /// The key as firmware lays it out.
    pub fn encoded(&self) -> &[u8; Self::LEN] {
        &self.encoded
    }

    /// What a report names the key by: SHA-384 of its layout.
    pub fn digest(&self) -> [u8; 48] {
        crypto::sha384(&[&self.encoded])
    }

    /// Whether `signature`, r then s in 48 big-endian bytes each, is one of `message` by this key, with SHA-384.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8; 96]) -> bool {
        self.key.verify_fixed(message, signature).is_ok()
    }
}

/// The bytes from the last to the first.
pub(crate) fn reversed<'a>(
    bytes: impl IntoIterator<Item = &'a u8, IntoIter: DoubleEndedIterator>,
) -> Vec<u8> {
    bytes.into_iter().rev().copied().collect()
}

const PRIVATE: &[u8] = b"PRIVATE KEY-----";
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
/// The curve's code.
const P384: u32 = 2;
/// Where QX stands.
const QX: usize = 4;
/// Where QY stands.
const QY: usize = 76;
