//! SHA-2 (FIPS 180-4), HMAC (RFC 2104) and HKDF (RFC 5869).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha512};
use zeroize::Zeroizing;

use crate::Error;

/// SHA-256 of the concatenation of `parts`.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    digest_parts(sha2::Sha256::new(), parts).finalize().into()
}

/// SHA-384 of the concatenation of `parts`.
pub fn sha384(parts: &[&[u8]]) -> [u8; 48] {
    digest_parts(sha2::Sha384::new(), parts).finalize().into()
}

/// SHA-512 of the concatenation of `parts`.
pub fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    digest_parts(Sha512::new(), parts).finalize().into()
}

fn digest_parts<D: Digest>(digest: D, parts: &[&[u8]]) -> D {
    parts.iter().fold(digest, |digest, part| digest.chain_update(part))
}

macro_rules! streaming_hash {
    ($($(#[$doc:meta])* $name:ident, $algorithm:ty, $len:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name($algorithm);

        impl $name {
            /// Starts a digest.
            pub fn new() -> Self {
                Self(<$algorithm>::new())
            }

            /// Appends bytes to what is digested.
            pub fn update(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }

            /// The digest.
            pub fn finish(self) -> [u8; $len] {
                self.0.finalize().into()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }
    )*};
}

streaming_hash! {
    /// SHA-256 of bytes that come in pieces.
    Sha256, sha2::Sha256, 32;
    /// SHA-384 of bytes that come in pieces.
    Sha384, sha2::Sha384, 48;
}

/// A key for HMAC-SHA256.
pub struct HmacKey(Hmac<sha2::Sha256>);

impl HmacKey {
    /// Takes a key of any length; 32 bytes are the rule.
    pub fn new(key: &[u8]) -> Self {
        // RFC 2104, 2: a key longer than a block is hashed first, a shorter one is padded with zeros.
        let long = (key.len() > 64).then(|| Zeroizing::new(sha256(&[key])));
        let key = long.as_ref().map_or(key, |digest| digest.as_slice());
        let mut block = Zeroizing::new([0; 64]);
        block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
        Self(Hmac::new(&(*block).into()))
    }

    /// HMAC-SHA256 of the concatenation of `parts`.
    pub fn tag(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mac = parts.iter().fold(self.0.clone(), |mac, part| mac.chain_update(part));
        mac.finalize().into_bytes().into()
    }

    /// Checks a tag in constant time.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if it is another.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> Result<(), Error> {
        if crate::ct_eq(&self.tag(parts), tag) {
            Ok(())
        } else {
            Err(Error::Mismatch { what: "hmac-sha256 tag" })
        }
    }
}

/// HKDF-SHA512, extract and expand, into `out` (at most 255 * 64 bytes).
///
/// # Errors
/// [`Error::Length`] if `out` is longer.
pub fn hkdf_sha512(salt: &[u8], secret: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), Error> {
    let too_long = Error::Length { what: "hkdf output", expected: 255 * 64, got: out.len() };
    Hkdf::<Sha512>::new(Some(salt), secret).expand_multi_info(info, out).map_err(|_| too_long)
}
