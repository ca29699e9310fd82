//! Chains that were verified before, so that a busy chip costs no RSA.
//!
//! The key is the leaf's certificate, byte by byte: the same bytes were signed by the same trusted keys, whoever
//! sends them this time. Windows are not cached but checked at each use. Only verified chains get in, so a stranger
//! cannot fill the cache; whole fleets can, hence the bound.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::chain::VerifiedChain;

type Generation = HashMap<Box<[u8]>, Arc<VerifiedChain>>;

/// A bounded map in two generations: when the young one is full, the old one is dropped and takes its place.
#[derive(Debug, Default)]
pub(crate) struct ChainCache {
    generations: RwLock<(Generation, Generation)>,
}

impl ChainCache {
    /// Most chains in each of the two generations: some 2 KiB each.
    pub(crate) const GENERATION_LEN: usize = 2048;

    /// The chain of the leaf with exactly these bytes.
    pub(crate) fn find(&self, leaf: &[u8]) -> Option<Arc<VerifiedChain>> {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(chain) = generations.0.get(leaf) {
            return Some(Arc::clone(chain));
        }
        let old = generations.1.get(leaf).map(Arc::clone)?;
        drop(generations);
        self.insert(leaf, Arc::clone(&old));
        Some(old)
    }

    /// Keeps a chain for the leaf with these bytes.
    pub(crate) fn insert(&self, leaf: &[u8], chain: Arc<VerifiedChain>) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        let (young, old) = &mut *generations;
        if young.len() >= Self::GENERATION_LEN {
            *old = core::mem::take(young);
        }
        young.insert(leaf.into(), chain);
    }
}
