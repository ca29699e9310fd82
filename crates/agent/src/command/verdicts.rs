//! How the answer to a preflight is printed: a table, the reasons below it, or JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};

use claims::{KeyId, Operation, Sha256Digest};
use serde_json::{Value, json};
use wire::{PreflightResponse, ToldReason, Verdict, WouldDeny};

use crate::foresee::Foreseen;

/// What was asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) operation: Operation,
    pub(super) key: KeyId,
}

/// An answer, and what it is about.
pub(super) struct Report<'a> {
    /// In the order of the verdicts.
    pub(super) requests: &'a [Asked],
    /// Which boot.
    pub(super) about: String,
    /// What was foreseen of it.
    pub(super) foreseen: Option<&'a Foreseen>,
    /// What the broker said.
    pub(super) response: &'a PreflightResponse,
}

impl Report<'_> {
    fn rows(&self) -> impl Iterator<Item = (&Asked, &Verdict)> {
        self.requests.iter().zip(&self.response.verdicts)
    }

    fn notes(&self) -> &[String] {
        self.foreseen.map_or(&[], |foreseen| &foreseen.notes)
    }

    /// What was foreseen, under the names that `keyfast measure uki` has for it.
    fn values(&self) -> Vec<(String, Option<String>)> {
        let Some(Foreseen { prediction, .. }) = self.foreseen else { return Vec::new() };
        let pcrs = prediction.pcrs.iter();
        let pcrs = pcrs.map(|pcr| (format!("pcr{}", pcr.index), pcr.value.as_ref().map(ToString::to_string)));
        let digest = |dbx: &Vec<u8>| Sha256Digest(crypto::sha256(&[dbx])).to_string();
        pcrs.chain(prediction.dbx.iter().map(|dbx| ("dbx".to_owned(), Some(digest(dbx))))).collect()
    }

    /// For people, within 100 columns but for names.
    pub(super) fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "about      {}", self.about)?;
        writeln!(out, "request    {}", self.response.request_id)?;
        for (name, value) in self.values() {
            writeln!(out, "{name:<9}  {}", value.as_deref().unwrap_or("cannot be foreseen"))?;
        }
        for note in self.notes() {
            writeln!(out)?;
            wrap(note, COLUMNS).iter().try_for_each(|line| writeln!(out, "{line}"))?;
        }
        writeln!(out)?;
        let width = self.requests.iter().map(|asked| asked.key.as_str().len()).max().unwrap_or(0).max(3);
        writeln!(out, "{:<width$}  {:<9}  {:<9}  WHY", "KEY", "OPERATION", "WOULD BE")?;
        for (asked, verdict) in self.rows() {
            let (outcome, why) = match verdict {
                Verdict::Permit(permit) if permit.rules.is_empty() => ("permitted", "not told".to_owned()),
                Verdict::Permit(permit) => ("permitted", permit.rules.join(", ")),
                Verdict::Deny(deny) => ("denied", deny.code.clone()),
            };
            let (key, operation) = (asked.key.as_str(), asked.operation.name());
            writeln!(out, "{key:<width$}  {operation:<9}  {outcome:<9}  {why}")?;
        }
        self.rows().try_for_each(|(asked, verdict)| match verdict {
            Verdict::Permit(_) => Ok(()),
            Verdict::Deny(deny) => print_denial(asked, deny, out),
        })
    }

    /// For programs.
    pub(super) fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        let verdict = |(asked, verdict): (&Asked, &Verdict)| {
            let mut told = match verdict {
                Verdict::Permit(permit) => {
                    json!({ "decision": "permit", "version": permit.version.0, "rules": permit.rules })
                }
                Verdict::Deny(deny) => json!({
                    "decision": "deny",
                    "code": deny.code,
                    "reasons": deny.reasons.iter().map(reason).collect::<Vec<_>>(),
                    "left_out": deny.left_out,
                    "nearest": deny.nearest,
                }),
            };
            if let Value::Object(told) = &mut told {
                told.insert("key".to_owned(), asked.key.as_str().into());
                told.insert("operation".to_owned(), asked.operation.name().into());
            }
            told
        };
        let report = json!({
            "about": self.about,
            "foreseen": self.values().into_iter().collect::<BTreeMap<_, _>>(),
            "notes": self.notes(),
            "request": self.response.request_id.to_string(),
            "verdicts": self.rows().map(verdict).collect::<Vec<_>>(),
        });
        writeln!(out, "{report:#}")
    }
}

fn reason(told: &ToldReason) -> Value {
    let ToldReason { kind, rule, doc, condition, wanted, found } = told;
    json!({ "kind": kind, "rule": rule, "doc": doc, "condition": condition, "wanted": wanted, "found": found })
}

/// What is missing: each condition with what was wanted and found, under its rule.
fn print_denial(asked: &Asked, deny: &WouldDeny, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out)?;
    writeln!(out, "{} of `{}` would be denied: {}", asked.operation, asked.key, deny.code)?;
    if deny.reasons.is_empty() {
        return writeln!(out, "  the broker does not tell this guest more");
    }
    let mut rule = "";
    for reason in &deny.reasons {
        writeln!(out)?;
        if reason.rule != rule {
            rule = &reason.rule;
            writeln!(out, "{rule}")?;
            let doc = wrap(&reason.doc, COLUMNS.saturating_sub(2));
            doc.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
        }
        for (name, text) in
            [("condition", &reason.condition), ("wanted", &reason.wanted), ("found", &reason.found)]
        {
            for (at, line) in wrap(text, COLUMNS.saturating_sub(14)).iter().enumerate() {
                writeln!(out, "  {:<10}  {line}", if at == 0 { name } else { "" })?;
            }
        }
    }
    if deny.left_out > 0 {
        writeln!(out, "\n  and {} more", deny.left_out)?;
    }
    let nearest = deny.nearest.iter().flat_map(|text| wrap(text, COLUMNS));
    nearest.enumerate().try_for_each(|(at, line)| {
        let gap = if at == 0 { "\n" } else { "" };
        writeln!(out, "{gap}{line}")
    })
}

/// Lines of at most so many characters, broken between words where words allow it.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count().saturating_add(word.chars().count()) < columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

const COLUMNS: usize = 98;
