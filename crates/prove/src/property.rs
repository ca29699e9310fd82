//! What is asked about a bundle.

use policy::{Policy, ProofRecord};
use serde::Deserialize;

/// A question about a bundle.
#[derive(Clone, Copy)]
pub enum Property<'a> {
    /// No request is permitted for which this holds.
    Never(&'a Never),
    /// The rule with this id applies to some request.
    EveryRuleApplies(&'a str),
    /// The rule with this id has no request that its evaluation fails for.
    NoRuleErrs(&'a str),
    /// Whatever is permitted, this older bundle permits too.
    NoLooser(&'a Policy),
}

/// Something that must never be permitted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Never {
    /// Its name.
    pub id: String,
    /// Why, in a sentence.
    pub doc: String,
    /// Whose requests it is about; guests' if it is not said.
    #[serde(default)]
    pub who: Who,
    /// A condition in Cedar over `principal`, `action`, `resource` and `context`.
    pub when: String,
}

/// Who asks a broker for something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// Guests, for keys.
    #[default]
    Guests,
    /// Those who manage keys, for acts.
    Operators,
}

impl Who {
    /// The type of such principals.
    pub fn principal(self) -> &'static str {
        match self {
            Self::Guests => "Guest",
            Self::Operators => "Operator",
        }
    }
}

impl Property<'_> {
    /// Its name in reports.
    pub fn id(&self) -> String {
        match self {
            Self::Never(never) => never.id.clone(),
            Self::EveryRuleApplies(rule) => ProofRecord::applies(rule),
            Self::NoRuleErrs(rule) => ProofRecord::never_errs(rule),
            Self::NoLooser(_) => "permits nothing new".to_owned(),
        }
    }
}
