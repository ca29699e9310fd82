//! Refusals of requests whose evidence was not believed: counted, kept for operators, and summed in one leaf a
//! minute, so that no stranger fills the log. Acts that operators are refused are leaves of their own, within a bound; those
//! beyond it are counted likewise.

use std::collections::BTreeMap;
use std::mem;

use claims::{RequestId, UnixTime};
use store::Refusal;
use wire::ProblemCode;

/// Most refusals that are kept in full in a minute; the rest is counted only.
const KEPT_A_MINUTE: usize = 600;

/// Most refused acts of one account that are leaves of their own in a minute; the rest is counted only.
const ACTS_A_MINUTE: usize = 60;

/// What came together since the last leaf.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: BTreeMap<&'static str, u64>,
    kept: Vec<Refusal>,
    kept_this_minute: usize,
    acts_this_minute: BTreeMap<u32, usize>,
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

    /// Whether a refused act of this account is to be a leaf of its own; if not, it is counted here.
    pub fn act_has_leaf(&mut self, uid: u32) -> bool {
        let acts = self.acts_this_minute.entry(uid).or_default();
        let has_leaf = *acts < ACTS_A_MINUTE;
        if has_leaf {
            *acts = acts.saturating_add(1);
        } else {
            let count = self.counts.entry(ProblemCode::ActDenied.as_str()).or_default();
            *count = count.saturating_add(1);
        }
        has_leaf
    }

    /// The refusals that are not stored yet.
    pub fn take_kept(&mut self) -> Vec<Refusal> {
        mem::take(&mut self.kept)
    }

    /// The counts since the last call; begins a new minute.
    pub fn take_counts(&mut self) -> BTreeMap<&'static str, u64> {
        self.kept_this_minute = 0;
        self.acts_this_minute.clear();
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

    #[test]
    fn an_account_that_is_refused_more_than_it_may_be_is_counted_from_then_on() {
        let mut refusals = Refusals::default();
        let leaves = |refusals: &mut Refusals, uid| (0..200).filter(|_| refusals.act_has_leaf(uid)).count();
        assert_eq!(leaves(&mut refusals, 1001), ACTS_A_MINUTE);
        assert_eq!(leaves(&mut refusals, 1002), ACTS_A_MINUTE, "another account has leaves of its own");
        assert_eq!(refusals.take_counts(), BTreeMap::from([("act-denied", 280)]));
        assert_eq!(leaves(&mut refusals, 1001), ACTS_A_MINUTE, "another minute");
    }
}
