//! Policies of keys: both it and the bundle must permit.

use claims::ReleasePolicy;
use policy::case::Case;
use policy::{DenialCode, Evaluation, Policy, ReasonKind};

use crate::bundle::{self, bundle, case};

fn shipped() -> Policy {
    let file = "snp-production.cedar";
    Policy::load(bundle("snp-production").with_policy(file, bundle::read(file))).unwrap()
}

fn own(condition: &str) -> Option<ReleasePolicy> {
    let cedar = format!(
        "@id(\"owner\") @doc(\"d\") permit (principal is Guest, action, resource) when {{ {condition} }};"
    );
    Some(ReleasePolicy { cedar: cedar.into(), immutable: false })
}

fn known(policy: Option<ReleasePolicy>) -> Case {
    let mut case = case("snp-production", "permit/known-image.json");
    case.key.release_policy = policy;
    case
}

fn evaluate(policy: &Policy, case: &Case) -> Evaluation {
    policy.evaluate(&case.record, &case.request, &case.key, &case.circumstances)
}

#[test]
fn both_must_permit() {
    let (policy, guest) = (shipped(), known(None).record.snp.unwrap());
    let vmpl = |n: u32| own(&format!("principal has snp && principal.snp.vmpl == {n}"));
    let rules = vec!["snp-production/permit".to_owned(), "key/owner".to_owned()];
    assert_eq!(evaluate(&policy, &known(vmpl(guest.vmpl))), Evaluation::Permit { rules });
    let Evaluation::Deny(denial) = evaluate(&policy, &known(vmpl(guest.vmpl + 1))) else { panic!() };
    assert_eq!(denial.code, DenialCode::PolicyDenied);
    let [reason] = denial.reasons.as_slice() else { panic!("{denial}") };
    assert_eq!((reason.rule.as_str(), reason.wanted.as_str()), ("key/owner", "== 1"));
    // What the bundle denies, no key's policy permits.
    let mut debug = known(own("true"));
    let snp = debug.record.snp.as_mut().unwrap();
    snp.policy.0 |= 1 << 19;
    let Evaluation::Deny(denial) = evaluate(&policy, &debug) else { panic!() };
    assert_eq!(denial.reasons[0].rule, "snp-production/no-debug");
}

#[test]
fn it_reads_claims_that_the_bundle_does_not_and_the_bundles_reference_values() {
    let policy = shipped();
    let reads = own("principal has snp && principal.snp.guest_svn == 0 && \
         principal.snp.measurement in ReferenceState::\"active\"");
    let permit = evaluate(&policy, &known(reads.clone()));
    assert!(matches!(permit, Evaluation::Permit { .. }), "{permit:?}");
    let mut other = known(reads);
    other.record.snp.as_mut().unwrap().guest_svn = 9;
    let Evaluation::Deny(denial) = evaluate(&policy, &other) else { panic!() };
    assert!(denial.reasons[0].condition.starts_with("principal.snp.guest_svn =="), "{denial}");
}

#[test]
fn one_that_does_not_load_denies_and_says_why() {
    let policy = shipped();
    let unguarded = own("principal.snp.vmpl == 0");
    let errors = policy.of_key(unguarded.as_ref().unwrap()).err().unwrap();
    assert!(errors.to_string().contains("the key's own policy"), "{errors}");
    let Evaluation::Deny(denial) = evaluate(&policy, &known(unguarded)) else { panic!() };
    assert_eq!(denial.code, DenialCode::EvaluationFailed);
    assert_eq!(denial.reasons[0].kind, ReasonKind::Error);
    let empty = ReleasePolicy { cedar: "// nothing".into(), immutable: true };
    assert!(policy.of_key(&empty).is_err());
}

#[test]
fn one_may_be_as_long_as_the_bound_and_no_longer() {
    let of_length = |bytes: usize| {
        let ReleasePolicy { cedar, immutable } = own("true").unwrap();
        let padded = ReleasePolicy { cedar: bundle::padded(&cedar, bytes).into(), immutable };
        shipped().of_key(&padded).map(|own| own.rules().count()).map_err(|errors| errors.to_string())
    };
    assert_eq!(of_length(32_768), Ok(1));
    let too_long = "the key's own policy: too long: expected at most 32768 bytes, got 32769";
    assert_eq!(of_length(32_769), Err(too_long.to_owned()));
}
