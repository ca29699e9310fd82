//! Endorsement keys by the templates of the TCG (EK Credential Profile 2.5, B.3 and B.4): a restricted decryption key
//! that no TPM uses for anything but its templates' policies say.
//!
//! | template | key | Name, seed, MAC | cipher | policy |
//! |-|-|-|-|-|
//! | L-1 | RSA 2048, exponent 65537 | SHA-256 | AES-128-CFB | PolicyA |
//! | L-2 | P-256 | SHA-256 | AES-128-CFB | PolicyA |
//! | H-2 | P-256 | SHA-256 | AES-128-CFB | PolicyB |
//! | H-3 | P-384 | SHA-384 | AES-256-CFB | PolicyB |
//!
//! The others (RSA of the high range, P-521, SM2) are refused.

use claims::tpm::HashAlgorithm;
use crypto::{EcdhCurve, EcdhKey, RsaPublicKey};
use evidence::tpm::{Curve, KeyFields, Public, Symmetric};

use super::ak::point;
use super::credential::EnrolError;

/// An endorsement key that is by a template.
#[derive(Debug)]
pub(super) struct EndorsementKey {
    pub(super) key: EkKey,
    pub(super) protection: Protection,
    /// SubjectPublicKeyInfo in DER, as its certificate has it.
    pub(super) spki: Vec<u8>,
}

/// The public key.
#[derive(Debug)]
pub(super) enum EkKey {
    Rsa(RsaPublicKey),
    /// An uncompressed point that lies on its curve.
    Ecc {
        curve: EcdhCurve,
        point: Vec<u8>,
    },
}

/// What protects credentials for the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protection {
    Sha256Aes128,
    Sha384Aes256,
}

impl EndorsementKey {
    /// The key of a public area, if everything in it is as its template says.
    pub(super) fn of_public(ek: &Public) -> Result<Self, EnrolError> {
        let fields = ek.fields();
        let template = match &fields.key {
            KeyFields::Rsa { .. } => &L_1,
            KeyFields::Ecc { curve: Curve::P256, .. } if fields.auth_policy == POLICY_B_SHA256 => &H_2,
            KeyFields::Ecc { curve: Curve::P256, .. } => &L_2,
            KeyFields::Ecc { curve: Curve::P384, .. } => &H_3,
        };
        let wrong = |expected| EnrolError::Ek { template: template.name, expected };
        template.check(ek).map_err(wrong)?;
        let (key, spki) = match &fields.key {
            KeyFields::Rsa { bits: 2048, exponent: 65537, modulus } if modulus.len() == 256 => {
                let key = RsaPublicKey::from_components(modulus, &[1, 0, 1]);
                let key = key.map_err(|_| wrong(RSA_2048))?;
                let spki = key.spki().to_vec();
                (EkKey::Rsa(key), spki)
            }
            KeyFields::Rsa { .. } => return Err(wrong(RSA_2048)),
            KeyFields::Ecc { curve: Curve::P256, x, y } => {
                on_curve(EcdhCurve::P256, point::<32>(x, y)).ok_or_else(|| wrong("a point on p-256"))?
            }
            KeyFields::Ecc { curve: Curve::P384, x, y } => {
                on_curve(EcdhCurve::P384, point::<48>(x, y)).ok_or_else(|| wrong("a point on p-384"))?
            }
        };
        Ok(Self { key, protection: template.protection, spki })
    }
}

/// The key and its SPKI, if the point lies on the curve: which an agreement with it says.
fn on_curve(curve: EcdhCurve, point: Vec<u8>) -> Option<(EkKey, Vec<u8>)> {
    EcdhKey::generate(curve).ok()?.agree(&point).ok()?;
    let spki = curve.spki(&point);
    Some((EkKey::Ecc { curve, point }, spki))
}

/// What a template says besides the key.
struct Template {
    name: &'static str,
    name_algorithm: (HashAlgorithm, &'static str),
    policy: (&'static [u8], &'static str),
    symmetric: (Symmetric, &'static str),
    protection: Protection,
}

impl Template {
    /// What the public area lacks, the key itself apart.
    fn check(&self, ek: &Public) -> Result<(), &'static str> {
        let fields = ek.fields();
        let has = fields.attributes;
        if fields.name_algorithm != self.name_algorithm.0 {
            return Err(self.name_algorithm.1);
        }
        let made_there = has.fixed_tpm() && has.fixed_parent() && has.sensitive_data_origin();
        if !(made_there && has.restricted() && has.decrypt()) || has.sign() {
            return Err("the attributes of a restricted decryption key");
        }
        if fields.auth_policy != self.policy.0 {
            return Err(self.policy.1);
        }
        if fields.symmetric != Some(self.symmetric.0) || fields.scheme.is_some() {
            return Err(self.symmetric.1);
        }
        Ok(())
    }
}

const SHA256: (HashAlgorithm, &str) = (HashAlgorithm::Sha256, "sha256 as its name algorithm");
const AES_128: (Symmetric, &str) = (Symmetric { key_bits: 128 }, "aes-128-cfb and no scheme");
const RSA_2048: &str = "an rsa key of 2048 bits";

const L_1: Template = Template {
    name: "L-1",
    name_algorithm: SHA256,
    policy: (&POLICY_A, "PolicyA"),
    symmetric: AES_128,
    protection: Protection::Sha256Aes128,
};
const L_2: Template = Template { name: "L-2", ..L_1 };
const H_2: Template = Template { name: "H-2", policy: (&POLICY_B_SHA256, "PolicyB"), ..L_1 };
const H_3: Template = Template {
    name: "H-3",
    name_algorithm: (HashAlgorithm::Sha384, "sha384 as its name algorithm"),
    policy: (&POLICY_B_SHA384, "PolicyB"),
    symmetric: (Symmetric { key_bits: 256 }, "aes-256-cfb and no scheme"),
    protection: Protection::Sha384Aes256,
};

/// PolicySecret of the endorsement hierarchy (EK Credential Profile 2.5, B.6.2), SHA-256.
const POLICY_A: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd,
    0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];
/// PolicyOR of PolicyA and PolicyC, which is a policy in an NV index (the same, B.6.4), SHA-256.
const POLICY_B_SHA256: [u8; 32] = [
    0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9, 0x39, 0x06, 0xf7, 0xa3, 0x34, 0x24, 0x14, 0xef, 0xcf, 0xb3, 0xa3,
    0x85, 0xd4, 0x4c, 0xd1, 0xfd, 0x45, 0x90, 0x89, 0xd1, 0x9b, 0x50, 0x71, 0xc0, 0xb7, 0xa0,
];
/// The same, SHA-384.
const POLICY_B_SHA384: [u8; 48] = [
    0xb2, 0x6e, 0x7d, 0x28, 0xd1, 0x1a, 0x50, 0xbc, 0x53, 0xd8, 0x82, 0xbc, 0xf5, 0xfd, 0x3a, 0x1a, 0x07,
    0x41, 0x48, 0xbb, 0x35, 0xd3, 0xb4, 0xe4, 0xcb, 0x1c, 0x0a, 0xd9, 0xbd, 0xe4, 0x19, 0xca, 0xcb, 0x47,
    0xba, 0x09, 0x69, 0x96, 0x46, 0x15, 0x0f, 0x9f, 0xc0, 0x00, 0xf3, 0xf8, 0x0e, 0x12,
];
