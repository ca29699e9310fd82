//! Claims are verified by `Authenticated::bind`, never written down.

fn main() {
    let _claims = verify::VerifiedClaims {};
}
