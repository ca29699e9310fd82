//! Parts of thirty guests' evidence, each put in the place of each other's: report, signature, leaf, intermediate.

use std::sync::Arc;

use claims::snp::{Product, Tcb};
use claims::{EvidenceKind, ReportData};
use evidence::Evidence;
use simtee::{Chain, GuestSpec, REPORT_LEN, SIGNED_LEN, SimHost};
use verify::{Endorsements, TrustAnchors, authenticate};

use crate::machine::{CREATED, CSP_ID, NOW, host, keys, trust};

struct Guest {
    report: Vec<u8>,
    chain: Chain,
}

/// Ten guests of a product: two chips at four TCBs each, and a cloud provider's key at two.
fn guests(product: Product) -> Vec<Guest> {
    let other_chip = Arc::new(keys().with_other_chip().unwrap());
    let chips = [host(product), SimHost::with_keys(other_chip, product, CREATED).unwrap()];
    let usual = GuestSpec::default_tcb(product);
    let tcbs = [0, 1, 2, 3].map(|lower| Tcb { microcode: usual.microcode - lower, ..usual });
    let spec = |tcb| GuestSpec::new(product, "swap").tcb(tcb);
    let mut all = Vec::new();
    for (host, tcb) in chips.iter().flat_map(|host| tcbs.iter().map(move |tcb| (host, *tcb))) {
        all.push(launch(host, &spec(tcb), all.len()));
    }
    for tcb in &tcbs[..2] {
        all.push(launch(&chips[0], &spec(*tcb).at_provider(CSP_ID), all.len()));
    }
    all
}

fn launch(host: &SimHost, spec: &GuestSpec, number: usize) -> Guest {
    let guest = host.launch(spec).unwrap();
    let report_data = ReportData([u8::try_from(number).unwrap(); 64]);
    let report = guest.sign(guest.report(&report_data)).unwrap().to_vec();
    Guest { report, chain: guest.chain().clone() }
}

fn is_believed(report: &[u8], leaf: &[u8], issuer: &[u8], anchors: &TrustAnchors) -> bool {
    let evidence = Evidence::parse(EvidenceKind::SevSnp, report).unwrap();
    let endorsements = Endorsements::from_certificates([leaf.to_vec(), issuer.to_vec()]).unwrap();
    authenticate(evidence, &endorsements, anchors, NOW).is_ok()
}

#[test]
fn no_part_of_one_guest_stands_in_for_anothers() {
    let products = [Product::Milan, Product::Genoa, Product::Turin];
    let all: Vec<Guest> = products.into_iter().flat_map(guests).collect();
    let anchors = products.into_iter().fold(TrustAnchors::amd(), |anchors, product| {
        let host = host(product);
        anchors.with_simulated(host.ark_der(), host.ark_sha256()).unwrap()
    });
    assert_eq!(all.len(), 30);
    for (i, ours) in all.iter().enumerate() {
        assert!(is_believed(&ours.report, &ours.chain.vek, &ours.chain.ask, &anchors), "{i}");
        for (j, theirs) in all.iter().enumerate().filter(|(j, _)| *j != i) {
            let swapped = |report: &[u8], leaf: &[u8], ask: &[u8]| is_believed(report, leaf, ask, &anchors);
            let chain = &ours.chain;
            assert!(!swapped(&theirs.report, &chain.vek, &chain.ask), "report of {j} under {i}");
            assert!(!swapped(&ours.report, &theirs.chain.vek, &chain.ask), "leaf of {j} under {i}");
            let mut spliced = ours.report.clone();
            spliced[SIGNED_LEN..REPORT_LEN].copy_from_slice(&theirs.report[SIGNED_LEN..]);
            assert!(!swapped(&spliced, &chain.vek, &chain.ask), "signature of {j} under {i}");
        }
    }
}

#[test]
fn an_intermediate_stands_in_for_itself_alone() {
    let of = |product| guests(product).swap_remove(0).chain;
    let vcek = of(Product::Genoa);
    let asvk = guests(Product::Genoa).pop().unwrap().chain.ask;
    let guest = guests(Product::Genoa).swap_remove(0);
    for other in [asvk, of(Product::Milan).ask, of(Product::Turin).ask, vcek.ark] {
        assert!(!is_believed(&guest.report, &guest.chain.vek, &other, &trust(&host(Product::Genoa))));
    }
}
