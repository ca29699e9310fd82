//! Random conditions, as authors write them, each made with one guest in mind: it mostly holds for that guest, or
//! mostly does not, as is wanted.

use crate::claimed::{Claim, Value, claims};
use crate::guests::Asked;
use crate::numbers::Numbers;
use crate::references::{PARTS, References, STATES};

/// What a condition may be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Anything.
    Any,
    /// What a claim's absence, a withdrawn value or a raised floor can only make false.
    Lossy,
    /// What these can only make true.
    Gainful,
}

impl Turn {
    fn turned(self) -> Self {
        match self {
            Self::Any => Self::Any,
            Self::Lossy => Self::Gainful,
            Self::Gainful => Self::Lossy,
        }
    }
}

/// A condition.
#[derive(Clone, Debug)]
pub enum Condition {
    /// What must be there before the rest can be read, and the rest.
    Atom {
        guards: Vec<String>,
        text: String,
    },
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    If(Box<[Self; 3]>),
}

/// What conditions are made about and with.
pub struct Author<'a> {
    pub numbers: &'a mut Numbers,
    pub asked: &'a Asked,
    pub references: &'a References,
    /// Whether arithmetic is used, which can overflow.
    pub erring: bool,
}

impl Author<'_> {
    /// A condition that holds for the guest in mind if `holds`, mostly.
    pub fn condition(&mut self, depth: u64, turn: Turn, holds: bool) -> Condition {
        if depth == 0 {
            return self.leaf(turn, holds);
        }
        let few = 2 + self.numbers.index(2);
        let special = self.numbers.index(few);
        match self.numbers.below(8) {
            0..3 => {
                Condition::All(self.several(few, depth, turn, |i, chance| holds || (i != special && chance)))
            }
            3..6 => {
                Condition::Any(self.several(few, depth, turn, |i, chance| holds && (i == special || chance)))
            }
            6 if turn == Turn::Any => {
                let branch = self.numbers.chance(50);
                let parts = [branch, holds || !branch, holds || branch];
                Condition::If(Box::new(parts.map(|part| self.condition(depth - 1, turn, part))))
            }
            6 | 7 => Condition::Not(Box::new(self.condition(depth - 1, turn.turned(), !holds))),
            _ => self.leaf(turn, holds),
        }
    }

    fn several(
        &mut self,
        few: usize,
        depth: u64,
        turn: Turn,
        holds: impl Fn(usize, bool) -> bool,
    ) -> Vec<Condition> {
        let mut one = |i| {
            let (deep, chance) = (self.numbers.below(depth), self.numbers.chance(60));
            self.condition(deep, turn, holds(i, chance))
        };
        (0..few).map(&mut one).collect()
    }

    fn leaf(&mut self, turn: Turn, holds: bool) -> Condition {
        match turn {
            Turn::Any if self.numbers.chance(75) => self.atom(turn, holds),
            Turn::Lossy => self.atom(turn, holds),
            Turn::Any | Turn::Gainful => Condition::Not(Box::new(self.atom(turn.turned(), !holds))),
        }
    }

    fn atom(&mut self, turn: Turn, holds: bool) -> Condition {
        if self.erring && self.numbers.chance(12) {
            return self.arithmetic();
        }
        match self.numbers.below(14) {
            0 | 1 => self.floor(turn, holds),
            2 => self.named_value(turn, holds),
            3 => self.time(holds),
            _ => self.claim(turn, holds),
        }
    }

    /// A claim against something.
    fn claim(&mut self, turn: Turn, holds: bool) -> Condition {
        let all = claims(self.asked);
        let mut chosen: &Claim = self.numbers.pick(&all);
        for _ in 0..6 {
            if chosen.value.is_there() || !holds {
                break;
            }
            chosen = self.numbers.pick(&all);
        }
        let Claim { path, guards, value } = chosen;
        let text = if guards.len() > 1 && self.numbers.chance(8) {
            return Condition::Atom { guards: Vec::new(), text: guards.join(" && ") };
        } else {
            self.comparison(path, value, turn, holds)
        };
        Condition::Atom { guards: guards.clone(), text }
    }

    fn comparison(&mut self, path: &str, value: &Value, turn: Turn, holds: bool) -> String {
        match value {
            Value::Truth(found) => {
                let wanted = found.unwrap_or(true) == holds;
                match (wanted, self.numbers.chance(30)) {
                    (wanted, true) => format!("{path} == {wanted}"),
                    (true, false) => path.to_owned(),
                    (false, false) => format!("!{path}"),
                }
            }
            Value::Number(found) => self.number(path, found.unwrap_or(3), holds),
            Value::Name { kind, found, all } => self.name(path, kind, found, all, turn, holds),
            Value::Bits(found) => self.bits(path, found, holds),
            Value::Names { kind, found, all } => {
                let known: Vec<_> = all.iter().filter(|name| found.contains(name) == holds).collect();
                let known: Vec<_> = known.into_iter().map(|name| format!("{kind}::\"{name}\"")).collect();
                match self.numbers.below(3) {
                    0 if !known.is_empty() => format!("{path}.contains({})", self.numbers.pick(&known)),
                    _ if known.is_empty() => format!("{path}.isEmpty()"),
                    _ => format!("[{}].containsAll({path})", known.join(", ")),
                }
            }
            Value::SectionNames(found) => {
                let other = "sbat".to_owned();
                let name = if holds { found.first().unwrap_or(&other) } else { &other };
                format!("{path}.contains(\"{name}\")")
            }
            Value::Within(ring, all) => {
                let ring = all.iter().find(|other| (*other == ring) == holds).unwrap_or(ring);
                format!("{path} in KeyRing::\"{ring}\"")
            }
            Value::Text { found, all } => {
                let other = *self.numbers.pick(all);
                let name = found.as_deref().filter(|_| holds).unwrap_or(other);
                match self.numbers.below(3) {
                    0 => format!("{path} like \"{}*\"", name.get(..2).unwrap_or("")),
                    1 => format!("\"{name}\" == {path}"),
                    _ => format!("{path} == \"{name}\""),
                }
            }
        }
    }

    fn number(&mut self, path: &str, found: i64, holds: bool) -> String {
        let by = i64::from(self.numbers.byte(3));
        let (operator, literal) = match (self.numbers.below(6), holds) {
            (0, true) => ("==", found),
            (0, false) => ("==", found.saturating_add(1 + by)),
            (1, true) => ("!=", found.saturating_add(1 + by)),
            (1, false) => ("!=", found),
            (2, true) | (3, false) => ("<", found.saturating_add(1 + by)),
            (3, true) | (2, false) => (">=", found.saturating_sub(by)),
            (4, true) => ("<=", found.saturating_add(by)),
            (4, false) => ("<=", found.saturating_sub(1 + by)),
            (_, true) => (">", found.saturating_sub(1 + by)),
            (_, false) => (">", found.saturating_add(by)),
        };
        let mirrored = [("<", ">"), (">", "<"), ("<=", ">="), (">=", "<="), ("==", "=="), ("!=", "!=")];
        let other = mirrored.iter().find(|(one, _)| *one == operator).unwrap().1;
        if self.numbers.chance(20) {
            return format!("{literal} {other} {path}");
        }
        format!("{path} {operator} {literal}")
    }

    fn name(
        &mut self,
        path: &str,
        kind: &str,
        found: &Option<String>,
        all: &[String],
        turn: Turn,
        holds: bool,
    ) -> String {
        let states = crate::claimed::has_states(kind);
        if states && self.numbers.chance(65) {
            let state = found.as_ref().and_then(|value| self.references.state(kind, value));
            return self.in_states(path, state, turn, holds);
        }
        let literal = |name: &String| format!("{kind}::\"{name}\"");
        let others: Vec<String> =
            all.iter().filter(|name| Some(*name) != found.as_ref()).map(literal).collect();
        let own = found.as_ref().map(literal).unwrap_or_else(|| others[0].clone());
        let other = self.numbers.pick(&others).clone();
        let one = if holds { &own } else { &other };
        match self.numbers.below(5) {
            0 => format!("{path} != {}", if holds { &other } else { &own }),
            1 => format!("[{}].contains({path})", [one.as_str(), &others[0]].join(", "))
                .replace(&format!("[{one}, {one}]"), &format!("[{one}]")),
            2 => format!("{path} in [{one}]"),
            _ => format!("{path} == {one}"),
        }
    }

    fn in_states(&mut self, path: &str, state: Option<&str>, turn: Turn, holds: bool) -> String {
        let good = if turn == Turn::Any { &STATES[..] } else { &STATES[..3] };
        let fitting: Vec<&str> = good.iter().copied().filter(|s| (Some(*s) == state) == holds).collect();
        let some = fitting.first().copied().unwrap_or("active");
        match self.numbers.below(3) {
            0 => format!("{path} in ReferenceState::\"{some}\""),
            _ if holds || fitting.is_empty() => {
                format!("{path} in [ReferenceState::\"active\", ReferenceState::\"{}\"]", other_than(some))
            }
            _ => {
                let states: Vec<_> = fitting.iter().map(|s| format!("ReferenceState::\"{s}\"")).collect();
                format!("{path} in [{}]", states.join(", "))
            }
        }
    }

    fn bits(&mut self, path: &str, found: &[u64], holds: bool) -> String {
        let bit = (0..10).cycle().skip(self.numbers.index(10)).take(10).find(|b| found.contains(b) == holds);
        let bit = bit.unwrap_or(63);
        match self.numbers.below(5) {
            0 => format!("{path}.containsAny([{bit}, {bit}])"),
            1 => format!("{path}.containsAll([{bit}])"),
            2 if found.is_empty() == holds => format!("{path}.isEmpty()"),
            _ => format!("{path}.contains({bit})"),
        }
    }

    /// A TCB against the floor of its processor, or what else is known of that.
    fn floor(&mut self, turn: Turn, holds: bool) -> Condition {
        let snp = "principal has snp".to_owned();
        match self.numbers.below(6) {
            0 => {
                let text = "!principal.snp.processor.revoked".to_owned();
                return Condition::Atom { guards: vec![snp], text };
            }
            1 => {
                let own = "principal.snp has current_mitigations".to_owned();
                let guards = vec![snp, own, "principal.snp.processor has mitigations".to_owned()];
                let text =
                    "principal.snp.current_mitigations.containsAll(principal.snp.processor.mitigations)";
                return Condition::Atom { guards, text: text.to_owned() };
            }
            _ => {}
        }
        let which = *self.numbers.pick(&["reported", "committed", "current", "launch"]);
        let part = *self.numbers.pick(&PARTS);
        let operator = match (turn, holds) {
            (Turn::Any, false) => *self.numbers.pick(&["<", "==", "<="]),
            _ => *self.numbers.pick(&[">=", ">=", ">"]),
        };
        Condition::Atom {
            guards: vec![snp, "principal.snp.processor has tcb_floor".into()],
            text: format!(
                "principal.snp.{which}_tcb.{part} {operator} principal.snp.processor.tcb_floor.{part}"
            ),
        }
    }

    /// A reference value that is named, and not the guest's.
    fn named_value(&mut self, turn: Turn, holds: bool) -> Condition {
        let entry = self.numbers.pick(&self.references.entries).clone();
        let path = format!("{}::\"{}\"", entry.kind, entry.value);
        let text = self.in_states(&path, Some(entry.state), turn, holds);
        // Cedar takes the first for a constant, which may make the rule one that cannot apply.
        Condition::Atom {
            guards: Vec::new(),
            text: format!("{text} && principal.suite in [Suite::\"p384\", Suite::\"x-wing\"]"),
        }
    }

    fn time(&mut self, holds: bool) -> Condition {
        let not = if holds { "" } else { "!" };
        match self.numbers.below(5) {
            0 => plain(format!("{not}(context.now >= datetime(\"2026-11-01\"))")),
            1 => plain(format!("{not}(context.now < datetime(\"2027-06-01T12:00:00Z\"))")),
            2 => plain(format!("{not}(context.now.durationSince(resource.created_at) < duration(\"500d\"))")),
            3 => {
                plain(format!("{not}(resource.created_at.offset(duration(\"900d\")).toDate() > context.now)"))
            }
            _ => Condition::Atom {
                guards: vec!["principal has snp".into(), "principal.snp has crl_issued".into()],
                text: format!(
                    "{not}(context.now.durationSince(principal.snp.crl_issued) <= duration(\"60d\"))"
                ),
            },
        }
    }

    /// Arithmetic that overflows for some guests, or for all.
    fn arithmetic(&mut self) -> Condition {
        let tpm =
            |text: &str| Condition::Atom { guards: vec!["principal has tpm".into()], text: text.into() };
        let snp =
            |text: &str| Condition::Atom { guards: vec!["principal has snp".into()], text: text.into() };
        match self.numbers.below(6) {
            0 => tpm("principal.tpm.clock_ms + 1 > principal.tpm.reset_count"),
            1 => tpm("-principal.tpm.clock_ms - 2 <= 0"),
            2 => snp("principal.snp.reported_tcb.snp + 9223372036854775803 > 0"),
            3 => snp("principal.snp.vmpl * 4611686018427387904 >= 0"),
            4 => plain("context.now.offset(duration(\"9223372036854775807ms\")) > context.now".to_owned()),
            _ => plain(
                "resource.created_at.durationSince(datetime(\"1970-01-01\")) > duration(\"1d\")".to_owned(),
            ),
        }
    }
}

