//! What policies read besides the guest: time, age of the evidence, network, what was served of late; rings, regions.

use std::net::IpAddr;

use policy::case::Case;
use policy::{Denial, Evaluation, Policy, Recent};

use crate::bundle::{bundle, case};

fn policy(condition: &str) -> Policy {
    let text = format!(
        "@id(\"r\") @doc(\"d\") permit (principal is Guest, action, resource) when {{ {condition} }};"
    );
    Policy::load(bundle("snp-production").with_policy("t.cedar", text)).unwrap_or_else(|e| panic!("{e}"))
}

fn evaluate(policy: &Policy, case: &Case) -> Result<(), Denial> {
    match policy.evaluate(&case.record, &case.request, &case.key, &case.circumstances) {
        Evaluation::Permit { .. } => Ok(()),
        Evaluation::Deny(denial) => Err(denial),
    }
}

/// Permits as it is; after the change it denies, for what was wanted and what was found.
fn turns(condition: &str, good: impl Fn(&mut Case), bad: impl Fn(&mut Case), wanted: &str, found: &str) {
    let (policy, mut case) = (policy(condition), case("snp-production", "permit/known-image.json"));
    good(&mut case);
    evaluate(&policy, &case).unwrap_or_else(|denial| panic!("{condition}: {denial}"));
    bad(&mut case);
    let denial = evaluate(&policy, &case).expect_err(condition);
    let reason = denial.reasons.first().unwrap();
    assert_eq!((reason.wanted.as_str(), reason.found.as_str()), (wanted, found), "{condition}");
}

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn evidence_may_be_asked_to_be_young() {
    let age = |seconds| move |case: &mut Case| case.circumstances.evidence_age_s = seconds;
    let condition = "context.evidence_age < duration(\"1m\")";
    turns(condition, age(59), age(60), "< duration(\"1m\")", "duration(\"60s\")");
}

#[test]
fn a_network_is_asked_for_before_it_is_read_and_compared_as_one() {
    let from = |text: &'static str| move |case: &mut Case| case.circumstances.network = ip(text);
    let condition = "context has network && context.network.isInRange(ip(\"10.0.0.0/8\"))";
    turns(
        condition,
        from("10.1.2.3"),
        from("11.0.0.1"),
        "in the range of ip(\"10.0.0.0/8\")",
        "ip(\"11.0.0.1\")",
    );
    // The same address, as a socket of version 6 sees it.
    turns(
        condition,
        from("::ffff:10.1.2.3"),
        from("fd00::1"),
        "in the range of ip(\"10.0.0.0/8\")",
        "ip(\"fd00::1\")",
    );
    turns(
        condition,
        from("10.0.0.0"),
        |case| case.circumstances.network = None,
        "present",
        "absent, so 1 more condition is not read",
    );
}

#[test]
fn what_was_served_can_be_bounded() {
    let served = |guest, key| move |case: &mut Case| case.circumstances.recent = Recent { guest, key };
    turns("context.recent.guest < 3", served(2, 9), served(3, 0), "< 3", "3");
    turns("context.recent.key <= 100", served(900, 100), served(0, 101), "<= 100", "101");
}

#[test]
fn a_key_has_a_ring_a_region_and_may_be_exportable() {
    let ring = |name: &'static str| move |case: &mut Case| case.key.ring = name.parse().unwrap();
    let found = "Key::\"db\" (in KeyRing::\"default\")";
    turns("resource in KeyRing::\"pay\"", ring("pay"), ring("default"), "in KeyRing::\"pay\"", found);
    let region = |name: &'static str| move |case: &mut Case| case.key.region = Some(name.parse().unwrap());
    let condition = "resource has region && resource.region == Region::\"eu-1\"";
    turns(condition, region("eu-1"), region("us-1"), "== Region::\"eu-1\"", "Region::\"us-1\"");
    turns(
        condition,
        region("eu-1"),
        |case| case.key.region = None,
        "present",
        "absent, so 1 more condition is not read",
    );
    let release = claims::Operation::Release;
    let exports = move |case: &mut Case| assert!(case.key.operations.insert(release));
    let keeps = move |case: &mut Case| case.key.operations.retain(|operation| *operation != release);
    turns("!resource.exportable", keeps, exports, "false", "true");
}

#[test]
fn two_decisions_in_one_second_have_their_own_circumstances() {
    let (policy, case) =
        (policy("context.recent.guest < 3"), case("snp-production", "permit/known-image.json"));
    for guest in [0, 3, 2, 4] {
        let mut case = case.clone();
        case.circumstances.recent.guest = guest;
        assert_eq!(evaluate(&policy, &case).is_ok(), guest < 3, "{guest}");
    }
}
