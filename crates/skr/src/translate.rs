//! From a policy of Azure's to rules: what can be said here is, and what cannot never makes them looser.
//!
//! The grammar has no negation, so whatever is taken out of an `anyOf` makes a policy stricter, and whatever is taken out
//! of an `allOf` makes it looser. Hence:
//!
//! 1. An alternative without a counterpart is dropped.
//! 2. A condition without a counterpart takes the `allOf` with it that it stands in; only when looser rules were asked for
//!    is it left out, and only while another condition stays there.
//! 3. Each policy is read twice, for either kind of token: a claim that this kind never has does not hold. So conditions
//!    on both, which no token meets, do not become a rule that some guest meets.
//! 4. Authorities fall away, as the broker verifies evidence itself. What they ask becomes one rule for each kind of token
//!    and each thing asked, however many authorities ask it; alternatives become rules of their own while they are few.

use std::collections::BTreeSet;

use crate::claim::{self, Meaning, Token};
use crate::condition::{Condition, Guard, Test};
use crate::finding::{Effect, Finding};
use crate::grammar::{ClaimCondition, Document, Node, Problem};

/// A policy, translated.
#[derive(Debug, Default)]
pub struct Translation {
    /// The policy can never be changed there.
    pub immutable: bool,
    /// The distinct authorities, in order of their names.
    pub authorities: Vec<String>,
    /// The rules, in the order of the policy; none if nothing could be said.
    pub rules: Vec<Rule>,
    /// What is otherwise than there.
    pub findings: Vec<Finding>,
}

/// What a rule permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The kind of token that stood for the guest.
    pub token: Token,
    /// What it asks besides.
    pub asks: Tree,
}

/// Conditions in Cedar's terms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tree {
    /// All of these.
    All(Vec<Tree>),
    /// One of these.
    Any(Vec<Tree>),
    /// This one.
    Is(Condition),
}

/// What a node comes to for one kind of token.
enum Outcome {
    /// Something to ask of a guest, and what is otherwise about it.
    Asks(Tree, Vec<Finding>),
    /// It holds for every guest.
    Always,
    /// It holds for no guest; why, unless it is for the kind of token alone.
    Never(Vec<Finding>),
    /// Nothing stands for it; why.
    Unknown(Vec<Finding>),
}

/// Translates a policy. `looser` leaves out what has no counterpart.
///
/// # Errors
/// Values that a claim never has; at least one.
pub fn translate(document: &Document, looser: bool) -> Result<Translation, Vec<Problem>> {
    let mut problems = Vec::new();
    document.authorities.iter().for_each(|authority| impossible(&authority.asks, &mut problems));
    if !problems.is_empty() {
        return Err(problems);
    }
    let urls: BTreeSet<&str> = document.authorities.iter().map(|authority| authority.url.as_str()).collect();
    let authorities = urls.into_iter().map(str::to_owned).collect();
    let mut whole = Translation { immutable: document.immutable, authorities, ..Translation::default() };
    let mut lost = Vec::new();
    for authority in &document.authorities {
        let outcomes = [Token::Machine, Token::Report].map(|token| {
            let reader = Reader { token, looser, place: &authority.place };
            (token, reader.node(&authority.asks))
        });
        whole.take(&authority.place, outcomes, &mut lost);
    }
    let kept = !whole.rules.is_empty();
    let effect = |own| if kept { Effect::Dropped } else { own };
    let lost = lost.into_iter().map(|finding| Finding { effect: effect(finding.effect), ..finding });
    whole.findings.extend(lost);
    whole.say_why_a_paravisor_is_asked_for();
    Ok(whole)
}

/// Values that can never occur.
fn impossible(node: &Node, problems: &mut Vec<Problem>) {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().for_each(|node| impossible(node, problems)),
        Node::Claim(condition) => problems.extend(claim::read(condition).err()),
    }
}

impl Translation {
    /// Adds what an authority asks, once for each kind of token, unless it is there.
    fn take(&mut self, place: &str, outcomes: [(Token, Outcome); 2], lost: &mut Vec<Finding>) {
        let mut unknown = Vec::new();
        let mut never = Vec::new();
        let mut asks = false;
        let mut always = false;
        for (token, outcome) in outcomes {
            match outcome {
                Outcome::Asks(tree, findings) => {
                    asks = true;
                    self.findings.extend(findings);
                    self.add(token, tree);
                }
                Outcome::Always => always = true,
                Outcome::Never(why) => never.extend(why),
                Outcome::Unknown(why) => unknown.extend(why),
            }
        }
        if always && !asks {
            unknown.push(Finding::of_all(Some(place), Effect::Missing, "asks nothing of a guest"));
        } else if !asks && unknown.is_empty() && never.is_empty() {
            never.push(Finding::of_all(Some(place), Effect::Nobody, MIXED));
        }
        // What was lost for one kind of token matters only where the other lost something of its own.
        lost.extend(unknown);
        lost.extend(never);
    }

    fn add(&mut self, token: Token, tree: Tree) {
        let there =
            self.rules.iter().any(|rule| rule.token == token && rule.asks.canonical() == tree.canonical());
        if !there {
            self.rules.push(Rule { token, asks: tree });
        }
    }

