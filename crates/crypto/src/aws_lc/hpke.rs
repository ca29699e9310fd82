//! HPKE, single shot (RFC 9180): P-384 through `rustls`, X-Wing through `hpke`.

use claims::{RecipientKey, Suite};
use rustls::crypto::aws_lc_rs::hpke::DH_KEM_P384_HKDF_SHA384_AES_256 as P384;
use rustls::crypto::hpke::{EncapsulatedSecret, Hpke, HpkePrivateKey, HpkePublicKey};
use secret::SecretBytes;

use crate::{Error, Sealed, xwing};

/// A fresh key pair of `suite`: the private key as RFC 9180 serialises it, and the public one.
///
/// # Errors
/// [`Error::Internal`] if the system gives no randomness.
pub fn hpke_generate(suite: Suite) -> Result<(SecretBytes, RecipientKey), Error> {
    if suite == Suite::XWing {
        return xwing::generate();
    }
    let (public, private) = P384.generate_key_pair().map_err(|_| Error::Internal { what: "hpke generate" })?;
    let private = SecretBytes::from_vec(private.secret_bytes().to_vec());
    Ok((private, RecipientKey { suite, public: public.0 }))
}

/// Seals `plaintext` to a recipient.
///
/// # Errors
/// [`Error::BadKey`] if the public key is none of its suite.
pub fn hpke_seal(to: &RecipientKey, info: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Sealed, Error> {
    if to.suite == Suite::XWing {
        return xwing::seal(to, info, aad, plaintext);
    }
    let public = HpkePublicKey(to.public.clone());
    let sealed = P384.seal(info, aad, plaintext, &public);
    let (encapsulated, ciphertext) = sealed.map_err(|_| Error::BadKey { expected: "a P-384 point, 97 bytes" })?;
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
        return xwing::open(secret, info, aad, sealed);
    }
    let private = HpkePrivateKey::from(secret.expose().to_vec());
    let encapsulated = EncapsulatedSecret(sealed.encapsulated.clone());
    let opened = P384.open(&encapsulated, info, aad, &sealed.ciphertext, &private);
    opened.map(SecretBytes::from_vec).map_err(|_| Error::Mismatch { what: "hpke ciphertext" })
}
