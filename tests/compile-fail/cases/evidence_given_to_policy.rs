//! A policy never sees a field that nobody verified.

use way::*;

use claims::KeyAttributes;
use evidence::Evidence;
use policy::{Circumstances, Policy};
use verify::Authenticated;

fn evidence(policy: &Policy, evidence: &Evidence, key: &KeyAttributes, at: &Circumstances) {
    let _ = policy.decide(evidence, key, at);
}

fn not_bound_to_a_challenge(
    policy: &Policy,
    genuine: &Authenticated,
    key: &KeyAttributes,
    at: &Circumstances,
) {
    let _ = policy.decide(genuine, key, at);
}

fn main() {}
