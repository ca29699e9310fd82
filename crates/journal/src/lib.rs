//! The journal: what is recorded of every decision, and the way of a grant to a recorded grant.
//!
//! 1. [`stage`] spends a [`policy::Grant`] and the hash of the sealed bytes, and gives [`Staged`]: record, salt and
//!    public entry of a release that is not recorded yet.
//! 2. The store writes its [`Staged::row`] and says [`store::Committed`] once it is durable; before that the
//!    [`LogSequencer`] has signed the tree that holds it.
//! 3. [`confirm`] spends the staged release against exactly that, and gives [`RecordedGrant`], for which `release`
//!    gives up the sealed key.
//!
//! Everything else that happens is an [`Event`]. The other way round, [`LogSequencer::rebuild`] checks all leaves
//! when a broker starts, [`audit`] checks them for anybody, and [`Publisher`] lays them out as the files that
//! public tools read. Layouts, with test vectors, are in `SPEC.md` beside this crate.
//!
//! This crate must never touch a file, a socket or a clock, and never makes a [`RecordedGrant`] of anything but
//! durable, signed, proven entries.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod act_denied;
mod attestation;
pub mod audit;
mod event;
mod fields;
mod keys;
mod labels;
mod leaf;
mod policy_loaded;
mod publish;
mod record;
mod salts;
mod sequencer;
mod staged;
mod trial;

pub use act_denied::ActDenied;
pub use attestation::AttestationKeyChanged;
pub use event::{Denied, Event, KeyChanged, KeyCreated, Refusals, Started};
pub use fields::RecordError;
pub use keys::{JournalledKeys, KeyFault};
pub use leaf::LeafFault;
pub use policy_loaded::PolicyLoaded;
pub use publish::{CHECKPOINT, File, Publisher};
pub use record::Record;
pub use salts::Salts;
pub use sequencer::{LogSequencer, RebuildError, SequencerError, SignedGroup};
pub use staged::{ConfirmError, ReceiptParts, RecordedGrant, Staged, confirm, stage};
pub use trial::Trial;
