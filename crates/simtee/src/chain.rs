//! The chains ARK, ASK, VCEK and ARK, ASVK, VLEK: what AMD's certificates say, for a simulated root.

use claims::UnixTime;
use claims::snp::{Product, SigningKey, Tcb};

use crate::certificate::{CertificateSpec, Name, SignatureAlgorithm, Signer};
use crate::table::{self, CertificateTable};
use crate::{amd, authority};

/// What the three certificates are to say. Change any one thing, then [`crate::SimHost::issue`] it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainSpec {
    /// The root.
    pub ark: CertificateSpec,
    /// The intermediate: an ASK, or an ASVK above a VLEK.
    pub ask: CertificateSpec,
    /// The endorsement key at one TCB: a VCEK or a VLEK.
    pub vek: CertificateSpec,
    /// What the table of certificates calls the endorsement key.
    pub kind: SigningKey,
}

/// Three certificates in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The root.
    pub ark: Vec<u8>,
    /// The intermediate: an ASK, or an ASVK above a VLEK.
    pub ask: Vec<u8>,
    /// The endorsement key at one TCB: a VCEK or a VLEK.
    pub vek: Vec<u8>,
    /// What the table of certificates calls the endorsement key.
    pub kind: SigningKey,
}

impl Chain {
    /// The certificate table that a host gives with a report: VCEK or VLEK, ASK or ASVK, ARK.
    pub fn table(&self) -> CertificateTable {
        let Self { ark, ask, vek, kind } = self;
        let guid = match kind {
            SigningKey::Vcek => table::VCEK,
            SigningKey::Vlek => table::VLEK,
        };
        let entries = vec![(guid, vek.clone()), (table::ASK, ask.clone()), (table::ARK, ark.clone())];
        CertificateTable { entries }
    }
}

/// The root's certificate for this key: 25 years from `created`.
pub(crate) fn ark_spec(product: Product, created: UnixTime, ark_spki: &[u8]) -> CertificateSpec {
    let name = Name::amd(format!("ARK-{product}"));
    let extensions = vec![
        authority::key_usage(true),
        authority::subject_key_identifier(ark_spki),
        authority::basic_constraints(true, None),
        authority::crl_distribution_point(&crl_url("vcek", product)),
    ];
    CertificateSpec {
        version: 2,
        serial: first_serial(product),
        inner_algorithm: SignatureAlgorithm::PssSha384,
        outer_algorithm: SignatureAlgorithm::PssSha384,
        issuer: name.clone(),
        not_before: created,
        not_after: created.plus(AUTHORITY_YEARS * YEAR),
        subject: name,
        spki: ark_spki.to_vec(),
        extensions,
        signer: Signer::Ark,
    }
}

/// The intermediate's certificate for this key: 25 years from `created`.
pub(crate) fn ask_spec(
    product: Product,
    created: UnixTime,
    ark_spki: &[u8],
    ask_spki: &[u8],
) -> CertificateSpec {
    let extensions = vec![
        authority::subject_key_identifier(ask_spki),
        authority::authority_key_identifier(ark_spki),
        authority::basic_constraints(true, Some(0)),
        authority::key_usage(false),
        authority::crl_distribution_point(&crl_url("vcek", product)),
    ];
    CertificateSpec {
        serial: first_serial(product).saturating_add(1),
        subject: Name::amd(format!("SEV-{product}")),
        spki: ask_spki.to_vec(),
        extensions,
        ..ark_spec(product, created, ark_spki)
    }
}

/// The certificate of the other intermediate, above VLEKs, for this key: 25 years from `created`.
pub(crate) fn asvk_spec(
    product: Product,
    created: UnixTime,
    ark_spki: &[u8],
    asvk_spki: &[u8],
) -> CertificateSpec {
    let mut spec = ask_spec(product, created, ark_spki, asvk_spki);
    spec.serial = first_serial(product).saturating_add(0x101);
    spec.subject = Name::amd(format!("SEV-VLEK-{product}"));
    let url = authority::crl_distribution_point(&crl_url("vlek", product));
    spec.extensions.pop();
    spec.extensions.push(url);
    spec
}

/// The certificate of a cloud provider's key at one TCB: serial 0, a year from `created`.
pub(crate) fn vlek_spec(
    product: Product,
    created: UnixTime,
    vlek_spki: Vec<u8>,
    tcb: Tcb,
    csp_id: &str,
) -> CertificateSpec {
    CertificateSpec {
        inner_algorithm: SignatureAlgorithm::PssSha384,
        outer_algorithm: SignatureAlgorithm::PssSha384,
        issuer: Name::amd(format!("SEV-VLEK-{product}")),
        not_after: created.plus(VLEK_YEARS * YEAR),
        subject: Name::amd("SEV-VLEK"),
        extensions: amd::vlek_extensions(product, tcb, csp_id),
        signer: Signer::Asvk,
        ..vcek_spec(product, created, vlek_spki, tcb, &[])
    }
}

