//! From a property that does not hold to a guest that shows it: described so that a simulated host can launch it, launched,
//! verified, and put to the policies as a broker would. So the solver is checked by the system that it speaks about.
//!
//! The proof comes first and assumes nothing. Only then a guest is looked for among those that can be built; that there
//! is none makes the property no truer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ::prove::{Candidates, Counterexample, Property, ProveError, Prover, Reads, Who, any_machine};
use claims::UnixTime;
use policy::case::{Case, Expect, ExpectedDenial, ExpectedReason};
use policy::{Bundle, DenialCode, Evaluation, Policy};

use super::ProveFailure;
use crate::policy::simulated::{Description, Family, Root, families};

/// Where guests are built.
pub(super) struct Workshop<'a> {
    pub(super) prover: &'a Prover,
    /// The policies, with the reference values that guests are built under.
    pub(super) policy: &'a Policy,
    /// Schema and these reference values.
    pub(super) empty: Bundle,
    pub(super) schema: &'a str,
    /// When the guests ask.
    pub(super) at: UnixTime,
    /// How long to look for a guest. The proof stands without one.
    pub(super) patience: Duration,
}

/// What came of it.
pub(super) enum Shown {
    /// A guest that shows it, as far as it was checked.
    Built(Box<Built>),
    /// A machine may show it, but none was found in the time given that a simulated host can launch under these
    /// reference values.
    NotBuilt,
    /// No machine shows it.
    Impossible,
}

/// A guest that was built, and decided as the solver said.
pub(super) struct Built {
    pub(super) root: Root,
    pub(super) description: Description,
    /// With what was decided as what is expected.
    pub(super) case: Case,
}

impl Workshop<'_> {
    /// Looks for a guest and builds it.
    ///
    /// # Errors
    /// [`ProveFailure::Mismatch`] if what was built is not decided as the solver said.
    pub(super) fn show(
        &self,
        property: &Property<'_>,
        proof: &Counterexample,
    ) -> Result<Shown, ProveFailure> {
        let question = Question::of(property, &self.empty)?;
        let conditions = conditions(property);
        let reads = reads(self.policy, property)?;
        let candidates = Candidates::of(self.policy, &conditions, self.policy.known_values(self.at))?;
        let usual = self.launched(&reads)?;
        let any = any_machine(&reads)?;
        let since = Instant::now();
        let mut possible = false;
        for root in roots(proof) {
            // What no machine of this root or kind shows, none that is built does.
            let viable = |condition: &str| {
                let among: Vec<String> =
                    any.iter().cloned().chain([guests(condition), guests(root.condition())]).collect();
                self.has_example(property, &among, proof)
            };
            if !viable("true")? {
                continue;
            }
            possible = true;
            let mut kinds = BTreeMap::new();
            for family in &usual {
                if since.elapsed() > self.patience {
                    return Ok(Shown::NotBuilt);
                }
                let kind = family.usual.record.evidence.name();
                let known = match kinds.get(kind) {
                    Some(known) => *known,
                    None => viable(&format!("principal.evidence == EvidenceKind::\"{kind}\""))?,
                };
                kinds.insert(kind, known);
                if !known {
                    continue;
                }
                let mut told = reads.clone();
                let among = family.conditions(root, self.policy, self.schema, &candidates, &mut told)?;
                if let Some(found) = self.example(property, &among, proof)? {
                    let description = Description::of(family, &found, &candidates, &told);
                    return self
                        .built(root, description, &question, property)
                        .map(|built| Shown::Built(Box::new(built)));
                }
            }
        }
        possible = possible || self.has_example(property, &any, proof)?;
        Ok(if possible { Shown::NotBuilt } else { Shown::Impossible })
    }

    /// A guest of each family.
    fn launched(&self, reads: &Reads) -> Result<Vec<Family>, ProveError> {
        let launch =
            |lines| Family::launch(lines, self.at).map_err(|error| ProveError::Solver(error.to_string()));
        families(reads).into_iter().map(launch).collect()
    }

    /// For the operation of the proof: rules that tell operations apart do so by name, and each more takes as long.
    fn example(
        &self,
        property: &Property<'_>,
        among: &[String],
        proof: &Counterexample,
    ) -> Result<Option<Counterexample>, ProveError> {
        self.prover.example(self.policy, property, among, &proof.action)
    }

    fn has_example(
        &self,
        property: &Property<'_>,
        among: &[String],
        proof: &Counterexample,
    ) -> Result<bool, ProveError> {
        self.prover.has_example(self.policy, property, among, &proof.action)
    }

    /// Builds it, and then shorter descriptions for as long as they show the same.
    fn built(
        &self,
        root: Root,
        description: Description,
        question: &Question<'_>,
        property: &Property<'_>,
    ) -> Result<Built, ProveFailure> {
        let told = |description: &Description| description.to_text("", "");
        let mismatch =
            |got: String| ProveFailure::Mismatch { id: property.id(), case: told(&description), got };
        let case = self.decided(root, &description, question).map_err(mismatch)?;
        let mut built = Built { root, description: description.clone(), case };
        loop {
            let mut shorter = built.description.shorter();
            let next =
                shorter.find_map(|one| self.decided(root, &one, question).ok().map(|case| (one, case)));
            drop(shorter);
            match next {
                Some((description, case)) => built = Built { root, description, case },
                None => return Ok(built),
            }
        }
    }

    /// Launches it, has it verified, and asks the policies; the case, if it shows what was asked.
    fn decided(
        &self,
        root: Root,
        description: &Description,
        question: &Question<'_>,
    ) -> Result<Case, String> {
        let mut case = description.build().map_err(|error| error.to_string())?;
        if root == Root::Genuine {
            case.record.simulated = false;
            case.key.for_simulation = false;
            if let (Some(chip), Some(snp)) = (description.chip(), &mut case.record.snp) {
                snp.chip_id = Some(chip);
            }
        }
        let evaluation = evaluate(self.policy, &case);
        case.expect = expect(&evaluation);
        match (root, &evaluation) {
            (Root::Locked, Evaluation::Deny(denial)) if denial.code == DenialCode::SimulatedMismatch => {
                Ok(case)
            }
            (Root::Simulated | Root::Genuine, Evaluation::Permit { .. }) => {
                question.holds(|policy| permits(policy, &case)).then_some(case).ok_or_else(|| {
                    "the policies permit it, but it is no guest of the kind that was asked about".to_owned()
                })
            }
            _ => Err(format!("what was built comes to {}", case.expect)),
        }
    }
}