    /// Once, where no condition says it itself.
    fn say_why_a_paravisor_is_asked_for(&mut self) {
        let said = self.findings.iter().any(|finding| finding.why == claim::KNOWN_PARAVISOR);
        if !said && self.rules.iter().any(Rule::needs_vtpm) {
            self.findings.push(Finding::of_all(None, Effect::Stricter, BELIEVED));
        }
    }

    /// The rules, with those of alternatives only made several, while that stays readable.
    pub fn split(&self) -> Vec<Rule> {
        let alternatives = |rule: &Rule| match &rule.asks {
            Tree::Any(branches) => branches.len(),
            _ => 1,
        };
        let all: usize = self.rules.iter().map(alternatives).sum();
        if all > MAX_RULES {
            return self.rules.clone();
        }
        let mut split: Vec<Rule> = Vec::new();
        for rule in &self.rules {
            let branches = match &rule.asks {
                Tree::Any(branches) => branches.clone(),
                other => vec![other.clone()],
            };
            for asks in branches {
                let one = Rule { token: rule.token, asks };
                let same =
                    |other: &Rule| other.token == one.token && other.asks.canonical() == one.asks.canonical();
                if !split.iter().any(same) {
                    split.push(one);
                }
            }
        }
        split
    }
}

/// Reads nodes as a kind of token meets them.
struct Reader<'a> {
    token: Token,
    looser: bool,
    /// The authority's.
    place: &'a str,
}

impl Reader<'_> {
    fn node(&self, node: &Node) -> Outcome {
        match node {
            Node::Claim(condition) => self.claim(condition),
            Node::All(nodes) => self.all(nodes),
            Node::Any(nodes) => self.any(nodes),
        }
    }

    fn claim(&self, condition: &ClaimCondition) -> Outcome {
        let Ok(reading) = claim::read(condition) else {
            return Outcome::Unknown(Vec::new());
        };
        if reading.token.is_some_and(|token| token != self.token) {
            return Outcome::Never(Vec::new());
        }
        let finding = |effect, why| vec![Finding::of(condition, effect, why)];
        match reading.meaning {
            Meaning::Asks(asks, how) => {
                let stricter = how.map(|why| Finding::of(condition, Effect::Stricter, why));
                Outcome::Asks(Tree::Is(asks), stricter.into_iter().collect())
            }
            Meaning::Always => Outcome::Always,
            Meaning::Never(why) => Outcome::Never(finding(Effect::Nobody, why)),
            Meaning::Unknown(why) => Outcome::Unknown(finding(Effect::Missing, why)),
        }
    }

    fn all(&self, nodes: &[Node]) -> Outcome {
        let mut asks = Vec::new();
        let mut findings = Vec::new();
        let mut never = None::<Vec<Finding>>;
        let mut unknown = None::<Vec<Finding>>;
        for node in nodes {
            match self.node(node) {
                Outcome::Asks(tree, own) => {
                    asks.push(tree);
                    findings.extend(own);
                }
                Outcome::Always => {}
                Outcome::Never(why) => never.get_or_insert_default().extend(why),
                Outcome::Unknown(why) => unknown.get_or_insert_default().extend(why),
            }
        }
        if let Some(why) = never {
            return Outcome::Never(why);
        }
        if let Some(why) = unknown {
            if !self.looser || asks.is_empty() {
                return Outcome::Unknown(why);
            }
            findings.extend(why.into_iter().map(|finding| Finding { effect: Effect::Looser, ..finding }));
        }
        let tree = Tree::all(asks);
        match tree.two_values() {
            Some(claim) => {
                let why = format!("asks for two values of `{claim}` at once");
                Outcome::Never(vec![Finding::of_all(Some(self.place), Effect::Nobody, &why)])
            }
            None if tree == Tree::All(Vec::new()) => Outcome::Always,
            None => Outcome::Asks(tree, findings),
        }
    }

    fn any(&self, nodes: &[Node]) -> Outcome {
        let mut asks = Vec::new();
        let mut findings = Vec::new();
        let mut lost = Vec::new();
        let mut is_unknown = false;
        for node in nodes {
            match self.node(node) {
                Outcome::Asks(tree, own) => {
                    asks.push(tree);
                    findings.extend(own);
                }
                Outcome::Always => return Outcome::Always,
                Outcome::Never(why) => lost.extend(why),
                Outcome::Unknown(why) => {
                    is_unknown = true;
                    lost.extend(why);
                }
            }
        }
        if asks.is_empty() {
            return if is_unknown { Outcome::Unknown(lost) } else { Outcome::Never(lost) };
        }
        findings.extend(lost.into_iter().map(|finding| Finding { effect: Effect::Dropped, ..finding }));
        Outcome::Asks(Tree::any(asks), findings)
    }
}

impl Tree {
    /// All of these, without brackets within brackets and without repetition.
    fn all(trees: Vec<Self>) -> Self {
        let flat =
            trees.into_iter().flat_map(|tree| if let Self::All(own) = tree { own } else { vec![tree] });
        Self::one_or(distinct(flat), Self::All)
    }

