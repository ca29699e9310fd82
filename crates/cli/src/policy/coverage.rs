//! Which conditions the cases of a policy saw, and with which outcomes.

use policy::Policy;

use super::cases::Case;

/// What was seen of every condition of a policy.
pub struct Coverage {
    conditions: Vec<Condition>,
}

struct Condition {
    rule: String,
    text: String,
    held: bool,
    failed: bool,
}

/// A condition that was not seen both ways.
pub struct Gap<'a> {
    pub rule: &'a str,
    pub condition: &'a str,
    /// `never held`, `never failed` or `never read`.
    pub what: &'static str,
}

impl Coverage {
    /// Nothing was seen yet.
    pub fn new(policy: &Policy) -> Self {
        let condition = |(rule, text): (&str, &str)| Condition {
            rule: rule.to_owned(),
            text: text.to_owned(),
            held: false,
            failed: false,
        };
        Self { conditions: policy.conditions().map(condition).collect() }
    }

    /// Takes note of what a case sees.
    pub fn see(&mut self, policy: &Policy, case: &Case) {
        for (condition, outcome) in self.conditions.iter_mut().zip(case.outcomes(policy)) {
            condition.held |= outcome == Some(true);
            condition.failed |= outcome == Some(false);
        }
    }

    /// How many conditions there are, the scope's aside.
    pub fn all(&self) -> usize {
        self.told().count()
    }

    /// Those that were not seen both ways.
    pub fn gaps(&self) -> Vec<Gap<'_>> {
        self.told().filter_map(Condition::gap).collect()
    }

    /// The scope names types and all operations; there is nothing to see.
    fn told(&self) -> impl Iterator<Item = &Condition> {
        let scope = |text: &str| SCOPE.iter().any(|scope| text.starts_with(scope));
        self.conditions.iter().filter(move |condition| !scope(&condition.text))
    }
}

impl Condition {
    fn gap(&self) -> Option<Gap<'_>> {
        let what = match (self.held, self.failed) {
            (true, true) => return None,
            (true, false) => "never failed",
            (false, true) => "never held",
            (false, false) => "never read",
        };
        Some(Gap { rule: &self.rule, condition: &self.text, what })
    }
}

const SCOPE: [&str; 3] = ["principal is ", "action in ", "resource is "];
