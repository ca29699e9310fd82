//! The only crate that names a cryptographic primitive.
//!
//! Two back ends stand behind one API, as additive features, so that both can be compiled and compared. The crate
//! root re-exports `aws_lc` where it is compiled, else `rust_crypto`.
//!
//! | operation | `aws_lc` (feature `aws-lc`, default): does the work | `rust_crypto` (feature `rust-crypto`): the oracle |
//! |-|-|-|
//! | AES-256-GCM | `aws-lc-rs` | `aes-gcm` |
//! | SHA-2, HMAC-SHA256, HMAC-SHA384, HKDF-SHA512 | `aws-lc-rs` | `sha2`, `hmac`, `hkdf` |
//! | AES-CFB, for TPM credentials; KDFa is on HMAC, KDFe on SHA-2 | `aws-lc-rs` | `aes-gcm`'s `aes` |
//! | ECDH P-256 and P-384, for TPM credentials | `aws-lc-rs` | `p256`, `p384` |
//! | AES-256 key wrap with padding | `aws-lc-rs` | `aes-kw` |
//! | ECDSA P-384 with SHA-384, P-256 with SHA-256 (verifying) | `aws-lc-rs` | `p384`, `p256` |
//! | Ed25519 | `aws-lc-rs` | `ed25519-dalek` |
//! | RSA: OAEP, PSS, PKCS #1 1.5 signatures | `aws-lc-rs` | none: [`Error::Unsupported`] |
//! | HPKE, [`Suite::P384`] | `rustls` on `aws-lc-rs` | `hpke` on `p384` |
//! | HPKE, [`Suite::XWing`] | sealing on `aws-lc-rs`, opening by `hpke` on `ml-kem` (not audited) | both by `hpke` |
//! | randomness | `aws-lc-rs`, seeded by the system | the system, by `getrandom` |
//! | constant-time comparison ([`ct_eq`]) | `subtle` | the same |
//!
//! Equal inputs give equal outcomes in both, errors included: what one library is laxer about than the other (hybrid
//! and compact points, a key wrap of nothing, Ed25519 keys that are not canonical) is refused in both. One exception:
//! an X-Wing key whose X25519 point has a small order, which nobody honest has, is refused by `aws_lc` alone.
//! `tests/cross` holds them to that, `tests/wycheproof` both to Project Wycheproof's vectors; RSA and the opening of
//! X-Wing, which have no second back end here, are checked in the workspace's `tests/oracle`. Run them with
//! `--features rust-crypto`.
//!
//! This crate must never hold a policy, a format of keyfast's own, or a key beyond the call that uses it.

#[cfg(not(any(feature = "aws-lc", feature = "rust-crypto")))]
compile_error!("choose a back end: feature `aws-lc` (default) or `rust-crypto`");

mod error;
mod kdf;
mod rust_hpke;
mod sec1;
#[cfg(feature = "aws-lc")]
mod spki;

#[cfg(feature = "aws-lc")]
pub mod aws_lc;

#[cfg(feature = "aws-lc")]
pub use aws_lc::*;
#[cfg(all(feature = "rust-crypto", not(feature = "aws-lc")))]
pub use rust_crypto::*;

#[cfg(feature = "rust-crypto")]
pub mod rust_crypto;

pub use claims::Suite;
pub use error::Error;
pub use kdf::{kdfa_sha256, kdfa_sha384, kdfe_sha256, kdfe_sha384};

/// Bytes of an AES-GCM nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes of an AES-GCM tag.
pub const TAG_LEN: usize = 16;

/// An HPKE ciphertext (RFC 9180, single shot).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The encapsulated key: 97 bytes for P-384, 1120 for X-Wing.
    pub encapsulated: Vec<u8>,
    /// The ciphertext and its 16-byte tag.
    pub ciphertext: Vec<u8>,
}

/// How an RSA key signs (RFC 8017, 8.1 and 8.2). In PSS, MGF1 has the same hash and the salt its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RsaScheme {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Pkcs1Sha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Pkcs1Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Pkcs1Sha512,
    /// RSASSA-PSS with SHA-256.
    PssSha256,
    /// RSASSA-PSS with SHA-384.
    PssSha384,
    /// RSASSA-PSS with SHA-512.
    PssSha512,
}

/// A curve for ECDH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EcdhCurve {
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
}

impl EcdhCurve {
    /// Bytes of a coordinate: 32 or 48.
    pub fn field_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    /// The SubjectPublicKeyInfo in DER (RFC 5480, 2) of a point: its tag, x and y, each coordinate of
    /// [`Self::field_len`] bytes. Whether it lies on the curve is not looked at.
    pub fn spki(self, point: &[u8]) -> Vec<u8> {
        let head = match self {
            Self::P256 => P256_SPKI_HEAD,
            Self::P384 => P384_SPKI_HEAD,
        };
        [head, point].concat()
    }
}

/// What stands before the point in a SubjectPublicKeyInfo: ecPublicKey, prime256v1, and the head of the bit string.
const P256_SPKI_HEAD: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// The same with secp384r1.
const P384_SPKI_HEAD: &[u8] = &[
    0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81,
    0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
];

/// Compares secrets in a time that depends on their lengths only.
#[must_use]
pub fn ct_eq(a: &[u8], b: &[u8]) -> bool {
    subtle::ConstantTimeEq::ct_eq(a, b).into()
}
