//! A default value is a constructor that no check stands before.

use way::*;

fn out_of_nothing<T: Default>() {}

fn main() {
    out_of_nothing::<verify::challenge::Challenge>();
    out_of_nothing::<verify::Authenticated>();
    out_of_nothing::<verify::VerifiedClaims>();
    out_of_nothing::<verify::BoundRequest<'static>>();
    out_of_nothing::<policy::Grant>();
    out_of_nothing::<journal::Staged>();
    out_of_nothing::<store::Committed<()>>();
    out_of_nothing::<journal::RecordedGrant>();
    out_of_nothing::<release::Embargoed>();
    out_of_nothing::<keys::Receipted>();
    out_of_nothing::<keys::RecipientSecret>();
    out_of_nothing::<keys::Kek>();
    out_of_nothing::<keys::Dek>();
    out_of_nothing::<verify::PreflightClaims>();
}
