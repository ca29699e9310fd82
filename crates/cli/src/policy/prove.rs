//! `keyfast policy prove`: asks a solver what policies can never permit. Nothing is believed because it was proven before:
//! every run proves all of it. What does not hold is shown as a guest that was built, verified and decided, or as an
//! operator's act.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use ::prove::{
    AuthorsError, Counterexample, Never, Property, ProveError, Prover, Verdict, authors, invariants,
};
use claims::{Operation, UnixTime};
use clap::Args;
use policy::{Bundle, Policy};
use serde_json::json;

use super::PolicyFailure;
use super::diagnostics::{self, Sources};
use super::folder::{self, Chosen, FolderError, PolicyFile};
use crate::evidence::{Style, Tone, wrap};

use act::BuiltAct;
use build::{Question, Shown, Workshop};
use written::Cases;

pub(super) use build::reads;

mod act;
mod build;
mod written;

/// Arguments of `keyfast policy prove`.
#[derive(Debug, Args)]
pub struct Prove {
    #[command(flatten)]
    chosen: Chosen,
    /// Prove too that nothing is permitted which the policies of this directory do not permit
    #[arg(long, value_name = "DIR")]
    no_looser_than: Option<PathBuf>,
    /// Prove this property alone, such as `never/debug`; any number of times
    #[arg(long, value_name = "PROPERTY")]
    only: Vec<String>,
    /// The solver; `cvc5` in PATH if not given
    #[arg(long, value_name = "FILE")]
    cvc5: Option<PathBuf>,
    /// Write each guest or act that shows what does not hold as a case into this directory, which is laid out as
    /// `cases/NAME`
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Reference values that guests are built under, which proofs do not look at; those beside the policies if not
    /// given
    #[arg(long, value_name = "FILE")]
    references: Option<PathBuf>,
    /// When they ask: 2026-11-22, 2026-11-22T09:30:00Z, or seconds since 1970; now if not given
    #[arg(long, value_name = "TIME", value_parser = crate::past::time)]
    at: Option<UnixTime>,
    /// Look this many seconds for a guest that shows what does not hold
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    patience: u32,
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
    /// There is no such property.
    #[error("there is no property `{id}`; `keyfast policy prove` names all of them")]
    NoProperty {
        /// What was asked for.
        id: String,
    },
    /// What was built is not what the solver says.
    #[error(
        "`{id}`: solver and system disagree: the policies should permit this guest, but {got}; this is a defect of one \
         of them: please report it with the case\n\n{case}"
    )]
    Mismatch {
        /// The property.
        id: String,
        /// The guest, as a case in TOML.
        case: String,
        /// What came of it.
        got: String,
    },
}

impl ProveFailure {
    /// 2 for what keeps policies from being judged, 4 where solver and system disagree.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Mismatch { .. } | Self::Prove(ProveError::Disagree { .. }) => 4,
            Self::Prove(_) | Self::Authors { .. } | Self::NoProperty { .. } => 2,
        }
    }
}

/// A question, answered.
pub(super) struct Proven {
    pub(super) id: String,
    doc: String,
    verdict: Verdict,
    /// What came of building a guest or an act that shows it.
    example: Option<Example>,
}

/// What shows that a property does not hold, and where the case is.
enum Example {
    Guest(Shown, Option<PathBuf>),
    /// `None` if it cannot be said in the words of a case.
    Act(Option<BuiltAct>, Option<PathBuf>),
}

impl Example {
    fn is_built(&self) -> bool {
        matches!(self, Self::Guest(Shown::Built(_), _) | Self::Act(Some(_), _))
    }
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
    /// These properties alone; all if none is named.
    only: Vec<String>,
}

