//! HPKE, single shot, base mode (RFC 9180, 6.1), with HKDF-SHA384 and AES-256-GCM, by the crate `hpke`.
//!
//! X-Wing (KEM 0x647a, draft-ietf-hpke-pq-03) for both back ends, sealing for `rust_crypto` alone; P-384 for
//! `rust_crypto`. Randomness is an argument and is drawn before the crate is called, because the crate panics when the
//! system gives none.

#[cfg(feature = "rust-crypto")]
mod seal;

use ::hpke::aead::AesGcm256;
use ::hpke::kdf::HkdfSha384;
use ::hpke::{Deserializable, HpkeError, Kem, OpModeR, Serializable, single_shot_open};
use claims::{RecipientKey, Suite};
use secret::SecretBytes;
use zeroize::Zeroizing;

use crate::{Error, Sealed};

pub(crate) use ::hpke::kem::XWing;
#[cfg(feature = "rust-crypto")]
pub(crate) use seal::seal;

/// Fills a buffer with random bytes.
type Random = fn(&mut [u8]) -> Result<(), Error>;

/// A fresh key pair (RFC 9180, 7.1.3, from 64 random bytes).
pub(crate) fn generate<K: Kem>(suite: Suite, random: Random) -> Result<(SecretBytes, RecipientKey), Error> {
    let mut drawn = Zeroizing::new([0; 64]);
    random(&mut *drawn)?;
    let (private, public) = K::derive_keypair(&*drawn);
    let private = SecretBytes::take(&mut private.to_bytes());
    Ok((private, RecipientKey { suite, public: public.to_bytes().to_vec() }))
}

/// Opens with a private key; every failure is the same.
pub(crate) fn open<K: Kem>(
    secret: &SecretBytes,
    info: &[u8],
    aad: &[u8],
    sealed: &Sealed,
) -> Result<SecretBytes, Error> {
    let opened = || -> Result<Vec<u8>, HpkeError> {
        let private = K::PrivateKey::from_bytes(secret.expose())?;
        let encapsulated = K::EncappedKey::from_bytes(&sealed.encapsulated)?;
        let (mode, ciphertext) = (OpModeR::Base, &sealed.ciphertext);
        single_shot_open::<AesGcm256, HkdfSha384, K>(&mode, &private, &encapsulated, info, ciphertext, aad)
    };
    opened().map(SecretBytes::from_vec).map_err(|_| Error::Mismatch { what: "hpke ciphertext" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_randomness_is_an_error_and_not_a_panic() {
        let none = Error::Internal { what: "random" };
        assert_eq!(
            generate::<XWing>(Suite::XWing, |_| Err(Error::Internal { what: "random" })).unwrap_err(),
            none
        );
    }
}
