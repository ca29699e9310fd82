//! Endorsement keys by the TCG's templates, and how they open credentials (TCG TPM 2.0 Library 1.59, part 1, 24 and
//! annex C; EK Credential Profile 2.5, B.3 and B.4).

use crypto::{EcdhCurve, EcdhKey, Hmac384Key, HmacKey, RsaPrivateKey};

use super::{NULL, RSA, SHA256, SHA384, rsa_numbers, sized};
use crate::SimError;

/// A vTPM's endorsement key.
pub(super) enum EndorsementKey {
    /// Template L-1.
    Rsa(RsaPrivateKey),
    /// Template L-2 or H-3.
    Ecc { curve: EcdhCurve, key: EcdhKey, point: Vec<u8>, spki: Vec<u8> },
}

impl EndorsementKey {
    pub(super) fn generate_on(curve: EcdhCurve) -> Result<Self, SimError> {
        let key = EcdhKey::generate(curve)?;
        let point = key.public_sec1()?;
        let spki = curve.spki(&point);
        Ok(Self::Ecc { curve, key, point, spki })
    }

    pub(super) fn spki(&self) -> &[u8] {
        match self {
            Self::Rsa(key) => key.public().spki(),
            Self::Ecc { spki, .. } => spki,
        }
    }

    /// TPMT_PUBLIC.
    pub(super) fn public(&self) -> Result<Vec<u8>, SimError> {
        let (hash, attributes, policy, bits) = if self.is_high() {
            (SHA384, HIGH_ATTRIBUTES, &POLICY_B[..], 256)
        } else {
            (SHA256, LOW_ATTRIBUTES, &POLICY_A[..], 128)
        };
        let (kind, numbers) = match self {
            Self::Rsa(key) => (RSA, rsa_numbers(key)?),
            Self::Ecc { curve, point, .. } => {
                let id: u16 = if *curve == EcdhCurve::P256 { 3 } else { 4 };
                let [x, y] = coordinates(point);
                (ECC, [&id.to_be_bytes()[..], &NULL.to_be_bytes(), &sized(x), &sized(y)].concat())
            }
        };
        Ok([
            &kind.to_be_bytes()[..],
            &hash.to_be_bytes(),
            &attributes.to_be_bytes(),
            &sized(policy),
            &[AES, bits, CFB].map(u16::to_be_bytes).concat(),
            &NULL.to_be_bytes(),
            &numbers,
        ]
        .concat())
    }

    /// The secret of a credential for the attestation key of this Name, or `None`.
    pub(super) fn open(&self, name: &[u8], blob: &[u8], encrypted_seed: &[u8]) -> Option<Vec<u8>> {
        let seed = self.seed(encrypted_seed)?;
        let (mac, hidden) = take(blob)?;
        let mut opened = hidden.to_vec();
        if self.is_high() {
            let (mut cipher_key, mut mac_key) = ([0; 32], [0; 48]);
            crypto::kdfa_sha384(&seed, "STORAGE", name, &[], &mut cipher_key);
            crypto::kdfa_sha384(&seed, "INTEGRITY", &[], &[], &mut mac_key);
            Hmac384Key::new(&mac_key).verify(&[hidden, name], mac).ok()?;
            crypto::aes256_cfb_decrypt(&cipher_key, &mut opened).ok()?;
        } else {
            let (mut cipher_key, mut mac_key) = ([0; 16], [0; 32]);
            crypto::kdfa_sha256(&seed, "STORAGE", name, &[], &mut cipher_key);
            crypto::kdfa_sha256(&seed, "INTEGRITY", &[], &[], &mut mac_key);
            HmacKey::new(&mac_key).verify(&[hidden, name], mac).ok()?;
            crypto::aes128_cfb_decrypt(&cipher_key, &mut opened).ok()?;
        }
        let (secret, rest) = take(&opened)?;
        rest.is_empty().then(|| secret.to_vec())
    }

    fn seed(&self, encrypted: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(key) => {
                let seed = key.decrypt_oaep_sha256_labelled(encrypted, b"IDENTITY\0").ok()?;
                Some(seed.expose().to_vec())
            }
            Self::Ecc { curve, key, point, .. } => {
                let (x, rest) = take(encrypted)?;
                let (y, rest) = take(rest)?;
                let shared = key.agree(&[&[4], x, y].concat()).ok().filter(|_| rest.is_empty())?;
                let [own_x, _] = coordinates(point);
                Some(match curve {
                    EcdhCurve::P256 => crypto::kdfe_sha256(shared.expose(), "IDENTITY", x, own_x).to_vec(),
                    EcdhCurve::P384 => crypto::kdfe_sha384(shared.expose(), "IDENTITY", x, own_x).to_vec(),
                })
            }
        }
    }

    fn is_high(&self) -> bool {
        matches!(self, Self::Ecc { curve: EcdhCurve::P384, .. })
    }
}

/// x and y of an uncompressed point.
fn coordinates(point: &[u8]) -> [&[u8]; 2] {
    let both = point.get(1..).unwrap_or_default();
    let (x, y) = both.split_at_checked(both.len() / 2).unwrap_or_default();
    [x, y]
}

/// The contents of the TPM2B that the bytes start with, and what follows it.
fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

const AES: u16 = 0x0006;
const ECC: u16 = 0x0023;
const CFB: u16 = 0x0043;
/// fixedTPM, fixedParent, sensitiveDataOrigin, adminWithPolicy, restricted, decrypt.
const LOW_ATTRIBUTES: u32 = 0x0003_00b2;
/// The same and userWithAuth.
const HIGH_ATTRIBUTES: u32 = 0x0003_00f2;
/// PolicyA of the EK Credential Profile: PolicySecret of the endorsement hierarchy, SHA-256.
const POLICY_A: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd,
    0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];
/// PolicyB of the EK Credential Profile, SHA-384.
const POLICY_B: [u8; 48] = [
    0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a, 0x07,
    0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca, 0xcb, 0x47,
    0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
];
