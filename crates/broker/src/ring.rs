//! The keys at rest, in memory: wrapped, as the store holds them, so that a decision needs no read of the store.
//!
//! A ring may lag behind: every transaction checks the revisions that its decisions saw.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use claims::{KeyId, KeyVersion, VersionSelector};
use release::WrappedKek;
use store::KeyRow;

/// One version of a key.
#[derive(Debug)]
pub struct RingKey {
    /// The key at rest.
    pub wrapped: WrappedKek,
    /// The public half's SubjectPublicKeyInfo in DER, where there is one.
    pub public_spki: Option<Vec<u8>>,
}

/// All keys.
#[derive(Clone, Debug, Default)]
pub struct KeyRing(HashMap<KeyId, BTreeMap<KeyVersion, Arc<RingKey>>>);

impl KeyRing {
    /// The keys of these rows.
    pub fn from_rows(rows: Vec<KeyRow>) -> Self {
        let mut ring = Self::default();
        rows.into_iter().for_each(|row| ring.put(row));
        ring
    }

    /// Adds a version, or replaces it.
    pub fn put(&mut self, row: KeyRow) {
        let KeyRow { attributes, public, wrapped } = row;
        let (id, version) = (attributes.id.clone(), attributes.version);
        let wrapped = WrappedKek { attributes, bytes: wrapped };
        let key = Arc::new(RingKey { wrapped, public_spki: public });
        self.0.entry(id).or_default().insert(version, key);
    }

    /// The version that is asked for: the newest enabled one, else the newest, for [`VersionSelector::Latest`].
    pub fn select(&self, key: &KeyId, version: VersionSelector) -> Option<Arc<RingKey>> {
        let versions = self.0.get(key)?;
        let found = match version {
            VersionSelector::Exact(version) => versions.get(&version),
            VersionSelector::Latest => {
                let enabled = versions.values().rev().find(|key| key.wrapped.attributes.enabled);
                enabled.or_else(|| versions.values().next_back())
            }
        };
        found.cloned()
    }

    /// The newest version.
    pub fn newest(&self, key: &KeyId) -> Option<Arc<RingKey>> {
        self.0.get(key)?.values().next_back().cloned()
    }

    /// The version that a new key of this name gets.
    pub fn next_version(&self, key: &KeyId) -> KeyVersion {
        let newest = self.0.get(key).and_then(|versions| versions.keys().next_back());
        KeyVersion(newest.map_or(1, |version| version.0.saturating_add(1)))
    }

    /// All versions of all keys, in order of names and versions.
    pub fn all(&self) -> Vec<Arc<RingKey>> {
        let mut all: Vec<_> = self.0.values().flat_map(BTreeMap::values).cloned().collect();
        all.sort_by(|a, b| {
            let place = |key: &RingKey| (key.wrapped.attributes.id.clone(), key.wrapped.attributes.version);
            place(a).cmp(&place(b))
        });
        all
    }
}
