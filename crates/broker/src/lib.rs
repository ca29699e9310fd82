//! The key broker: verifies evidence, asks policy, seals keys to attested guests, and records before it answers.
//!
//! - [`core`] and [`answer`] are a release without I/O: bytes in, a transaction and embargoed keys out, and the
//!   answer once the transaction is durable.
//! - [`app`] holds what handlers share; [`start`] puts it together; [`serve`] has the sockets.
//! - [`explain`] and [`decisions`] read back what was decided, why, and on what.
//! - [`public`] is what guests and auditors reach over TLS, [`admin`] what operators reach over a Unix socket.
//! - [`operators`] are those who manage it: who may connect, and whether policies let them do what they ask for.
//! - [`endorsing`] says where certificates come from that evidence lacks; a release looks there before it gives up;
//!   [`revocation`] keeps revocation lists fresh.
//! - [`preflight`] answers what would be decided, and can seal nothing.
//! - [`enrol`] makes the attestation keys of TPMs known, [`attestation_keys`] are those that are.
//! - [`identity`], [`tls`] and [`files`] are the broker's own keys on disk.
//! - [`log`] publishes the journal as C2SP tiles; [`refusals`] sums what strangers send.
//!
//! A key's way is fixed by types: `VerifiedClaims`, `Grant`, `Embargoed`, `RecordedGrant`, `SealedKey`. Nothing here
//! can skip one. The broker must never answer before the record is durable, never log a key or a request's body, and
//! never look up a key or a policy for evidence that does not verify.

pub mod admin;
pub mod answer;
pub mod app;
pub mod attestation_keys;
pub mod config;
pub mod core;
pub mod decisions;
mod endorse;
pub mod endorsing;
pub mod enrol;
pub mod explain;
pub mod files;
pub mod identity;
pub mod log;
pub mod manage;
pub mod operators;
pub mod policies;
mod predicted;
pub mod preflight;
pub mod public;
pub mod refusals;
pub mod revocation;
pub mod ring;
pub mod serve;
pub mod served;
pub mod start;
pub mod tls;
pub mod tpm_roots;
