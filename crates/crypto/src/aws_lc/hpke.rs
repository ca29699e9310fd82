//! HPKE, single shot (RFC 9180): P-384 through `rustls`, X-Wing sealed by [`x_wing`] and opened through `hpke`.

use claims::{RecipientKey, Suite};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_P384_HKDF_SHA384_AES_256 as P384;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use secret::SecretBytes;

use super::{random, x_wing};
use crate::rust_hpke::{self, XWing};
use crate::{Error, Sealed, sec1};

/// A fresh key pair of `suite`: the private key as RFC 9180 serialises it, and the public one.
///
/// # Errors
/// [`Error::Internal`] if the system gives no randomness.
pub fn hpke_generate(suite: Suite) -> Result<(SecretBytes, RecipientKey), Error> {
    if suite == Suite::XWing {
        return rust_hpke::generate::<XWing>(suite, random);
    }
    let (public, private) =
        P384.generate_key_pair().map_err(|_| Error::Internal { what: "hpke generate" })?;
    let private = SecretBytes::from_vec(private.secret_bytes().to_vec());
    Ok((private, RecipientKey { suite, public: public.0 }))
}

/// Seals `plaintext` to a recipient.
///
/// # Errors
/// [`Error::BadKey`] if the public key is none of its suite.
pub fn hpke_seal(to: &RecipientKey, info: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Sealed, Error> {
    if to.suite == Suite::XWing {
        return x_wing::seal(&to.public, info, aad, plaintext);
    }
    if !sec1::is_uncompressed(&to.public) {
        return Err(BAD_P384);
    }
    let public = HpkePublicKey(to.public.clone());
    let sealed = P384.seal(info, aad, plaintext, &public);
    let (encapsulated, ciphertext) = sealed.map_err(|_| BAD_P384)?;
    Ok(Sealed { encapsulated: encapsulated.0, ciphertext })
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
    if suite == Suite::XWing {
        return rust_hpke::open::<XWing>(secret, info, aad, sealed);
    }
    let mismatch = Error::Mismatch { what: "hpke ciphertext" };
    if !sec1::is_uncompressed(&sealed.encapsulated) {
        return Err(mismatch);
    }
    let private = HpkePrivateKey::from(secret.expose().to_vec());
    let encapsulated = EncapsulatedSecret(sealed.encapsulated.clone());
    let opened = P384.open(&encapsulated, info, aad, &sealed.ciphertext, &private);
    opened.map(SecretBytes::from_vec).map_err(|_| mismatch)
}

const BAD_P384: Error = Error::BadKey { expected: "a P-384 point, 97 bytes" };
