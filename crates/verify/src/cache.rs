//! What was verified before, so that a busy chip costs no RSA.
//!
//! The key is the leaf's certificate (or a revocation list), byte by byte: the same bytes were signed by the same
//! trusted keys, whoever sends them this time. Windows are not cached but checked at each use. Only verified chains
//! and the operator's lists get in, so a stranger cannot fill the cache; whole fleets can, hence the bound.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

type Generation<V> = HashMap<Box<[u8]>, Arc<V>>;

/// A bounded map in two generations: when the young one is full, the old one is dropped and takes its place.
#[derive(Debug)]
pub(crate) struct Cache<V> {
    generations: RwLock<(Generation<V>, Generation<V>)>,
}

impl<V> Default for Cache<V> {
    fn default() -> Self {
        Self { generations: RwLock::default() }
    }
}

impl<V> Cache<V> {
    /// Most entries in each of the two generations: some 2 KiB each.
    pub(crate) const GENERATION_LEN: usize = 2048;

    /// What was verified of exactly these bytes.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<Arc<V>> {
        let generations = self.generations.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = generations.0.get(bytes) {
            return Some(Arc::clone(found));
        }
        let old = generations.1.get(bytes).map(Arc::clone)?;
        drop(generations);
        self.insert(bytes, Arc::clone(&old));
        Some(old)
    }

    /// Keeps what was verified of these bytes.
    pub(crate) fn insert(&self, bytes: &[u8], verified: Arc<V>) {
        let mut generations = self.generations.write().unwrap_or_else(PoisonError::into_inner);
        let (young, old) = &mut *generations;
        if young.len() >= Self::GENERATION_LEN {
            *old = core::mem::take(young);
        }
        young.insert(bytes.into(), verified);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_verified_is_found_until_two_generations_have_come_after_it() {
        let cache = Cache::default();
        let keep = |n: usize| cache.insert(&n.to_be_bytes(), Arc::new(n));
        let find = |n: usize| cache.find(&n.to_be_bytes()).map(|found| *found);
        (0..2048).for_each(keep);
        assert!((0..2048).all(|n| find(n) == Some(n)));
        // One more, and the first 2048 are old. What is found among them is young again.
        keep(2048);
        assert_eq!(find(0), Some(0));
        (2049..=4095).for_each(keep);
        assert_eq!([find(1), find(0), find(2048), find(4095)], [None, Some(0), Some(2048), Some(4095)]);
    }
}
