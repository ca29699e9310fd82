//! `keyfast policy import-skr`: translates a Secure Key Release policy of Azure's to rules of ours.
//!
//! Such a policy says which claims a token of Microsoft Azure Attestation must have before Key Vault or Managed HSM gives
//! a key away. What it asks of a guest is asked here of the guest's own evidence. A translation must never permit what the
//! policy did not, unless its user says so: what has no counterpart makes rules stricter, or there are none. It prints
//! nothing that does not load.
//!
//! The grammar and the translation are in `skr`; `report` says what is otherwise than there, and what an author here
//! would add.

mod report;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use claims::KeyId;
use clap::Args;
use policy::{Bundle, Policy};
use skr::{Effect, Naming, Problem};

use super::PolicyFailure;
use super::diagnostics::{self, Sources};
use super::folder::{self, FolderError};
use crate::evidence::{Style, wrap};
use crate::file::{self, FileError};
use crate::output::write_public;
use report::Report;

/// Arguments of `keyfast policy import-skr`.
#[derive(Debug, Args)]
pub struct ImportSkr {
    /// The policy in JSON, or the key or `release_policy` that holds it
    file: PathBuf,
    /// What the ids of the rules begin with; the file's name if not given
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
    /// The only key that the rules are for
    #[arg(long, value_name = "KEY")]
    key: Option<KeyId>,
    /// Leave out conditions that have no counterpart, though the rules permit more without them
    #[arg(long)]
    allow_looser: bool,
    /// Write the rules to a file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the report as JSON; `-` is standard output, and needs --output
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The directory of policies: its schema is what the rules must load under
    #[arg(long, default_value = "attestation-policies", env = "KEYFAST_POLICIES", value_name = "DIR")]
    dir: PathBuf,
    /// Reference values; those of the directory if not given
    #[arg(long, value_name = "FILE")]
    references: Option<PathBuf>,
}

pub const ABOUT: &str = "Translate a release policy of Azure Key Vault or Managed HSM (Secure Key Release) to rules.\n\n\
    Rules go to standard output, and to standard error a report: which conditions are stricter here, which \
    alternatives were dropped, which reference values are needed, what to add. The rules permit nothing that the \
    policy did not. A condition without a counterpart therefore ends the command without rules, unless an `anyOf` has \
    others, or --allow-looser is given. An authority has no counterpart: the broker verifies evidence itself.";

/// Why there is no translation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportFailure {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file cannot be used or written.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// It is no release policy; what is wrong has been printed.
    #[error("`{}` is no release policy that can be translated: {problems} {}", path.display(), super::plural(*.problems, "problem", "problems"))]
    Wrong {
        /// The file.
        path: PathBuf,
        /// How many things are wrong.
        problems: usize,
    },
    /// Conditions have no counterpart; they have been printed.
    #[error("no rules: {missing} {} no counterpart; --allow-looser leaves out what stands beside others", super::plural(*.missing, "condition has", "conditions have"))]
    Missing {
        /// How many.
        missing: usize,
    },
    /// Nothing that can be asked is left; why has been printed.
    #[error("no rules: nothing is left to ask of a guest")]
    Nothing,
    /// The rules do not load; why has been printed.
    #[error("the rules do not load: {problems} {}; with fewer alternatives in the policy they may", super::plural(*.problems, "problem", "problems"))]
    Unloaded {
        /// How many problems.
        problems: usize,
    },
    /// Both results go to standard output.
    #[error("the report and the rules cannot both go to standard output; give --output FILE")]
    OneOutput,
    /// No name can be made from the file's.
    #[error("the file's name makes no name for rules; give one with --name")]
    NoName,
}

impl ImportFailure {
    /// 1 where the policy is to blame, 2 for what keeps it from being translated.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Wrong { .. } | Self::Missing { .. } | Self::Nothing | Self::Unloaded { .. } => 1,
            _ => 2,
        }
    }
}

