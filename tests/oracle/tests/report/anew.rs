//! Reports that say something else and are signed anew, by a simulated chip: with the signature right, what is left is
//! what the reader itself knows of each field.
//!
//! Keyfast is right wherever it refuses alone: a value is none that AMD's ABI has (version, policy, VMPL, algorithm, key
//! information), certificate and report are of different chips or firmware, or versions stand above those that they
//! cannot exceed. `sev` leaves all of that to its caller. It refuses nothing that keyfast takes.

use core::ops::Range;
use std::sync::Arc;

use claims::ReportData;
use simtee::{Guest, GuestSpec, SIGNED_LEN, SimHost, flip_bit};

use super::*;

/// Bytes that can be changed under `sev` alone, and how keyfast's refusal begins.
const KEYFAST_ALONE: [(Range<usize>, &str); 12] = [
    (0x000..0x004, "report version not supported"),
    (0x008..0x010, "reserved bits of the guest policy are set"),
    (0x030..0x034, "vmpl out of range"),
    (0x034..0x038, "signature algorithm not supported"),
    (0x038..0x040, "the committed tcb is above the current one"),
    (0x048..0x04c, "reserved bits of the key information are set"),
    (0x180..0x188, "the VCEK is for another tcb"),
    (0x1a0..0x1e0, "the VCEK is of another chip"),
    (0x1a8..0x1e0, "the chip id is longer than that of Turin"),
    (0x1e0..0x1e8, "the committed tcb is above the current one"),
    (0x1e0..0x1e8, "the reported tcb is above the committed one"),
    (0x1e8..0x1f0, "the committed firmware is above the current one"),
];
const CREATED: UnixTime = UnixTime(1_790_000_000);

/// A guest's report, and who takes it.
struct Signed {
    product: Product,
    guest: Guest,
    chain: Chain,
    anchors: TrustAnchors,
    endorsements: Endorsements,
}

impl Signed {
    fn new(product: Product) -> Self {
        let keys = Arc::new(simtee::kept_keys!().unwrap());
        let host = SimHost::with_keys(keys, product, CREATED).unwrap();
        let guest = host.launch(&GuestSpec::new(product, "web")).unwrap();
        let vek = guest.chain().vek.clone();
        let chain = Chain::from_der(host.ark_der(), host.ask_der(), &vek).unwrap();
        chain.verify().unwrap();
        let anchors = TrustAnchors::none().with_simulated(host.ark_der(), host.ark_sha256()).unwrap();
        let endorsements = Endorsements::from_certificates([vek, host.ask_der().to_vec()]).unwrap();
        Self { product, guest, chain, anchors, endorsements }
    }

    /// The report with one bit flipped, signed.
    fn with(&self, bit: usize) -> Vec<u8> {
        let mut report = self.guest.report(&ReportData([7; 64]));
        flip_bit(report.bytes_mut(), bit).unwrap();
        self.guest.sign(report).unwrap().to_vec()
    }

    fn sev(&self, report: &[u8]) -> io::Result<AttestationReport> {
        let report = AttestationReport::from_bytes(report)?;
        (&self.chain.vek, &report).verify()?;
        Ok(report)
    }

    fn keyfast(&self, report: &[u8]) -> Result<(), String> {
        let evidence = Evidence::parse(EvidenceKind::SevSnp, report).map_err(|error| error.to_string())?;
        let verified = authenticate(evidence, &self.endorsements, &self.anchors, CREATED.plus(86_400));
        verified.map(drop).map_err(|error| error.to_string())
    }
}

#[test]
fn keyfast_refuses_what_sev_leaves_to_its_caller_and_nothing_else() {
    let (mut seen, mut alike) = ([false; KEYFAST_ALONE.len()], 0);
    for signed in [Product::Milan, Product::Genoa, Product::Turin].map(Signed::new) {
        for bit in (0..SIGNED_LEN * 8).filter(|bit| matches!(bit % 8, 0 | 7)) {
            let report = signed.with(bit);
            let (theirs, ours) = (signed.sev(&report), signed.keyfast(&report));
            let byte = bit / 8;
            let what = format!("{}: bit {bit:#x} (byte {byte:#x}): {theirs:?}, {ours:?}", signed.product);
            match (theirs, ours) {
                (Ok(theirs), Ok(())) => {
                    let ours = Report::parse(&report).unwrap();
                    assert_eq!(theirs, in_words_of_sev(&ours, signed.product), "{what}");
                    assert!(
                        bits(ours.fields(), &theirs).iter().all(|(ours, theirs)| ours == theirs),
                        "{what}"
                    );
                    alike += 1;
                }
                (Err(_), Err(_)) => {}
                (Err(_), Ok(())) => panic!("sev alone refuses: {what}"),
                (Ok(_), Err(refusal)) => {
                    let rule = |(bytes, text): &(Range<usize>, &str)| {
                        bytes.contains(&byte) && refusal.starts_with(text)
                    };
                    let found =
                        KEYFAST_ALONE.iter().position(rule).unwrap_or_else(|| panic!("unforeseen: {what}"));
                    seen[found] = true;
                }
            }
        }
    }
    assert!(seen.iter().all(|seen| *seen), "{seen:?}");
    assert!(alike > 2000, "{alike}");
}
