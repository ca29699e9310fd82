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

macro_rules! hmac_key {
    ($($(#[$doc:meta])* $name:ident, $hash:ty, $digest:ident, $block:literal, $len:literal, $what:literal;)*) => {$(
        $(#[$doc])*
        pub struct $name(Hmac<$hash>);

        impl $name {
            /// Takes a key of any length; one as long as a tag is the rule.
            pub fn new(key: &[u8]) -> Self {
                // RFC 2104, 2: a key longer than a block is hashed first, a shorter one is padded with zeros.
                let long = (key.len() > $block).then(|| Zeroizing::new($digest(&[key])));
                let key = long.as_ref().map_or(key, |digest| digest.as_slice());
                let mut block = Zeroizing::new([0; $block]);
                block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
                Self(Hmac::new(&(*block).into()))
            }

            /// The tag of the concatenation of `parts`.
            pub fn tag(&self, parts: &[&[u8]]) -> [u8; $len] {
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
                    Err(Error::Mismatch { what: $what })
                }
            }
        }
    )*};
}

hmac_key! {
    /// A key for HMAC-SHA256.
    HmacKey, sha2::Sha256, sha256, 64, 32, "hmac-sha256 tag";
    /// A key for HMAC-SHA384.
    Hmac384Key, sha2::Sha384, sha384, 128, 48, "hmac-sha384 tag";
}

/// HKDF-SHA512, extract and expand, into `out` (at most 255 * 64 bytes).
///
/// # Errors
/// [`Error::Length`] if `out` is longer.
pub fn hkdf_sha512(salt: &[u8], secret: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), Error> {
    let too_long = Error::Length { what: "hkdf output", expected: 255 * 64, got: out.len() };
    Hkdf::<Sha512>::new(Some(salt), secret).expand_multi_info(info, out).map_err(|_| too_long)
}
