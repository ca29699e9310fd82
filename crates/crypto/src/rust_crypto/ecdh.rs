//! ECDH on P-256 and P-384 (SEC 1, 3.3.1; NIST SP 800-56A, 5.7.1.2), as TPM credentials use it.
//!
//! A shared secret is no key: whoever uses it derives one (KDFe).

use p384::elliptic_curve::sec1::ToSec1Point;
use secret::SecretBytes;
use zeroize::Zeroizing;

use crate::{EcdhCurve, Error, sec1};

/// A private key for ECDH.
pub struct EcdhKey(Key);

enum Key {
    P256(p256::SecretKey),
    P384(p384::SecretKey),
}

impl EcdhKey {
    /// Draws a key.
    ///
    /// # Errors
    /// [`Error::Internal`] if the system gives no randomness.
    pub fn generate(curve: EcdhCurve) -> Result<Self, Error> {
        // A number that is no key, which is drawn once in 2^32 times (P-256), is drawn again.
        for _ in 0..8 {
            let mut number = Zeroizing::new(vec![0; curve.field_len()]);
            super::random(&mut number)?;
            if let Ok(key) = Self::from_private(curve, &number) {
                return Ok(key);
            }
        }
        Err(Error::Internal { what: "ecdh generate" })
    }

    /// The key of this number, big-endian, as long as a coordinate of the curve.
    ///
    /// # Errors
    /// [`Error::BadKey`] for another length, zero, and the curve's order and more.
    pub fn from_private(curve: EcdhCurve, number: &[u8]) -> Result<Self, Error> {
        if number.len() != curve.field_len() {
            return Err(sec1::BAD_ECDH_PRIVATE);
        }
        let key = match curve {
            EcdhCurve::P256 => p256::SecretKey::from_slice(number).map(Key::P256),
            EcdhCurve::P384 => p384::SecretKey::from_slice(number).map(Key::P384),
        };
        key.map(Self).map_err(|_| sec1::BAD_ECDH_PRIVATE)
    }

    /// The public point, uncompressed: 65 or 97 bytes.
    ///
    /// # Errors
    /// None in this back end.
    pub fn public_sec1(&self) -> Result<Vec<u8>, Error> {
        Ok(match &self.0 {
            Key::P256(key) => key.public_key().to_sec1_point(false).as_bytes().to_vec(),
            Key::P384(key) => key.public_key().to_sec1_point(false).as_bytes().to_vec(),
        })
    }

    /// x of the point that is shared with `peer`, an uncompressed point on the same curve: 32 or 48 bytes.
    ///
    /// # Errors
    /// [`Error::BadKey`] if `peer` is something else.
    pub fn agree(&self, peer: &[u8]) -> Result<SecretBytes, Error> {
        let curve = match self.0 {
            Key::P256(_) => EcdhCurve::P256,
            Key::P384(_) => EcdhCurve::P384,
        };
        if !sec1::is_ecdh_point(curve, peer) {
            return Err(sec1::BAD_ECDH_POINT);
        }
        let shared = match &self.0 {
            Key::P256(key) => {
                let peer = p256::PublicKey::from_sec1_bytes(peer).map_err(|_| sec1::BAD_ECDH_POINT)?;
                key.diffie_hellman(&peer).raw_secret_bytes().to_vec()
            }
            Key::P384(key) => {
                let peer = p384::PublicKey::from_sec1_bytes(peer).map_err(|_| sec1::BAD_ECDH_POINT)?;
                key.diffie_hellman(&peer).raw_secret_bytes().to_vec()
            }
        };
        Ok(SecretBytes::from_vec(shared))
    }
}
