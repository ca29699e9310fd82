//! A policy decides on requests that the evidence binds, and on no others.

use way::*;

use claims::{AttestedRequest, KeyAttributes};
use policy::{Circumstances, Policy};

fn asked_beside_the_transcript(
    policy: &Policy,
    request: &AttestedRequest,
    key: &KeyAttributes,
    circumstances: &Circumstances,
) {
    let _ = policy.decide(request, key, circumstances);
}

fn main() {}
