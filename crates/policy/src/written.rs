//! [`Written`]: rules as they are written, to compare two bundles; layout and comments are no part of it.

use cedar_policy::Effect;

use crate::decide::Policy;

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
            body: rule.says.clone(),
            conditions: rule.conditions.iter().map(|condition| condition.text.clone()).collect(),
        });
        rules.collect()
    }
}
