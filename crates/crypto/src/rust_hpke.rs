//! HPKE, single shot, base mode (RFC 9180, 6.1), with HKDF-SHA384 and AES-256-GCM, by the crate `hpke`.
//!
//! X-Wing (KEM 0x647a, draft-ietf-hpke-pq-03) for both back ends; P-384 for `rust_crypto`. Randomness is an
//! argument and is drawn before the crate is called, because the crate panics when the system gives none.

use ::hpke::aead::AesGcm256;
use ::hpke::kdf::HkdfSha384;
use ::hpke::rand_core::{Infallible, TryCryptoRng, TryRng};
use ::hpke::{
    Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable, single_shot_open,
    single_shot_seal_with_rng,
};
use claims::{RecipientKey, Suite};
use secret::SecretBytes;
use zeroize::Zeroizing;

use crate::{Error, Sealed};

pub(crate) use ::hpke::kem::XWing;

/// Fills a buffer with random bytes.
type Random = fn(&mut [u8]) -> Result<(), Error>;

/// A fresh key pair (RFC 9180, 7.1.3, from 64 random bytes).
pub(crate) fn generate<K: Kem>(suite: Suite, random: Random) -> Result<(SecretBytes, RecipientKey), Error> {
    let drawn = Drawn::draw(random)?;
    let (private, public) = K::derive_keypair(&*drawn.bytes);
    let private = SecretBytes::take(&mut private.to_bytes());
    Ok((private, RecipientKey { suite, public: public.to_bytes().to_vec() }))
}

/// Seals to a public key; `bad_key` if it is none of this KEM.
pub(crate) fn seal<K: Kem>(
    random: Random,
    bad_key: Error,
    public: &[u8],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Sealed, Error> {
    let public = K::PublicKey::from_bytes(public).map_err(|_| bad_key)?;
    let mut drawn = Drawn::draw(random)?;
    let mode = OpModeS::Base;
    let sealed = single_shot_seal_with_rng::<AesGcm256, HkdfSha384, K>(
        &mode, &public, info, plaintext, aad, &mut drawn,
    );
    let (encapsulated, ciphertext) = sealed.map_err(|_| bad_key)?;
    if drawn.exhausted {
        return Err(Error::Internal { what: "hpke seal" });
    }
    Ok(Sealed { encapsulated: encapsulated.to_bytes().to_vec(), ciphertext })
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

/// Random bytes drawn beforehand: 64, which is what X-Wing takes and more than P-384's 48.
///
/// If more were asked for, it would hand out zeros and say so in `exhausted`; the result is then thrown away.
struct Drawn {
    bytes: Zeroizing<[u8; 64]>,
    used: usize,
    exhausted: bool,
}

impl Drawn {
    fn draw(random: Random) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new([0; 64]);
        random(&mut *bytes)?;
        Ok(Self { bytes, used: 0, exhausted: false })
    }
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut word = [0; 4];
        self.try_fill_bytes(&mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut word = [0; 8];
        self.try_fill_bytes(&mut word)?;
        Ok(u64::from_le_bytes(word))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let end = self.used.saturating_add(out.len());
        match self.bytes.get(self.used..end) {
            Some(bytes) => out.copy_from_slice(bytes),
            None => {
                out.fill(0);
                self.exhausted = true;
            }
        }
        self.used = end;
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_RANDOM: Error = Error::Internal { what: "random" };

    fn sevens(out: &mut [u8]) -> Result<(), Error> {
        out.fill(7);
        Ok(())
    }

    #[test]
    fn randomness_is_given_out_once_and_its_end_is_noted() {
        let mut drawn = Drawn::draw(sevens).unwrap();
        let mut out = [0; 60];
        assert_eq!((drawn.try_fill_bytes(&mut out), out), (Ok(()), [7; 60]));
        assert_eq!(drawn.try_next_u32(), Ok(0x0707_0707));
        assert!(!drawn.exhausted);
        assert_eq!((drawn.try_next_u64(), drawn.exhausted), (Ok(0), true));
    }

    #[test]
    fn a_system_without_randomness_is_an_error_and_not_a_panic() {
        let none: Random = |_| Err(NO_RANDOM);
        assert_eq!(generate::<XWing>(Suite::XWing, none).unwrap_err(), NO_RANDOM);
        let (_, public) = generate::<XWing>(Suite::XWing, sevens).unwrap();
        assert_eq!(seal::<XWing>(none, NO_RANDOM, &public.public, b"", b"", b"").unwrap_err(), NO_RANDOM);
    }

    #[test]
    fn the_same_randomness_seals_to_the_same_bytes() {
        let (secret, to) = generate::<XWing>(Suite::XWing, sevens).unwrap();
        let seal = || seal::<XWing>(sevens, NO_RANDOM, &to.public, b"info", b"aad", b"plaintext").unwrap();
        assert_eq!(seal(), seal());
        assert_eq!(open::<XWing>(&secret, b"info", b"aad", &seal()).unwrap().expose(), b"plaintext");
    }
}
