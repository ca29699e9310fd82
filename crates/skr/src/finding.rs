//! What is otherwise in the rules than in the policy: one [`Finding`] for each condition that is not said as it is there.

use serde::Serialize;

use crate::grammar::{ClaimCondition, printable};

/// What becomes of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Nothing stands for it, and so nothing is written.
    Missing,
    /// No guest of Keyfast's ever meets it, and so nothing is written.
    Nobody,
    /// It was left out, as was asked for: rules permit more than the policy.
    Looser,
    /// The alternative that it stands in was dropped: rules permit less.
    Dropped,
    /// What stands for it asks more.
    Stricter,
}

/// A condition that is not said as it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What becomes of it.
    pub effect: Effect,
    /// Where it stands; `None` if it is about all of them.
    pub place: Option<String>,
    /// The claim with its value, in printable ASCII; `None` if it is about conditions together.
    pub condition: Option<String>,
    /// Why.
    pub why: String,
}

impl Finding {
    /// About one condition.
    pub fn of(condition: &ClaimCondition, effect: Effect, why: &str) -> Self {
        let text = format!("{} = {}", printable(&condition.claim), condition.value);
        Self { effect, place: Some(condition.place.clone()), condition: Some(text), why: why.to_owned() }
    }

    /// About conditions together: those of the authority there, or all.
    pub fn of_all(place: Option<&str>, effect: Effect, why: &str) -> Self {
        Self { effect, place: place.map(str::to_owned), condition: None, why: why.to_owned() }
    }
}
