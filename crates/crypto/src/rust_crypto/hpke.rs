//! HPKE, single shot (RFC 9180): both suites through the crate `hpke`.

use ::hpke::kem::DhP384HkdfSha384 as P384;
use claims::{RecipientKey, Suite};
use secret::SecretBytes;

use super::random;
use crate::rust_hpke::{self, XWing};
use crate::{Error, Sealed};

/// A fresh key pair of `suite`: the private key as RFC 9180 serialises it, and the public one.
///
/// # Errors
/// [`Error::Internal`] if the system gives no randomness.
pub fn hpke_generate(suite: Suite) -> Result<(SecretBytes, RecipientKey), Error> {
    match suite {
        Suite::XWing => rust_hpke::generate::<XWing>(suite, random),
        Suite::P384 => rust_hpke::generate::<P384>(suite, random),
    }
}

/// Seals `plaintext` to a recipient.
///
/// # Errors
/// [`Error::BadKey`] if the public key is none of its suite.
pub fn hpke_seal(to: &RecipientKey, info: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Sealed, Error> {
    match to.suite {
        Suite::XWing => rust_hpke::seal::<XWing>(random, BAD_XWING, &to.public, info, aad, plaintext),
        Suite::P384 => rust_hpke::seal::<P384>(random, BAD_P384, &to.public, info, aad, plaintext),
    }
}

/// Opens what was sealed to the private key `secret`.
///
/// # Errors
/// [`Error::Mismatch`] if key, `info`, `aad` or the sealed bytes do not belong together.
pub fn hpke_open(
    suite: Suite,
    secret: &SecretBytes,
    info: &[u8],
    aad: &[u8],
    sealed: &Sealed,
) -> Result<SecretBytes, Error> {
    match suite {
        Suite::XWing => rust_hpke::open::<XWing>(secret, info, aad, sealed),
        Suite::P384 => rust_hpke::open::<P384>(secret, info, aad, sealed),
    }
}

const BAD_P384: Error = Error::BadKey { expected: "a P-384 point, 97 bytes" };
const BAD_XWING: Error = Error::BadKey { expected: "an X-Wing public key, 1216 bytes" };
