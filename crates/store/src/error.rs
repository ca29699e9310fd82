//! Why the store could not be opened, read, or written.

use std::path::PathBuf;
use std::sync::Arc;

use claims::tpm::ObjectName;
use claims::{KeyId, KeyVersion, PolicyDigest, TpmCounters};

/// The database failed, or holds what it must not.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// SQLite reports an error: full disk, failed write, damaged page.
    #[error("the database failed: {0}")]
    Sqlite(Arc<rusqlite::Error>),
    /// A row does not hold what its column means.
    #[error("damaged row in table {table}: {what}; restore the database from a backup")]
    Damaged {
        /// Which table.
        table: &'static str,
        /// Which value, and why it cannot be.
        what: String,
    },
}

impl From<rusqlite::Error> for StorageError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

/// Why a file is not opened as a store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file or its directory cannot be used.
    #[error("cannot open `{}`: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another process, or another part of this one, has it open.
    #[error("`{}` is in use by another broker; stop that one first", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// Others may read the file.
    #[error("`{}` is open to others: expected mode 600, got {mode:o}; run chmod 600", path.display())]
    Exposed {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is no SQLite database.
    #[error("`{}` is not a database", path.display())]
    NotADatabase {
        /// Which file.
        path: PathBuf,
    },
    /// The database is another program's.
    #[error("`{}` is another program's database: application id {found:#010x}", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// The application id found.
        found: u32,
    },
    /// The database is from a newer keyfast.
    #[error("`{}` has version {found}, this broker knows up to {supported}; use a newer one", path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// The version found.
        found: u32,
        /// The newest that can be read.
        supported: u32,
    },
    /// The database is damaged.
    #[error("`{}` is damaged: {what}; restore it from a backup", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The database failed otherwise.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Why a request was not written. Nothing of it was.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// The challenge has been used; ask for another.
    #[error("the challenge has been used already")]
    ChallengeSpent,
    /// A key is not as it was when the request was decided; decide again.
    #[error("key `{key}` version {version} changed: expected revision {expected}, found {found:?}")]
    KeyChanged {
        /// Which key.
        key: KeyId,
        /// Which version of it.
        version: KeyVersion,
        /// The revision that the decision was about.
        expected: u64,
        /// The revision there is; `None` if the key is gone.
        found: Option<u64>,
    },
    /// There is such a key already.
    #[error("key `{key}` version {version} exists")]
    KeyExists {
        /// Which key.
        key: KeyId,
        /// Which version of it.
        version: KeyVersion,
    },
    /// An attestation key is no longer believed, or never was.
    #[error("the attestation key {name} was withdrawn meanwhile")]
    AttestationKeyWithdrawn {
        /// Its Name.
        name: ObjectName,
    },
    /// A TPM is in an earlier state than it was in before.
    #[error(
        "the tpm of the attestation key {} was put back to an earlier state: expected {counter} not below that of \
         {} resets, {} restarts, {} ms, got {} resets, {} restarts, {} ms",
        got.ak, kept.resets, kept.restarts, kept.clock_ms, got.resets, got.restarts, got.clock_ms
    )]
    TpmPutBack {
        /// What is lower: `resetCount`, `restartCount` or `clock`.
        counter: &'static str,
        /// Those of the latest quote that was answered.
        kept: Box<TpmCounters>,
        /// Those of this quote.
        got: Box<TpmCounters>,
    },
    /// A key that a report vouches for quotes from another place in its TPM's hierarchy than before.
    #[error(
        "the vtpm of the key {ak} signs under another qualified name than before: expected {}, got {}",
        names.0, names.1
    )]
    TpmSigner {
        /// What tells the key apart.
        ak: ObjectName,
        /// qualifiedSigner of the first quote that was answered, and of this one.
        names: Box<(ObjectName, ObjectName)>,
    },
    /// Another policy is active than the one that the request was decided under; decide again.
    #[error("the policy changed: expected {expected}, found {found:?}")]
    PolicyChanged {
        /// The policy that the decision was made under.
        expected: PolicyDigest,
        /// The active one.
        found: Option<PolicyDigest>,
    },
    /// A policy is older than the active one.
    #[error(
        "the {what} are older than those in force: expected serial {expected} or more, got {got}; bring the newer ones \
         back, or count theirs up, as `keyfast reference` and `keyfast policy bundle` do"
    )]
    PolicyOlder {
        /// Policies or reference values.
        what: &'static str,
        /// The serial number of those in force.
        expected: u64,
        /// Of these.
        got: u64,
    },
    /// A signed policy has the serial numbers of the active one, and is another.
    #[error(
        "the policies have the serial number of those in force, {serial}, and are others; count it up with `keyfast policy \
         bundle`, or with `keyfast reference` where values changed, and have them signed"
    )]
    PolicySerial {
        /// The serial number of both.
        serial: u64,
    },
    /// Too many requests wait; try again later.
    #[error("too many requests wait to be written")]
    Overloaded,
    /// The database failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The request is durable, but the tree could not be extended over it: there is no receipt.
    #[error("the journal could not be extended: {0}")]
    Sequencer(String),
    /// An earlier failure left it unclear what is on the disk; nothing is written until a restart.
    #[error("the store has stopped writing: {0}; restart the broker")]
    Stopped(String),
}
