//! Reads the vectors: one folder each, with report, certificates and `expected.json`.

use std::fs;
use std::path::PathBuf;

use claims::snp::{Product, SigningKey};
use claims::{EvidenceKind, UnixTime};
use evidence::Evidence;
use serde_json::Value;
use verify::{
    Authenticated, Endorsements, Role, TrustAnchors, VerifyError, authenticate, certificates_from_file,
};

/// Genuine reports; one is of a guest that allows debugging, one was signed by a VLEK.
pub const GENUINE: [&str; 13] = [
    "genoa-v3-azure-hcl",
    "genoa-v5-model-a0",
    "genoa-v5-oak",
    "milan-v2-aci-uvm",
    "milan-v2-aws-vlek",
    "milan-v2-azure-hcl",
    "milan-v2-baremetal-virtee",
    "milan-v2-debug-gosevguest",
    "milan-v3-azure-hcl",
    "milan-v3-azure-microsoft",
    "turin-v5-azure-microsoft",
    "turin-v5-oak",
    // Its own certificate is not at hand; its fields are decoded, and its pairing is refused.
    "neg-azure-report-vcek-other-chip",
];

/// The last of [`GENUINE`].
pub const OTHER_CHIP: &str = "neg-azure-report-vcek-other-chip";
/// The one that a VLEK signed.
pub const VLEK: &str = "milan-v2-aws-vlek";

/// One vector.
pub struct Vector {
    pub name: &'static str,
    pub report: Vec<u8>,
    pub expected: Value,
}

/// Where the vectors are, if they are anywhere.
pub fn root() -> PathBuf {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/vectors"));
    std::env::var_os("KEYFAST_VECTORS").map_or_else(beside, PathBuf::from)
}

/// The bytes of a file of the SNP vectors, or `None` where the folder is absent.
pub fn read(path: &str) -> Option<Vec<u8>> {
    fs::read(root().join("snp").join(path)).ok()
}

/// The vectors of these names, and a line on how many are missing.
pub fn load(names: &[&'static str]) -> Vec<Vector> {
    let all: Vec<Vector> = names.iter().filter_map(|name| Vector::load(name)).collect();
    if all.len() < names.len() {
        eprintln!("{} of {} vectors are missing and were passed over", names.len() - all.len(), names.len());
    }
    all
}

impl Vector {
    fn load(name: &'static str) -> Option<Self> {
        let report = read(&format!("{name}/report.bin"))?;
        let expected = serde_json::from_slice(&read(&format!("{name}/expected.json"))?).unwrap();
        Some(Self { name, report, expected })
    }

    pub fn evidence(&self) -> Evidence {
        Evidence::parse(EvidenceKind::SevSnp, &self.report).unwrap()
    }

    pub fn product(&self) -> Product {
        self.expected["product"].as_str().unwrap().parse().unwrap()
    }

    /// The DER of one of its certificate files.
    pub fn certificate(&self, file: &str) -> Vec<u8> {
        let bytes = read(&format!("{}/{file}", self.name)).unwrap();
        certificates_from_file(&bytes).unwrap().remove(0)
    }

    /// Which kind of key signed it.
    pub fn kind(&self) -> (SigningKey, Role) {
        if self.name == VLEK { (SigningKey::Vlek, Role::Vlek) } else { (SigningKey::Vcek, Role::Vcek) }
    }

    /// Everything that its folder holds, the root too.
    pub fn endorsements(&self) -> Endorsements {
        let (leaf, issuer) = match self.kind().0 {
            SigningKey::Vlek => ("vlek.der", "asvk.pem"),
            SigningKey::Vcek => ("vcek.der", "ask.pem"),
        };
        Endorsements::from_certificates([leaf, issuer, "ark.pem"].map(|file| self.certificate(file))).unwrap()
    }

    /// First and last second of its leaf certificate.
    pub fn window(&self) -> (UnixTime, UnixTime) {
        let edge = |name: &str| {
            let text = self.expected["vek"][name].as_str().unwrap();
            UnixTime::parse(&text.replace(' ', "T").replace("+00:00", "Z")).unwrap()
        };
        (edge("not_before"), edge("not_after"))
    }

    pub fn verify_at(&self, anchors: &TrustAnchors, now: UnixTime) -> Result<Authenticated, VerifyError> {
        authenticate(self.evidence(), &self.endorsements(), anchors, now)
    }
}