/// The certificate of a chip's key at one TCB: serial 0, 7 years from `created`. `hwid` is 64 bytes, on Turin 8.
pub(crate) fn vcek_spec(
    product: Product,
    created: UnixTime,
    vcek_spki: Vec<u8>,
    tcb: Tcb,
    hwid: &[u8],
) -> CertificateSpec {
    CertificateSpec {
        version: 2,
        serial: 0,
        inner_algorithm: SignatureAlgorithm::PssSha384NoTrailer,
        outer_algorithm: SignatureAlgorithm::PssSha384NoTrailer,
        issuer: Name::amd(format!("SEV-{product}")),
        not_before: created,
        not_after: created.plus(VCEK_YEARS * YEAR),
        subject: Name::amd("SEV-VCEK"),
        spki: vcek_spki,
        extensions: amd::vcek_extensions(product, tcb, hwid),
        signer: Signer::Ask,
    }
}

/// AMD's serials of ARK and ASK start here.
fn first_serial(product: Product) -> u64 {
    match product {
        Product::Milan => 0x1_0000,
        Product::Genoa => 0x2_0000,
        Product::Turin => 0x3_0000,
    }
}

/// AMD's path on a host that cannot exist (RFC 2606, 2): a simulated root has no business at AMD's.
fn crl_url(kind: &str, product: Product) -> String {
    format!("https://simulated.invalid/{kind}/v1/{product}/crl")
}

