//! What is likely a mistake in rules that load: conditions that exclude each other, rules that others make idle, names
//! of values and keys that nobody lists. For those who write rules; a broker does not ask, and nothing is decided here.

use std::collections::BTreeSet;

use cedar_policy::{Effect, EntityUid, EvalResult, RequestEnv};
use claims::{AttestedRequest, Operation, UnixTime, VersionSelector};

use crate::bundle::Bundle;
use crate::decide::Policy;
use crate::facts::Facts;
use crate::fit;
use crate::limits::Limit;
use crate::load::{self, Found};
use crate::load_error::{LoadError, LoadErrors, Problem};
use crate::references::ValueKind;
use crate::rules::{Condition, Operator, Rule, Test};
use crate::subject::{Subject, Subjects};

/// The keys that a broker has, by what rules can name of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedKeys {
    /// Their names.
    pub keys: BTreeSet<String>,
    /// The rings that they are in.
    pub rings: BTreeSet<String>,
    /// The regions that they are for.
    pub regions: BTreeSet<String>,
}

/// A rule, and what its conditions say.
struct Weighed<'a> {
    found: &'a Found<'a>,
    rule: &'a Rule,
    facts: Facts,
    /// The place of the rule among all.
    at: usize,
}

impl Policy {
    /// What is likely a mistake, in order of file and place: warnings and notes (see [`Problem::severity`]).
    ///
    /// `bundle` is the one that this was loaded from. Rules of different files are held against each other only if
    /// `together`: where the files are the choice of a broker, and not all that a directory has. Names of keys are looked
    /// up only if `keys` are given.
    ///
    /// # Errors
    /// If the texts of the bundle do not parse, since they are not those of this policy.
    pub fn doubts(
        &self,
        bundle: &Bundle,
        together: bool,
        keys: Option<&NamedKeys>,
    ) -> Result<Vec<LoadError>, LoadErrors> {
        load::with_found(bundle, |found| {
            let limits = Limit::all();
            let known = found
                .iter()
                .filter_map(|found| Some((found, self.rules.get(found.policy.annotation("id")?)?)));
            let weighed = known.enumerate().map(|(at, (found, rule))| {
                let facts = Facts::of(&rule.conditions, &limits);
                Weighed { found, rule, facts, at }
            });
            let weighed: Vec<Weighed<'_>> = weighed.collect();
            let guests: Vec<Subject> =
                (0..fit::TURNS).filter_map(|turn| probe(&self.subjects, turn)).collect();
            let mut doubts = Vec::new();
            for this in &weighed {
                doubts.extend(self.empty_kinds(this, &guests));
                doubts.extend(never(this).or_else(|| idle(this, &weighed, together)));
                doubts.extend(self.unlisted(this.found));
                doubts.extend(keys.into_iter().flat_map(|keys| unknown_keys(this.found, keys)));
            }
            doubts
        })
    }

    /// Values that a rule names itself, and that no reference value lists.
    fn unlisted(&self, found: &Found<'_>) -> Vec<LoadError> {
        let kind_of = |name: &EntityUid| self.subjects.kind_of(name.type_name());
        let names = found.literals().into_iter().filter_map(|name| Some((kind_of(&name)?, name)));
        let unlisted = names
            .filter(|(kind, name)| self.subjects.references.find(*kind, name.id().unescaped()).is_none());
        let told = unlisted.map(|(kind, name)| {
            found.error_at(&name, Problem::Unlisted { literal: name.to_string(), table: kind.table() })
        });
        told.collect()
    }

    /// Kinds of values that a permit asks the state of, and of which none is listed.
    fn empty_kinds(&self, this: &Weighed<'_>, guests: &[Subject]) -> Option<LoadError> {
        let conditions = this.rule.conditions.iter().filter(|_| this.rule.effect == Effect::Permit);
        let kinds: BTreeSet<_> = conditions
            .filter(|condition| condition.must_be)
            .filter_map(|condition| self.kind_in(condition, guests))
            .filter(|kind| !self.subjects.references.values().any(|(listed, _, _)| listed == *kind))
            .map(ValueKind::table)
            .collect();
        let kinds = Vec::from_iter(kinds).join(", ");
        (!kinds.is_empty()).then(|| this.found.error(Problem::NoValues { kinds }))
    }

    /// The kind of values that a condition asks the state of.
    fn kind_in(&self, condition: &Condition, guests: &[Subject]) -> Option<ValueKind> {
        let Test::Compare { left, operator: Operator::In, .. } = &condition.test else { return None };
        guests.iter().find_map(|subject| match subject.evaluate(left) {
            Ok(EvalResult::EntityUid(value)) => self.subjects.kind_of(value.type_name()),
            _ => None,
        })
    }
}

/// One of the guests that schemas are held against, to see of which type a claim is.
fn probe(subjects: &Subjects, turn: usize) -> Option<Subject> {
    let key = fit::key(turn).ok()?;
    let request = AttestedRequest {
        operation: Operation::Unwrap,
        key: key.id.clone(),
        version: VersionSelector::Latest,
        unwrap: None,
    };
    let circumstances = fit::circumstances(turn);
    subjects.subject(&fit::record(turn), &request, &key, &circumstances, UnixTime(0), None).ok()
}

/// Conditions of a rule that no request meets.
fn never(this: &Weighed<'_>) -> Option<LoadError> {
    let (at, other) = this.facts.contradiction()?;
    let text = |at: usize| this.rule.conditions.get(at).map(|condition| condition.text.clone());
    let problem = Problem::NeverHolds { condition: text(at)?, other: other.and_then(text) };
    Some(this.found.error(problem))
}

/// A rule that makes this one idle: one that forbids all that it permits, or else one that permits or forbids the same.
fn idle(this: &Weighed<'_>, all: &[Weighed<'_>], together: bool) -> Option<LoadError> {
    let others = || {
        all.iter().filter(|other| {
            let there = together || other.found.file == this.found.file;
            there && other.at != this.at && this.is_within(other)
        })
    };
    let by = |other: &Weighed<'_>| other.rule.id.clone();
    let permits = this.rule.effect == Effect::Permit;
    let over = others().find(|other| permits && other.rule.effect == Effect::Forbid);
    // Of two that say the same, the later one is told.
    let same =
        || others().find(|o| o.rule.effect == this.rule.effect && (o.at < this.at || !o.is_within(this)));
    let problem = match over {
        Some(other) => Problem::Overridden { by: by(other) },
        None => Problem::Redundant { by: by(same()?), permits },
    };
    Some(this.found.error(problem))
}

impl Weighed<'_> {
    /// Whether the other applies wherever this does.
    fn is_within(&self, other: &Self) -> bool {
        let asked: BTreeSet<&RequestEnv> = other.rule.asked.iter().collect();
        self.rule.asked.iter().all(|env| asked.contains(env)) && self.facts.imply(&other.facts)
    }
}

/// Keys, rings and regions that a rule names, and that no key has.
fn unknown_keys(found: &Found<'_>, known: &NamedKeys) -> Vec<LoadError> {
    let unknown = |name: &EntityUid| {
        let kind = name.type_name().to_string();
        let (what, names) = match kind.as_str() {
            "Key" => ("no key has this name", &known.keys),
            "KeyRing" => ("no key is in this ring", &known.rings),
            "Region" => ("no key is for this region", &known.regions),
            _ => return None,
        };
        (!names.contains(name.id().unescaped())).then_some(what)
    };
    let told = found.literals().into_iter().filter_map(|name| {
        let what = unknown(&name)?;
        Some(found.error_at(&name, Problem::UnknownKey { literal: name.to_string(), what }))
    });
    told.collect()
}
