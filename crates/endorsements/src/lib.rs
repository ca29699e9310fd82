//! Where VCEKs, certificate chains and revocation lists come from. Finds them and trusts nothing: what a certificate
//! is worth, `verify` decides under its own pinned roots.
//!
//! After the evidence itself, [`Sources`] looks, in this order, in
//!
//! 1. a directory that an operator filled ([`Store`]), for machines without a network;
//! 2. what it kept of earlier answers, a [`Store`] too: never expired, judged again each time;
//! 3. services ([`Service`]): Azure's, AMD's, or a mirror with AMD's paths.
//!
//! A service is asked once for each key at a time, with bounds on lengths, time, number and rate ([`Limits`]); it is
//! asked again after 429 and 5xx as it says, and left alone if it says so. Nothing is kept that the caller's [`Judge`]
//! did not find to verify, and no request is made but for what is [`Wanted`], which evidence must earn by the checks
//! that need no certificate. A cloud provider's key is [`Wanted`] of nobody: its certificate comes with the evidence,
//! or lies in the directory; services have the chain above it ([`Authority`]). [`read_directory`] reads certificates under any names, for an operator's few.
//!
//! This crate must never verify, and never keep a file that is no certificate: a private key among certificates is
//! an error with the file's name, and no byte of the file. Time is an argument, except for limits.

#![deny(clippy::arithmetic_side_effects)]

mod authority;
mod certificates;
mod directory;
mod find_error;
mod flights;
mod kept;
mod rate;
mod service;
mod sources;
mod store;
mod vcek;
mod vlek;

pub use authority::Authority;
pub use certificates::{
    CertificatesError, MAX_CERTIFICATE, MAX_LIST, read_certificates, read_certificates_and_lists, to_pem,
};
pub use directory::{
    DirectoryError, MAX_ENTRIES, MAX_FILE, MAX_TOTAL, read_directory, read_file, read_file_with_lists,
};
pub use find_error::{Failure, FindError};
pub use rate::Limits;
pub use service::{Service, Shape, read_thim};
pub use sources::{Found, Judge, Missed, Sources, Wanted};
pub use store::{MAX_PROVIDERS, Store};
pub use transport::{WebUrl, WebUrlError};
pub use vcek::VcekName;
pub use vlek::VlekName;