fn plain(text: String) -> Condition {
    Condition::Atom { guards: Vec::new(), text }
}

fn other_than(state: &str) -> &str {
    if state == "active" { "retiring" } else { state }
}

impl Condition {
    /// As Cedar reads it.
    pub fn text(&self) -> String {
        let join = |all: &[Self], with: &str| {
            let texts: Vec<_> = all.iter().map(Self::text).collect();
            format!("({})", texts.join(with))
        };
        match self {
            Self::Atom { guards, text } => {
                let parts: Vec<_> = guards.iter().chain([text]).map(String::as_str).collect();
                format!("({})", parts.join(" && "))
            }
            Self::All(all) => join(all, " && "),
            Self::Any(any) => join(any, " || "),
            Self::Not(inner) => format!("!{}", inner.text()),
            Self::If(parts) => {
                let [condition, then, otherwise] = parts.each_ref().map(Self::text);
                format!("(if {condition} then {then} else {otherwise})")
            }
        }
    }

    /// Holds for fewer requests, or for more: `another` is put beside it, or a part that it can do without is dropped.
    pub fn narrow(&mut self, numbers: &mut Numbers, another: Self, fewer: bool) {
        match self {
            Self::All(all) if fewer => all.push(another),
            Self::Any(any) if !fewer => any.push(another),
            Self::All(parts) | Self::Any(parts) if parts.len() > 1 && numbers.chance(60) => {
                parts.remove(numbers.index(parts.len()));
            }
            Self::All(parts) | Self::Any(parts) => {
                let part = numbers.index(parts.len());
                parts[part].narrow(numbers, another, fewer);
            }
            Self::Not(inner) => inner.narrow(numbers, another, !fewer),
            Self::Atom { .. } | Self::If(_) => {
                let parts = vec![self.clone(), another];
                *self = if fewer { Self::All(parts) } else { Self::Any(parts) };
            }
        }
    }
}
