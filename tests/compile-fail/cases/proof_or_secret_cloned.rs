//! A copy of a proof is a second permission, and a copy of a secret a second place to wipe.

use way::*;

fn cloned<T: Clone>() {}

fn main() {
    cloned::<verify::challenge::Challenge>();
    cloned::<evidence::Evidence>();
    cloned::<verify::Authenticated>();
    cloned::<verify::VerifiedClaims>();
    cloned::<verify::BoundRequest<'static>>();
    cloned::<policy::Grant>();
    cloned::<journal::Staged>();
    cloned::<store::Committed<()>>();
    cloned::<journal::RecordedGrant>();
    cloned::<release::Embargoed>();
    cloned::<release::RootKey>();
    cloned::<keys::Receipted>();
    cloned::<keys::RecipientSecret>();
    cloned::<keys::Kek>();
    cloned::<keys::Dek>();
    cloned::<verify::PreflightClaims>();
}
