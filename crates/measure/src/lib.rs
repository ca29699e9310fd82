//! Reference values from files: what a machine will measure, worked out before it starts.
//!
//! | of what | gives | module |
//! |-|-|-|
//! | firmware, kernel, initrd, command line, vCPUs | MEASUREMENT of an SEV-SNP report | [`snp`] |
//! | a launch measurement and an author's public keys | ID block, ID_KEY_DIGEST, AUTHOR_KEY_DIGEST | [`id_block`] |
//! | a unified kernel image (UKI) | PCR 4, 9 and 11 of a TPM | [`uki`] |
//! | contents of a Secure Boot database | that they are such | [`SignatureLists`] |
//!
//! Every byte read here may be hostile: lengths and places are checked before they are used, and what a file cannot
//! decide by itself is an error that says so, never a guess. Large files come as readers and are hashed as they
//! pass. This crate must never open a file, and never say that a machine *did* measure something: that is what
//! evidence is for. It is a crate of its own because a guest may work out what its next boot will measure, and a guest
//! never links what verifies.

#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]

mod authenticode;
mod digests;
pub mod id_block;
mod kernel_hashes;
mod launch_digest;
mod little_endian;
mod ovmf;
mod pcr;
mod pe;
mod public_key;
mod signature_lists;
pub mod snp;
pub mod uki;
mod vcpu;
mod vmsa;

pub use digests::{Bank, Digests, sha256_of};
pub use kernel_hashes::KernelHashes;
pub use launch_digest::LaunchDigest;
pub use ovmf::{Ovmf, OvmfError, Section, SectionKind};
pub use pcr::Pcr;
pub use pe::{PeError, PeImage, PeSection};
pub use public_key::{PublicKeyError, SnpPublicKey};
pub use signature_lists::{SignatureListError, SignatureLists};
pub use vcpu::{BadCpu, CpuSignature};
pub use vmsa::Vmm;
