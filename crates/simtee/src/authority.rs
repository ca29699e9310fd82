//! Extensions of certificate authorities (RFC 5280, 4.2.1), in the form that AMD's ARK and ASK have them.

use crate::{Extension, der};

/// subjectKeyIdentifier.
pub const SUBJECT_KEY_IDENTIFIER: &[u32] = &[2, 5, 29, 14];
/// keyUsage.
pub const KEY_USAGE: &[u32] = &[2, 5, 29, 15];
/// basicConstraints.
pub const BASIC_CONSTRAINTS: &[u32] = &[2, 5, 29, 19];
/// cRLDistributionPoints.
pub const CRL_DISTRIBUTION_POINTS: &[u32] = &[2, 5, 29, 31];
/// authorityKeyIdentifier.
pub const AUTHORITY_KEY_IDENTIFIER: &[u32] = &[2, 5, 29, 35];

/// basicConstraints: whether it is an authority, and how many more may follow.
pub fn basic_constraints(is_ca: bool, path_len: Option<u8>) -> Extension {
    let ca = if is_ca { der::boolean_true() } else { Vec::new() };
    let path_len = path_len.map(|len| der::integer(len.into())).unwrap_or_default();
    Extension { oid: BASIC_CONSTRAINTS, critical: true, value: der::sequence(&[ca, path_len]) }
}

/// keyUsage: keyCertSign, and perhaps cRLSign. As in AMD's ASKs, the bit for cRLSign is written where it is zero too,
/// though DER would leave it out (X.690, 11.2.2).
pub fn key_usage(crl_sign: bool) -> Extension {
    let value = der::bits(&[if crl_sign { 0x06 } else { 0x04 }], 1);
    Extension { oid: KEY_USAGE, critical: true, value }
}

/// subjectKeyIdentifier of a SubjectPublicKeyInfo: its SHA-256, cut to 20 bytes (after RFC 7093, 2).
pub(crate) fn subject_key_identifier(spki: &[u8]) -> Extension {
    let value = der::octets(&key_identifier(spki));
    Extension { oid: SUBJECT_KEY_IDENTIFIER, critical: false, value }
}

/// authorityKeyIdentifier of the signer's SubjectPublicKeyInfo.
pub(crate) fn authority_key_identifier(spki: &[u8]) -> Extension {
    let value = der::sequence(&[der::element(0x80, &key_identifier(spki))]);
    Extension { oid: AUTHORITY_KEY_IDENTIFIER, critical: false, value }
}

/// cRLDistributionPoints with one address.
pub fn crl_distribution_point(url: &str) -> Extension {
    let full_name = der::explicit(0, &der::element(0x86, url.as_bytes()));
    let value = der::sequence(&[der::sequence(&[der::explicit(0, &full_name)])]);
    Extension { oid: CRL_DISTRIBUTION_POINTS, critical: false, value }
}

fn key_identifier(spki: &[u8]) -> Vec<u8> {
    crypto::sha256(&[spki]).into_iter().take(20).collect()
}
