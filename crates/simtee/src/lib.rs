//! A software TEE: SEV-SNP reports and chains in the genuine layouts, signed by a root of its own.
//!
//! It lets the whole of keyfast run on any machine, and lets tests reach every check of the verifier: whatever a
//! report or a certificate says can be altered *and signed again*, so that the signature is not what refuses it.
//!
//! | to alter | before signing | after signing |
//! |-|-|-|
//! | the launch | [`GuestSpec`], all fields open | |
//! | the report | [`Guest::report`], [`ReportBuilder::put`], [`ReportBuilder::bytes_mut`], [`Guest::sign`] | [`flip_bit`] |
//! | a certificate | [`SimHost::chain_spec`], [`SimHost::vlek_chain_spec`], [`CertificateSpec`], [`SimHost::issue`] | [`Chain`], all bytes open |
//! | a revocation list | [`SimHost::crl_spec`], [`CrlSpec`], [`SimHost::sign_crl`] | its bytes |
//! | a quote, its key, a log | [`vtpm::QuoteSpec`], [`vtpm::KeySpec`], [`vtpm::log::EventLog`] | [`vtpm::Quote`], all bytes open |
//! | the table | [`CertificateTable`] | its bytes |
//!
//! ```
//! # fn main() -> Result<(), simtee::SimError> {
//! use claims::{ReportData, UnixTime, snp::Product};
//! use simtee::{GuestSpec, SimHost, field};
//!
//! let host = SimHost::generate(Product::Genoa, UnixTime(1_790_000_000))?;
//! let guest = host.launch(&GuestSpec::new(Product::Genoa, "web"))?;
//! let mut report = guest.report(&ReportData([7; 64]));
//! report.put(field::VMPL, 3_u32.to_le_bytes());
//! let evidence = guest.evidence(&guest.sign(report)?);
//! assert_eq!(field::VMPL.read(&evidence), [3, 0, 0, 0]);
//! # Ok(())
//! # }
//! ```
//!
//! [`Server`] makes a process of a host (the binary `keyfast-simtee`), [`control`] is how to talk to it, and each guest's
//! evidence socket speaks [`attester::codec`]. A guest may have a vTPM: bare, under a report as Azure binds it, or as a
//! secure VM service module does ([`vtpm::guest`]); then a broker enrols its key over the same socket. Certificates are to be
//! had from a service with AMD's paths too.
//!
//! The encoder is this crate's own. It must never depend on `evidence` or `verify`, lest a wrong offset cancel out,
//! and nothing that ships may trust its root unless an operator adds it, which makes every claim a simulated one.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

pub mod amd;
pub mod authority;
mod certificate;
mod chain;
pub mod control;
pub mod crl;
mod der;
mod error;
mod guest;
mod host;
mod json_text;
mod kds;
mod listener;
mod report;
mod root_dir;
mod server;
mod stop;
pub mod table;
pub mod vtpm;

pub use certificate::{CertificateSpec, Extension, Name, SignatureAlgorithm, Signer, p256_spki};
pub use chain::{Chain, ChainSpec};
pub use crl::{CrlSpec, Revoked};
pub use error::SimError;
pub use guest::{Guest, GuestSpec, answer_to};
pub use host::{HostKeys, SimHost};
pub use report::{Field, REPORT_LEN, ReportBuilder, SIGNED_LEN, field, flip_bit, tcb_bytes};
pub use root_dir::{KEPT_KEYS, RootDir};
pub use server::{MAX_GUESTS, Server};
pub use stop::Stop;
pub use table::CertificateTable;
