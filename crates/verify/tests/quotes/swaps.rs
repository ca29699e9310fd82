//! Parts of thirty guests' evidence, each put in the place of each other's, and every bit of what binds them flipped.

use std::sync::{Arc, OnceLock};

use claims::snp::{Product, Tcb};
use claims::{
    BrokerId, ConfigDigest, EvidenceKind, Measurement, RecipientKey, ReportData, Suite, Transcript,
};
use evidence::Evidence;
use simtee::vtpm::log::BootSpec;
use simtee::vtpm::{VTpm, evidence as parts};
use simtee::{GuestSpec, SIGNED_LEN, SimHost};
use verify::TrustAnchors;

use crate::azure::{anchors, host};
use crate::simulated::{BITS, boot, challenge, extra_data, table, transcript};
use crate::table::{NOW, Table, check_quickly};

/// What a guest sends, by the tags of the sections, and the runtime data that Azure's blob is made of.
#[derive(Clone, PartialEq)]
struct Parts([Vec<u8>; PARTS.len()]);

const PARTS: [&str; 9] =
    ["report", "runtime", "certificates", "manifest", "key", "quote", "signature", "values", "log"];
const REPORT: usize = 0;
const RUNTIME: usize = 1;
const MANIFEST: usize = 3;
const KEY: usize = 4;

struct Guest {
    kind: EvidenceKind,
    parts: Parts,
    transcript: Transcript,
}

impl Parts {
    /// The evidence of a kind.
    fn encode(&self, kind: EvidenceKind) -> Vec<u8> {
        let [report, runtime, certificates, manifest, key, quote, signature, values, log] = &self.0;
        let hcl = parts::hcl(report, std::str::from_utf8(runtime).unwrap());
        let first: Vec<(u8, &[u8])> = match kind {
            EvidenceKind::AzureVtpm => vec![(2, &hcl), (3, certificates)],
            EvidenceKind::Svsm => vec![(1, report), (3, certificates), (4, manifest), (5, key)],
            _ => vec![(5, key)],
        };
        let quote: [(u8, &[u8]); 4] = [(6, quote), (7, signature), (8, values), (9, log)];
        parts::sections(&[first, quote.to_vec()].concat())
    }

    fn is_believed(&self, guest: &Guest, world: &World) -> bool {
        self.is_believed_for(guest.kind, &guest.transcript, world)
    }

    fn is_believed_for(&self, kind: EvidenceKind, transcript: &Transcript, world: &World) -> bool {
        let Ok(evidence) = Evidence::parse(kind, &self.encode(kind)) else { return false };
        let authenticated = check_quickly(evidence, &world.anchors, &world.table, NOW);
        authenticated.is_ok_and(|done| done.bind(challenge(), transcript, NOW).is_ok())
    }
}

/// Thirty guests, whose keys are all enrolled and whose hosts are all trusted.
struct World {
    guests: Vec<Guest>,
    anchors: TrustAnchors,
    table: Table,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let keys = Arc::new(simtee::kept_keys!("of-others").unwrap());
        let other = SimHost::with_keys(keys, Product::Genoa, crate::azure::CREATED).unwrap();
        let anchors = anchors().with_simulated(other.ark_der(), other.ark_sha256()).unwrap();
        let kinds = [EvidenceKind::Tpm, EvidenceKind::AzureVtpm, EvidenceKind::Svsm];
        let (mut guests, mut enrolled) = (Vec::new(), Vec::new());
        for number in 0..30_u8 {
            let vtpm = boot(&BootSpec::new(&format!("guest {number}")));
            enrolled.extend(table(&vtpm).0);
            let host = if number % 2 == 0 { host() } else { &other };
            guests.push(guest(kinds[usize::from(number) / 10], number, &vtpm, host));
        }
        World { guests, anchors, table: Table(enrolled) }
    })
}

