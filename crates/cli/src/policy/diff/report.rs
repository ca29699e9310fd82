//! What differs, in tables of at most 100 columns, or in JSON.

use std::io::{self, Write};
use std::path::PathBuf;

use ::prove::ProveError;
use serde_json::{Value, json};

use super::super::prove::print_counterexample;
use super::meaning::{Compared, Difference, Outcome};
use super::{Report, decided, references, rules};
use crate::evidence::{Style, Tone, wrap};

impl Report {
    /// Prints every part; one without a difference says so.
    pub(super) fn print(&self, dirs: [&PathBuf; 2], style: Style, out: &mut dyn Write) -> io::Result<()> {
        for (name, dir, digest) in [("old", dirs[0], &self.digests[0]), ("new", dirs[1], &self.digests[1])] {
            writeln!(out, "{name}   {}", dir.display())?;
            writeln!(out, "      digest {digest}")?;
        }
        for (name, is_new) in &self.files {
            let side = if *is_new { "new" } else { "old" };
            writeln!(out, "      `{name}.cedar` is in the {side} directory only")?;
        }
        if self.schema_differs {
            writeln!(out, "      the schemas are written otherwise")?;
        }
        head("reference values", self.references.is_empty(), style, out)?;
        self.references.iter().try_for_each(|change| print_reference(change, out))?;
        head("rules", self.rules.is_empty(), style, out)?;
        self.rules.iter().try_for_each(|change| print_rule(change, style, out))?;
        head("meaning", self.meaning.is_empty(), style, out)?;
        self.meaning.iter().try_for_each(|compared| print_meaning(compared, style, out))?;
        head("cases", self.decided.changes.is_empty(), style, out)?;
        self.decided.changes.iter().try_for_each(|change| print_case(change, out))?;
        writeln!(out, "  {} put to both", self.decided.cases)?;
        let verdict = match self.differs() {
            true => style.paint(Tone::Bad, "another meaning"),
            false => style.paint(Tone::Good, "the same meaning"),
        };
        writeln!(out, "\n{verdict}")
    }

    pub(super) fn as_json(&self) -> Value {
        json!({
            "old": self.digests[0],
            "new": self.digests[1],
            "same": !self.differs(),
            "schema_differs": self.schema_differs,
            "files": self.files.iter().map(|(name, is_new)| {
                json!({ "name": name, "only_in": if *is_new { "new" } else { "old" } })
            }).collect::<Vec<_>>(),
            "reference_values": self.references.iter().map(|change| json!({
                "change": change.what, "kind": change.kind, "value": change.value, "name": change.name,
                "detail": change.detail, "matters": change.matters(),
            })).collect::<Vec<_>>(),
            "rules": self.rules.iter().map(rule_as_json).collect::<Vec<_>>(),
            "meaning": self.meaning.iter().map(meaning_as_json).collect::<Vec<_>>(),
            "cases": {
                "compared": self.decided.cases,
                "changes": self.decided.changes.iter().map(|change| json!({
                    "case": change.case, "about": change.about, "was": change.was, "is": change.is,
                    "reason": change.reason,
                })).collect::<Vec<_>>(),
            },
        })
    }
}

fn head(name: &str, same: bool, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let same = if same { style.paint(Tone::Aside, ": no difference") } else { String::new() };
    writeln!(out, "\n{name}{same}")
}

fn print_reference(change: &references::Change, out: &mut dyn Write) -> io::Result<()> {
    let references::Change { what, kind, value, name, detail } = change;
    let (value, name) = (short(value, 19), short(name, 22));
    let head = format!("  {what:<8}  {kind:<12} {value:<20} {name:<23}");
    let mut lines = wrap(detail, 30).into_iter();
    writeln!(out, "{head}{}", lines.next().unwrap_or_default())?;
    let indent = " ".repeat(head.chars().count());
    lines.try_for_each(|line| writeln!(out, "{indent}{line}"))
}

/// The beginning of what is too long for its column.
fn short(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let beginning: String = text.chars().take(columns.saturating_sub(3)).collect();
    format!("{}...", beginning.trim_end_matches(['.', ' ']))
}

