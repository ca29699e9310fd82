//! Cases of two directories that are decided otherwise: each put to the policy of its name in either directory, with the
//! reference values that the cases have there.

use std::path::{Path, PathBuf};

use policy::{Bundle, Evaluation, Policy};

use super::super::PolicyFailure;
use super::super::cases::{self, CaseFile};
use super::super::folder::{self, Chosen, FolderError, PolicyFile};

/// A case that is decided otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// `snp-production/deny/debug`.
    pub case: String,
    /// What the case is about.
    pub about: String,
    /// `permit` or `deny`, before and after.
    pub was: &'static str,
    pub is: &'static str,
    /// What stands in the way, now or then.
    pub reason: String,
}

/// How many cases were put to both, and those that are decided otherwise.
#[derive(Debug, Default)]
pub struct Decided {
    pub cases: usize,
    pub changes: Vec<Change>,
}

/// Compares the policies of one name. Where rules and reference values are the same texts, so are the decisions.
pub fn compare(
    into: &mut Decided,
    (old, old_file): (&Chosen, &PolicyFile),
    (new, new_file): (&Chosen, &PolicyFile),
) -> Result<(), PolicyFailure> {
    let name = &old_file.name;
    let cases = of_both(old, new, name)?;
    into.cases = into.cases.saturating_add(cases.len());
    if cases.is_empty() {
        return Ok(());
    }
    let (from_old, from_new) = (references(old, new, name), references(new, old, name));
    if old_file.text == new_file.text && folder::read(&from_old)? == folder::read(&from_new)? {
        return Ok(());
    }
    let (was, is) = (load(old, old_file, &from_old)?, load(new, new_file, &from_new)?);
    for CaseFile { name: file, case } in cases {
        let (was, is) = (case.evaluate(&was), case.evaluate(&is));
        if word(&was) != word(&is) {
            let reason = reason(&was).or(reason(&is)).unwrap_or_default();
            let (case_name, about) = (format!("{name}/{file}"), case.about().to_owned());
            into.changes.push(Change { case: case_name, about, was: word(&was), is: word(&is), reason });
        }
    }
    Ok(())
}

/// The cases of the new directory, and those of the old one that are not among them.
fn of_both(old: &Chosen, new: &Chosen, name: &str) -> Result<Vec<CaseFile>, FolderError> {
    let mut all = cases::all(&new.cases(name))?;
    for file in cases::all(&old.cases(name))? {
        let known =
            all.iter().any(|other| other.name == file.name && other.case.asked() == file.case.asked());
        if !known {
            all.push(file);
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(all)
}

/// The reference values of a policy's cases; those of the other directory if its own has none.
fn references(chosen: &Chosen, other: &Chosen, name: &str) -> PathBuf {
    let own = chosen.cases(name).join(Bundle::REFERENCES);
    if own.is_file() { own } else { other.cases(name).join(Bundle::REFERENCES) }
}

fn load(chosen: &Chosen, file: &PolicyFile, references: &Path) -> Result<Policy, PolicyFailure> {
    let bundle = chosen.bundle_with(references)?.with_policy(file.file_name(), &file.text);
    let dir = chosen.cases(&file.name);
    Policy::load(bundle).map_err(|errors| PolicyFailure::NotJudged { problems: errors.iter().count(), dir })
}

fn word(evaluation: &Evaluation) -> &'static str {
    match evaluation {
        Evaluation::Permit { .. } => "permit",
        Evaluation::Deny(_) => "deny",
    }
}

fn reason(evaluation: &Evaluation) -> Option<String> {
    match evaluation {
        Evaluation::Permit { .. } => None,
        Evaluation::Deny(denial) => denial.reasons.first().map(ToString::to_string),
    }
}
