//! What the rules of two directories permit and deny, compared by proof: for every request that the schema can describe,
//! under any reference values.

use ::prove::{Counterexample, Property, ProveError, Prover, Verdict, any_machine};
use claims::Operation;
use policy::Policy;

use super::super::prove::reads;

/// What came of a comparison.
pub struct Compared {
    /// The file, or the files.
    pub name: String,
    pub outcome: Outcome,
}

/// A request that shows a difference: one that some machine may make, if there is any such.
pub struct Difference {
    pub shown: Counterexample,
    /// No machine shows this difference, by this request or another.
    pub by_no_machine: bool,
}

/// What is known of their meaning.
pub enum Outcome {
    /// The same rules: nothing to prove.
    SameRules,
    /// Proven, both ways.
    Proven {
        /// Something that the new permit and the old do not.
        looser: Option<Box<Difference>>,
        /// Something that the old permit and the new do not.
        tighter: Option<Box<Difference>>,
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
    Ok(Outcome::Proven { looser: looser(prover, new, old)?, tighter: looser(prover, old, new)? })
}

/// What one permits and another does not. The proof knows no machines; where its own example is none that a machine
/// shows, another is looked for.
fn looser(prover: &Prover, one: &Policy, other: &Policy) -> Result<Option<Box<Difference>>, ProveError> {
    let property = Property::NoLooser(other);
    let Verdict::Fails(Some(found)) = prover.prove(one, &property)? else { return Ok(None) };
    let difference = |shown, by_no_machine| Ok(Some(Box::new(Difference { shown, by_no_machine })));
    if found.impossible.is_empty() {
        return difference(*found, false);
    }
    let among = any_machine(&reads(one, &property)?)?;
    let mut by_no_machine = true;
    for operation in Operation::ALL {
        if let Some(shown) = prover.example(one, &property, &among, &operation.to_string())? {
            // A relation that the solver is spared may be broken still.
            if shown.impossible.is_empty() {
                return difference(shown, false);
            }
            by_no_machine = false;
        }
    }
    difference(*found, by_no_machine)
}
