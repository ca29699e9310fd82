//! `keyfast policy claims`: every claim that a policy may read, from the schema's own words, in a terminal or as the page
//! that lies beside the schema. Says nothing that the schema does not say.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use policy::Bundle;

use super::PolicyFailure;
use super::folder;
use super::schema::{Claim, Schema, What};
use crate::evidence::wrap;

/// Arguments of `keyfast policy claims`.
#[derive(Debug, Args)]
pub struct Claims {
    /// Only claims whose path has this in it: `snp.policy`, `microcode`
    part: Option<String>,
    /// Print the whole page, in Markdown
    #[arg(long, conflicts_with = "part")]
    markdown: bool,
    /// The directory of policies
    #[arg(long, default_value = "attestation-policies", env = "KEYFAST_POLICIES", value_name = "DIR")]
    dir: PathBuf,
}

pub fn run(args: &Claims, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    let path = args.dir.join(Bundle::SCHEMA);
    let text = folder::read(&path)?;
    let schema = Schema::parse(&text).map_err(|source| PolicyFailure::Schema { path, source })?;
    if args.markdown {
        return Ok(page(&schema, out)?);
    }
    let part = args.part.as_deref().unwrap_or_default();
    let all = schema.roots().into_iter().flat_map(|(root, kind)| schema.claims(root, kind));
    let claims: Vec<Claim> = all.filter(|claim| claim.path.contains(part)).collect();
    if claims.is_empty() {
        return Err(PolicyFailure::NoClaim { part: part.to_owned() });
    }
    Ok(claims.iter().try_for_each(|claim| print(&schema, claim, out))?)
}

fn print(schema: &Schema, claim: &Claim, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}: {}", claim.path, claim.kind)?;
    let mut indented = |text: &str| wrap(text, COLUMNS).iter().try_for_each(|line| writeln!(out, "  {line}"));
    indented(&claim.doc)?;
    match schema.get(&claim.kind).map(|kind| (&kind.what, &kind.doc)) {
        Some((What::Values(values), _)) => {
            indented(&format!("one of {}", in_cedar(&claim.kind, values).join(", ")))?;
        }
        Some((What::Named { .. }, doc)) => indented(&format!("{}: {doc}", claim.kind))?,
        _ => {}
    }
    claim.ask_first.iter().try_for_each(|asked| indented(&format!("ask first: {asked}")))
}

/// Columns of text, beside two of indentation.
const COLUMNS: usize = 98;

fn page(schema: &Schema, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# Claims\n")?;
    writeln!(out, "{INTRODUCTION}")?;
    for (root, kind) in schema.roots() {
        writeln!(out, "\n## `{root}`: {kind}\n")?;
        schema.get(kind).iter().try_for_each(|declared| writeln!(out, "{}\n", declared.doc))?;
        writeln!(out, "| claim | type | ask first | meaning |\n|-|-|-|-|")?;
        for Claim { path, kind, ask_first, doc, .. } in schema.claims(root, kind) {
            let asked = ask_first.map(|asked| format!("`{asked}`")).unwrap_or_default();
            writeln!(out, "| `{path}` | {} | {asked} | {} |", cell(&kind), cell(&doc))?;
        }
    }
    writeln!(out, "\n## Closed sets\n\n| type | values | meaning |\n|-|-|-|")?;
    for (name, declared) in schema.iter() {
        let What::Values(values) = &declared.what else { continue };
        let values = in_cedar(name, values).join("`, `");
        writeln!(out, "| {name} | `{values}` | {} |", cell(&declared.doc))?;
    }
    writeln!(out, "\n## Bytes and names\n\n| type | has a reference state | meaning |\n|-|-|-|")?;
    for (name, declared) in schema.iter() {
        let What::Named { has_states } = declared.what else { continue };
        writeln!(out, "| {name} | {} | {} |", if has_states { "yes" } else { "no" }, cell(&declared.doc))?;
    }
    writeln!(out, "\n## Actions\n\n| action | by | on | meaning |\n|-|-|-|-|")?;
    for (name, declared) in schema.iter() {
        let What::Action(applies_to) = &declared.what else { continue };
        let kind = |root| applies_to.iter().find(|(name, _)| name == root).map_or("", |(_, kind)| kind);
        let (by, on) = (kind("principal"), kind("resource"));
        writeln!(out, "| `Action::\"{name}\"` | {by} | {on} | {} |", cell(&declared.doc))?;
    }
    Ok(())
}