/// Seconds, leap days spread.
const YEAR: u64 = 31_557_600;
const AUTHORITY_YEARS: u64 = 25;
const VCEK_YEARS: u64 = 7;
const VLEK_YEARS: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::{Path, PathBuf};

    const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors");

    /// A genuine certificate of the vectors in DER; `None` where the vectors are not there.
    fn genuine(name: &str) -> Option<Vec<u8>> {
        let root = std::env::var_os("KEYFAST_VECTORS").map_or_else(|| PathBuf::from(VECTORS), PathBuf::from);
        if !root.is_dir() {
            eprintln!("1 vector missing: no {}", root.display());
            return None;
        }
        let bytes = std::fs::read(root.join("snp").join(name)).unwrap();
        Some(if Path::new(name).extension().unwrap() == "pem" { from_pem(&bytes) } else { bytes })
    }

    fn from_pem(pem: &[u8]) -> Vec<u8> {
        use base64::Engine;
        let text = String::from_utf8(pem.to_vec()).unwrap();
        let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        base64::prelude::BASE64_STANDARD.decode(body).unwrap()
    }

    /// The element that starts with these bytes, `len` bytes long.
    fn element<'a>(der: &'a [u8], start: &[u8], len: usize) -> &'a [u8] {
        let at = der.windows(start.len()).position(|window| window == start).unwrap();
        &der[at..at + len]
    }

    /// Whether what this crate writes is, byte for byte, what AMD signed.
    fn assert_is_genuine(spec: &CertificateSpec, der: &[u8]) {
        let ours = spec.to_be_signed();
        assert_eq!(hex::encode(&ours), hex::encode(&der[4..4 + ours.len()]));
        let signature = &der[der.len() - 512..];
        assert_eq!(hex::encode(spec.with_signature(ours, signature)), hex::encode(der));
    }

    fn at(text: &str) -> UnixTime {
        UnixTime::parse(text).unwrap()
    }

    fn is_vcek(name: &str, product: Product, tcb: Tcb, from: &str, to: &str, hwid_len: usize) {
        let Some(der) = genuine(name) else { return };
        let spki = element(&der, b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", 120).to_vec();
        let id = crate::der::octets(&vec![0; hwid_len]);
        let oid = [&crate::der::oid(amd::HWID)[..], &id[..2]].concat();
        let hwid = &element(&der, &oid, oid.len() + hwid_len)[oid.len()..];
        let spec = vcek_spec(product, at(from), spki, tcb, hwid);
        assert_is_genuine(&CertificateSpec { not_after: at(to), ..spec }, &der);
    }

    #[test]
    fn a_vcek_certificate_is_written_as_amd_writes_it() {
        let milan = Tcb { fmc: None, bootloader: 4, tee: 0, snp: 24, microcode: 219 };
        let (from, to) = ("2026-02-05T01:04:33Z", "2033-02-05T01:04:33Z");
        is_vcek("milan-v3-azure-microsoft/vcek.der", Product::Milan, milan, from, to, 64);
        let genoa = Tcb { fmc: None, bootloader: 10, tee: 0, snp: 25, microcode: 84 };
        let (from, to) = ("2025-08-07T17:21:41Z", "2032-08-07T17:21:41Z");
        is_vcek("genoa-v5-oak/vcek.der", Product::Genoa, genoa, from, to, 64);
        let turin = Tcb { fmc: Some(0), bootloader: 1, tee: 0, snp: 2, microcode: 71 };
        let (from, to) = ("2025-07-17T17:04:46Z", "2032-07-17T17:04:46Z");
        is_vcek("turin-v5-oak/vcek.der", Product::Turin, turin, from, to, 8);
    }

    #[test]
    fn a_vlek_certificate_is_written_as_amd_writes_it() {
        let Some(der) = genuine("milan-v2-aws-vlek/vlek.der") else { return };
        let spki = element(&der, b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", 120).to_vec();
        let tcb = Tcb { fmc: None, bootloader: 3, tee: 0, snp: 21, microcode: 209 };
        let csp_id = "CN=cc-us-east-2.amazonaws.com";
        let spec = vlek_spec(Product::Milan, at("2024-05-05T21:14:27Z"), spki, tcb, csp_id);
        assert_is_genuine(&CertificateSpec { not_after: at("2025-05-05T21:14:27Z"), ..spec }, &der);
    }

    #[test]
    fn the_intermediate_above_vleks_is_written_as_amd_writes_it() {
        let (Some(ark), Some(asvk)) =
            (genuine("milan-v2-aws-vlek/ark.pem"), genuine("milan-v2-aws-vlek/asvk.pem"))
        else {
            return;
        };
        let spki =
            |der| element(der, b"\x30\x82\x02\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 550);
        let mut spec = asvk_spec(Product::Milan, at("2022-11-16T22:45:24Z"), spki(&ark), spki(&asvk));
        spec.not_after = at("2047-11-16T22:45:24Z");
        let url = authority::crl_distribution_point("https://kdsintf.amd.com/vlek/v1/Milan/crl").value;
        *spec.extension_mut(authority::CRL_DISTRIBUTION_POINTS).unwrap() = url;
        let identifier = |arc: u8| element(&asvk, &[0x06, 3, 0x55, 0x1d, arc, 0x04], 31)[7..].to_vec();
        *spec.extension_mut(authority::SUBJECT_KEY_IDENTIFIER).unwrap() = identifier(14)[..22].to_vec();
        *spec.extension_mut(authority::AUTHORITY_KEY_IDENTIFIER).unwrap() = identifier(35);
        assert_is_genuine(&spec, &asvk);
    }

    #[test]
    fn authority_certificates_are_written_as_amd_writes_them() {
        let (Some(ark), Some(ask)) = (genuine("turin-v5-oak/ark.pem"), genuine("turin-v5-oak/ask.pem"))
        else {
            return;
        };
        let spki =
            |der| element(der, b"\x30\x82\x02\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", 550);
        let url = authority::crl_distribution_point("https://kdsintf.amd.com/vcek/v1/Turin/crl").value;
        // AMD's key identifiers are of another making, so they are taken over.
        let identifier = |der, arc: u8| element(der, &[0x06, 3, 0x55, 0x1d, arc, 0x04], 31)[7..].to_vec();
        let set = |spec: &mut CertificateSpec, oid, value: &[u8]| {
            *spec.extension_mut(oid).unwrap() = value.to_vec();
        };
        let mut spec = ark_spec(Product::Turin, at("2023-05-15T20:03:12Z"), spki(&ark));
        spec.not_after = at("2048-05-15T20:03:12Z");
        set(&mut spec, authority::CRL_DISTRIBUTION_POINTS, &url);
        set(&mut spec, authority::SUBJECT_KEY_IDENTIFIER, &identifier(&ark, 14)[..22]);
        assert_is_genuine(&spec, &ark);

        let mut spec = ask_spec(Product::Turin, at("2023-05-15T20:25:21Z"), spki(&ark), spki(&ask));
        spec.not_after = at("2048-05-15T20:25:21Z");
        set(&mut spec, authority::CRL_DISTRIBUTION_POINTS, &url);
        set(&mut spec, authority::SUBJECT_KEY_IDENTIFIER, &identifier(&ask, 14)[..22]);
        set(&mut spec, authority::AUTHORITY_KEY_IDENTIFIER, &identifier(&ask, 35));
        assert_is_genuine(&spec, &ask);
    }
}
