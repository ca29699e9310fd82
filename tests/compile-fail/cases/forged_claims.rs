//! Claims are verified by `Authenticated::bind`, never written down.

use way::*;

fn main() {
    let _claims = verify::VerifiedClaims {};
}
