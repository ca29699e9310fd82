//! [`JournalledKeys`]: what the journal says about every key, against which rows at rest are held; attestation keys too.
//!
//! A row that was put back to an older revision, or altered beside the journal, is found when the broker starts.

use std::collections::BTreeMap;

use claims::tpm::ObjectName;
use claims::{AttestationKey, KeyAttributes, KeyId, KeyVersion, Sha256Digest};

use crate::{Event, Record};

/// The newest journalled state of every key version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalledKeys {
    keys: BTreeMap<(KeyId, KeyVersion), State>,
    attestation: BTreeMap<ObjectName, AttestationKey>,
}

/// Revision, and SHA-256 of the attributes.
type State = (u64, Sha256Digest);

/// A key at rest is not the one that the journal knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// The journal does not know it.
    #[error("key `{key}` version {version} is in no leaf of the journal")]
    Unknown {
        /// Which key.
        key: KeyId,
        /// Which version.
        version: KeyVersion,
    },
    /// The journal knows it, and it is gone.
    #[error("key `{key}` version {version} is in the journal and not in the store")]
    Missing {
        /// Which key.
        key: KeyId,
        /// Which version.
        version: KeyVersion,
    },
    /// Its row is older or newer.
    #[error("key `{key}` version {version} is not as journalled: expected revision {expected}, got {got}")]
    Revision {
        /// Which key.
        key: KeyId,
        /// Which version.
        version: KeyVersion,
        /// The revision in the journal.
        expected: u64,
        /// The revision of the row.
        got: u64,
    },
    /// An attestation key at rest is not as journalled, in no leaf, or gone.
    #[error("the attestation key {name} is not as journalled")]
    AttestationKey {
        /// Its Name.
        name: ObjectName,
    },
    /// Its row has other attributes.
    #[error("the attributes of key `{key}` version {version} are not those journalled")]
    Attributes {
        /// Which key.
        key: KeyId,
        /// Which version.
        version: KeyVersion,
    },
}

impl JournalledKeys {
    /// Takes note of a record, if it is about a key at rest. In order of the journal.
    pub fn observe(&mut self, record: &Record) {
        let state = match record {
            Record::Event(Event::KeyCreated(c)) => (&c.key, c.version, (c.revision, c.attributes)),
            Record::Event(Event::KeyChanged(c)) => (&c.key, c.version, (c.revision, c.attributes)),
            Record::Event(Event::AttestationKey(c)) => {
                self.attestation.insert(c.key.name.clone(), c.key.clone());
                return;
            }
            _ => return,
        };
        self.keys.insert((state.0.clone(), state.1), state.2);
    }

    /// Checks that the keys at rest are exactly those of the journal, as they were last.
    ///
    /// # Errors
    /// [`KeyFault`] for the first that is not.
    pub fn check<'a>(&self, rows: impl IntoIterator<Item = &'a KeyAttributes>) -> Result<(), KeyFault> {
        let mut missing = self.keys.clone();
        for row in rows {
            let (key, version) = (row.id.clone(), row.version);
            let Some((expected, attributes)) = missing.remove(&(key.clone(), version)) else {
                return Err(KeyFault::Unknown { key, version });
            };
            if row.revision != expected {
                return Err(KeyFault::Revision { key, version, expected, got: row.revision });
            }
            if tlog::digest(&row.encode()) != attributes {
                return Err(KeyFault::Attributes { key, version });
            }
        }
        match missing.into_keys().next() {
            Some((key, version)) => Err(KeyFault::Missing { key, version }),
            None => Ok(()),
        }
    }

    /// Checks that the attestation keys at rest are exactly those of the journal, as they were last.
    ///
    /// # Errors
    /// [`KeyFault::AttestationKey`] for the first that is not.
    pub fn check_attestation_keys<'a>(
        &self,
        rows: impl IntoIterator<Item = &'a AttestationKey>,
    ) -> Result<(), KeyFault> {
        let mut missing = self.attestation.clone();
        for row in rows {
            if missing.remove(&row.name).as_ref() != Some(row) {
                return Err(KeyFault::AttestationKey { name: row.name.clone() });
            }
        }
        match missing.into_keys().next() {
            Some(name) => Err(KeyFault::AttestationKey { name }),
            None => Ok(()),
        }
    }
}