    /// One of these, the same way; values of one claim become a set.
    fn any(trees: Vec<Self>) -> Self {
        let flat =
            trees.into_iter().flat_map(|tree| if let Self::Any(own) = tree { own } else { vec![tree] });
        let mut merged: Vec<Self> = Vec::new();
        for tree in distinct(flat) {
            let same = merged.iter_mut().find_map(|other| other.values_beside(&tree));
            match (same, &tree) {
                (Some(values), Self::Is(Condition { test: Test::Equal(_, value), .. })) => {
                    values.push(value.clone());
                }
                _ => merged.push(tree.into_set()),
            }
        }
        let single = merged.into_iter().map(Self::without_set);
        Self::one_or(distinct(single), Self::Any)
    }

    fn one_or(mut trees: Vec<Self>, many: impl FnOnce(Vec<Self>) -> Self) -> Self {
        match (trees.len(), trees.pop()) {
            (1, Some(only)) => only,
            (_, last) => many(trees.into_iter().chain(last).collect()),
        }
    }

    /// A value as a set of one.
    fn into_set(self) -> Self {
        match self {
            Self::Is(Condition { guard, test: Test::Equal(claim, value) }) => {
                Self::Is(Condition { guard, test: Test::OneOf(claim, vec![value]) })
            }
            other => other,
        }
    }

    /// A set of one as its value.
    fn without_set(self) -> Self {
        match self {
            Self::Is(Condition { guard, test: Test::OneOf(claim, values) }) if values.len() == 1 => {
                let value = values.into_iter().next().unwrap_or_default();
                Self::Is(Condition { guard, test: Test::Equal(claim, value) })
            }
            other => other,
        }
    }

    /// The set that another value of the same claim belongs to.
    fn values_beside(&mut self, other: &Self) -> Option<&mut Vec<String>> {
        match (self, other) {
            (
                Self::Is(Condition { guard, test: Test::OneOf(claim, values) }),
                Self::Is(Condition { guard: other_guard, test: Test::Equal(other_claim, _) }),
            ) if guard == other_guard && claim == other_claim => Some(values),
            _ => None,
        }
    }

    /// A claim that must be two things at once.
    fn two_values(&self) -> Option<&'static str> {
        let Self::All(trees) = self else { return None };
        let tests = || {
            trees.iter().filter_map(|tree| match tree {
                Self::Is(Condition { test: test @ (Test::Equal(..) | Test::Is(..)), .. }) => Some(test),
                _ => None,
            })
        };
        let differs = |test: &&Test| tests().any(|other| other.claim() == test.claim() && other != *test);
        tests().find(differs).and_then(Test::claim)
    }

    /// The same in one order, to compare.
    fn canonical(&self) -> Self {
        let sorted = |trees: &[Self]| {
            let mut sorted: Vec<Self> = trees.iter().map(Self::canonical).collect();
            sorted.sort();
            sorted
        };
        match self {
            Self::All(trees) => Self::All(sorted(trees)),
            Self::Any(trees) => Self::Any(sorted(trees)),
            Self::Is(Condition { guard, test: Test::OneOf(claim, values) }) => {
                let mut values = values.clone();
                values.sort();
                Self::Is(Condition { guard: *guard, test: Test::OneOf(claim, values) })
            }
            Self::Is(_) => self.clone(),
        }
    }

    /// Whether every guest that meets this meets such a condition.
    pub fn asks(&self, wanted: &dyn Fn(&Condition) -> bool) -> bool {
        match self {
            Self::All(trees) => trees.iter().any(|tree| tree.asks(wanted)),
            Self::Any(trees) => !trees.is_empty() && trees.iter().all(|tree| tree.asks(wanted)),
            Self::Is(condition) => wanted(condition),
        }
    }

    /// Whether such a condition is anywhere in it.
    pub fn mentions(&self, wanted: &dyn Fn(&Condition) -> bool) -> bool {
        match self {
            Self::All(trees) | Self::Any(trees) => trees.iter().any(|tree| tree.mentions(wanted)),
            Self::Is(condition) => wanted(condition),
        }
    }
}

impl Rule {
    /// Whether some guest that it permits is believed for its vTPM.
    pub fn needs_vtpm(&self) -> bool {
        let behind = |condition: &Condition| condition.guard.is_some_and(|guard| guard.includes(Guard::Vtpm));
        self.token == Token::Machine || self.asks.mentions(&behind)
    }
}

/// Each once, in their order.
fn distinct(trees: impl Iterator<Item = Tree>) -> Vec<Tree> {
    let mut seen = BTreeSet::new();
    trees.filter(|tree| seen.insert(tree.canonical())).collect()
}

/// Most rules that alternatives are made into.
const MAX_RULES: usize = 8;

const BELIEVED: &str = "what a vTPM says is believed of a confidential machine with a known paravisor alone: anybody with \
    an SEV-SNP machine could make up the rest";
const MIXED: &str = "asks for claims of both kinds of token, and none has both: a token about a machine has those of the \
    report under `x-ms-isolation-tee.`, a token about a report says nothing of the boot log";

#[cfg(test)]
mod tests;
