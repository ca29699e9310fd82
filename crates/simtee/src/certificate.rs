//! X.509 certificates in the form that AMD gives its own (RFC 5280; RFC 4055 for RSA-PSS), every part of them open
//! to change before the signature.
//!
//! A [`CertificateSpec`] is plain data: change one thing in a genuine one, have the host sign it, and a verifier's
//! one check of that thing is what refuses it.

use claims::UnixTime;

use crate::{amd, der};

/// Everything that a certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSpec {
    /// The version's code: 2 stands for v3.
    pub version: u64,
    /// Serial number.
    pub serial: u64,
    /// The algorithm that stands within the signed part.
    pub inner_algorithm: SignatureAlgorithm,
    /// The algorithm that stands beside the signature.
    pub outer_algorithm: SignatureAlgorithm,
    /// Issuer.
    pub issuer: Name,
    /// Start of validity.
    pub not_before: UnixTime,
    /// End of validity, inclusive.
    pub not_after: UnixTime,
    /// Subject.
    pub subject: Name,
    /// SubjectPublicKeyInfo in DER.
    pub spki: Vec<u8>,
    /// Extensions, in order; where there are none, the field is left out.
    pub extensions: Vec<Extension>,
    /// Whose key signs.
    pub signer: Signer,
}

/// A key of the host that signs certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The root key.
    Ark,
    /// The intermediate key above chips' keys.
    Ask,
    /// The intermediate key above cloud providers' keys.
    Asvk,
    /// The root key above endorsement keys of vTPMs; it signs with ECDSA.
    EkRoot,
}

/// What a certificate claims about its signature. The signature itself is RSA-PSS with SHA-384 and a salt of 48
/// bytes, and of [`Signer::EkRoot`] ECDSA with SHA-384: a verifier that does not read the claim takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// RSA-PSS, SHA-384, salt 48, trailer field spelt out: AMD's ARK, ASK, ASVK and VLEK.
    PssSha384,
    /// The same with the default trailer field left out: AMD's VCEKs, and its revocation lists.
    PssSha384NoTrailer,
    /// RSA-PSS with SHA-384 and this salt length.
    PssSha384Salt(u8),
    /// RSA-PSS with SHA-256, salt 32.
    PssSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Pkcs1Sha384,
    /// ECDSA with SHA-384.
    EcdsaSha384,
}

/// A distinguished name in AMD's order. An empty attribute is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// OU.
    pub organizational_unit: String,
    /// C.
    pub country: String,
    /// L.
    pub locality: String,
    /// ST.
    pub state: String,
    /// O.
    pub organization: String,
    /// CN.
    pub common_name: String,
}

/// An extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Arcs of its object identifier.
    pub oid: &'static [u32],
    /// Whether who does not know it must refuse the certificate.
    pub critical: bool,
    /// Its value, which an OCTET STRING wraps.
    pub value: Vec<u8>,
}

