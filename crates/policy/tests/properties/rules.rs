//! Random bundles, and bundles that permit less.

use policy::{Bundle, LoadErrors, Policy};

use crate::conditions::{Author, Condition, Turn};
use crate::guests::{Asked, asked};
use crate::numbers::Numbers;
use crate::oracle::locked;
use crate::references::References;

/// What rules a bundle has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Any that load.
    Any,
    /// Permits ask what is there and good, and forbids what is absent or not good: no rule is for a guest that a claim
    /// is taken from, and none for a reference value that is withdrawn.
    Careful,
    /// Any, with arithmetic that can overflow.
    Erring,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    pub id: String,
    pub permit: bool,
    /// Action and resource.
    pub scope: [String; 2],
    pub when: Vec<Condition>,
    pub unless: Vec<Condition>,
}

impl Rule {
    pub fn text(&self) -> String {
        let Self { id, permit, scope: [action, resource], .. } = self;
        let effect = if *permit { "permit" } else { "forbid" };
        let clauses = |word: &str, all: &[Condition]| -> String {
            all.iter().map(|condition| format!("\n  {word} {{ {} }}", condition.text())).collect()
        };
        let (when, unless) = (clauses("when", &self.when), clauses("unless", &self.unless));
        format!(
            "@id(\"{id}\") @doc(\"d\")\n{effect} (principal is Guest, {action}, {resource}){when}{unless};\n"
        )
    }
}

/// A bundle before it is loaded.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Each file's rules.
    pub files: Vec<(String, Vec<Rule>)>,
    pub references: References,
}

/// A bundle, and a guest that it was made with in mind.
pub fn plan(numbers: &mut Numbers, class: Class) -> (Plan, Asked) {
    let references = References::random(numbers);
    let mut like = asked(numbers);
    while locked(&like) {
        like = asked(numbers);
    }
    let mut files: Vec<(String, Vec<Rule>)> = Vec::new();
    for file in 0..1 + numbers.index(3) {
        files.push((format!("{file}.cedar"), Vec::new()));
    }
    let (permits, forbids) = (1 + numbers.index(3), numbers.index(3));
    for number in 0..permits + forbids {
        let mut author =
            Author { numbers, asked: &like, references: &references, erring: class == Class::Erring };
        let rule = rule(&mut author, class, number, number < permits);
        let file = numbers.index(files.len());
        files[file].1.push(rule);
    }
    files.retain(|(_, rules)| !rules.is_empty());
    (Plan { files, references }, like)
}

fn rule(author: &mut Author<'_>, class: Class, number: usize, permit: bool) -> Rule {
    let (lossy, gainful) = turns(class);
    let applies = author.numbers.chance(if permit { 90 } else { 10 });
    let (for_when, for_unless) = if permit { (lossy, gainful) } else { (gainful, lossy) };
    let few = 1 + author.numbers.index(2);
    let spoiled = author.numbers.index(few);
    let mut when = Vec::new();
    for i in 0..few {
        let (depth, other) = (author.numbers.below(4), author.numbers.chance(70));
        when.push(author.condition(depth, for_when, applies || (i != spoiled && other)));
    }
    let depth = author.numbers.below(3);
    let unless = author.numbers.chance(35).then(|| author.condition(depth, for_unless, false));
    Rule {
        id: format!("r{number}"),
        permit,
        scope: scope(author),
        when,
        unless: unless.into_iter().collect(),
    }
}

/// What a permit asks for, and what it must not find.
fn turns(class: Class) -> (Turn, Turn) {
    match class {
        Class::Careful => (Turn::Lossy, Turn::Gainful),
        Class::Any | Class::Erring => (Turn::Any, Turn::Any),
    }
}

fn scope(author: &mut Author<'_>) -> [String; 2] {
    let operation = author.asked.request.operation;
    let action = match author.numbers.below(5) {
        0 => format!("action == Action::\"{operation}\""),
        1 => format!("action in [Action::\"{operation}\", Action::\"renew\"]"),
        _ => "action".to_owned(),
    };
    let resource = match author.numbers.below(5) {
        0 => format!("resource == Key::\"{}\"", author.asked.key.id),
        1 => "resource is Key".to_owned(),
        _ => "resource".to_owned(),
    };
    [action, resource]
}

