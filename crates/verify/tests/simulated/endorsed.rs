//! Certificates by themselves, and the checks that need none.

use claims::snp::{Product, SigningKey};
use claims::{EvidenceKind, ReportData};
use evidence::Evidence;
use simtee::{Chain, GuestSpec, field};
use verify::{ChainError, EndorsedKey, Endorsements, Role, TrustAnchors, VerifyError};
use verify::{endorsed_key, is_leaf, precheck};

use crate::machine::{CREATED, NOW, VCEK_LIFE, altered_report, host, launch, trust};

fn key(chain: &[&Vec<u8>], anchors: &TrustAnchors) -> Result<EndorsedKey, ChainError> {
    let endorsements = Endorsements::from_certificates(chain.iter().map(|der| (*der).clone())).unwrap();
    endorsed_key(&endorsements, anchors, NOW)
}

#[test]
fn a_chain_says_whose_key_it_vouches_for() {
    for (product, len) in [(Product::Milan, 64), (Product::Genoa, 64), (Product::Turin, 8)] {
        let host = host(product);
        let Chain { ark, ask, vek: vcek, .. } = launch(&host).chain().clone();
        let expected = EndorsedKey {
            product,
            simulated: true,
            kind: SigningKey::Vcek,
            hwid: host.chip_id().0[..len].to_vec(),
            csp_id: None,
            tcb: GuestSpec::default_tcb(product).to_report_bytes(),
            not_before: CREATED,
            not_after: CREATED.plus(VCEK_LIFE),
        };
        assert_eq!(key(&[&vcek, &ask], &trust(&host)), Ok(expected.clone()));
        assert_eq!(key(&[&ark, &ask, &vcek], &trust(&host)), Ok(expected));
        assert_eq!([is_leaf(&vcek), is_leaf(&ask), is_leaf(&ark)], [Ok(true), Ok(false), Ok(false)]);
    }
}

#[test]
fn certificates_without_a_chain_vouch_for_nothing() {
    let host = host(Product::Genoa);
    let Chain { ark, ask, vek: vcek, .. } = launch(&host).chain().clone();
    let anchors = trust(&host);
    assert_eq!(key(&[&ask, &ark], &anchors), Err(ChainError::NoLeaf { got: 2 }));
    let issuer = "SEV-Genoa".to_owned();
    assert_eq!(
        key(&[&vcek, &ark], &anchors),
        Err(ChainError::NoIntermediate { certificate: Role::Vcek, issuer })
    );
    let foreign = ChainError::Signature { certificate: Role::Ask, issuer: "ARK-Genoa".into() };
    assert_eq!(key(&[&vcek, &ask], &TrustAnchors::amd()), Err(foreign));
    // Verified before, without its issuer now; and expired since.
    assert!(key(&[&vcek, &ask], &anchors).is_ok());
    let issuer = "SEV-Genoa".to_owned();
    assert_eq!(
        key(&[&vcek, &ark], &anchors),
        Err(ChainError::NoIntermediate { certificate: Role::Vcek, issuer })
    );
    let (not_after, now) = (CREATED.plus(VCEK_LIFE), CREATED.plus(VCEK_LIFE + 1));
    let endorsements = Endorsements::from_certificates([vcek, ask]).unwrap();
    let expired = ChainError::Expired { certificate: Role::Vcek, not_after, now };
    assert_eq!(endorsed_key(&endorsements, &anchors, now), Err(expired));
}

#[test]
fn a_report_says_which_key_it_needs() {
    for product in [Product::Milan, Product::Genoa, Product::Turin] {
        let host = host(product);
        let bytes = launch(&host).attest(&ReportData([7; 64])).unwrap();
        let needed = precheck(&Evidence::parse(EvidenceKind::SevSnp, &bytes).unwrap()).unwrap();
        assert_eq!((needed.kind, needed.products), (SigningKey::Vcek, vec![product]));
        assert_eq!(needed.chip_id, host.chip_id());
        assert_eq!(needed.reported_tcb, GuestSpec::default_tcb(product).to_report_bytes());
    }
    let old = altered_report(&host(Product::Milan), |report| {
        report.put(field::VERSION, 2_u32.to_le_bytes()).put(field::CPUID, [0; 3]);
        report.put(field::LAUNCH_MIT_VECTOR, [0; 8]).put(field::CURRENT_MIT_VECTOR, [0; 8]);
    });
    let needed = precheck(&Evidence::parse(EvidenceKind::SevSnp, &old).unwrap()).unwrap();
    assert_eq!(needed.products, [Product::Milan, Product::Genoa]);
}

#[test]
fn a_report_that_no_certificate_can_save_needs_no_key() {
    let refused = |alter: fn(&mut simtee::ReportBuilder)| {
        let bytes = altered_report(&host(Product::Genoa), alter);
        precheck(&Evidence::parse(EvidenceKind::SevSnp, &bytes).unwrap()).unwrap_err()
    };
    assert_eq!(refused(|r| _ = r.put(field::VMPL, u32::MAX.to_le_bytes())), VerifyError::HostRequested);
    assert_eq!(refused(|r| _ = r.put(field::VMPL, 4_u32.to_le_bytes())), VerifyError::Vmpl { got: 4 });
    assert_eq!(refused(|r| _ = r.put(field::KEY_INFO, 2_u32.to_le_bytes())), VerifyError::ChipKeyMasked);
    assert_eq!(refused(|r| _ = r.put(field::KEY_INFO, (7_u32 << 2).to_le_bytes())), VerifyError::NotSigned);
    assert_eq!(refused(|r| _ = r.put(field::CHIP_ID, [0; 64])), VerifyError::ChipIdMasked);
    let unknown = VerifyError::UnknownCpu { family: 0x17, model: 1 };
    assert_eq!(refused(|r| _ = r.put(field::CPUID, [0x17, 1, 0])), unknown);
}