pub fn run(args: &ImportSkr, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    let err = &mut io::stderr().lock();
    let to_stdout = args.report.as_deref() == Some(Path::new("-"));
    if to_stdout && args.output.is_none() {
        return Err(ImportFailure::OneOutput.into());
    }
    let name = name(args)?;
    let limit = u64::try_from(skr::MAX_TEXT).unwrap_or(u64::MAX);
    let text = file::read(&args.file, limit).map_err(ImportFailure::from)?;
    let translation = read(&text)
        .and_then(|document| skr::translate(&document, args.allow_looser))
        .or_else(|problems| Err(wrong(&args.file, &problems, err)?))?;
    let references = args.references.clone().unwrap_or_else(|| args.dir.join(Bundle::REFERENCES));
    let references = folder::read(&references)?;
    let split = translation.split();
    let looser = translation.findings.iter().any(|finding| finding.effect == Effect::Looser);
    let naming = Naming { name: &name, key: args.key.as_ref(), looser };
    let ids = (0..split.len()).map(|at| skr::id(&naming, at, split.len())).collect();
    let report = Report::new(&translation, &split, ids, args.key.is_some(), granted(&references));
    let rules = if split.is_empty() {
        None
    } else {
        let schema = folder::read(&args.dir.join(Bundle::SCHEMA))?;
        Some(loaded(&skr::text(&split, &naming), &name, Bundle::new(schema, references), err)?)
    };
    report.print(err)?;
    if let Some(path) = args.report.as_deref().filter(|_| !to_stdout) {
        write(path, &format!("{:#}\n", report.json()))?;
    } else if to_stdout {
        writeln!(out, "{:#}", report.json())?;
    }
    match (rules, &args.output) {
        (None, _) => match report.count(Effect::Missing) {
            missing if missing > 0 && !args.allow_looser => Err(ImportFailure::Missing { missing }.into()),
            _ => Err(ImportFailure::Nothing.into()),
        },
        (Some(rules), Some(path)) => write(path, &rules),
        (Some(rules), None) => Ok(write!(out, "{rules}")?),
    }
}

fn read(bytes: &[u8]) -> Result<skr::Document, Vec<Problem>> {
    let text = core::str::from_utf8(bytes);
    let not_text = |_| vec![Problem { place: "$".to_owned(), message: "not UTF-8".to_owned() }];
    skr::parse(text.map_err(not_text)?)
}

/// Prints what is wrong with a policy.
fn wrong(path: &Path, problems: &[Problem], err: &mut dyn Write) -> Result<PolicyFailure, PolicyFailure> {
    for Problem { place, message } in problems {
        for (at, line) in wrap(&format!("{place}: {message}"), COLUMNS).iter().enumerate() {
            writeln!(err, "{}{line}", if at == 0 { "" } else { "  " })?;
        }
    }
    Ok(ImportFailure::Wrong { path: path.to_owned(), problems: problems.len() }.into())
}

/// The rules in the one layout, if they load.
fn loaded(text: &str, name: &str, bundle: Bundle, err: &mut dyn Write) -> Result<String, PolicyFailure> {
    let file = format!("{name}.cedar");
    let loaded = policy::format(&file, text).and_then(|text| {
        Policy::load(bundle.with_policy(&file, &text))?;
        Ok(text)
    });
    match loaded {
        Ok(text) => Ok(text),
        Err(errors) => {
            let sources = Sources::from([(file, text)]);
            diagnostics::print(errors.problems(), &sources, Style::Plain, err)?;
            Err(ImportFailure::Unloaded { problems: errors.iter().count() }.into())
        }
    }
}

/// How many reference values of a kind are active or retiring, whatever their dates. What is none is told when rules load.
fn granted(references: &str) -> impl Fn(&str) -> usize {
    let table: toml::Table = references.parse().unwrap_or_default();
    move |kind| {
        let values = table.get(kind).and_then(toml::Value::as_array);
        let state = |value: &&toml::Value| {
            let state = value.get("state").and_then(toml::Value::as_str);
            matches!(state, Some("active" | "retiring"))
        };
        values.map_or(0, |values| values.iter().filter(state).count())
    }
}

fn write(path: &Path, text: &str) -> Result<(), PolicyFailure> {
    write_public(path, text.as_bytes())
        .map_err(|source| FolderError::Write { path: path.to_owned(), source }.into())
}

/// The name given, or the file's without its ending, in the letters that a name may have.
fn name(args: &ImportSkr) -> Result<String, ImportFailure> {
    if let Some(name) = &args.name {
        return Ok(name.clone());
    }
    let stem = args.file.file_stem().map(|stem| stem.to_string_lossy().to_ascii_lowercase());
    let letter = |c: char| if is_letter(c) { c } else { '-' };
    let name: String = stem.unwrap_or_default().chars().map(letter).take(MAX_NAME).collect();
    parse_name(name.trim_matches('-')).map_err(|_| ImportFailure::NoName)
}

fn parse_name(name: &str) -> Result<String, &'static str> {
    let sound = (1..=MAX_NAME).contains(&name.len()) && name.chars().all(is_letter);
    if sound { Ok(name.to_owned()) } else { Err("not a name: use 1 to 64 of a-z, 0-9, `-`, `_`") }
}

fn is_letter(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-' | '_')
}

/// Most letters of a name.
const MAX_NAME: usize = 64;
/// Columns of a problem behind its indent.
const COLUMNS: usize = 98;
