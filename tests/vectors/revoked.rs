//! AMD's own revocation lists: what they list, when they count, and the intermediate that AMD revoked.

use std::fs;

use claims::UnixTime;
use verify::{
    CrlPolicy, Endorsements, EndorsementsError, RevocationError, TrustAnchors, VerifyError, authenticate,
    certificates_from_file,
};

use crate::folder::{Vector, load, read};

/// File, issuer, first and last second.
const LISTS: [(&str, &str, &str, &str); 4] = [
    ("milan-2022", "ARK-Milan", "2022-05-09T17:07:45Z", "2023-05-09T23:00:00Z"),
    ("milan-2025", "ARK-Milan", "2025-05-06T12:39:06Z", "2026-05-12T00:00:00Z"),
    ("genoa-2022", "ARK-Genoa", "2022-10-31T13:34:46Z", "2023-10-31T23:00:00Z"),
    ("genoa-2024", "ARK-Genoa", "2024-10-23T04:36:24Z", "2025-11-03T01:00:00Z"),
];

const YEAR: u64 = 366 * 86_400;

fn list(name: &str) -> Option<Vec<u8>> {
    read(&format!("crl/{name}.crl.der"))
}

fn at(text: &str) -> UnixTime {
    UnixTime::parse(text).unwrap()
}

/// Verifies a vector under the lists, all required to be at most a year and some days old.
fn verify(vector: &Vector, lists: &[Vec<u8>], now: UnixTime) -> Result<Option<UnixTime>, VerifyError> {
    let endorsements = vector.endorsements().with_crls(lists.iter().cloned()).unwrap();
    let anchors = TrustAnchors::amd().with_crl_policy(CrlPolicy::Required { max_age_s: YEAR + 30 * 86_400 });
    let authenticated = authenticate(vector.evidence(), &endorsements, &anchors, now)?;
    Ok(authenticated.snp().unwrap().crl_issued)
}

#[test]
fn amds_lists_are_read_and_count_to_the_second() {
    // A Milan and a Genoa report whose VCEK is valid within the newer list's window.
    for (name, list_name) in [("milan-v2-azure-hcl", "milan-2025"), ("genoa-v5-oak", "genoa-2024")] {
        let Some((list_name, issuer, from, to)) = LISTS.into_iter().find(|list| list.0 == list_name) else {
            panic!("no list {list_name}")
        };
        for vector in load(&[name]) {
            let lists = [list(list_name).unwrap()];
            let (this_update, next_update) = (at(from), at(to));
            let (start, end) = vector.window();
            assert!(start < next_update && next_update < end, "{name}");
            let inside = start.max(this_update);
            assert_eq!(verify(&vector, &lists, inside), Ok(Some(this_update)), "{name}");
            assert_eq!(verify(&vector, &lists, next_update), Ok(Some(this_update)), "{name}");
            let (issuer, now) = (issuer.to_owned(), next_update.plus(1));
            let expired = RevocationError::Expired { issuer, next_update, now };
            assert_eq!(verify(&vector, &lists, now), Err(expired.into()), "{name}");
        }
    }
}

#[test]
fn the_list_of_another_product_is_no_list() {
    for vector in load(&["milan-v2-azure-hcl"]) {
        let lists = [list("genoa-2024").unwrap(), list("genoa-2022").unwrap()];
        let missing = RevocationError::Missing { issuer: "ARK-Milan".into() };
        assert_eq!(verify(&vector, &lists, at("2025-06-01")), Err(missing.into()));
    }
}

#[test]
fn every_list_is_signed_by_amds_root_and_no_altered_one_is() {
    for vector in load(&["milan-v2-azure-hcl"]) {
        let whole = list("milan-2025").unwrap();
        let now = at("2025-06-01");
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            let given = vector.endorsements().with_crls([altered]);
            let anchors = TrustAnchors::amd().with_crl_policy(CrlPolicy::Required { max_age_s: YEAR });
            let believed =
                given.is_ok_and(|given| authenticate(vector.evidence(), &given, &anchors, now).is_ok());
            assert!(!believed, "byte {at}");
        }
    }
}

/// AMD revoked Genoa's first ASK; no report under it is public. The one in use has another serial number.
#[test]
fn a_list_that_names_another_certificate_lets_this_one_through() {
    for vector in load(&["genoa-v5-oak"]) {
        let lists = [list("genoa-2022").unwrap(), list("genoa-2024").unwrap()];
        let now = vector.window().0;
        assert_eq!(verify(&vector, &lists, now), Ok(Some(at("2024-10-23T04:36:24Z"))));
    }
}

#[test]
fn a_certificate_is_no_list() {
    let Some(file) = read("crl/ARK-Genoa.pem") else { return };
    let certificate = certificates_from_file(&file).unwrap().remove(0);
    let error = Endorsements::default().with_crls([certificate]).unwrap_err();
    assert!(matches!(error, EndorsementsError::Crl { index: 0, .. }), "{error}");
}

#[test]
fn amds_published_roots_are_those_that_are_built_in() {
    for product in ["Milan", "Genoa", "Turin"] {
        let Some(file) = read(&format!("crl/ARK-{product}.pem")) else { continue };
        let root = certificates_from_file(&file).unwrap().remove(0);
        let built_in = fs::read(format!(
            "{}/../crates/verify/data/{}-ark.der",
            env!("CARGO_MANIFEST_DIR"),
            product.to_lowercase()
        ));
        assert_eq!(root, built_in.unwrap(), "{product}");
    }
}
