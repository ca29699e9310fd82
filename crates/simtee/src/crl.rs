//! Certificate revocation lists in the form that AMD gives its own (RFC 5280, 5.1), every part of them open to change
//! before the signature.

use claims::UnixTime;

use crate::certificate::{Extension, Name, SignatureAlgorithm, Signer};
use crate::der;

/// cRLNumber.
pub const CRL_NUMBER: &[u32] = &[2, 5, 29, 20];
/// issuingDistributionPoint, always critical: a list of a part only.
pub const ISSUING_DISTRIBUTION_POINT: &[u32] = &[2, 5, 29, 28];
/// certificateIssuer of an entry, always critical: somebody else's certificate.
pub const CERTIFICATE_ISSUER: &[u32] = &[2, 5, 29, 29];

/// Everything that a revocation list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlSpec {
    /// The version's code: 1 stands for v2.
    pub version: u64,
    /// The algorithm that stands within the signed part.
    pub inner_algorithm: SignatureAlgorithm,
    /// The algorithm that stands beside the signature.
    pub outer_algorithm: SignatureAlgorithm,
    /// Issuer.
    pub issuer: Name,
    /// When it was issued.
    pub this_update: UnixTime,
    /// When the next one is due; may be left out.
    pub next_update: Option<UnixTime>,
    /// What is revoked; where there is nothing, the field is left out.
    pub revoked: Vec<Revoked>,
    /// Extensions, in order.
    pub extensions: Vec<Extension>,
    /// Whose key signs.
    pub signer: Signer,
}

/// A certificate that is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revoked {
    /// Its serial number.
    pub serial: u64,
    /// Since when.
    pub since: UnixTime,
    /// Extensions of the entry; where there are none, the field is left out.
    pub extensions: Vec<Extension>,
}

impl Revoked {
    /// A plain entry.
    pub fn new(serial: u64, since: UnixTime) -> Self {
        Self { serial, since, extensions: Vec::new() }
    }

    fn encode(&self) -> Vec<u8> {
        let mut parts = vec![der::integer(self.serial), der::time(self.since)];
        if !self.extensions.is_empty() {
            parts.push(sequence_of(&self.extensions));
        }
        der::sequence(&parts)
    }
}

impl CrlSpec {
    /// The part that is signed: TBSCertList.
    pub(crate) fn to_be_signed(&self) -> Vec<u8> {
        let mut parts = vec![
            der::integer(self.version),
            self.inner_algorithm.encode(),
            self.issuer.encode(),
            der::time(self.this_update),
        ];
        parts.extend(self.next_update.map(der::time));
        if !self.revoked.is_empty() {
            let entries: Vec<Vec<u8>> = self.revoked.iter().map(Revoked::encode).collect();
            parts.push(der::sequence(&entries));
        }
        if !self.extensions.is_empty() {
            parts.push(der::explicit(0, &sequence_of(&self.extensions)));
        }
        der::sequence(&parts)
    }

    /// The whole list, given the signature over [`Self::to_be_signed`].
    pub(crate) fn with_signature(&self, to_be_signed: Vec<u8>, signature: &[u8]) -> Vec<u8> {
        der::sequence(&[to_be_signed, self.outer_algorithm.encode(), der::bits(signature, 0)])
    }
}

/// An empty list of the root with this name and key, the first, for seven weeks.
pub(crate) fn crl_spec(issuer: Name, authority_key: Extension, now: UnixTime) -> CrlSpec {
    CrlSpec {
        version: 1,
        inner_algorithm: SignatureAlgorithm::PssSha384NoTrailer,
        outer_algorithm: SignatureAlgorithm::PssSha384NoTrailer,
        issuer,
        this_update: now,
        next_update: Some(now.plus(SEVEN_WEEKS)),
        revoked: Vec::new(),
        extensions: vec![authority_key, number(1)],
        signer: Signer::Ark,
    }
}

/// cRLNumber with this number.
pub fn number(number: u64) -> Extension {
    Extension { oid: CRL_NUMBER, critical: false, value: der::integer(number) }
}

fn sequence_of(extensions: &[Extension]) -> Vec<u8> {
    let extensions: Vec<Vec<u8>> = extensions.iter().map(Extension::encode).collect();
    der::sequence(&extensions)
}

const SEVEN_WEEKS: u64 = 7 * 7 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");

    #[test]
    fn a_list_is_written_as_amd_writes_it() {
        let root = std::env::var_os("KEYFAST_VECTORS").map_or_else(|| PathBuf::from(VECTORS), PathBuf::from);
        let Ok(genuine) = std::fs::read(root.join("snp/crl/genoa-2024.crl.der")) else {
            return eprintln!("1 vector missing: no {}", root.display());
        };
        let at = |text| UnixTime::parse(text).unwrap();
        let key = b"\x30\x16\x80\x14\x9f\x5d\xf9\xfe\x0d\xd8\xf3\x5a\xd0\x33\x1a\x25\xef\x81\x29\x4f\xbe\x31\xa8\x5b";
        let oid = crate::authority::AUTHORITY_KEY_IDENTIFIER;
        let key = Extension { oid, critical: false, value: key.to_vec() };
        let mut spec = crl_spec(Name::amd("ARK-Genoa"), key, at("2024-10-23T04:36:24Z"));
        spec.next_update = Some(at("2025-11-03T01:00:00Z"));
        spec.revoked = vec![Revoked::new(0x20001, at("2022-10-31T12:00:00Z"))];
        spec.extensions[1] = number(4);
        let ours = spec.to_be_signed();
        assert_eq!(hex::encode(&ours), hex::encode(&genuine[4..4 + ours.len()]));
        let signature = &genuine[genuine.len() - 512..];
        assert_eq!(hex::encode(spec.with_signature(ours, signature)), hex::encode(&genuine));
    }
}
