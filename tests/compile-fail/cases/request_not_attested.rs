//! A policy decides on requests that the evidence binds, and on no others.

use claims::{AttestedRequest, KeyAttributes, UnixTime};
use policy::Policy;
use verify::{BoundRequest, VerifiedClaims};

fn asked_beside_the_transcript(policy: &Policy, request: &AttestedRequest, key: &KeyAttributes, now: UnixTime) {
    let _ = policy.decide(request, key, now);
}

fn bound_by_hand<'a>(claims: &'a VerifiedClaims, request: &'a AttestedRequest) -> BoundRequest<'a> {
    BoundRequest { claims, index: 0, request }
}

fn main() {}
