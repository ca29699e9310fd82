//! What a candidate would change about past decisions, counted by guest image and key. Examples are bounded; decisions
//! are not kept.

use std::collections::BTreeMap;

use claims::UnixTime;
use policy::case::{Case, CaseError, Decision, Expect};
use policy::{Evaluation, Policy};

/// Decisions that would be otherwise in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Permitted then, or denied.
    pub was_permitted: bool,
    /// What the guests run.
    pub image: String,
    /// The key that they asked for.
    pub key: String,
    /// What stands in the way now; of what is permitted now, what stood in the way then.
    pub reason: Reason,
    /// The rules that permit it, now or then.
    pub permits: Vec<String>,
    /// How many.
    pub count: usize,
    /// A few requests, by their ids.
    pub requests: Vec<String>,
}

/// A reason, in the words of an explanation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reason {
    pub rule: String,
    pub condition: String,
    pub wanted: String,
    pub found: String,
}

/// All that was replayed.
#[derive(Debug, Default)]
pub struct Tally {
    /// Decisions by policy.
    pub replayed: usize,
    /// Other decisions, by the code of the denial.
    pub not_by_policy: BTreeMap<String, usize>,
    /// Permitted then and now, or denied both times.
    pub as_before: usize,
    /// Of those, denied for another first reason.
    pub other_reasons: usize,
    /// The first and the last time of a decision.
    pub times: Option<(UnixTime, UnixTime)>,
    changes: BTreeMap<Group, Change>,
}

/// Changes that are counted together: direction, image, key, rule and condition.
type Group = (bool, String, String, String, String);

impl Tally {
    /// Puts a past decision to the candidate, at another time if one is given.
    ///
    /// # Errors
    /// [`CaseError`] if its claims are none.
    pub fn add(
        &mut self,
        policy: &Policy,
        decision: &Decision,
        at: Option<UnixTime>,
    ) -> Result<(), CaseError> {
        if let Some(code) = decision.not_by_policy() {
            let count = self.not_by_policy.entry(code.to_owned()).or_default();
            *count = count.saturating_add(1);
            return Ok(());
        }
        let case = decision.case()?;
        self.replayed = self.replayed.saturating_add(1);
        let (first, last) = self.times.unwrap_or((case.circumstances.now, case.circumstances.now));
        self.times = Some((first.min(case.circumstances.now), last.max(case.circumstances.now)));
        let now = case.evaluate(policy, at);
        let (was_permitted, reason, permits) = match (&case.expect, now) {
            (Expect::Permit(_), Evaluation::Permit { .. }) => {
                self.same(false);
                return Ok(());
            }
            (Expect::Deny(_), Evaluation::Deny(denial)) => {
                self.same(Reason::then(&case) != Reason::now(&denial));
                return Ok(());
            }
            (Expect::Permit(rules), Evaluation::Deny(denial)) => (true, Reason::now(&denial), rules.clone()),
            (Expect::Deny(_), Evaluation::Permit { rules }) => (false, Reason::then(&case), rules),
        };
        let (image, key) = (policy.image(&case.record), case.request.key.to_string());
        let (rule, condition) = (reason.rule.clone(), reason.condition.clone());
        let group = (!was_permitted, image.clone(), key.clone(), rule, condition);
        let new = Change { was_permitted, image, key, reason, permits, count: 0, requests: Vec::new() };
        let change = self.changes.entry(group).or_insert(new);
        change.count = change.count.saturating_add(1);
        if change.requests.len() < EXAMPLES && !change.requests.iter().any(|id| id == decision.id()) {
            change.requests.push(decision.id().to_owned());
        }
        Ok(())
    }

    fn same(&mut self, other_reason: bool) {
        self.as_before = self.as_before.saturating_add(1);
        self.other_reasons = self.other_reasons.saturating_add(usize::from(other_reason));
    }

    /// New denials first, by image and key.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.changes.values()
    }

    /// How many decisions would be otherwise.
    pub fn changed(&self) -> usize {
        self.replayed.saturating_sub(self.as_before)
    }
}

impl Reason {
    /// The first reason of a past denial.
    fn then(case: &Case) -> Self {
        let Expect::Deny(denial) = &case.expect else { return Self::default() };
        let Some(first) = denial.reasons.first() else {
            return Self { rule: denial.code.clone(), ..Self::default() };
        };
        Self {
            rule: first.rule.clone(),
            condition: first.condition.clone(),
            wanted: first.wanted.clone().unwrap_or_default(),
            found: first.found.clone().unwrap_or_default(),
        }
    }

    /// The first reason of a denial.
    fn now(denial: &policy::Denial) -> Self {
        let Some(first) = denial.reasons.first() else { return Self::default() };
        let policy::Reason { rule, condition, wanted, found, .. } = first.clone();
        Self { rule, condition, wanted, found }
    }
}

/// Most requests that are named for one change.
const EXAMPLES: usize = 3;
