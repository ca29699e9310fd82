//! Rules as text. Nothing of the policy's own text gets in but values that were checked: hexadecimal, UUIDs, numbers.

use std::collections::BTreeSet;

use claims::KeyId;

use crate::claim::Token;
use crate::condition::Guard;
use crate::translate::{Rule, Tree};

/// What rules are called, and whose keys they are for.
#[derive(Debug)]
pub struct Naming<'a> {
    /// What the rules' ids begin with.
    pub name: &'a str,
    /// The only key that they are for; all if `None`.
    pub key: Option<&'a KeyId>,
    /// Conditions were left out.
    pub looser: bool,
}

/// A rule's id among so many.
pub fn id(naming: &Naming<'_>, at: usize, all: usize) -> String {
    let number = if all > 1 { format!("-{}", at.saturating_add(1)) } else { String::new() };
    format!("{}/permit{number}", naming.name)
}

/// The rules as a policy file, not laid out yet.
pub fn text(rules: &[Rule], naming: &Naming<'_>) -> String {
    let mut text = HEAD.to_owned();
    if naming.looser {
        text.push_str(LOOSER);
    }
    for (at, rule) in rules.iter().enumerate() {
        text.push('\n');
        text.push_str(&one(rule, &id(naming, at, rules.len()), naming.key));
    }
    text
}

fn one(rule: &Rule, id: &str, key: Option<&KeyId>) -> String {
    let resource =
        key.map_or_else(|| "resource is Key".to_owned(), |key| format!("resource == Key::\"{key}\""));
    let (doc, why) = match rule.token {
        Token::Machine => (
            "a confidential virtual machine on Azure that its release policy there describes",
            "A genuine report of a known paravisor, and the quote of the vTPM that runs in it.",
        ),
        Token::Report => ("an SEV-SNP guest that its release policy on Azure describes", "A genuine report."),
    };
    let mut asked = BTreeSet::new();
    let mut every = vec!["!principal.simulated".to_owned()];
    if rule.token == Token::Machine {
        every.extend(Guard::Vtpm.ask(&mut asked));
    }
    every.push("principal has snp".to_owned());
    let own = conjunction(&rule.asks, &mut asked);
    let own = if own.is_empty() { String::new() } else { format!("when {{ {} }}", own.join(" && ")) };
    format!(
        "@id(\"{id}\")\n@doc(\"{doc}\")\npermit (\n  principal is Guest,\n  action in {ACTIONS},\n  {resource}\n)\n\
         when {{\n  // {why}\n  {}\n}}\n{own};\n",
        every.join(" && ")
    )
}

/// What must hold, each as a condition of its own; what is asked in it counts as asked behind it.
fn conjunction(tree: &Tree, asked: &mut BTreeSet<&'static str>) -> Vec<String> {
    match tree {
        Tree::Is(condition) => condition.ask(asked),
        Tree::Any(branches) => alternatives(branches, asked).into_iter().collect(),
        Tree::All(trees) => {
            // Alternatives come last, so that they need not ask again.
            let (either, each): (Vec<&Tree>, Vec<&Tree>) =
                trees.iter().partition(|tree| matches!(tree, Tree::Any(_)));
            each.into_iter().chain(either).flat_map(|tree| conjunction(tree, asked)).collect()
        }
    }
}

/// Alternatives in brackets; `None` where one of them asks nothing more.
fn alternatives(branches: &[Tree], asked: &BTreeSet<&'static str>) -> Option<String> {
    let branches = branches.iter().map(|branch| {
        let all = conjunction(branch, &mut asked.clone());
        match all.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            _ => Some(format!("({})", all.join(" && "))),
        }
    });
    let branches = branches.collect::<Option<Vec<String>>>()?;
    Some(format!("({})", branches.join(" || ")))
}

const ACTIONS: &str = r#"[Action::"unwrap", Action::"release", Action::"secret", Action::"renew"]"#;

const HEAD: &str = "// Translated from a release policy of Azure Key Vault by `keyfast policy import-skr`.\n\
    //\n\
    // There, a key goes to whoever brings a token of an attestation provider. Here the broker verifies\n\
    // evidence itself, and guests that Azure calls compliant must be among the reference values.\n";

const LOOSER: &str = "//\n\
    // LOOSER THAN THAT POLICY: conditions without a counterpart were left out (--allow-looser).\n";