impl Plan {
    pub fn bundle(&self) -> Bundle {
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../../attestation-policies/schema.cedarschema");
        let empty = Bundle::new(std::fs::read_to_string(schema).unwrap(), self.references.text());
        self.files.iter().fold(empty, |bundle, (name, rules)| {
            bundle.with_policy(name, rules.iter().map(Rule::text).collect::<String>())
        })
    }

    pub fn load(&self) -> Result<Policy, LoadErrors> {
        Policy::load(self.bundle())
    }

    /// Loads it, unless a rule can never apply: random conditions may contradict each other.
    pub fn load_if_possible(&self) -> Option<Policy> {
        match self.load() {
            Ok(policy) => Some(policy),
            Err(errors) => {
                let known = errors.iter().all(|error| error.problem.code() == "impossible");
                assert!(known, "a bundle does not load: {errors}\n{self}");
                None
            }
        }
    }

    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.files.iter().flat_map(|(_, rules)| rules)
    }

    /// Without one rule.
    pub fn without(&self, id: &str) -> Self {
        let mut less = self.clone();
        less.files.iter_mut().for_each(|(_, rules)| rules.retain(|rule| rule.id != id));
        less.files.retain(|(_, rules)| !rules.is_empty());
        less
    }

    /// The same in another order, and its files under other names.
    pub fn shuffled(&self, numbers: &mut Numbers) -> Self {
        let mut files: Vec<(String, Vec<Rule>)> =
            (0..1 + numbers.index(3)).map(|file| (format!("other-{file}.cedar"), Vec::new())).collect();
        let mut rules: Vec<Rule> = self.rules().cloned().collect();
        numbers.shuffle(&mut rules);
        for rule in rules {
            let file = numbers.index(files.len());
            files[file].1.push(rule);
        }
        files.retain(|(_, rules)| !rules.is_empty());
        Self { files, references: self.references.shuffled(numbers) }
    }

    /// A bundle that permits no more than this one, and what was done to it.
    pub fn tightened(&self, numbers: &mut Numbers, like: &Asked) -> (&'static str, Self) {
        let mut tight = self.clone();
        let holds = numbers.chance(70);
        let depth = numbers.below(2);
        let mut author = Author { numbers, asked: like, references: &self.references, erring: false };
        let another = author.condition(depth, Turn::Any, holds);
        let (file, at) = (author.numbers.index(self.files.len()), author.numbers.any());
        let rules = &mut tight.files[file].1;
        let at = usize::try_from(at % rules.len() as u64).unwrap();
        let what = rules[at].tighten(numbers, another.clone());
        if let Some(what) = what {
            return (what, tight);
        }
        if rules[at].permit && rules.len() > 1 && numbers.chance(50) {
            rules.remove(at);
            return ("a permit less", tight);
        }
        let scope = ["action".to_owned(), "resource".to_owned()];
        let (when, unless) = (vec![another], Vec::new());
        rules.push(Rule { id: "more".to_owned(), permit: false, scope, when, unless });
        ("a forbid more", tight)
    }
}

impl Rule {
    /// Makes the rule permit less, or forbid more, if it has what the dice fell on.
    fn tighten(&mut self, numbers: &mut Numbers, another: Condition) -> Option<&'static str> {
        let (narrowing, widening) =
            if self.permit { (&mut self.when, &mut self.unless) } else { (&mut self.unless, &mut self.when) };
        match numbers.below(6) {
            0 => {
                narrowing.push(another);
                // For a forbid this is its `unless`: a further one takes from what it forbids.
                if self.permit { Some("a `when` more") } else { self.unless.pop().and(None) }
            }
            1 if self.permit => {
                widening.push(another);
                Some("an `unless` more")
            }
            2 if !self.permit && !narrowing.is_empty() => {
                narrowing.pop();
                Some("an `unless` of a forbid less")
            }
            3 if !narrowing.is_empty() => {
                let one = numbers.index(narrowing.len());
                narrowing[one].narrow(numbers, another, true);
                Some("a condition narrowed")
            }
            4 if !widening.is_empty() => {
                let one = numbers.index(widening.len());
                widening[one].narrow(numbers, another, false);
                Some("an exception widened")
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.files.iter().try_for_each(|(name, rules)| {
            writeln!(f, "// {name}")?;
            rules.iter().try_for_each(|rule| f.write_str(&rule.text()))
        })?;
        write!(f, "// reference values\n{}", self.references.text())
    }
}