fn print_rule(change: &rules::Change, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let (word, rule) = change.told();
    let effect = match change {
        rules::Change::Changed { was: Some(was), .. } => format!("{was} -> {}", rule.effect),
        rules::Change::Reworded(_) => "the same conditions, in other words".to_owned(),
        _ => rule.effect.to_owned(),
    };
    writeln!(out, "  {word:<8}  {}  {effect}", rule.id)?;
    let (added, dropped) = change.conditions();
    for (sign, tone, conditions) in [("+", Tone::Good, added), ("-", Tone::Bad, dropped)] {
        for condition in conditions {
            let mut sign = style.paint(tone, sign);
            for line in wrap(condition, COLUMNS) {
                writeln!(out, "            {sign} {line}")?;
                sign = " ".to_owned();
            }
        }
    }
    Ok(())
}

fn print_meaning(compared: &Compared, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let Compared { name, outcome } = compared;
    match outcome {
        Outcome::SameRules => writeln!(out, "  same      {name}: the same rules"),
        Outcome::Unknown(error) => {
            writeln!(out, "  {}  {name}: nothing is proven", style.paint(Tone::Open, "unknown "))?;
            wrap(&error.to_string(), COLUMNS).iter().try_for_each(|line| writeln!(out, "            {line}"))
        }
        Outcome::Proven { looser: None, tighter: None } => {
            let proven = "proven to permit the same to everybody, under any reference values";
            writeln!(out, "  {}  {name}", style.paint(Tone::Good, "same    "))?;
            writeln!(out, "            {proven}")
        }
        Outcome::Proven { looser, tighter } => {
            print_direction("looser  ", "new permits what old does not", (name, looser), style, out)?;
            print_direction("tighter ", "new denies what old permits", (name, tighter), style, out)
        }
    }
}

fn print_direction(
    word: &str,
    what: &str,
    (name, found): (&str, &Option<Box<Difference>>),
    style: Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let Some(found) = found else { return Ok(()) };
    writeln!(out, "  {}  {name}: {what}", style.paint(Tone::Bad, word))?;
    print_counterexample(&found.shown, out)?;
    if found.by_no_machine {
        writeln!(out, "        nor does another request show it: to machines, both mean the same")?;
    }
    Ok(())
}

fn print_case(change: &decided::Change, out: &mut dyn Write) -> io::Result<()> {
    let decided::Change { case, about, was, is, reason } = change;
    writeln!(out, "  {was} -> {is}  {case}")?;
    let mut lines = wrap(reason, COLUMNS);
    if lines.len() > REASON_LINES {
        lines.truncate(REASON_LINES);
        lines.push("...".to_owned());
    }
    let about = wrap(about, COLUMNS);
    about.iter().chain(&lines).try_for_each(|line| writeln!(out, "            {line}"))
}

fn rule_as_json(change: &rules::Change) -> Value {
    let (word, rule) = change.told();
    let (added, dropped) = change.conditions();
    let was = match change {
        rules::Change::Changed { was, .. } => *was,
        _ => None,
    };
    json!({
        "change": word, "id": rule.id, "effect": rule.effect, "was": was,
        "conditions_added": added, "conditions_dropped": dropped,
    })
}

fn meaning_as_json(Compared { name, outcome }: &Compared) -> Value {
    let told = |found: &Option<Box<Difference>>| {
        let told = |Difference { shown, by_no_machine }: &Difference| {
            json!({
                "action": shown.action, "rules": shown.rules, "claims": shown.claims,
                "impossible": shown.impossible, "by_no_machine": by_no_machine,
            })
        };
        found.as_deref().map(told)
    };
    let (word, looser, tighter) = match outcome {
        Outcome::SameRules => ("same-rules", None, None),
        Outcome::Unknown(_) => ("unknown", None, None),
        Outcome::Proven { looser, tighter } => ("proven", told(looser), told(tighter)),
    };
    let error = match outcome {
        Outcome::Unknown(error) => Some(ProveError::to_string(error)),
        _ => None,
    };
    json!({
        "name": name, "known": word, "same": outcome.same(), "new_permits": looser, "new_denies": tighter,
        "error": error,
    })
}

/// Most lines of a reason; JSON has all of it.
const REASON_LINES: usize = 3;
/// Columns behind an indent of twelve or fourteen.
const COLUMNS: usize = 86;