impl Name {
    /// AMD's name with this common name.
    pub fn amd(common_name: impl Into<String>) -> Self {
        Self {
            organizational_unit: "Engineering".into(),
            country: "US".into(),
            locality: "Santa Clara".into(),
            state: "CA".into(),
            organization: "Advanced Micro Devices".into(),
            common_name: common_name.into(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let attributes = [
            (11, &self.organizational_unit),
            (6, &self.country),
            (7, &self.locality),
            (8, &self.state),
            (10, &self.organization),
            (3, &self.common_name),
        ];
        let attributes = attributes.into_iter().filter(|(_, text)| !text.is_empty());
        let names: Vec<Vec<u8>> = attributes
            .map(|(arc, text)| {
                let text = if arc == 6 { der::printable(text) } else { der::utf8(text) };
                der::set_of(&der::sequence(&[der::oid(&[2, 5, 4, arc]), text]))
            })
            .collect();
        der::sequence(&names)
    }
}

impl CertificateSpec {
    /// The value of an extension, to be changed.
    pub fn extension_mut(&mut self, oid: &[u32]) -> Option<&mut Vec<u8>> {
        self.extensions
            .iter_mut()
            .find(|extension| extension.oid == oid)
            .map(|extension| &mut extension.value)
    }

    /// Takes an extension out; whether it was there.
    pub fn remove_extension(&mut self, oid: &[u32]) -> bool {
        let before = self.extensions.len();
        self.extensions.retain(|extension| extension.oid != oid);
        self.extensions.len() < before
    }

    /// Sets one of AMD's small integers, an SPL or the structure's version; whether the extension was there.
    pub fn set_integer(&mut self, oid: &[u32], value: u8) -> bool {
        self.extension_mut(oid).map(|place| *place = der::integer(value.into())).is_some()
    }

    /// Sets AMD's productName; whether the extension was there.
    pub fn set_product_name(&mut self, name: &str) -> bool {
        self.extension_mut(amd::PRODUCT_NAME).map(|place| *place = der::ia5(name)).is_some()
    }

    /// The part that is signed: TBSCertificate.
    pub(crate) fn to_be_signed(&self) -> Vec<u8> {
        let validity = der::sequence(&[der::time(self.not_before), der::time(self.not_after)]);
        let mut parts = vec![
            der::explicit(0, &der::integer(self.version)),
            der::integer(self.serial),
            self.inner_algorithm.encode(),
            self.issuer.encode(),
            validity,
            self.subject.encode(),
            self.spki.clone(),
        ];
        if !self.extensions.is_empty() {
            let extensions: Vec<Vec<u8>> = self.extensions.iter().map(Extension::encode).collect();
            parts.push(der::explicit(3, &der::sequence(&extensions)));
        }
        der::sequence(&parts)
    }

    /// The whole certificate, given the signature over [`Self::to_be_signed`].
    pub(crate) fn with_signature(&self, to_be_signed: Vec<u8>, signature: &[u8]) -> Vec<u8> {
        der::sequence(&[to_be_signed, self.outer_algorithm.encode(), der::bits(signature, 0)])
    }
}

impl Extension {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let critical = if self.critical { der::boolean_true() } else { Vec::new() };
        der::sequence(&[der::oid(self.oid), critical, der::octets(&self.value)])
    }
}

impl SignatureAlgorithm {
    pub(crate) fn encode(self) -> Vec<u8> {
        let identifier = |arcs: &[u32], parameters| der::sequence(&[der::oid(arcs), parameters]);
        match self {
            Self::PssSha384 => identifier(RSA_PSS, pss_parameters(SHA384, 48, true)),
            Self::PssSha384NoTrailer => identifier(RSA_PSS, pss_parameters(SHA384, 48, false)),
            Self::PssSha384Salt(salt) => identifier(RSA_PSS, pss_parameters(SHA384, salt, true)),
            Self::PssSha256 => identifier(RSA_PSS, pss_parameters(SHA256, 32, true)),
            Self::Pkcs1Sha384 => identifier(SHA384_WITH_RSA, der::null()),
            Self::EcdsaSha384 => identifier(ECDSA_SHA384, Vec::new()),
        }
    }
}

/// RSASSA-PSS-params with MGF1 on the same hash (RFC 4055, 3.1).
fn pss_parameters(hash: &[u32], salt: u8, trailer: bool) -> Vec<u8> {
    let hash = der::sequence(&[der::oid(hash), der::null()]);
    let mask = der::sequence(&[der::oid(MGF1), hash.clone()]);
    let mut fields =
        vec![der::explicit(0, &hash), der::explicit(1, &mask), der::explicit(2, &der::integer(salt.into()))];
    if trailer {
        fields.push(der::explicit(3, &der::integer(1)));
    }
    der::sequence(&fields)
}

/// SubjectPublicKeyInfo of an elliptic-curve key from its uncompressed point (RFC 5480, 2).
pub(crate) fn ec_spki(curve: &[u32], point: &[u8]) -> Vec<u8> {
    let algorithm = der::sequence(&[der::oid(EC_PUBLIC_KEY), der::oid(curve)]);
    der::sequence(&[algorithm, der::bits(point, 0)])
}

/// SubjectPublicKeyInfo of a valid key on P-256, the curve's base point: for a leaf on the wrong curve.
pub fn p256_spki() -> Vec<u8> {
    ec_spki(P256, &P256_BASE_POINT)
}

const RSA_PSS: &[u32] = &[1, 2, 840, 113_549, 1, 1, 10];
const MGF1: &[u32] = &[1, 2, 840, 113_549, 1, 1, 8];
const SHA384_WITH_RSA: &[u32] = &[1, 2, 840, 113_549, 1, 1, 12];
const ECDSA_SHA384: &[u32] = &[1, 2, 840, 10_045, 4, 3, 3];
const SHA256: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];
const SHA384: &[u32] = &[2, 16, 840, 1, 101, 3, 4, 2, 2];
const EC_PUBLIC_KEY: &[u32] = &[1, 2, 840, 10_045, 2, 1];
const P256: &[u32] = &[1, 2, 840, 10_045, 3, 1, 7];
/// secp384r1.
pub(crate) const P384: &[u32] = &[1, 3, 132, 0, 34];
/// FIPS 186-5 (SP 800-186, 3.2.1.3), uncompressed.
const P256_BASE_POINT: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
    0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
    0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];
