//! Guests that show what does not hold, written as the directory of a policy's cases has them, and told.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use policy::Bundle;
use policy::case::{Expect, ExpectedDenial};
use serde_json::json;

use super::Example;
use super::act::BuiltAct;
use super::build::{Built, Shown};
use crate::evidence::{Style, Tone, wrap};
use crate::output::write_public;
use crate::policy::folder::{self, FolderError};
use crate::policy::simulated::Root;

/// A directory of cases, and how it is gone on with.
pub(super) struct Cases<'a> {
    pub(super) dir: &'a Path,
    /// Reference values that its guests are built under.
    pub(super) references: String,
    /// What follows `keyfast policy explain CASE`.
    pub(super) policies: String,
}

impl Cases<'_> {
    /// Makes the directory, with the reference values.
    ///
    /// # Errors
    /// [`FolderError::OtherReferences`] if there are other ones.
    pub(super) fn prepare(&self) -> Result<(), FolderError> {
        let path = self.dir.join(Bundle::REFERENCES);
        if path.exists() {
            let same = folder::read(&path)? == self.references;
            return if same { Ok(()) } else { Err(FolderError::OtherReferences { path }) };
        }
        make(self.dir)?;
        write(&path, &self.references)
    }

    /// Writes a guest as a case; the file.
    pub(super) fn add(&self, id: &str, doc: &str, built: &Built) -> Result<PathBuf, FolderError> {
        let (folder, expect) = match &built.case.expect {
            Expect::Permit(rules) => ("permit", format!("permit = {rules:?}")),
            Expect::Deny(denial) => ("deny", denied(denial)),
        };
        let about = format!("`{id}` does not hold: {doc}");
        let dir = self.dir.join(folder);
        make(&dir)?;
        let slug = slug(id);
        let (path, text) = if built.root == Root::Genuine {
            let case = policy::case::Case { about, ..built.case.clone() };
            let path = dir.join(format!("{slug}.json"));
            let text = case.to_file().map_err(|source| FolderError::Case { path: path.clone(), source })?;
            (path, text)
        } else {
            (dir.join(format!("{slug}.toml")), built.description.to_text(&about, &expect))
        };
        write(&path, &text)?;
        Ok(path)
    }

    /// Writes an operator's act as a case; the file.
    pub(super) fn add_act(&self, id: &str, doc: &str, built: &BuiltAct) -> Result<PathBuf, FolderError> {
        let dir = self.dir.join("permit");
        make(&dir)?;
        let path = dir.join(format!("{}.toml", slug(id)));
        write(&path, &built.to_text(&format!("`{id}` does not hold: {doc}")))?;
        Ok(path)
    }
}

/// A property's name as one of a file.
fn slug(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

fn denied(denial: &ExpectedDenial) -> String {
    let reason = |reason: &policy::case::ExpectedReason| {
        format!("    {{ rule = {:?}, condition = {:?} }},\n", reason.rule, reason.condition)
    };
    let reasons: String = denial.reasons.iter().map(reason).collect();
    format!("[expect.deny]\ncode = {:?}\nreasons = [\n{reasons}]", denial.code)
}

fn make(dir: &Path) -> Result<(), FolderError> {
    fs::create_dir_all(dir).map_err(|source| FolderError::Write { path: dir.to_owned(), source })
}

fn write(path: &Path, text: &str) -> Result<(), FolderError> {
    write_public(path, text.as_bytes()).map_err(|source| FolderError::Write { path: path.to_owned(), source })
}

/// Tells what came of building an example, and how to go on.
pub(super) fn print(
    example: &Example,
    cases: Option<&Cases<'_>>,
    style: Style,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    let (tone, text) = match example {
        Example::Guest(Shown::Built(built), _) => (Tone::Bad, words(built.root)),
        Example::Guest(Shown::NotBuilt, _) => (
            Tone::Aside,
            "not built: a machine may be so, but in the time given none was found that a simulated host can launch \
             and these reference values permit; name others with --references, or look longer with --patience",
        ),
        Example::Guest(Shown::Impossible, _) => {
            (Tone::Aside, "no machine shows this: what is written above about it cannot be")
        }
        Example::Act(Some(_), _) => {
            (Tone::Bad, "built: the policies really permit this act of an operator, in the words of a case")
        }
        Example::Act(None, _) => (
            Tone::Aside,
            "not built: the policies permit what is written above, but no operator, key or attestation key was found \
             whose names a case and a broker accept",
        ),
    };
    for line in wrap(text, COLUMNS) {
        writeln!(out, "        {}", style.paint(tone, &line))?;
    }
    let (lines, file, is_launched): (Vec<_>, _, _) = match example {
        Example::Guest(Shown::Built(built), file) => {
            (built.description.lines().collect(), file, built.root == Root::Simulated)
        }
        Example::Act(Some(built), file) => (built.lines().collect(), file, false),
        Example::Guest(..) | Example::Act(None, _) => return Ok(()),
    };
    for (table, line) in lines {
        writeln!(out, "          {table:<8} {line}")?;
    }
    let (Some(path), Some(cases)) = (file, cases) else {
        let uses = if is_launched { "explain it, try it and keep it" } else { "explain it and keep it" };
        return writeln!(out, "        write it as a case with --cases DIR, to {uses}");
    };
    writeln!(out, "        case     {}", path.display())?;
    writeln!(out, "        explain  keyfast policy explain {} {}", path.display(), cases.policies)?;
    if is_launched {
        let run = "-- keyfast-agent renew KEY";
        writeln!(out, "        try it   keyfast dev guest hole --case {} {run}", path.display())?;
    }
    Ok(())
}

/// An act as JSON.
pub(super) fn act_as_json(built: Option<&BuiltAct>, written: Option<&Path>) -> serde_json::Value {
    match built {
        None => json!({ "built": false }),
        Some(built) => {
            let lines = built.lines().map(|(table, line)| json!({ "table": table, "line": line }));
            json!({
                "built": true,
                "permit": built.rules(),
                "case": lines.collect::<Vec<_>>(),
                "file": written,
            })
        }
    }
}

/// A guest as JSON.
pub(super) fn as_json(shown: &Shown, written: Option<&Path>) -> serde_json::Value {
    match shown {
        Shown::NotBuilt => json!({ "built": false, "possible": true }),
        Shown::Impossible => json!({ "built": false, "possible": false }),
        Shown::Built(built) => {
            let lines =
                built.description.lines().map(|(table, line)| json!({ "table": table, "line": line }));
            json!({
                "built": true,
                "possible": true,
                "root": match built.root {
                    Root::Simulated => "simulated",
                    Root::Locked => "locked",
                    Root::Genuine => "genuine",
                },
                "decided": built.case.expect,
                "case": lines.collect::<Vec<_>>(),
                "file": written,
            })
        }
    }
}

fn words(root: Root) -> &'static str {
    match root {
        Root::Simulated => {
            "built and verified: the policies really permit this guest, in the words of a case"
        }
        Root::Genuine => {
            "built and verified: the policies really permit this guest if AMD vouches for it and not a simulated host; \
             that, and its chip where they ask for one, is all that was changed, in the words of a case"
        }
        Root::Locked => {
            "built and verified: only the broker's own lock holds this guest back, which keeps simulated guests from \
             keys that are not for simulation, in the words of a case"
        }
    }
}

/// Columns behind an indent of eight.
const COLUMNS: usize = 92;
