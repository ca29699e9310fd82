//! The independent oracle: RustCrypto's crates, `ed25519-dalek` and `hpke`; nothing in it is C.
//!
//! Same names, signatures and errors as `aws_lc`, which does the work. It has no RSA: the types are there and
//! cannot be made ([`Error::Unsupported`]).

mod aead;
mod cfb;
mod ecdh;
mod hash;
mod hpke;
mod key_wrap;
mod rsa;
mod sign;

pub use aead::Aes256Gcm;
pub use cfb::{aes128_cfb_decrypt, aes128_cfb_encrypt, aes256_cfb_decrypt, aes256_cfb_encrypt};
pub use ecdh::EcdhKey;
pub use hash::{Hmac384Key, HmacKey, Sha256, Sha384, hkdf_sha512, sha256, sha384, sha512};
pub use hpke::{hpke_generate, hpke_open, hpke_seal};
pub use key_wrap::{kwp_unwrap, kwp_wrap};
pub use rsa::{RsaPrivateKey, RsaPublicKey};
pub use sign::{Ed25519PublicKey, Ed25519SigningKey, P256PublicKey, P384PublicKey, P384SigningKey};

use crate::Error;

/// The name that [`Error::Unsupported`] uses.
pub const NAME: &str = "rust-crypto";

/// Fills `out` from the operating system's generator.
///
/// # Errors
/// [`Error::Internal`] if the system gives none.
pub fn random(out: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(out).map_err(|_| Error::Internal { what: "random" })
}

/// `N` random bytes.
///
/// # Errors
/// As [`random`].
pub fn random_array<const N: usize>() -> Result<[u8; N], Error> {
    let mut out = [0; N];
    random(&mut out)?;
    Ok(out)
}
