//! Genuine reports with one bit flipped, cut short, or followed by rubbish: no claims, and an error that points at
//! what was altered.

use claims::EvidenceKind;
use evidence::snp::{Report, ReportError};
use evidence::{Evidence, EvidenceError, MAX_EVIDENCE};
use verify::{Endorsements, TrustAnchors, VerifyError, authenticate};

use crate::folder::{Vector, load};

/// One of each report version, of each layout and of each kind of key.
const FLIPPED: [&str; 5] = [
    "milan-v2-aci-uvm",
    "milan-v2-aws-vlek",
    "milan-v3-azure-microsoft",
    "genoa-v5-model-a0",
    "turin-v5-azure-microsoft",
];

/// Why altered bytes were refused.
#[derive(Debug)]
enum Refusal {
    Evidence(EvidenceError),
    Verify(VerifyError),
}

/// A vector, and what it takes to verify it again and again.
struct Bench {
    vector: Vector,
    endorsements: Endorsements,
    anchors: TrustAnchors,
}

impl Bench {
    fn of(vector: Vector) -> Self {
        let bench = Self { endorsements: vector.endorsements(), anchors: TrustAnchors::amd(), vector };
        assert!(bench.refusal(&bench.vector.report).is_none(), "{}", bench.vector.name);
        bench
    }

    /// Why these bytes are refused, or `None` if they are believed.
    fn refusal(&self, report: &[u8]) -> Option<Refusal> {
        let evidence = match Evidence::parse(EvidenceKind::SevSnp, report) {
            Ok(evidence) => evidence,
            Err(error) => return Some(Refusal::Evidence(error)),
        };
        let now = self.vector.window().0;
        authenticate(evidence, &self.endorsements, &self.anchors, now).err().map(Refusal::Verify)
    }

    fn flipped(&self, bit: usize) -> Refusal {
        let mut altered = self.vector.report.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        let refusal = self.refusal(&altered);
        refusal.unwrap_or_else(|| panic!("{}: bit {bit} was flipped and believed", self.vector.name))
    }
}

#[test]
fn no_signed_bit_can_be_flipped() {
    for bench in load(&FLIPPED).into_iter().map(Bench::of) {
        for bit in 0..Report::SIGNED_LEN * 8 {
            let refusal = bench.flipped(bit);
            assert!(points_at(&refusal, bit / 8), "{}: byte {:#x}: {refusal:?}", bench.vector.name, bit / 8);
        }
    }
}

/// Whether an error is one that a change of this signed byte may cause.
fn points_at(refusal: &Refusal, byte: usize) -> bool {
    let within = |start: usize, end: usize| (start..end).contains(&byte);
    match refusal {
        Refusal::Evidence(EvidenceError::Report(error)) => match error {
            ReportError::Version { .. } => within(0, 4),
            // A report of version 2 has no CPUID, one before 5 no mitigation vectors: their places are reserved.
            ReportError::Reserved { offset, .. } => *offset == byte || within(0, 4),
            ReportError::PolicyBit17 { .. } | ReportError::PolicyReserved { .. } => within(0x008, 0x010),
            ReportError::SignatureAlgorithm { .. } => within(0x034, 0x038),
            ReportError::KeyInfoReserved { .. } => within(0x048, 0x04c),
            _ => false,
        },
        Refusal::Verify(error) => match error {
            VerifyError::Signature { .. } => true,
            VerifyError::Version4 => within(0, 4),
            VerifyError::Vmpl { .. } => within(0x030, 0x034),
            VerifyError::Signer { .. } | VerifyError::ReservedSigner { .. } | VerifyError::ChipKeyMasked => {
                within(0x048, 0x04c)
            }
            VerifyError::Product { .. }
            | VerifyError::UnsupportedProduct { .. }
            | VerifyError::UnknownCpu { .. } => within(0x188, 0x18a) || within(0, 4),
            VerifyError::TcbOrder { .. } => within(0x038, 0x040) || within(0x1e0, 0x1e8),
            VerifyError::FirmwareOrder { .. } => within(0x1e8, 0x1f0),
            VerifyError::TcbReserved { .. } => {
                within(0x038, 0x040) || within(0x180, 0x188) || within(0x1e0, 0x1e8) || within(0x1f0, 0x1f8)
            }
            VerifyError::Tcb { .. } => within(0x180, 0x188),
            VerifyError::Chip { .. } | VerifyError::ChipIdTail { .. } => within(0x1a0, 0x1e0),
            _ => false,
        },
        Refusal::Evidence(_) => false,
    }
}

#[test]
fn no_bit_of_the_signature_or_behind_it_can_be_flipped() {
    for bench in load(&FLIPPED).into_iter().map(Bench::of) {
        for bit in Report::SIGNED_LEN * 8..Report::LEN * 8 {
            let (byte, refusal) = (bit / 8, bench.flipped(bit));
            let in_signature = (0x2a0..0x2d0).contains(&byte) || (0x2e8..0x318).contains(&byte);
            let right = match &refusal {
                Refusal::Verify(VerifyError::Signature { .. }) => in_signature,
                Refusal::Evidence(EvidenceError::Report(ReportError::Reserved { offset, .. })) => {
                    !in_signature && *offset == byte
                }
                _ => false,
            };
            assert!(right, "{}: byte {byte:#x}: {refusal:?}", bench.vector.name);
        }
    }
}

#[test]
fn every_length_but_the_whole_is_refused() {
    for vector in load(&["genoa-v5-oak"]) {
        for got in 0..Report::LEN {
            let error = Evidence::parse(EvidenceKind::SevSnp, &vector.report[..got]).unwrap_err();
            assert_eq!(error, EvidenceError::Report(ReportError::Length { expected: Report::LEN, got }));
        }
        let long = [&vector.report[..], &[0; MAX_EVIDENCE]].concat();
        let error = Evidence::parse(EvidenceKind::SevSnp, &long).unwrap_err();
        assert_eq!(error, EvidenceError::TooLarge { limit: MAX_EVIDENCE, got: long.len() });
        let padded = [&vector.report[..], &[0; 4096]].concat();
        assert!(Evidence::parse(EvidenceKind::SevSnp, &padded).is_ok(), "a table of zeros is an empty one");
    }
}
