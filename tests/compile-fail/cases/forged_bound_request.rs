//! Only verified claims say which requests they bind.

use way::*;

use claims::AttestedRequest;
use verify::{BoundRequest, VerifiedClaims};

fn bound_by_hand<'a>(claims: &'a VerifiedClaims, request: &'a AttestedRequest) -> BoundRequest<'a> {
    BoundRequest { claims, index: 0, request }
}

fn main() {}
