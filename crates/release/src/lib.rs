//! The sole opener of wrapped KEKs, and it answers to grants only.
//!
//! A KEK rests as a [`WrappedKek`]: AES-256-GCM under the [`RootKey`], its attributes as associated data. From there
//! it has one way out: [`RootKey::seal`] takes a [`policy::Grant`], seals what was granted to the recipient that the
//! grant names, and hands it over as [`Embargoed`], which gives the ciphertext up for a [`journal::RecordedGrant`]
//! only. There is no `get(key_id) -> key`, here or anywhere.
//!
//! This crate must never take a key id or a recipient from anyone but a grant, and never writes a key anywhere.

mod embargo;
mod root;

pub use embargo::{EmbargoError, Embargoed};
pub use root::{Created, NewKey, ReleaseError, RootKey, UnwrapInput, WrappedKek};
