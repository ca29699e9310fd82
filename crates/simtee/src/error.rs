//! Why the simulated TEE could not do what it was asked for.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the simulated host; tampering is never one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// A key could not be made or used.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// A file or socket could not be used.
    #[error("cannot {what} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key distribution service cannot be offered at this address.
    #[error("cannot listen at {address}: {source}")]
    Address {
        /// The address and port.
        address: std::net::SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A stored file is not what this program writes.
    #[error("unusable root of trust: `{}`: {reason}; remove the directory to start with a new root", path.display())]
    Stored {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The directory holds a root of another product.
    #[error("the root of trust in `{}` is of another product: expected {expected}, got {got}", path.display())]
    OtherProduct {
        /// The directory.
        path: PathBuf,
        /// What was asked for.
        expected: claims::snp::Product,
        /// What is there.
        got: claims::snp::Product,
    },
    /// Another process serves from the directory.
    #[error("`{}` is in use by another keyfast-simtee; stop it, or choose another directory", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// The host has no room for one more guest.
    #[error(
        "too many guests: expected at most {limit}; launch one under a name that is in use, or stop the host"
    )]
    TooManyGuests {
        /// How many there may be.
        limit: usize,
    },
    /// Something is asked of a vTPM, and the guest has none.
    #[error("a guest of kind {kind} has no vtpm; ask for kind tpm, azure-vtpm or svsm")]
    NoVtpm {
        /// Its kind.
        kind: claims::EvidenceKind,
    },
    /// There is no such bit to alter.
    #[error("no bit {bit} to alter: expected 0 to {}", bits.saturating_sub(1))]
    NoSuchBit {
        /// Bit asked for.
        bit: usize,
        /// How many there are.
        bits: usize,
    },
    /// The wanted TCB has another layout than the product's.
    #[error("the tcb does not fit {product}: only Turin has an fmc, and always has one")]
    TcbLayout {
        /// Whose layout counts.
        product: claims::snp::Product,
    },
}

impl SimError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, path: path.to_owned(), source }
    }
}
