//! SHA-2 (FIPS 180-4), HMAC (RFC 2104) and HKDF (RFC 5869).

use aws_lc_rs::{digest, hkdf, hmac};

use crate::Error;

/// SHA-256 of the concatenation of `parts`.
pub fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    digest_parts(&digest::SHA256, parts)
}

/// SHA-384 of the concatenation of `parts`.
pub fn sha384(parts: &[&[u8]]) -> [u8; 48] {
    digest_parts(&digest::SHA384, parts)
}

/// SHA-512 of the concatenation of `parts`.
pub fn sha512(parts: &[&[u8]]) -> [u8; 64] {
    digest_parts(&digest::SHA512, parts)
}

fn digest_parts<const N: usize>(algorithm: &'static digest::Algorithm, parts: &[&[u8]]) -> [u8; N] {
    let mut context = digest::Context::new(algorithm);
    parts.iter().for_each(|part| context.update(part));
    digest_array(context.finish())
}

pub(super) fn digest_array<const N: usize>(digest: digest::Digest) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(digest.as_ref());
    out
}

macro_rules! streaming_hash {
    ($($(#[$doc:meta])* $name:ident, $algorithm:expr, $len:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name(digest::Context);

        impl $name {
            /// Starts a digest.
            pub fn new() -> Self {
                Self(digest::Context::new(&$algorithm))
            }

            /// Appends bytes to what is digested.
            pub fn update(&mut self, bytes: &[u8]) {
                self.0.update(bytes);
            }

            /// The digest.
            pub fn finish(self) -> [u8; $len] {
                digest_array(self.0.finish())
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
    Sha256, digest::SHA256, 32;
    /// SHA-384 of bytes that come in pieces.
    Sha384, digest::SHA384, 48;
}

macro_rules! hmac_key {
    ($($(#[$doc:meta])* $name:ident, $algorithm:expr, $len:literal, $what:literal;)*) => {$(
        $(#[$doc])*
        pub struct $name(hmac::Key);

        impl $name {
            /// Takes a key of any length; one as long as a tag is the rule.
            pub fn new(key: &[u8]) -> Self {
                Self(hmac::Key::new($algorithm, key))
            }

            /// The tag of the concatenation of `parts`.
            pub fn tag(&self, parts: &[&[u8]]) -> [u8; $len] {
                let mut context = hmac::Context::with_key(&self.0);
                parts.iter().for_each(|part| context.update(part));
                let mut out = [0; $len];
                out.copy_from_slice(context.sign().as_ref());
                out
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
    HmacKey, hmac::HMAC_SHA256, 32, "hmac-sha256 tag";
    /// A key for HMAC-SHA384.
    Hmac384Key, hmac::HMAC_SHA384, 48, "hmac-sha384 tag";
}

/// HKDF-SHA512, extract and expand, into `out` (at most 255 * 64 bytes).
///
/// # Errors
/// [`Error::Length`] if `out` is longer.
pub fn hkdf_sha512(salt: &[u8], secret: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), Error> {
    struct Len(usize);
    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }
    let too_long = Error::Length { what: "hkdf output", expected: 255 * 64, got: out.len() };
    let prk = hkdf::Salt::new(hkdf::HKDF_SHA512, salt).extract(secret);
    prk.expand(info, Len(out.len())).and_then(|okm| okm.fill(out)).map_err(|_| too_long)
}
