//! A policy decides on requests that the evidence binds, and on no others.

use claims::{AttestedRequest, KeyAttributes, UnixTime};
use policy::Policy;

fn asked_beside_the_transcript(
    policy: &Policy,
    request: &AttestedRequest,
    key: &KeyAttributes,
    now: UnixTime,
) {
    let _ = policy.decide(request, key, now);
}

fn main() {}
