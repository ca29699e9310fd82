//! `keyfast policy prove`: asks a solver what policies can never permit. Nothing is believed because it was proven before:
//! every run proves all of it.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use ::prove::{
    AuthorsError, Counterexample, Never, Property, ProveError, Prover, Verdict, authors, invariants,
};
use clap::Args;
use policy::Policy;
use serde_json::json;

use super::PolicyFailure;
use super::diagnostics::{self, Sources};
use super::folder::{self, Chosen, FolderError};
use crate::evidence::{Style, Tone, wrap};

/// Arguments of `keyfast policy prove`.
#[derive(Debug, Args)]
pub struct Prove {
    #[command(flatten)]
    chosen: Chosen,
    /// Prove too that nothing is permitted which the policies of this directory do not permit
    #[arg(long, value_name = "DIR")]
    no_looser_than: Option<PathBuf>,
    /// The solver; `cvc5` in PATH if not given
    #[arg(long, value_name = "FILE")]
    cvc5: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Why nothing was proven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveFailure {
    /// The solver, or a question.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// The author's own properties cannot be read.
    #[error("`{}`: {source}", path.display())]
    Authors {
        /// The file.
        path: PathBuf,
        /// Why.
        source: AuthorsError,
    },
}

/// A question, answered.
pub(super) struct Proven {
    pub(super) id: String,
    doc: String,
    verdict: Verdict,
}

impl Proven {
    pub(super) fn holds(&self) -> bool {
        self.verdict == Verdict::Holds
    }
}

/// Who answers, and what an author asks besides the invariants.
pub(super) struct Questions {
    prover: Prover,
    own: Vec<Never>,
}

impl Questions {
    /// About these policies; the solver is the one in PATH if none is named.
    pub(super) fn of(chosen: &Chosen, cvc5: Option<&PathBuf>) -> Result<Self, PolicyFailure> {
        let prover = match cvc5 {
            Some(cvc5) => Prover::new(cvc5.clone()),
            None => Prover::in_path(&std::env::var_os("PATH").unwrap_or_default()),
        };
        Ok(Self { prover: prover.map_err(ProveFailure::from)?, own: authors_own(chosen)? })
    }

    /// The solver's name and version.
    pub(super) fn solver(&self) -> Result<String, PolicyFailure> {
        Ok(self.prover.version().map_err(ProveFailure::from)?)
    }

    /// Asks all; each answer is told, with the milliseconds that it took, as it comes.
    pub(super) fn ask(
        &self,
        policy: &Policy,
        older: Option<&Policy>,
        mut tell: impl FnMut(&Proven, u128) -> std::io::Result<()>,
    ) -> Result<Vec<Proven>, PolicyFailure> {
        let mut all = Vec::new();
        for (property, doc) in properties(policy, older, &invariants(), &self.own) {
            let began = Instant::now();
            let verdict = self.prover.prove(policy, &property).map_err(ProveFailure::from)?;
            let proven = Proven { id: property.id(), doc, verdict };
            tell(&proven, began.elapsed().as_millis())?;
            all.push(proven);
        }
        Ok(all)
    }
}

pub fn run(args: &Prove, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    let questions = Questions::of(&args.chosen, args.cvc5.as_ref())?;
    let policy = load(&args.chosen, out)?;
    let older = match &args.no_looser_than {
        Some(dir) => Some(load(&args.chosen.in_directory(dir), out)?),
        None => None,
    };
    let style = Style::of_stdout();
    let all = questions.ask(&policy, older.as_ref(), |proven, took_ms| {
        if args.json { Ok(()) } else { print(proven, took_ms, style, out) }
    })?;
    let failed = all.iter().filter(|proven| !proven.holds()).count();
    if args.json {
        let results: Vec<_> = all.iter().map(as_json).collect();
        writeln!(out, "{:#}", json!({ "digest": policy.digest().to_string(), "properties": results }))?;
    } else {
        writeln!(out, "\ndigest   {}", policy.digest())?;
    }
    if failed == 0 { Ok(()) } else { Err(PolicyFailure::NotProven { failed, all: all.len() }) }
}

/// Every question, and why it is asked.
fn properties<'a>(
    policy: &'a Policy,
    older: Option<&'a Policy>,
    invariants: &'a [Never],
    own: &'a [Never],
) -> Vec<(Property<'a>, String)> {
    let nevers = invariants.iter().chain(own).map(|never| (Property::Never(never), never.doc.clone()));
    let rules = policy.rules().flat_map(|(id, _)| {
        let applies = "a rule that can never apply protects nothing".to_owned();
        let errs = "a rule that errs denies every request".to_owned();
        [(Property::EveryRuleApplies(id), applies), (Property::NoRuleErrs(id), errs)]
    });
    let looser = older.map(|older| {
        (Property::NoLooser(older), "whatever is permitted, the older policies permit too".to_owned())
    });
    nevers.chain(rules).chain(looser).collect()
}

/// Loads what was chosen; what is wrong with it is printed.
pub(super) fn load(chosen: &Chosen, out: &mut dyn Write) -> Result<Policy, PolicyFailure> {
    let policies = chosen.policies()?;
    let bundle = chosen.bundle(&policies)?;
    Policy::load(bundle).or_else(|errors| {
        let sources: Sources<'_> =
            policies.iter().map(|file| (file.file_name(), file.text.as_str())).collect();
        diagnostics::print(&errors, &sources, Style::of_stdout(), out)?;
        Err(PolicyFailure::Wrong { problems: errors.iter().count(), dir: chosen.dir.clone() })
    })
}

/// `proofs.toml` beside the policies, if it is there.
fn authors_own(chosen: &Chosen) -> Result<Vec<Never>, PolicyFailure> {
    let path = chosen.dir.join("proofs.toml");
    match folder::read(&path) {
        Ok(text) => Ok(authors(&text).map_err(|source| ProveFailure::Authors { path, source })?),
        Err(FolderError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}

fn print(proven: &Proven, took_ms: u128, style: Style, out: &mut dyn Write) -> std::io::Result<()> {
    let word = match proven.verdict {
        Verdict::Holds => style.paint(Tone::Good, "proven"),
        Verdict::Fails(_) => style.paint(Tone::Bad, "fails "),
    };
    writeln!(out, "{word}  {}  {}", proven.id, style.paint(Tone::Aside, &format!("{took_ms} ms")))?;
    let Verdict::Fails(found) = &proven.verdict else { return Ok(()) };
    wrap(&proven.doc, COLUMNS).iter().try_for_each(|line| writeln!(out, "        {line}"))?;
    found.as_ref().map_or(Ok(()), |found| print_counterexample(found, out))
}

pub(super) fn print_counterexample(found: &Counterexample, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "        {} is permitted by {}, for one, if", found.action, found.rules.join(", "))?;
    for (claim, value) in &found.claims {
        for line in wrap(&format!("{claim} = {value}"), COLUMNS - 2) {
            writeln!(out, "          {line}")?;
        }
    }
    Ok(())
}

fn as_json(proven: &Proven) -> serde_json::Value {
    let found =
        match &proven.verdict {
            Verdict::Holds => None,
            Verdict::Fails(found) => Some(found.as_ref().map(
                |found| json!({ "action": found.action, "rules": found.rules, "claims": found.claims }),
            )),
        };
    json!({
        "id": proven.id,
        "doc": proven.doc,
        "holds": proven.holds(),
        "counterexample": found.flatten(),
    })
}

/// Columns behind an indent of eight.
const COLUMNS: usize = 92;
