//! [`Fact`]: what a condition says, so that conditions can be held against each other without a guest.
//!
//! Numbers and names that a claim is compared with are understood, and the sides of `||`; of anything else it is known
//! only that it holds or does not. So what is found here is so, and what is not found may be so still: a solver looks at
//! the rest (`keyfast policy prove`). Decides nothing.

use crate::limits::Limit;
use crate::rules::{Condition, Operator, Test};

/// What one condition says when it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// A number lies between these, or is one of them.
    Number { of: String, least: i64, most: i64 },
    /// Something has this value.
    Is { of: String, value: String },
    /// Something has another value.
    IsNot { of: String, value: String },
    /// Something holds or does not.
    Truth { of: String, is: bool },
    /// All facts of one of these sides are so.
    Either(Vec<Vec<Fact>>),
}

/// All that a rule's conditions say, in their order.
pub(crate) struct Facts(Vec<Fact>);

impl Facts {
    /// What these conditions say, and what is so of every request.
    pub(crate) fn of(conditions: &[Condition], limits: &[Limit]) -> Self {
        let facts = conditions.iter().map(Fact::of);
        Self(facts.map(|fact| fact.limited(limits)).collect())
    }

    /// A condition that cannot hold, by its place, and another that it cannot hold with, if it could alone.
    pub(crate) fn contradiction(&self) -> Option<(usize, Option<usize>)> {
        let facts = || self.0.iter().enumerate();
        let alone = facts().find(|(_, fact)| fact.is_impossible()).map(|(at, _)| (at, None));
        let pair = || {
            facts().find_map(|(at, fact)| {
                let mut before = self.0.iter().take(at);
                before.position(|other| fact.excludes(other)).map(|other| (at, Some(other)))
            })
        };
        // No side goes with the rest, though none of the rest excludes all of them.
        let sides = || {
            let stuck = |side: &Vec<Fact>| side.iter().any(|fact| self.0.iter().any(|o| o.excludes(fact)));
            let stuck = |fact: &Fact| matches!(fact, Fact::Either(sides) if sides.iter().all(stuck));
            facts().find(|(_, fact)| stuck(fact)).map(|(at, _)| (at, None))
        };
        alone.or_else(pair).or_else(sides)
    }

    /// Whether all that the other says is so wherever this is.
    pub(crate) fn imply(&self, other: &Self) -> bool {
        other.0.iter().all(|fact| self.implies(fact))
    }

    fn implies(&self, fact: &Fact) -> bool {
        let known = || self.0.contains(fact);
        match fact {
            Fact::Number { of, least, most } => {
                self.between(of).is_some_and(|(low, high)| *least <= low && high <= *most)
            }
            Fact::IsNot { of, value } => {
                let opposite = Fact::exactly(of.clone(), value.clone());
                known() || self.0.iter().any(|known| known.excludes(&opposite))
            }
            Fact::Truth { of, is } => known() || of.parse() == Ok(*is),
            Fact::Is { .. } => known(),
            Fact::Either(sides) => {
                known() || sides.iter().any(|side| side.iter().all(|fact| self.implies(fact)))
            }
        }
    }

    /// The least and the most that a number can be.
    fn between(&self, number: &str) -> Option<(i64, i64)> {
        let known = self.0.iter().filter_map(|fact| match fact {
            Fact::Number { of, least, most } if of == number => Some((*least, *most)),
            _ => None,
        });
        known.reduce(|(a, b), (c, d)| (a.max(c), b.min(d)))
    }
}

impl Fact {
    fn of(condition: &Condition) -> Self {
        let Condition { expression, must_be, test, .. } = condition;
        match test {
            Test::Compare { left, operator, right, literal } => {
                let operator = if *must_be { *operator } else { operator.negated() };
                Self::compared(left.to_string(), operator, right.to_string(), *literal)
            }
            Test::Either(sides) => {
                Self::Either(sides.iter().map(|side| side.iter().map(Self::of).collect()).collect())
            }
            Test::Truth | Test::Presence | Test::Shape { .. } => {
                Self::Truth { of: expression.to_string(), is: *must_be }
            }
        }
    }