fn guest(kind: EvidenceKind, number: u8, vtpm: &VTpm, host: &SimHost) -> Guest {
    let transcript = Transcript {
        broker: BrokerId([2; 32]),
        recipient: RecipientKey { suite: Suite::P384, public: vec![number; 97] },
        config: ConfigDigest([number; 32]),
        ..transcript(kind)
    };
    let usual = GuestSpec::default_tcb(Product::Genoa);
    let tcb = Tcb { microcode: usual.microcode - number / 2, ..usual };
    let spec = GuestSpec { measurement: Measurement([0x42; 48]), ..GuestSpec::new(Product::Genoa, "swap") };
    let launched = host.launch(&spec.tcb(tcb)).unwrap();
    let runtime = parts::runtime_data(vtpm, &format!("{number:08}-184b-4c4c-ab88-0bdad260505f")).unwrap();
    let (ek, ak) = (vtpm.ek_public().unwrap(), vtpm.ak_public().unwrap());
    let hash = crypto::sha512(&[&transcript.encode()]);
    let report_data = match kind {
        EvidenceKind::AzureVtpm => parts::runtime_report_data(&runtime),
        _ => ReportData(crypto::sha512(&[&hash, &ek])),
    };
    let report = launched.sign(launched.report(&report_data)).unwrap().to_vec();
    let beside: &[u8] = if kind == EvidenceKind::Tpm { &[] } else { &report };
    let extra = extra_data(&transcript, beside);
    let quote = vtpm.quote(&vtpm.quote_spec(&extra, BITS).unwrap(), BITS).unwrap();
    let key = [&u16::try_from(ak.len()).unwrap().to_be_bytes()[..], &ak].concat();
    let certificates = parts::certificates(&launched);
    let runtime = runtime.into_bytes();
    let parts =
        [report, runtime, certificates, ek, key, quote.attest, quote.signature, quote.pcrs, quote.log];
    Guest { kind, parts: Parts(parts), transcript }
}

#[test]
fn no_part_of_one_guest_stands_in_for_anothers() {
    let world = world();
    assert_eq!(world.guests.len(), 30);
    for (i, ours) in world.guests.iter().enumerate() {
        assert!(ours.parts.is_believed(ours, world), "{i}");
        let whole = ours.parts.encode(ours.kind);
        for (j, theirs) in world.guests.iter().enumerate().filter(|(j, _)| *j != i) {
            for (part, name) in PARTS.iter().enumerate() {
                let mut swapped = ours.parts.clone();
                swapped.0[part].clone_from(&theirs.parts.0[part]);
                // Parts that this kind has not, and certificates of the same key, change nothing.
                if swapped.encode(ours.kind) != whole {
                    assert!(!swapped.is_believed(ours, world), "{name} of {j} in {i}");
                }
            }
            let believed = ours.parts.is_believed_for(ours.kind, &theirs.transcript, world);
            assert!(!believed, "transcript of {j} for {i}");
        }
    }
}

#[test]
fn no_mixture_of_two_guests_parts_is_believed() {
    let world = world();
    for (i, j) in [(0, 1), (10, 11), (20, 21)] {
        let (ours, theirs) = (&world.guests[i], &world.guests[j]);
        for mixture in 1..1_u32 << PARTS.len() {
            let mut mixed = ours.parts.clone();
            for part in (0..PARTS.len()).filter(|part| mixture >> part & 1 == 1) {
                mixed.0[part].clone_from(&theirs.parts.0[part]);
            }
            if mixed.encode(ours.kind) != ours.parts.encode(ours.kind) {
                assert!(!mixed.is_believed(ours, world), "{mixture:#b} of {j} in {i}");
            }
        }
    }
}

#[test]
fn no_bit_of_what_binds_a_vtpms_key_can_be_flipped() {
    let world = world();
    // Every bit of an Azure report; elsewhere, where the rest is hashed as one, a bit of each byte.
    let all =
        [(10, REPORT, 1), (20, REPORT, 9), (10, RUNTIME, 9), (20, MANIFEST, 9), (20, KEY, 9), (0, KEY, 9)];
    for (guest, part, step) in all {
        let guest = &world.guests[guest];
        let len = if part == REPORT { SIGNED_LEN } else { guest.parts.0[part].len() };
        for bit in (0..len * 8).step_by(step) {
            let mut altered = guest.parts.clone();
            altered.0[part][bit / 8] ^= 1 << (bit % 8);
            // Runtime data that are no text are no JSON either; the encoder here only takes text.
            if part == RUNTIME && std::str::from_utf8(&altered.0[part]).is_err() {
                continue;
            }
            assert!(!altered.is_believed(guest, world), "bit {bit} of the {}", PARTS[part]);
        }
    }
}
