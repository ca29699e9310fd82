//! [`Written`]: rules as they are written, to compare two bundles; layout and comments are no part of it.

use cedar_policy::Effect;

use crate::decide::Policy;
use crate::rules;

/// A rule as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Its `@id`.
    pub id: String,
    /// Its `@doc`.
    pub doc: String,
    /// `permit` or `forbid`.
    pub effect: &'static str,
    /// Scope and clauses in Cedar's JSON, which is the same however they are laid out.
    pub body: String,
    /// Its conditions as explanations spell them, in order.
    pub conditions: Vec<String>,
}

impl Policy {
    /// Every rule, in order of the ids.
    pub fn written(&self) -> Vec<Written> {
        let rules = self.rules.values().map(|rule| Written {
            id: rule.id.clone(),
            doc: rule.doc.clone(),
            effect: if rule.effect == Effect::Permit { "permit" } else { "forbid" },
            body: self.body(&rule.id),
            conditions: rule.conditions.iter().map(|condition| condition.text.clone()).collect(),
        });
        rules.collect()
    }

    /// A rule without its annotations. What Cedar cannot put in JSON stands as it was written.
    fn body(&self, id: &str) -> String {
        let Some(rule) = self.set.policy(&cedar_policy::PolicyId::new(id)) else { return String::new() };
        rules::body(rule).unwrap_or_else(|_| rule.to_string())
    }
}
