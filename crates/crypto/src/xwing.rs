//! HPKE with X-Wing (KEM 0x647a, draft-ietf-hpke-pq-03), HKDF-SHA384 and AES-256-GCM, for both back ends.

use ::hpke::aead::AesGcm256;
use ::hpke::kdf::HkdfSha384;
use ::hpke::kem::XWing;
use ::hpke::{
    Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal,
};
use claims::{RecipientKey, Suite};
use secret::SecretBytes;

use crate::{Error, Sealed};

pub(crate) fn generate() -> Result<(SecretBytes, RecipientKey), Error> {
    let (private, public) = XWing::gen_keypair();
    let private = SecretBytes::take(&mut private.to_bytes());
    Ok((private, RecipientKey { suite: Suite::XWing, public: public.to_bytes().to_vec() }))
}

pub(crate) fn seal(to: &RecipientKey, info: &[u8], aad: &[u8], plaintext: &[u8]) -> Result<Sealed, Error> {
    let bad_key = Error::BadKey { expected: "an X-Wing public key, 1216 bytes" };
    let public = <XWing as Kem>::PublicKey::from_bytes(&to.public).map_err(|_| bad_key)?;
    let sealed =
        single_shot_seal::<AesGcm256, HkdfSha384, XWing>(&OpModeS::Base, &public, info, plaintext, aad);
    let (encapsulated, ciphertext) = sealed.map_err(|_| bad_key)?;
    Ok(Sealed { encapsulated: encapsulated.to_bytes().to_vec(), ciphertext })
}

pub(crate) fn open(
    secret: &SecretBytes,
    info: &[u8],
    aad: &[u8],
    sealed: &Sealed,
) -> Result<SecretBytes, Error> {
    let opened = || -> Result<Vec<u8>, HpkeError> {
        let private = <XWing as Kem>::PrivateKey::from_bytes(secret.expose())?;
        let encapsulated = <XWing as Kem>::EncappedKey::from_bytes(&sealed.encapsulated)?;
        let mode = OpModeR::Base;
        single_shot_open::<AesGcm256, HkdfSha384, XWing>(
            &mode,
            &private,
            &encapsulated,
            info,
            &sealed.ciphertext,
            aad,
        )
    };
    opened().map(SecretBytes::from_vec).map_err(|_| Error::Mismatch { what: "hpke ciphertext" })
}