/// What an example must come to besides that the policies permit it.
pub(super) enum Question<'a> {
    /// That these permit it too: they permit what was asked about and nothing else.
    Permitted(Box<Policy>),
    /// That these do not.
    Denied(&'a Policy),
    /// Nothing.
    Nothing,
}

impl<'a> Question<'a> {
    /// What this property asks; `empty` is the bundle without policies.
    ///
    /// # Errors
    /// [`ProveError::Condition`] if a condition cannot be loaded as a policy.
    pub(super) fn of(property: &Property<'a>, empty: &Bundle) -> Result<Self, ProveFailure> {
        match property {
            Property::Never(never) => {
                let resource = match never.who {
                    Who::Guests => "resource is Key",
                    Who::Operators => "resource",
                };
                let text = format!(
                    "@id(\"asked\")\n@doc(\"what was asked about\")\n\
                     permit (principal is {}, action, {resource})\nwhen {{ {} }};",
                    never.who.principal(),
                    never.when
                );
                let policy = Policy::load(empty.clone().with_policy("asked.cedar", text));
                let policy = policy.map_err(|errors| ProveError::Condition {
                    id: never.id.clone(),
                    message: errors.to_string(),
                })?;
                Ok(Self::Permitted(Box::new(policy)))
            }
            Property::NoLooser(older) => Ok(Self::Denied(older)),
            Property::EveryRuleApplies(_) | Property::NoRuleErrs(_) => Ok(Self::Nothing),
        }
    }

    /// Whether something shows it, given what policies permit it.
    pub(super) fn holds(&self, permits: impl Fn(&Policy) -> bool) -> bool {
        match self {
            Self::Permitted(policy) => permits(policy),
            Self::Denied(policy) => !permits(policy),
            Self::Nothing => true,
        }
    }
}

fn permits(policy: &Policy, case: &Case) -> bool {
    matches!(evaluate(policy, case), Evaluation::Permit { .. })
}

/// The conditions of a property.
pub(super) fn conditions<'a>(property: &Property<'a>) -> Vec<&'a str> {
    match property {
        Property::Never(never) => vec![&never.when],
        _ => Vec::new(),
    }
}

/// What the policies and a property read.
///
/// # Errors
/// [`ProveError`] if one of them cannot be taken apart.
pub(in crate::policy) fn reads(policy: &Policy, property: &Property<'_>) -> Result<Reads, ProveError> {
    let mut reads = Reads::of(policy.cedar().1, &conditions(property))?;
    if let Property::NoLooser(older) = property {
        reads.add_all(older.cedar().1)?;
    }
    Ok(reads)
}

/// Whose guests to look for, in this order. A guest that is really served comes first.
fn roots(proof: &Counterexample) -> [Root; 3] {
    let genuine = proof.claims.get("principal.simulated").is_some_and(|told| told == "false");
    if genuine {
        [Root::Genuine, Root::Simulated, Root::Locked]
    } else {
        [Root::Simulated, Root::Genuine, Root::Locked]
    }
}

fn guests(condition: &str) -> String {
    format!("principal is Guest && resource is Key && ({condition})")
}

fn evaluate(policy: &Policy, case: &Case) -> Evaluation {
    policy.evaluate(&case.record, &case.request, &case.key, &case.circumstances)
}

fn expect(evaluation: &Evaluation) -> Expect {
    match evaluation {
        Evaluation::Permit { rules } => Expect::Permit(rules.clone()),
        Evaluation::Deny(denial) => {
            let reason = |reason: &policy::Reason| ExpectedReason {
                rule: reason.rule.clone(),
                condition: reason.condition.clone(),
                wanted: None,
                found: None,
            };
            let code = denial.code.as_str().to_owned();
            Expect::Deny(ExpectedDenial { code, reasons: denial.reasons.iter().map(reason).collect() })
        }
    }
}
