//! Certificates and revocation lists, from whoever hands them out.

use std::sync::LazyLock;

use claims::snp::{Product, SigningKey};
use verify::{
    Endorsements, TrustAnchors, certificates_from_file, endorsed_issuer, endorsed_key, is_leaf, signed_list,
};

use crate::NOW;

static AMD: LazyLock<TrustAnchors> = LazyLock::new(TrustAnchors::amd);

/// A file of certificates, DER or PEM: what is read is written and read again the same.
pub fn certificates(data: &[u8]) {
    let _any = certificates_from_file(data);
    let Ok(found) = endorsements::read_certificates(data) else { return };
    assert!(!found.is_empty() && found.iter().map(Vec::len).sum::<usize>() <= data.len());
    let pem = endorsements::to_pem(&found);
    assert_eq!(endorsements::read_certificates(pem.as_bytes()), Ok(found));
}

/// A file of certificates as a chain under AMD's roots.
pub fn chain(data: &[u8]) {
    let Ok(found) = endorsements::read_certificates(data) else { return };
    for der in &found {
        let _any = is_leaf(der);
    }
    let Ok(endorsements) = Endorsements::from_certificates(found) else { return };
    if let Ok(key) = endorsed_key(&endorsements, &AMD, NOW) {
        assert!(!key.simulated && key.not_before <= NOW && NOW <= key.not_after);
        assert_eq!(key.csp_id.is_some(), key.kind == SigningKey::Vlek);
    }
    for product in [Product::Milan, Product::Genoa, Product::Turin] {
        for kind in [SigningKey::Vcek, SigningKey::Vlek] {
            let found = endorsed_issuer(&endorsements, (kind, product), &AMD, NOW);
            assert!(found.is_err() || found.is_ok_and(|issuer| issuer.product == product));
        }
    }
}

/// A revocation list.
pub fn crl(data: &[u8]) {
    let read = Endorsements::default().with_crls([data.to_vec()]);
    let signed = signed_list(data, &AMD);
    if let Ok(list) = &signed {
        assert!(read.is_ok() && !list.simulated && list.revoked <= data.len());
    }
}

/// What Azure's metadata service answers: certificates as text within JSON, which are no longer than the answer, and which
/// are read again the same.
pub fn thim(data: &[u8]) {
    let Ok(found) = endorsements::read_thim(data) else { return };
    assert!(found.len() >= 2 && found.iter().map(Vec::len).sum::<usize>() <= data.len());
    let pem = endorsements::to_pem(&found);
    assert_eq!(endorsements::read_certificates(pem.as_bytes()), Ok(found));
}
