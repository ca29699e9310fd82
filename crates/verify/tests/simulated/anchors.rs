//! Simulated roots: who may become one, and that what they vouch for stays simulated.

use claims::snp::Product;
use claims::{ReportData, Sha256Digest};
use simtee::{CertificateSpec, GuestSpec, Name, SignatureAlgorithm, Signer, authority};
use verify::{AnchorError, ChainError, Role, TrustAnchors};

use crate::machine::{NOW, check, host, launch};

/// Adds a root that was altered by `alter` and signed again.
fn root_refusal(alter: impl FnOnce(&mut CertificateSpec)) -> AnchorError {
    let host = host(Product::Genoa);
    let mut spec = host.chain_spec(GuestSpec::default_tcb(Product::Genoa)).unwrap().ark;
    alter(&mut spec);
    let ark = host.sign(&spec).unwrap();
    let sha256 = Sha256Digest(crypto::sha256(&[&ark]));
    TrustAnchors::none().with_simulated(&ark, sha256).unwrap_err()
}

#[test]
fn beside_amds_roots_a_simulated_one_is_told_apart_by_its_key() {
    for product in [Product::Milan, Product::Genoa, Product::Turin] {
        let host = host(product);
        let anchors = TrustAnchors::amd().with_simulated(host.ark_der(), host.ark_sha256()).unwrap();
        let authenticated =
            check(&launch(&host).attest(&ReportData([7; 64])).unwrap(), &anchors, NOW).unwrap();
        assert!(authenticated.simulated());
        assert_eq!(anchors.roots().last(), Some((product, true, host.ark_sha256())));
    }
}

#[test]
fn a_root_is_made_as_amd_makes_one() {
    let error = root_refusal(|ark| ark.signer = Signer::Ask);
    assert_eq!(error, AnchorError::NotSelfSigned);
    let pkcs1 = SignatureAlgorithm::Pkcs1Sha384;
    let error = root_refusal(|ark| (ark.inner_algorithm, ark.outer_algorithm) = (pkcs1, pkcs1));
    assert_eq!(error, AnchorError::NotSelfSigned);
    let error = root_refusal(|ark| ark.subject = Name::amd("SEV-Genoa"));
    assert_eq!(error, AnchorError::Product { got: "SEV-Genoa".into() });
    let error = root_refusal(|ark| ark.subject = Name::amd("ARK-Venice"));
    assert_eq!(error, AnchorError::Product { got: "ARK-Venice".into() });
    let error = root_refusal(|ark| ark.subject.organization = "Somebody".into());
    let (expected, got) = ("Advanced Micro Devices".into(), "Somebody".into());
    assert_eq!(error, ChainError::Name { certificate: Role::Ark, attribute: "O", expected, got }.into());
    let error = root_refusal(|ark| _ = ark.remove_extension(authority::BASIC_CONSTRAINTS));
    assert_eq!(error, ChainError::NotCa { certificate: Role::Ark }.into());
}

#[test]
fn roots_are_counted() {
    let host = host(Product::Genoa);
    let spec = host.chain_spec(GuestSpec::default_tcb(Product::Genoa)).unwrap().ark;
    let add = |anchors: TrustAnchors, serial: u64| {
        let ark = host.sign(&CertificateSpec { serial, ..spec.clone() }).unwrap();
        anchors.with_simulated(&ark, Sha256Digest(crypto::sha256(&[&ark])))
    };
    let full = (0..16).try_fold(TrustAnchors::amd(), add).unwrap();
    assert_eq!(add(full, 16).unwrap_err(), AnchorError::TooMany { limit: 16 });
}
