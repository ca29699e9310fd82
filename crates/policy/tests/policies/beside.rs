//! The shipped policies that only forbid, beside one that permits.

use claims::Operation;
use policy::case::Case;
use policy::{Evaluation, Policy};

use crate::bundle::{bundle, case, read};

/// `snp-production` with this policy beside it.
fn beside(name: &str) -> Policy {
    let [production, other] = ["snp-production", name].map(|name| format!("{name}.cedar"));
    let both = bundle("snp-production").with_policy(&production, read(&production));
    Policy::load(both.with_policy(&other, read(&other))).unwrap_or_else(|errors| panic!("{errors}"))
}

/// A guest and a key that `snp-production` permits, changed.
fn changed(change: impl FnOnce(&mut Case)) -> Case {
    let mut case = case("snp-production", "permit/known-image.json");
    change(&mut case);
    case
}

/// The rules that permit, or those that are named in the denial, each once.
fn rules(policy: &Policy, case: &Case) -> Result<Vec<String>, Vec<String>> {
    match policy.evaluate(&case.record, &case.request, &case.key, &case.circumstances) {
        Evaluation::Permit { rules } => Ok(rules),
        Evaluation::Deny(denial) => {
            let mut rules: Vec<String> = denial.reasons.into_iter().map(|reason| reason.rule).collect();
            rules.dedup();
            Err(rules)
        }
    }
}

fn permit() -> Result<Vec<String>, Vec<String>> {
    Ok(vec!["snp-production/permit".to_owned()])
}

fn denied_by(rule: &str) -> Result<Vec<String>, Vec<String>> {
    Err(vec![rule.to_owned()])
}

#[test]
fn a_key_with_a_window_goes_out_in_it_and_guests_renew_always() {
    let policy = beside("maintenance-window");
    let at = |time: &str, operation| {
        rules(
            &policy,
            &changed(|case| {
                case.key.tags = [("window".to_owned(), "night".to_owned())].into();
                case.circumstances.now = claims::UnixTime::parse(time).unwrap();
                case.request.operation = operation;
            }),
        )
    };
    assert_eq!(at("2026-11-22T23:00:00Z", Operation::Unwrap), permit());
    assert_eq!(at("2026-11-22T12:00:00Z", Operation::Unwrap), denied_by("maintenance-window/night"));
    assert_eq!(at("2026-11-22T12:00:00Z", Operation::Renew), permit());
    assert_eq!(at("2026-12-24T23:00:00Z", Operation::Release), denied_by("maintenance-window/year-end"));
}

#[test]
fn a_key_with_a_region_stays_there() {
    let policy = beside("region-bound");
    let from = |region: Option<&str>, network: Option<&str>| {
        rules(
            &policy,
            &changed(|case| {
                case.key.region = region.map(|region| region.parse().unwrap());
                case.circumstances.network = network.map(|network| network.parse().unwrap());
            }),
        )
    };
    assert_eq!(from(None, None), permit());
    assert_eq!(from(Some("frankfurt"), Some("192.0.2.7")), permit());
    assert_eq!(from(Some("frankfurt"), Some("198.51.100.7")), denied_by("region-bound/frankfurt"));
    assert_eq!(from(Some("us-east-2"), Some("192.0.2.7")), denied_by("region-bound/us-east-2"));
    assert_eq!(from(Some("atlantis"), Some("192.0.2.7")), denied_by("region-bound/unknown"));
}

#[test]
fn a_tenant_gets_the_keys_of_its_own_ring() {
    let policy = beside("tenant-rings");
    let asks = |ring: &str, id_key: Option<[u8; 48]>| {
        rules(
            &policy,
            &changed(|case| {
                case.key.ring = ring.parse().unwrap();
                case.record.snp.as_mut().unwrap().id_key_digest = id_key;
            }),
        )
    };
    assert_eq!(asks("tenant-a", Some([0xc3; 48])), permit());
    assert_eq!(asks("tenant-a", None), denied_by("tenant-rings/tenant-a"));
    assert_eq!(asks("tenant-b", Some([0xc3; 48])), denied_by("tenant-rings/tenant-b"));
    assert_eq!(asks("default", Some([0xc3; 48])), denied_by("tenant-rings/no-tenant"));
}