    fn compared(of: String, operator: Operator, right: String, literal: bool) -> Self {
        let number = right.parse::<i64>().ok().filter(|_| literal);
        match (operator, number) {
            (Operator::Equal, _) if literal => Self::exactly(of, right),
            (Operator::NotEqual, _) if literal => Self::IsNot { of, value: right },
            (Operator::Less, Some(n)) => Self::Number { of, least: i64::MIN, most: n.saturating_sub(1) },
            (Operator::LessOrEqual, Some(n)) => Self::Number { of, least: i64::MIN, most: n },
            (Operator::Greater, Some(n)) => Self::Number { of, least: n.saturating_add(1), most: i64::MAX },
            (Operator::GreaterOrEqual, Some(n)) => Self::Number { of, least: n, most: i64::MAX },
            // One name for a comparison and its opposite.
            _ => {
                let opposite = operator.negated();
                let is = operator.symbol() < opposite.symbol();
                let symbol = if is { operator.symbol() } else { opposite.symbol() };
                Self::Truth { of: format!("{of} {symbol} {right}"), is }
            }
        }
    }

    /// That something has this value, which is a literal.
    fn exactly(of: String, value: String) -> Self {
        match value.parse::<i64>() {
            Ok(number) => Self::Number { of, least: number, most: number },
            Err(_) => Self::Is { of, value },
        }
    }

    /// The same, where numbers are no more than they can be.
    fn limited(self, limits: &[Limit]) -> Self {
        match self {
            Self::Number { of, least, most } => match limits.iter().find(|limit| limit.path == of) {
                Some(limit) => Self::Number { of, least: least.max(limit.least), most: most.min(limit.most) },
                None => Self::Number { of, least, most },
            },
            Self::Either(sides) => {
                let limited = |side: Vec<Self>| side.into_iter().map(|fact| fact.limited(limits)).collect();
                Self::Either(sides.into_iter().map(limited).collect())
            }
            other => other,
        }
    }

    /// Whether it can never be so, whatever else is.
    fn is_impossible(&self) -> bool {
        let stuck = |side: &Vec<Self>| {
            let pair = |(at, fact): (usize, &Self)| side.iter().take(at).any(|other| fact.excludes(other));
            side.iter().any(Self::is_impossible) || side.iter().enumerate().any(pair)
        };
        match self {
            Self::Number { least, most, .. } => least > most,
            Self::Either(sides) => sides.iter().all(stuck),
            _ => false,
        }
    }

    /// Whether it and another can never both be so.
    fn excludes(&self, other: &Self) -> bool {
        let all_of = |sides: &[Vec<Self>], fact: &Self| {
            sides.iter().all(|side| side.iter().any(|within| within.excludes(fact)))
        };
        match (self, other) {
            (Self::Either(sides), fact) | (fact, Self::Either(sides)) => all_of(sides, fact),
            (Self::Number { of: a, least, most }, Self::Number { of: b, least: low, most: high }) => {
                a == b && (most < low || high < least)
            }
            (Self::Number { of: a, least, most }, Self::IsNot { of: b, value })
            | (Self::IsNot { of: b, value }, Self::Number { of: a, least, most }) => {
                a == b && least == most && value.parse() == Ok(*least)
            }
            (Self::Is { of: a, value: one }, Self::Is { of: b, value: two }) => a == b && one != two,
            (Self::Is { of: a, value: one }, Self::IsNot { of: b, value: two })
            | (Self::IsNot { of: b, value: two }, Self::Is { of: a, value: one }) => a == b && one == two,
            (Self::Truth { of: a, is: one }, Self::Truth { of: b, is: two }) => a == b && one != two,
            _ => false,
        }
    }
}
