//! Sealing by the crate `hpke`, on randomness that was drawn beforehand.

use ::hpke::aead::AesGcm256;
use ::hpke::kdf::HkdfSha384;
use ::hpke::rand_core::{Infallible, TryCryptoRng, TryRng};
use ::hpke::{Deserializable, Kem, OpModeS, Serializable, single_shot_seal_with_rng};
use zeroize::Zeroizing;

use super::Random;
use crate::{Error, Sealed};

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
    use claims::Suite;

    use super::*;
    use crate::rust_hpke::{XWing, generate, open};

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
