//! Proofs about bundles of policies: not "this case is denied" but "no request that is possible at all is permitted
//! if ...".
//!
//! Cedar's symbolic compiler (`cedar-policy-symcc`) turns policies and a question into a formula, and the solver `cvc5`,
//! a process of its own, finds a request that makes it true or shows that there is none. What it finds is held against
//! Cedar itself before it is shown: a counterexample that the authorizer does not decide as the solver says is an error
//! here, so the solver is not believed where it can be checked.
//!
//! | question | [`Property`] |
//! |-|-|
//! | is a guest, or an operator's act, like this ever permitted? | [`Property::Never`]: the [`invariants`], and an author's own |
//! | can each rule apply at all? | [`Property::EveryRuleApplies`] |
//! | can a rule err? | [`Property::NoRuleErrs`] |
//! | does a new bundle permit what the old one did not? | [`Property::NoLooser`] |
//!
//! Guests here are any that the schema can describe, those that no verifier would let through too. So what is proven
//! holds of more than can happen; and a counterexample may be a guest that cannot be, which a rule should still say. What
//! about it cannot be is told with it ([`Counterexample::impossible`]), and [`Prover::example`] looks for one among
//! guests that can: those of [`any_machine`], or those [`alike`] one that was built.
//!
//! This crate must never decide about a request, and nothing that releases keys may depend on it.

mod alike;
mod counterexample;
mod invariants;
mod machine;
mod property;
mod prover;
mod reads;
mod trimmed;

pub use alike::{Candidates, alike};
pub use counterexample::{Asked, Counterexample};
pub use invariants::{AuthorsError, authors, invariants};
pub use machine::any_machine;
pub use property::{Never, Property, Who};
pub use prover::{ProveError, Prover, Verdict};
pub use reads::Reads;
