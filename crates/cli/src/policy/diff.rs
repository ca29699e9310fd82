//! `keyfast policy diff`: two directories of policies, compared by what they mean. Reads both and changes neither.
//!
//! Reference values are compared value by value, rules by their ids and conditions, cases by how they are decided, and
//! whole files by proof. What a solver proved the same counts as the same, however it is written.

mod decided;
mod meaning;
mod references;
mod report;
mod rules;

use std::io::Write;
use std::path::PathBuf;

use ::prove::{ProveError, Prover};
use clap::Args;
use policy::{Bundle, Policy};

use super::folder::{self, Chosen, PolicyFile};
use super::{PolicyFailure, prove};
use crate::evidence::Style;

/// Arguments of `keyfast policy diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// The directory of policies as they are
    old_dir: PathBuf,
    /// The directory of policies as they shall be
    new_dir: PathBuf,
    /// Policies, by their files' names without `.cedar`; all of both directories if none is named
    names: Vec<String>,
    /// The solver; `cvc5` in PATH if not given
    #[arg(long, value_name = "FILE")]
    cvc5: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One of the two directories.
struct Side {
    chosen: Chosen,
    files: Vec<PolicyFile>,
    policy: Policy,
    schema: String,
    references: String,
}

/// All that differs.
struct Report {
    digests: [String; 2],
    /// Whether the schemas are the same texts.
    schema_differs: bool,
    references: Vec<references::Change>,
    rules: Vec<rules::Change>,
    /// Files that only one directory has: its name, and whether it is the new one.
    files: Vec<(String, bool)>,
    meaning: Vec<meaning::Compared>,
    decided: decided::Decided,
}

pub fn run(args: &Diff, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    let old = Side::read(&args.old_dir, &args.names, out)?;
    let new = Side::read(&args.new_dir, &args.names, out)?;
    let prover = match &args.cvc5 {
        Some(cvc5) => Prover::new(cvc5.clone()),
        None => Prover::in_path(&std::env::var_os("PATH").unwrap_or_default()),
    };
    let report = Report::new(&old, &new, prover.as_ref(), !args.names.is_empty())?;
    if args.json {
        writeln!(out, "{:#}", report.as_json())?;
    } else {
        report.print([&args.old_dir, &args.new_dir], Style::of_stdout(), out)?;
    }
    if report.differs() { Err(PolicyFailure::Differs) } else { Ok(()) }
}

impl Side {
    fn read(dir: &std::path::Path, names: &[String], out: &mut dyn Write) -> Result<Self, PolicyFailure> {
        let chosen = Chosen::of(dir, names);
        let policy = prove::load(&chosen, out).map_err(PolicyFailure::not_judged)?;
        let (files, read) = (chosen.policies()?, |name| folder::read(&dir.join(name)));
        let (schema, references) = (read(Bundle::SCHEMA)?, read(Bundle::REFERENCES)?);
        Ok(Self { chosen, files, policy, schema, references })
    }

    /// One file by itself, with the directory's reference values.
    fn alone(&self, file: &PolicyFile) -> Result<Policy, PolicyFailure> {
        let bundle = Bundle::new(&self.schema, &self.references).with_policy(file.file_name(), &file.text);
        let dir = self.chosen.dir.clone();
        Policy::load(bundle)
            .map_err(|errors| PolicyFailure::NotJudged { problems: errors.iter().count(), dir })
    }

    fn file(&self, name: &str) -> Option<&PolicyFile> {
        self.files.iter().find(|file| file.name == name)
    }
}

impl Report {
    fn new(
        old: &Side,
        new: &Side,
        prover: Result<&Prover, &ProveError>,
        together: bool,
    ) -> Result<Self, PolicyFailure> {
        let malformed = |_| PolicyFailure::NotJudged { problems: 1, dir: new.chosen.dir.clone() };
        let mut decided = decided::Decided::default();
        for (was, is) in both(old, new) {
            decided::compare(&mut decided, (&old.chosen, was), (&new.chosen, is))?;
        }
        Ok(Self {
            digests: [old, new].map(|side| side.policy.digest().to_string()),
            schema_differs: old.schema != new.schema,
            references: references::compare(&old.references, &new.references).map_err(malformed)?,
            rules: rules::compare(&old.policy.written(), &new.policy.written()),
            files: only_one(old, new),
            meaning: if together { proven_together(old, new, prover) } else { proven(old, new, prover)? },
            decided,
        })
    }

    /// Whether the rules mean the same: by what is written, or by proof where they are written otherwise.
    fn same_rules(&self) -> bool {
        let written = self.rules.iter().all(|change| !change.matters());
        let known: Vec<Option<bool>> = self.meaning.iter().map(|compared| compared.outcome.same()).collect();
        let proven = known.iter().all(|same| *same == Some(true));
        self.files.is_empty() && !known.contains(&Some(false)) && (written || proven)
    }

    fn differs(&self) -> bool {
        let references = self.references.iter().any(references::Change::matters);
        references || !self.same_rules() || !self.decided.changes.is_empty()
    }
}

/// Files that both directories have.
fn both<'a>(old: &'a Side, new: &'a Side) -> impl Iterator<Item = (&'a PolicyFile, &'a PolicyFile)> {
    old.files.iter().filter_map(|file| Some((file, new.file(&file.name)?)))
}

fn only_one(old: &Side, new: &Side) -> Vec<(String, bool)> {
    let gone = old.files.iter().filter(|file| new.file(&file.name).is_none());
    let come = new.files.iter().filter(|file| old.file(&file.name).is_none());
    let gone = gone.map(|file| (file.name.clone(), false));
    gone.chain(come.map(|file| (file.name.clone(), true))).collect()
}

/// Each file that is written otherwise, with its namesake.
fn proven(
    old: &Side,
    new: &Side,
    prover: Result<&Prover, &ProveError>,
) -> Result<Vec<meaning::Compared>, PolicyFailure> {
    let mut all = Vec::new();
    for (was, is) in both(old, new).filter(|(was, is)| was.text != is.text) {
        all.push(meaning::compare(prover, &is.name, &old.alone(was)?, &new.alone(is)?));
    }
    Ok(all)
}

/// All files together, as a broker loads them.
fn proven_together(old: &Side, new: &Side, prover: Result<&Prover, &ProveError>) -> Vec<meaning::Compared> {
    let names: Vec<&str> = new.files.iter().map(|file| file.name.as_str()).collect();
    vec![meaning::compare(prover, &names.join(", "), &old.policy, &new.policy)]
}
