//! Templates of endorsement keys that this attester enrols with (TCG EK Credential Profile 2.5, B.3 and B.4), and that
//! of its attestation key.
//!
//! | template | certificate | kept at | key |
//! |-|-|-|-|
//! | L-1 | 0x01c00002 | 0x81010001 | RSA 2048 |
//! | L-2 | 0x01c0000a | 0x81010002 | P-256 |
//! | H-2 | 0x01c00014 | 0x81010014 | P-256 |
//! | H-3 | 0x01c00016 | 0x81010016 | P-384 |
//!
//! Keys of the low range are used under PolicyA, those of the high range with their empty password.

use tss_esapi::abstraction::ek::create_ek_public_from_default_template_2;
use tss_esapi::abstraction::{AsymmetricAlgorithmSelection, KeyCustomization};
use tss_esapi::attributes::ObjectAttributesBuilder;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::structures::{
    Digest, EccPoint, HashScheme, Public, PublicBuilder, PublicKeyRsa, PublicRsaParametersBuilder,
    RsaExponent, RsaScheme, SymmetricDefinitionObject,
};

/// Where an endorsement key and its certificate are, and what it is.
pub(super) struct Template {
    /// NV index of the certificate (the profile, 2.2.1.4 and 2.2.1.5).
    pub(super) certificate: u32,
    /// Where the key is kept, if it is (TCG TPM v2.0 Provisioning Guidance 1.0, 7.8).
    pub(super) handle: u32,
    key: Key,
}

enum Key {
    Rsa2048,
    P256,
    P256High,
    P384High,
}

impl Template {
    /// The public area to make the key from.
    pub(super) fn public(&self) -> tss_esapi::Result<Public> {
        let rsa = AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048);
        let ecc = AsymmetricAlgorithmSelection::Ecc;
        match self.key {
            Key::Rsa2048 => create_ek_public_from_default_template_2(rsa, None),
            Key::P256 => create_ek_public_from_default_template_2(ecc(EccCurve::NistP256), None),
            Key::P256High => {
                let high = HighRange { policy: Digest::try_from(&POLICY_B_SHA256[..])? };
                create_ek_public_from_default_template_2(ecc(EccCurve::NistP256), high)
            }
            Key::P384High => create_ek_public_from_default_template_2(ecc(EccCurve::NistP384), None),
        }
    }

    /// Whether the key is used with its empty password (userWithAuth); else its policy is.
    pub(super) fn has_password(&self) -> bool {
        matches!(self.key, Key::P256High | Key::P384High)
    }
}

/// What the high range has for P-256, where the library knows the low one.
struct HighRange {
    policy: Digest,
}

impl KeyCustomization for HighRange {
    fn attributes(&self, attributes: ObjectAttributesBuilder) -> ObjectAttributesBuilder {
        attributes.with_user_with_auth(true)
    }

    fn template(&self, template: PublicBuilder) -> PublicBuilder {
        template.with_auth_policy(self.policy.clone()).with_ecc_unique_identifier(EccPoint::default())
    }
}

/// Whether a key is of a template, but for the numbers that make it this key.
pub(super) fn is_of_template(public: &Public, template: &Public) -> bool {
    match (public, template) {
        (
            Public::Rsa { object_attributes, name_hashing_algorithm, auth_policy, parameters, .. },
            Public::Rsa {
                object_attributes: attributes,
                name_hashing_algorithm: hash,
                auth_policy: policy,
                parameters: wanted,
                ..
            },
        ) => {
            (object_attributes, name_hashing_algorithm, auth_policy, parameters)
                == (attributes, hash, policy, wanted)
        }
        (
            Public::Ecc { object_attributes, name_hashing_algorithm, auth_policy, parameters, .. },
            Public::Ecc {
                object_attributes: attributes,
                name_hashing_algorithm: hash,
                auth_policy: policy,
                parameters: wanted,
                ..
            },
        ) => {
            (object_attributes, name_hashing_algorithm, auth_policy, parameters)
                == (attributes, hash, policy, wanted)
        }
        _ => false,
    }
}

/// The attestation key: restricted, RSASSA of 2048 bits, SHA-256.
pub(super) fn ak_template() -> tss_esapi::Result<Public> {
    let attributes = ObjectAttributesBuilder::new()
        .with_restricted(true)
        .with_user_with_auth(true)
        .with_sign_encrypt(true)
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .build()?;
    let parameters = PublicRsaParametersBuilder::new()
        .with_symmetric(SymmetricDefinitionObject::Null)
        .with_scheme(RsaScheme::RsaSsa(HashScheme::new(HashingAlgorithm::Sha256)))
        .with_key_bits(RsaKeyBits::Rsa2048)
        .with_exponent(RsaExponent::default())
        .with_is_signing_key(true)
        .with_restricted(true)
        .build()?;
    PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Rsa)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_rsa_parameters(parameters)
        .with_rsa_unique_identifier(PublicKeyRsa::default())
        .build()
}

/// In the order in which they are looked for. Without any certificate the first is taken.
pub(super) static TEMPLATES: [Template; 4] = [
    Template { certificate: 0x01c0_0002, handle: 0x8101_0001, key: Key::Rsa2048 },
    Template { certificate: 0x01c0_000a, handle: 0x8101_0002, key: Key::P256 },
    Template { certificate: 0x01c0_0014, handle: 0x8101_0014, key: Key::P256High },
    Template { certificate: 0x01c0_0016, handle: 0x8101_0016, key: Key::P384High },
];
/// PolicyB (the profile, B.6.4), SHA-256.
const POLICY_B_SHA256: [u8; 32] = [
    0xca, 0x3d, 0x0a, 0x99, 0xa2, 0xb9, 0x39, 0x06, 0xf7, 0xa3, 0x34, 0x24, 0x14, 0xef, 0xcf, 0xb3, 0xa3,
    0x85, 0xd4, 0x4c, 0xd1, 0xfd, 0x45, 0x90, 0x89, 0xd1, 0x9b, 0x50, 0x71, 0xc0, 0xb7, 0xa0,
];
