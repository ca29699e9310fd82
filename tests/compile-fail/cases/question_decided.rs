//! What a guest asked about is evaluated and never granted: its claims hold no request that a policy decides on.

use way::*;

use claims::KeyAttributes;
use policy::{Circumstances, Policy};
use verify::PreflightClaims;

fn decided(policy: &Policy, claims: &PreflightClaims, key: &KeyAttributes, at: &Circumstances) {
    let _ = policy.decide(claims, key, at);
}

fn main() {}
