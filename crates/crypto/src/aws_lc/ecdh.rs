//! ECDH on P-256 and P-384 (SEC 1, 3.3.1; NIST SP 800-56A, 5.7.1.2), as TPM credentials use it.
//!
//! A shared secret is no key: whoever uses it derives one (KDFe).

use aws_lc_rs::agreement::{self, Algorithm, ECDH_P256, ECDH_P384, PrivateKey, UnparsedPublicKey};
use secret::SecretBytes;

use crate::{EcdhCurve, Error, sec1};

/// A private key for ECDH.
pub struct EcdhKey {
    curve: EcdhCurve,
    key: PrivateKey,
}

impl EcdhKey {
    /// Draws a key.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library fails.
    pub fn generate(curve: EcdhCurve) -> Result<Self, Error> {
        let key = PrivateKey::generate(algorithm(curve));
        key.map(|key| Self { curve, key }).map_err(|_| Error::Internal { what: "ecdh generate" })
    }

    /// The key of this number, big-endian, as long as a coordinate of the curve.
    ///
    /// # Errors
    /// [`Error::BadKey`] for another length, zero, and the curve's order and more.
    pub fn from_private(curve: EcdhCurve, number: &[u8]) -> Result<Self, Error> {
        let key = PrivateKey::from_private_key(algorithm(curve), number);
        key.map(|key| Self { curve, key }).map_err(|_| sec1::BAD_ECDH_PRIVATE)
    }

    /// The public point, uncompressed: 65 or 97 bytes.
    ///
    /// # Errors
    /// [`Error::Internal`] if the library fails.
    pub fn public_sec1(&self) -> Result<Vec<u8>, Error> {
        let public = self.key.compute_public_key();
        public.map(|point| point.as_ref().to_vec()).map_err(|_| Error::Internal { what: "ecdh public key" })
    }

    /// x of the point that is shared with `peer`, an uncompressed point on the same curve: 32 or 48 bytes.
    ///
    /// # Errors
    /// [`Error::BadKey`] if `peer` is something else.
    pub fn agree(&self, peer: &[u8]) -> Result<SecretBytes, Error> {
        if !sec1::is_ecdh_point(self.curve, peer) {
            return Err(sec1::BAD_ECDH_POINT);
        }
        let peer = UnparsedPublicKey::new(algorithm(self.curve), peer);
        agreement::agree(&self.key, peer, sec1::BAD_ECDH_POINT, |shared| {
            Ok(SecretBytes::from_vec(shared.to_vec()))
        })
    }
}

fn algorithm(curve: EcdhCurve) -> &'static Algorithm {
    match curve {
        EcdhCurve::P256 => &ECDH_P256,
        EcdhCurve::P384 => &ECDH_P384,
    }
}
