//! What the broker remembers: leaves and what they were decided on, spent challenges, keys at rest, attestation keys, the active policy, refusals.
//! SQLite.
//!
//! One thread writes. It takes whatever requests wait, puts them into one SQLite transaction, and answers them once
//! `COMMIT` has returned: one fsync serves all of them, and nobody is told of anything that is not on the disk.
//!
//! | value | made by | means |
//! |-|-|-|
//! | [`Store`] | [`Store::open`] | the file is ours, whole, of this version, private, and nobody else writes it |
//! | [`Transaction`] | anybody | what one request wants written, and what must not have changed meanwhile |
//! | [`Committed`] | [`GroupCommit`], after `COMMIT` | exactly these entries are durable, at exactly this place |
//! | [`Reader`] | [`Store::reader`] | reads what is committed, beside the writer |
//!
//! Keys are here as wrapped bytes only. This crate must never open a key, never judge a record, and never answer
//! success before the bytes are durable.

mod attestation;
mod columns;
mod committed;
mod error;
mod group;
mod open;
mod read;
mod row;
mod schema;
mod vouched;
mod write;

pub use committed::Committed;
pub use error::{CommitError, OpenError, StorageError};
pub use group::{GroupCommit, SequenceError, Sequencer};
pub use open::{Options, Store};
pub use read::{Counts, Reader};
pub use row::{
    Activation, ClaimsRow, KeyRow, KeyUnchanged, KeyWrite, LeafRow, Refusal, SeenTpm, SeenVouchedTpm,
    SpentNonce, StoredClaims, StoredLeaf, Transaction,
};
pub use schema::SCHEMA_VERSION;
