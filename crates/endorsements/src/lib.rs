//! Where VCEKs and certificate chains come from. Finds them and trusts nothing: what a certificate is worth,
//! `verify` decides under its own pinned roots.
//!
//! Today's only source is a directory that an operator fills, [`read_directory`]; guests whose evidence carries
//! its certificates need none. AMD's key distribution service and a cache of its answers will stand beside it; the
//! cache is a directory of the same shape, so that it can be carried to a machine without a network.
//!
//! This crate must never verify, and never keep a file that is no certificate: a private key among certificates is
//! an error with the file's name, and no byte of the file.

#![deny(clippy::arithmetic_side_effects)]

mod certificates;
mod directory;

pub use certificates::{CertificatesError, MAX_CERTIFICATE, read_certificates};
pub use directory::{DirectoryError, MAX_ENTRIES, MAX_FILE, MAX_TOTAL, read_directory, read_file};
