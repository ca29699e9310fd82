//! Genuine SEV-SNP evidence, from AMD's own hardware, against AMD's own roots.
//!
//! The vectors lie beside the repository (`$KEYFAST_VECTORS`, else `../shared/vectors`), each with the fields that an
//! independent decoder read and with what a verifier must say. Where the folder is absent, each test says so and
//! passes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may panic")]

mod altered;
mod container;
mod decoded;
mod folder;
mod refused;
mod revoked;
mod table;
mod verified;
