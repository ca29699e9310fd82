//! What the rules of two directories permit and deny, compared by proof: for every request that the schema can describe,
//! under any reference values.

use ::prove::{Counterexample, Property, ProveError, Prover, Verdict};
use policy::Policy;

/// What came of a comparison.
pub struct Compared {
    /// The file, or the files.
    pub name: String,
    pub outcome: Outcome,
}

/// What is known of their meaning.
pub enum Outcome {
    /// The same rules: nothing to prove.
    SameRules,
    /// Proven, both ways.
    Proven {
        /// Something that the new permit and the old do not.
        looser: Option<Box<Counterexample>>,
        /// Something that the old permit and the new do not.
        tighter: Option<Box<Counterexample>>,
    },
    /// The solver gave no answer.
    Unknown(ProveError),
}

impl Outcome {
    /// Whether both mean the same; `None` if that is not known.
    pub fn same(&self) -> Option<bool> {
        match self {
            Self::SameRules => Some(true),
            Self::Proven { looser, tighter } => Some(looser.is_none() && tighter.is_none()),
            Self::Unknown(_) => None,
        }
    }
}

/// Compares rules; without a prover only whether they are the same.
pub fn compare(prover: Result<&Prover, &ProveError>, name: &str, old: &Policy, new: &Policy) -> Compared {
    let bodies = |policy: &Policy| -> Vec<(String, String)> {
        policy.written().into_iter().map(|rule| (rule.id, rule.body)).collect()
    };
    let outcome = if bodies(old) == bodies(new) {
        Outcome::SameRules
    } else {
        match prover {
            Err(_) => Outcome::Unknown(ProveError::NoSolver),
            Ok(prover) => both_ways(prover, old, new).unwrap_or_else(Outcome::Unknown),
        }
    };
    Compared { name: name.to_owned(), outcome }
}

fn both_ways(prover: &Prover, old: &Policy, new: &Policy) -> Result<Outcome, ProveError> {
    let found = |verdict| match verdict {
        Verdict::Holds => None,
        Verdict::Fails(found) => found,
    };
    let looser = found(prover.prove(new, &Property::NoLooser(old))?);
    let tighter = found(prover.prove(old, &Property::NoLooser(new))?);
    Ok(Outcome::Proven { looser, tighter })
}
