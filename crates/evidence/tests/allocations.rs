//! No parser asks for memory because a length field says so: whatever numbers stand in evidence, what is held while it is
//! read is a small multiple of the bytes that are there.
//!
//! Every two, four and eight bytes of genuine layouts are overwritten with the largest numbers there are, one place after
//! the other, and once more with everything behind them cut off. An allocator that counts what each thread holds watches.
#![expect(clippy::indexing_slicing, reason = "a test may panic")]

use core::cell::Cell;
use std::alloc::{GlobalAlloc, Layout, System};

use claims::snp::Product;
use claims::{EvidenceKind, ReportData, UnixTime};
use evidence::Evidence;
use evidence::azure::{HclBlob, RuntimeData};
use evidence::snp::{CertificateTable, Report};
use evidence::tpm::{Attest, EventLog, PcrValues, Public, Signature, SignatureEntry, UefiVariable};
use simtee::vtpm::log::{BootSpec, IMAGE_SECURITY, variable};
use simtee::vtpm::{Quote, VTpm, evidence as parts};
use simtee::{GuestSpec, SimHost};

/// The system's allocator, and what this thread has of it: bytes held now, and the most at any time.
struct Counting;

thread_local! {
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

fn took(bytes: usize) {
    HELD.with(|held| {
        let now = held.get().0.saturating_add(bytes);
        held.set((now, held.get().1.max(now)));
    });
}

fn gave(bytes: usize) {
    HELD.with(|held| held.set((held.get().0.saturating_sub(bytes), held.get().1)));
}

#[expect(
    unsafe_code,
    reason = "an allocator is unsafe to write; this one hands everything on to the system's"
)]
// SAFETY: every call goes to `System` as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        gave(layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The old block and the new one are there together, if it has to move.
        took(size);
        gave(layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(block, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that are held at a time because of `work`.
fn most_held(work: impl FnOnce()) -> usize {
    let before = HELD.with(|held| {
        held.set((held.get().0, held.get().0));
        held.get().0
    });
    work();
    HELD.with(|held| held.get().1.saturating_sub(before))
}

type Parser = fn(&[u8]);

/// Holds a parser against a layout that it takes, altered at each place.
fn hold(name: &str, parse: Parser, genuine: &[u8]) {
    let within = |bytes: &[u8], what: &str| {
        let (held, most) = (most_held(|| parse(bytes)), FACTOR * bytes.len() + FLOOR);
        assert!(held <= most, "{name}: {held} bytes held for {} {what}", bytes.len());
    };
    within(genuine, "as they are");
    // Every place of a short layout, and a third of them in a long one.
    for at in (0..genuine.len()).step_by(if genuine.len() > 4096 { 3 } else { 1 }) {
        for number in NUMBERS {
            let end = (at + number.len()).min(genuine.len());
            let mut altered = genuine.to_vec();
            altered[at..end].copy_from_slice(&number[..end - at]);
            within(&altered, &format!("with {number:x?} at {at}"));
            within(&altered[..end], &format!("that end behind {number:x?} at {at}"));
        }
    }
}

#[test]
fn what_is_allocated_for_a_length_field_is_seen() {
    let held = most_held(|| drop(std::hint::black_box(Vec::<u8>::with_capacity(0x00ff_ffff))));
    assert_eq!(held, 0x00ff_ffff);
    let grown = most_held(|| drop((0..100_000_u32).collect::<std::collections::BTreeSet<_>>()));
    assert!(grown > 400_000, "{grown}");
    assert_eq!(most_held(|| ()), 0);
}

#[test]
fn parts_of_a_quote_are_read_in_the_space_that_they_take() {
    let mut vtpm = VTpm::generate().unwrap();
    vtpm.boot(&BootSpec::new("web"));
    let quote = vtpm.quote(&vtpm.quote_spec(&[7; 32], 0xffff).unwrap(), 0xffff).unwrap();
    let (ak, ek) = (vtpm.ak_public().unwrap(), vtpm.ek_public().unwrap());
    let Quote { attest, signature, pcrs, log } = &quote;
    let of = |bytes: &[u8]| bytes.to_vec();
    hold("quote", |bytes| drop(Attest::parse(bytes)), attest);
    hold("signature", |bytes| drop(Signature::parse(bytes)), signature);
    hold("pcr values", |bytes| drop(PcrValues::parse(bytes)), pcrs);
    hold("event log", |bytes| drop(EventLog::parse(bytes)), log);
    for public in [&ak, &ek] {
        hold("public area", |bytes| drop(Public::parse(bytes)), public);
        let sized = [&u16::try_from(public.len()).unwrap().to_be_bytes()[..], &of(public)].concat();
        hold("sized public area", |bytes| drop(Public::parse_sized(bytes)), &sized);
    }
    hold("container", |bytes| drop(Evidence::parse(EvidenceKind::Tpm, bytes)), &parts::tpm(&ak, &quote));

    let lists: Vec<u8> =
        [&[7; 16][..], &[28 + 4 * 48, 0, 48_u32].map(u32::to_le_bytes).concat(), &[9; 4 * 48]].concat();
    hold("signature lists", |bytes| drop(SignatureEntry::parse_all(bytes)), &lists);
    // The smallest entries there can be: most of what is held is not their bytes.
    let small: Vec<u8> =
        [&[7; 16][..], &[28 + 400 * 17, 0, 17_u32].map(u32::to_le_bytes).concat(), &[9; 400 * 17]].concat();
    hold("small entries", |bytes| drop(SignatureEntry::parse_all(bytes)), &small);
    let variable = variable(IMAGE_SECURITY, "dbx", &lists);
    hold("variable", |bytes| drop(UefiVariable::parse(bytes)), &variable);
}

#[test]
fn reports_and_what_comes_with_them_are_read_in_the_space_that_they_take() {
    let host = SimHost::generate(Product::Genoa, UnixTime(1_790_000_000)).unwrap();
    let guest = host.launch(&GuestSpec::new(Product::Genoa, "web")).unwrap();
    let whole = guest.attest(&ReportData([7; 64])).unwrap();
    let (report, table) = whole.split_at(1184);
    hold("report", |bytes| drop(Report::parse(bytes)), report);
    hold("certificate table", |bytes| drop(CertificateTable::parse(bytes)), table);
    hold("extended report", |bytes| drop(Evidence::parse(EvidenceKind::SevSnp, bytes)), &whole);

    let mut vtpm = VTpm::generate().unwrap();
    vtpm.boot(&BootSpec::new("web"));
    let quote = vtpm.quote(&vtpm.quote_spec(&[7; 32], 0xffff).unwrap(), 0xffff).unwrap();
    let runtime = parts::runtime_data(&vtpm, "baefd3e1-184b-4c4c-ab88-0bdad260505f").unwrap();
    let bound = guest.sign(guest.report(&parts::runtime_report_data(&runtime))).unwrap();
    let (hcl, table) = (parts::hcl(&bound, &runtime), parts::certificates(&guest));
    hold("runtime data", |bytes| drop(RuntimeData::parse(bytes)), runtime.as_bytes());
    hold("blob", |bytes| drop(HclBlob::parse(bytes)), &hcl);
    let azure = parts::azure(&hcl, &table, &quote);
    hold("azure", |bytes| drop(Evidence::parse(EvidenceKind::AzureVtpm, bytes)), &azure);
    let (ak, ek) = (vtpm.ak_public().unwrap(), vtpm.ek_public().unwrap());
    let svsm = parts::svsm(&bound, &table, &ek, &ak, &quote);
    hold("svsm", |bytes| drop(Evidence::parse(EvidenceKind::Svsm, bytes)), &svsm);
}

/// Numbers as length fields have them, in either order of bytes: the largest, the largest with a sign, and some millions.
const NUMBERS: [&[u8]; 7] = [
    &[0xff; 2],
    &[0xff; 4],
    &[0xff; 8],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0x00, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0x00],
];
/// Bytes that may be held for each byte that is there: an event or an entry is larger as a value than as bytes, and lists
/// grow by doubling.
const FACTOR: usize = 12;
/// Bytes that may be held whatever is there: error messages, and lists with room for a few.
const FLOOR: usize = 2048;
