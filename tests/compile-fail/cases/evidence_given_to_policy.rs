//! A policy never sees a field that nobody verified.

use claims::{KeyAttributes, UnixTime};
use evidence::Evidence;
use policy::Policy;
use verify::Authenticated;

fn evidence(policy: &Policy, evidence: &Evidence, key: &KeyAttributes, now: UnixTime) {
    let _ = policy.decide(evidence, key, now);
}

fn not_bound_to_a_challenge(policy: &Policy, genuine: &Authenticated, key: &KeyAttributes, now: UnixTime) {
    let _ = policy.decide(genuine, key, now);
}

fn main() {}