impl Questions {
    /// About these policies; the solver is the one in PATH if none is named.
    pub(super) fn of(chosen: &Chosen, cvc5: Option<&PathBuf>) -> Result<Self, PolicyFailure> {
        let prover = match cvc5 {
            Some(cvc5) => Prover::new(cvc5.clone()),
            None => Prover::in_path(&std::env::var_os("PATH").unwrap_or_default()),
        };
        Ok(Self { prover: prover.map_err(ProveFailure::from)?, own: authors_own(chosen)?, only: Vec::new() })
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
        mut tell: impl FnMut(&Property<'_>, &mut Proven, u128) -> Result<(), PolicyFailure>,
    ) -> Result<Vec<Proven>, PolicyFailure> {
        let (mut all, invariants) = (Vec::new(), invariants());
        let asked = properties(policy, older, &invariants, &self.own);
        if let Some(id) = self.only.iter().find(|id| asked.iter().all(|(property, _)| property.id() != **id))
        {
            return Err(ProveFailure::NoProperty { id: id.clone() }.into());
        }
        let is_asked = |id: String| self.only.is_empty() || self.only.contains(&id);
        for (property, doc) in asked.into_iter().filter(|(property, _)| is_asked(property.id())) {
            let began = Instant::now();
            let verdict = self.prover.prove(policy, &property).map_err(ProveFailure::from)?;
            let mut proven = Proven { id: property.id(), doc, verdict, example: None };
            tell(&property, &mut proven, began.elapsed().as_millis())?;
            all.push(proven);
        }
        Ok(all)
    }
}

pub fn run(args: &Prove, out: &mut dyn Write) -> Result<(), PolicyFailure> {
    let questions = Questions { only: args.only.clone(), ..Questions::of(&args.chosen, args.cvc5.as_ref())? };
    let policy = load(&args.chosen, out)?;
    let older = match &args.no_looser_than {
        Some(dir) => Some(load(&args.chosen.in_directory(dir), out)?),
        None => None,
    };
    let references = args.references.clone().unwrap_or_else(|| args.chosen.dir.join(Bundle::REFERENCES));
    let builder = Builder::new(args, &references, out)?;
    let workshop = builder.workshop(&questions.prover);
    let style = Style::of_stdout();
    let all = questions.ask(&policy, older.as_ref(), |property, proven, took_ms| {
        if !args.json {
            print(proven, took_ms, style, out)?;
        }
        let Verdict::Fails(Some(proof)) = &proven.verdict else { return Ok(()) };
        let example = if proof.action.parse::<Operation>().is_ok() {
            builder.guest(&workshop, property, proven, proof)?
        } else {
            builder.act(property, proven, proof)?
        };
        if !args.json {
            if !example.is_built() {
                print_counterexample(proof, out)?;
            }
            written::print(&example, builder.cases.as_ref(), style, out)?;
        }
        proven.example = Some(example);
        Ok(())
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

/// What guests are built with, read before anything is proven.
struct Builder<'a> {
    policy: Policy,
    empty: Bundle,
    schema: String,
    at: UnixTime,
    patience: Duration,
    cases: Option<Cases<'a>>,
}

impl<'a> Builder<'a> {
    fn new(args: &'a Prove, references: &Path, out: &mut dyn Write) -> Result<Self, PolicyFailure> {
        let chosen = &args.chosen;
        let policies = chosen.policies()?;
        let empty = chosen.bundle_with(references)?;
        let bundle =
            policies.iter().fold(empty.clone(), |all, file| all.with_policy(file.file_name(), &file.text));
        let policy = loaded(bundle, &policies, chosen, out)?;
        let named: String = policies.iter().map(|file| format!("{} ", file.name)).collect();
        let cases = match &args.cases {
            None => None,
            Some(dir) => {
                let policies = format!("{named}--dir {}", chosen.dir.display());
                let cases = Cases { dir, references: folder::read(references)?, policies };
                cases.prepare()?;
                Some(cases)
            }
        };
        let schema = folder::read(&chosen.dir.join(Bundle::SCHEMA))?;
        let patience = Duration::from_secs(args.patience.into());
        Ok(Self { policy, empty, schema, at: args.at.unwrap_or_else(now), patience, cases })
    }

    /// Builds a guest, and writes it.
    fn guest(
        &self,
        workshop: &Workshop<'_>,
        property: &Property<'_>,
        proven: &Proven,
        proof: &Counterexample,
    ) -> Result<Example, PolicyFailure> {
        let shown = workshop.show(property, proof)?;
        let file = match (&shown, &self.cases) {
            (Shown::Built(built), Some(cases)) => Some(cases.add(&proven.id, &proven.doc, built)?),
            _ => None,
        };
        Ok(Example::Guest(shown, file))
    }

    /// Says an operator's act in the words of a case, and writes it.
    fn act(
        &self,
        property: &Property<'_>,
        proven: &Proven,
        proof: &Counterexample,
    ) -> Result<Example, PolicyFailure> {
        let question = Question::of(property, &self.empty)?;
        let built = act::build(&self.policy, property, &question, proof, self.at);
        let built = built.map_err(ProveFailure::from)?;
        let file = match (&built, &self.cases) {
            (Some(built), Some(cases)) => Some(cases.add_act(&proven.id, &proven.doc, built)?),
            _ => None,
        };
        Ok(Example::Act(built, file))
    }

    fn workshop<'b>(&'b self, prover: &'b Prover) -> Workshop<'b> {
        let Self { policy, empty, schema, at, patience, .. } = self;
        Workshop { prover, policy, empty: empty.clone(), schema, at: *at, patience: *patience }
    }
}

pub(super) fn now() -> UnixTime {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime(since.map(|since| since.as_secs()).unwrap_or_default())
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
    loaded(bundle, &policies, chosen, out)
}

fn loaded(
    bundle: Bundle,
    policies: &[PolicyFile],
    chosen: &Chosen,
    out: &mut dyn Write,
) -> Result<Policy, PolicyFailure> {
    Policy::load(bundle).or_else(|errors| {
        let sources: Sources<'_> =
            policies.iter().map(|file| (file.file_name(), file.text.as_str())).collect();
        diagnostics::print(errors.problems(), &sources, Style::of_stdout(), out)?;
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
    if proven.holds() {
        return Ok(());
    }
    wrap(&proven.doc, COLUMNS).iter().try_for_each(|line| writeln!(out, "        {line}"))
}

pub(super) fn print_counterexample(found: &Counterexample, out: &mut dyn Write) -> std::io::Result<()> {
    writeln!(out, "        {} is permitted by {}, for one, if", found.action, found.rules.join(", "))?;
    for (claim, value) in &found.claims {
        for line in wrap(&format!("{claim} = {value}"), COLUMNS - 2) {
            writeln!(out, "          {line}")?;
        }
    }
    if !found.impossible.is_empty() {
        writeln!(out, "        but no machine shows that:")?;
    }
    for line in found.impossible.iter().flat_map(|words| wrap(words, COLUMNS - 2)) {
        writeln!(out, "          {line}")?;
    }
    Ok(())
}

fn as_json(proven: &Proven) -> serde_json::Value {
    let Proven { id, doc, verdict, example } = proven;
    let found = match verdict {
        Verdict::Fails(Some(found)) => json!({
            "action": found.action,
            "rules": found.rules,
            "claims": found.claims,
            "impossible": found.impossible,
        }),
        Verdict::Holds | Verdict::Fails(None) => serde_json::Value::Null,
    };
    let (guest, act) = match example {
        Some(Example::Guest(shown, file)) => (Some(written::as_json(shown, file.as_deref())), None),
        Some(Example::Act(built, file)) => {
            (None, Some(written::act_as_json(built.as_ref(), file.as_deref())))
        }
        None => (None, None),
    };
    json!({
        "id": id,
        "doc": doc,
        "holds": proven.holds(),
        "counterexample": found,
        "guest": guest,
        "act": act,
    })
}

/// Columns behind an indent of eight.
const COLUMNS: usize = 92;
