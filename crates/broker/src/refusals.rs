//! Refusals of requests whose evidence was not believed: counted, kept for operators, and summed in one leaf a
//! minute, so that no stranger fills the log.

use std::collections::BTreeMap;
use std::mem;

use claims::{RequestId, UnixTime};
use store::Refusal;

/// Most refusals that are kept in full in a minute; the rest is counted only.
const KEPT_A_MINUTE: usize = 600;

/// What came together since the last leaf.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: BTreeMap<&'static str, u64>,
    kept: Vec<Refusal>,
    kept_this_minute: usize,
}

impl Refusals {
    /// Counts one refusal, and keeps its reason if there is room.
    pub fn add(&mut self, request: RequestId, at: UnixTime, code: &'static str, detail: String) {
        let count = self.counts.entry(code).or_default();
        *count = count.saturating_add(1);
        if self.kept_this_minute < KEPT_A_MINUTE {
            self.kept_this_minute = self.kept_this_minute.saturating_add(1);
            self.kept.push(Refusal { request, at, code: code.to_owned(), detail });
        }
    }

    /// The refusals that are not stored yet.
    pub fn take_kept(&mut self) -> Vec<Refusal> {
        mem::take(&mut self.kept)
    }

    /// The counts since the last call; begins a new minute.
    pub fn take_counts(&mut self) -> BTreeMap<&'static str, u64> {
        self.kept_this_minute = 0;
        mem::take(&mut self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let mut refusals = Refusals::default();
        for _ in 0..1000 {
            refusals.add(RequestId([0; 16]), UnixTime(0), "evidence-refused", "no".to_owned());
        }
        assert_eq!(refusals.take_kept().len(), KEPT_A_MINUTE);
        assert_eq!(refusals.take_counts(), BTreeMap::from([("evidence-refused", 1000)]));
        assert!(refusals.take_counts().is_empty());
    }
}