/// Values as a policy writes them.
fn in_cedar(kind: &str, values: &[String]) -> Vec<String> {
    values.iter().map(|value| format!("{kind}::\"{value}\"")).collect()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

const INTRODUCTION: &str = "\
What a policy may read, made from `schema.cedarschema` by `keyfast policy claims --markdown`. In a terminal,
`keyfast policy claims microcode` shows those that have the word in their path.

A claim with something to ask first is absent on some guests: a rule that reads it without asking does not load.";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use policy::{Policy, Problem};

    use super::*;

    fn shipped(name: &str) -> String {
        std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../attestation-policies").join(name),
        )
        .unwrap()
    }

    fn claims() -> Vec<Claim> {
        let schema = Schema::parse(&shipped(Bundle::SCHEMA)).unwrap();
        schema.roots().into_iter().flat_map(|(root, kind)| schema.claims(root, kind)).collect()
    }

    /// A bundle with one rule for each claim: `when` it equals itself.
    fn bundle<'a>(conditions: impl Iterator<Item = (usize, &'a Claim, bool)>) -> Bundle {
        let empty = Bundle::new(shipped(Bundle::SCHEMA), shipped(Bundle::REFERENCES));
        let rules = conditions.map(|(number, Claim { path, ask_first, of, .. }, asks)| {
            let head = match of.as_str() {
                "Operator" | "Act" => "principal is Operator, action, resource",
                _ => "principal is Guest, action, resource is Key",
            };
            let asked =
                ask_first.iter().filter(|_| asks).map(|asked| format!("{asked} && ")).collect::<String>();
            format!(
                "@id(\"claims/r{number}\")\n@doc(\"reads {path}\")\n\
                 forbid ({head}) when {{ {asked}{path} == {path} }};\n"
            )
        });
        empty.with_policy("claims.cedar", rules.collect::<String>())
    }

    #[test]
    fn every_claim_loads_with_what_is_asked_first() {
        let claims = claims();
        assert!(claims.len() > 150, "{}", claims.len());
        let without_words: Vec<&Claim> = claims.iter().filter(|claim| claim.doc.is_empty()).collect();
        assert!(without_words.is_empty(), "{without_words:?}");
        Policy::load(bundle(claims.iter().enumerate().map(|(number, claim)| (number, claim, true)))).unwrap();
    }

    #[test]
    fn no_claim_with_something_to_ask_loads_without() {
        let claims = claims();
        let asking = claims.iter().enumerate().filter(|(_, claim)| claim.ask_first.is_some());
        let expected: BTreeSet<String> =
            asking.clone().map(|(number, _)| format!("claims/r{number}")).collect();
        let loaded = Policy::load(bundle(asking.map(|(number, claim)| (number, claim, false))));
        let errors = loaded.err().expect("rules that do not ask");
        let refused: BTreeSet<String> = errors
            .iter()
            .filter_map(|error| match &error.problem {
                Problem::Invalid { rule, .. } => Some(rule.clone()),
                _ => None,
            })
            .collect();
        assert_eq!(refused, expected, "{errors}");
    }

    #[test]
    fn the_page_beside_the_schema_is_what_is_printed() {
        let mut printed = Vec::new();
        page(&Schema::parse(&shipped(Bundle::SCHEMA)).unwrap(), &mut printed).unwrap();
        assert_eq!(
            String::from_utf8(printed).unwrap(),
            shipped("CLAIMS.md"),
            "run `keyfast policy claims --markdown >attestation-policies/CLAIMS.md`"
        );
    }
}
