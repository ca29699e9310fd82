//! Why not: the conditions that stand in the way, each with what was wanted and what was found.
//!
//! Runs on denials only, over the rules that `rules` took apart. It decides nothing.

use cedar_policy::{Effect, EntityUid, EvalResult, Expression};

use crate::reason::{Denial, Reason, ReasonKind};
use crate::references::{Known, State};
use crate::rules::{Condition, Operator, Rule, Test};
use crate::subject::{Subject, Subjects};

/// Evaluates conditions against one request.
pub(crate) struct Explainer<'a> {
    pub(crate) subjects: &'a Subjects,
    pub(crate) subject: &'a Subject,
}

/// A permit that does not apply.
struct Miss<'r> {
    rule: &'r Rule,
    /// The conditions that fail.
    failing: Vec<&'r Condition>,
    /// How many cannot be read, since one of those fails.
    unread: usize,
}

impl Miss<'_> {
    fn distance(&self) -> usize {
        self.failing.len().saturating_add(self.unread)
    }
}

impl Explainer<'_> {
    /// What stands in the way when rules with these ids forbid.
    pub(crate) fn forbidden<'r>(&self, rules: impl Iterator<Item = &'r Rule>) -> Vec<Reason> {
        let reasons = rules.flat_map(|rule| {
            let telling: Vec<_> = rule.conditions.iter().filter(|condition| !condition.guard).collect();
            let reasons: Vec<_> = telling.iter().map(|c| self.reason(ReasonKind::Forbid, rule, c)).collect();
            if reasons.is_empty() { vec![self.unconditional(rule)] } else { reasons }
        });
        reasons.take(Denial::MAX_REASONS).collect()
    }

    /// What is missing for each `permit` to apply, the nearest first: the one with the fewest failing conditions.
    ///
    /// A permit for operators is none for guests, nor the other way round. One for another kind of evidence, or for
    /// another operation, is far from this one, however few its conditions are: it is left out, unless there is no other.
    pub(crate) fn near_misses<'r>(&self, rules: impl Iterator<Item = &'r Rule>) -> Vec<Reason> {
        let request = &self.subject.request;
        let (principal, action) = (request.principal().map(EntityUid::type_name), request.action());
        let permits = rules.filter(|rule| {
            rule.effect == Effect::Permit && principal.is_none_or(|principal| rule.is_about(principal))
        });
        let other_action = |rule: &Rule| match (principal, action) {
            (Some(principal), Some(action)) => !rule.is_about_action(principal, action),
            _ => false,
        };
        let mut misses: Vec<Miss<'_>> = permits.map(|rule| self.miss(rule)).collect();
        let elsewhere = |miss: &Miss<'_>| {
            let kind = |condition: &&Condition| condition.text.starts_with(EVIDENCE_KIND);
            other_action(miss.rule) || miss.failing.iter().any(kind)
        };
        if !misses.iter().all(elsewhere) {
            misses.retain(|miss| !elsewhere(miss));
        }
        misses.sort_by(|a, b| (a.distance(), &a.rule.id).cmp(&(b.distance(), &b.rule.id)));
        let reasons = misses.iter().flat_map(|miss| {
            let reason = |condition| self.reason(ReasonKind::NearMiss, miss.rule, condition);
            let mut reasons: Vec<Reason> = miss.failing.iter().copied().map(reason).collect();
            let guard = miss.failing.iter().rposition(|condition| condition.guard).unwrap_or(0);
            if let Some(reason) = reasons.get_mut(guard).filter(|_| miss.unread > 0) {
                reason.found = Reason::found_and_unread(&reason.found, miss.unread);
            }
            reasons
        });
        let reasons: Vec<_> = reasons.take(Denial::MAX_REASONS).collect();
        if reasons.is_empty() { vec![no_permit()] } else { reasons }
    }

    /// How far a rule is from applying. A condition that cannot be read is counted and not listed: one before it failed,
    /// which guards it, as else Cedar had met the error too.
    fn miss<'r>(&self, rule: &'r Rule) -> Miss<'r> {
        let (mut failing, mut unread) = (Vec::new(), 0usize);
        for condition in &rule.conditions {
            match self.holds(condition) {
                Ok(true) => {}
                Ok(false) => failing.push(condition),
                Err(_) => unread = unread.saturating_add(1),
            }
        }
        Miss { rule, failing, unread }
    }

    /// Whether every condition of a rule holds: what Cedar decided by itself.
    #[cfg(test)]
    pub(crate) fn applies(&self, rule: &Rule) -> bool {
        rule.conditions.iter().all(|condition| self.holds(condition) == Ok(true))
    }

    pub(crate) fn holds(&self, condition: &Condition) -> Result<bool, String> {
        Ok(self.subject.evaluate(&condition.expression)? == EvalResult::Bool(condition.must_be))
    }

    fn reason(&self, kind: ReasonKind, rule: &Rule, condition: &Condition) -> Reason {
        let (wanted, found) = self.wanted_and_found(condition, kind != ReasonKind::Forbid);
        Reason {
            kind,
            rule: rule.id.clone(),
            doc: rule.doc.clone(),
            condition: condition.text.clone(),
            wanted,
            found,
        }
    }

    /// What it takes for a condition to hold, or not to hold, and what there is instead.
    fn wanted_and_found(&self, condition: &Condition, to_hold: bool) -> (String, String) {
        let target = condition.must_be == to_hold;
        match &condition.test {
            Test::Truth => (target.to_string(), self.show(&condition.expression)),
            Test::Presence => {
                let name = |present| if present { "present" } else { "absent" };
                (name(target).to_owned(), name(!target).to_owned())
            }
            Test::Shape { left, wanted } => {
                let not = if target { "" } else { "not " };
                (format!("{not}{wanted}"), self.show(left))
            }
            Test::Compare { left, operator, right, .. } => {
                let operator = if target { *operator } else { operator.negated() };
                let among = self.among_references(left, operator, right);
                let plain = || format!("{} {}", operator.symbol(), self.show(right));
                let within = matches!(operator, Operator::In | Operator::NotIn);
                let found = if within { self.show_placed(left) } else { self.show(left) };
                (among.unwrap_or_else(plain), found)
            }
            Test::Either(sides) => self.either(sides, to_hold),
        }
    }

    /// The sides that are to blame: by the first condition that fails, or, where no side should hold, by all of one that
    /// holds, except those that guard others.
    fn either(&self, sides: &[Vec<Condition>], to_hold: bool) -> (String, String) {
        let found: Vec<_> = sides
            .iter()
            .flat_map(|side| self.blamed(side, to_hold))
            .map(|condition| {
                let (wanted, found) = self.wanted_and_found(condition, to_hold);
                format!("{}: wanted {wanted}, found {found}", condition.text)
            })
            .collect();
        let wanted = if to_hold { Reason::EITHER } else { Reason::NEITHER };
        (wanted.to_owned(), format!("({})", found.join("; ")))
    }

    fn blamed<'c>(&self, side: &'c [Condition], to_hold: bool) -> Vec<&'c Condition> {
        let mut failing = side.iter().filter(|condition| self.holds(condition) != Ok(true));
        match (failing.next(), to_hold) {
            (Some(condition), true) => vec![condition],
            (None, true) | (Some(_), false) => Vec::new(),
            (None, false) => {
                let telling: Vec<_> = side.iter().filter(|condition| !condition.guard).collect();
                if telling.is_empty() { side.iter().collect() } else { telling }
            }
        }
    }

    /// `one of the 3 active reference values`, where membership in states of reference values is asked for.
    fn among_references(&self, left: &Expression, operator: Operator, right: &Expression) -> Option<String> {
        let count = match operator {
            Operator::In => "one",
            Operator::NotIn => "none",
            _ => return None,
        };
        let EvalResult::EntityUid(value) = self.subject.evaluate(left).ok()? else { return None };
        let kind = self.subjects.kind_of(value.type_name())?;
        let states: Vec<State> = match self.subject.evaluate(right).ok()? {
            EvalResult::EntityUid(state) => vec![state_of(&state)?],
            EvalResult::Set(set) => set.iter().map(state_of_value).collect::<Option<_>>()?,
            _ => return None,
        };
        let n = self.subjects.references.count(kind, &states, self.subject.at);
        let names: Vec<_> = State::ALL.into_iter().filter(|s| states.contains(s)).map(State::name).collect();
        Some(format!("{count} of the {n} {} reference values", names.join(" or ")))
    }

    /// A value for people: bytes as their hexadecimal, with what the reference values call them.
    fn show(&self, expression: &Expression) -> String {
        match self.subject.evaluate(expression) {
            Err(error) => format!("an error: {error}"),
            Ok(EvalResult::EntityUid(value)) => match self.subjects.kind_of(value.type_name()) {
                None => value.to_string(),
                Some(kind) => {
                    let hex: &str = value.id().unescaped();
                    let known = self.subjects.references.find(kind, hex);
                    let state = |k: &Known| k.state(self.subject.at).name();
                    known.map_or(hex.to_owned(), |k| format!("{hex} (`{}`, {})", k.name, state(k)))
                }
            },
            Ok(value) => value.to_string(),
        }
    }

    /// A value, and the ring that it is in, if it is a key, or its groups, if it is an operator.
    fn show_placed(&self, expression: &Expression) -> String {
        let shown = self.show(expression);
        let Ok(EvalResult::EntityUid(value)) = self.subject.evaluate(expression) else { return shown };
        let placed = [&self.subjects.vocabulary.key, &self.subjects.vocabulary.operator];
        if !placed.contains(&value.type_name()) {
            return shown;
        }
        let within = self.subject.entities.ancestors(&value).into_iter().flatten();
        let mut within: Vec<String> = within.map(ToString::to_string).collect();
        within.sort();
        if within.is_empty() {
            format!("{shown} (in none)")
        } else {
            format!("{shown} (in {})", within.join(", "))
        }
    }

    /// The reason of a rule that forbids whatever is in its scope.
    fn unconditional(&self, rule: &Rule) -> Reason {
        let scope: Vec<_> = rule.conditions.iter().map(|condition| condition.text.as_str()).collect();
        let scope = if scope.is_empty() { "every request".to_owned() } else { scope.join(" && ") };
        let action = self.subject.request.action().map(ToString::to_string).unwrap_or_default();
        let resource = self.subject.request.resource().map(ToString::to_string).unwrap_or_default();
        Reason {
            kind: ReasonKind::Forbid,
            rule: rule.id.clone(),
            doc: rule.doc.clone(),
            condition: scope,
            wanted: Reason::ANOTHER.to_owned(),
            found: format!("{action} of {resource}"),
        }
    }
}

fn state_of(name: &cedar_policy::EntityUid) -> Option<State> {
    let found = State::ALL.into_iter().find(|state| state.name() == name.id().unescaped());
    found.filter(|_| name.type_name().to_string() == "ReferenceState")
}

fn state_of_value(value: &EvalResult) -> Option<State> {
    match value {
        EvalResult::EntityUid(name) => state_of(name),
        _ => None,
    }
}

/// The reason where there is no `permit` at all, or where no condition could be blamed.
fn no_permit() -> Reason {
    Reason {
        kind: ReasonKind::NearMiss,
        rule: Reason::NO_PERMIT.to_owned(),
        doc: "what no rule permits is denied".to_owned(),
        condition: "some permit applies".to_owned(),
        wanted: "a permit".to_owned(),
        found: "none in the bundle".to_owned(),
    }
}

/// How conditions on the kind of evidence begin.
const EVIDENCE_KIND: &str = "principal.evidence";
