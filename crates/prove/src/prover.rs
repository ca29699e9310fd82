//! Asks the solver, a process of its own, and holds its counterexamples against Cedar.

use std::ffi::OsStr;
use std::path::PathBuf;

use cedar_policy::{Decision, PolicyId, PolicySet, RequestEnv, Schema, ValidationMode, Validator};
use cedar_policy_symcc::err::{Error, SolverError};
use cedar_policy_symcc::solver::LocalSolver;
use cedar_policy_symcc::{CedarSymCompiler, CompiledPolicy, CompiledPolicySet, Env};
use policy::Policy;

use crate::counterexample::Found;
use crate::trimmed::Trimmed;
use crate::{Counterexample, Never, Property, Reads, Who};

/// The way to a solver.
#[derive(Clone, Debug)]
pub struct Prover {
    cvc5: PathBuf,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds of every request that the schema can describe.
    Holds,
    /// It does not, and here is why; `None` for a rule that applies to nothing.
    Fails(Option<Box<Counterexample>>),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProveError {
    /// There is no solver.
    #[error("no solver: expected `cvc5` in PATH; install the package `cvc5`, or name one with --cvc5")]
    NoSolver,
    /// The solver does not start, does not know, or says what makes no sense.
    #[error("the solver failed: {0}")]
    Solver(String),
    /// A condition is not Cedar, or does not fit the schema.
    #[error("the condition of `{id}` cannot be used: {message}")]
    Condition {
        /// The property.
        id: String,
        /// What Cedar says.
        message: String,
    },
    /// A condition holds of no request at all.
    #[error(
        "`{id}` says nothing: its condition holds of no request of {}; properties of operators' acts have \
         `who = \"operators\"`, and those of guests' requests do not",
        if *who == Who::Guests { "a guest" } else { "an operator" }
    )]
    Empty {
        /// The property.
        id: String,
        /// Whom it is about.
        who: Who,
    },
    /// There is no such rule.
    #[error("there is no rule `{0}`")]
    NoRule(String),
    /// The solver's counterexample is none.
    #[error("solver and Cedar disagree on {request}; this is a defect of one of them: please report it")]
    Disagree {
        /// The request, or `the solver's own example` where that is not even what was asked for.
        request: String,
    },
}

impl Prover {
    /// Uses this solver.
    ///
    /// # Errors
    /// [`ProveError::NoSolver`] if there is none.
    pub fn new(cvc5: PathBuf) -> Result<Self, ProveError> {
        if cvc5.is_file() { Ok(Self { cvc5 }) } else { Err(ProveError::NoSolver) }
    }

    /// Uses the first `cvc5` in directories as the variable `PATH` lists them.
    ///
    /// # Errors
    /// [`ProveError::NoSolver`] if there is none.
    pub fn in_path(path: &OsStr) -> Result<Self, ProveError> {
        let found = std::env::split_paths(path).map(|dir| dir.join("cvc5")).find(|file| file.is_file());
        Self::new(found.unwrap_or_default())
    }

    /// What the solver calls itself.
    ///
    /// # Errors
    /// [`ProveError::Solver`] if it says nothing.
    pub fn version(&self) -> Result<String, ProveError> {
        let run = std::process::Command::new(&self.cvc5).arg("--version").output();
        let said = run.map_err(|error| ProveError::Solver(error.to_string()))?.stdout;
        let said = String::from_utf8_lossy(&said);
        let first = said.lines().next().map(str::trim).filter(|line| !line.is_empty());
        let nothing = || ProveError::Solver("it does not say its version".to_owned());
        first.map(|line| line.chars().take(100).collect()).ok_or_else(nothing)
    }

    /// Asks a question about a bundle. It may take seconds, and holds this thread.
    ///
    /// # Errors
    /// [`ProveError`]; nothing is known then.
    pub fn prove(&self, policy: &Policy, property: &Property<'_>) -> Result<Verdict, ProveError> {
        runtime()?.block_on(self.ask(policy, property, &[], None))
    }

    /// Searches for a guest's request for this operation (`release`, say), among those that all of `among` hold of,
    /// conditions in Cedar, which shows that the property does not hold. That there is none says nothing about the
    /// property.
    ///
    /// # Errors
    /// [`ProveError`]; [`ProveError::Condition`] also for those of `among`, under the property's name.
    pub fn example(
        &self,
        policy: &Policy,
        property: &Property<'_>,
        among: &[String],
        operation: &str,
    ) -> Result<Option<Counterexample>, ProveError> {
        if matches!(property, Property::EveryRuleApplies(_) | Property::NoRuleErrs(_)) {
            return Ok(None);
        }
        match runtime()?.block_on(self.ask(policy, property, among, Some(operation)))? {
            Verdict::Fails(Some(found)) => Ok(Some(*found)),
            _ => Ok(None),
        }
    }

    /// Whether there is such a request: as [`Prover::example`], and sooner, since none is shown.
    ///
    /// # Errors
    /// As [`Prover::example`].
    pub fn has_example(
        &self,
        policy: &Policy,
        property: &Property<'_>,
        among: &[String],
        operation: &str,
    ) -> Result<bool, ProveError> {
        runtime()?.block_on(async {
            let mut question = self.question(policy, among, Some(operation))?;
            match property {
                Property::Never(never) => question.may_permit(never).await,
                Property::NoLooser(older) => question.may_be_looser(older, &property.id()).await,
                Property::EveryRuleApplies(_) | Property::NoRuleErrs(_) => Ok(false),
            }
        })
    }

    async fn ask(
        &self,
        policy: &Policy,
        property: &Property<'_>,
        among: &[String],
        operation: Option<&str>,
    ) -> Result<Verdict, ProveError> {
        let mut question = self.question(policy, among, operation)?;
        match property {
            Property::Never(never) => question.never(never).await,
            Property::EveryRuleApplies(id) => question.rule_applies(rule(question.set, id)?).await,
            Property::NoRuleErrs(id) => question.rule_errs(rule(question.set, id)?).await,
            Property::NoLooser(older) => question.no_looser(older, &property.id()).await,
        }
    }

    fn question<'a>(
        &self,
        policy: &'a Policy,
        among: &'a [String],
        operation: Option<&'a str>,
    ) -> Result<Question<'a>, ProveError> {
        let (schema, set) = policy.cedar();
        Ok(Question { compiler: self.compiler()?, policy, schema, set, among, operation })
    }

    fn compiler(&self) -> Result<CedarSymCompiler<LocalSolver>, ProveError> {
        let mut command = tokio::process::Command::new(&self.cvc5);
        command.args(["--lang", "smt", "--tlimit", SOLVER_LIMIT_MS]).kill_on_drop(true);
        let solver = LocalSolver::from_command(&mut command).map_err(|e: SolverError| failed(e))?;
        CedarSymCompiler::new(solver).map_err(failed)
    }
}

/// A question about a bundle. `among` and `operation` narrow what an example is looked for among; a proof has neither.
///
/// What nothing reads is left out first. What does not hold then is asked again with all of the schema: that answer
/// counts, and has the counterexample.
struct Question<'a> {
    compiler: CedarSymCompiler<LocalSolver>,
    policy: &'a Policy,
    schema: &'a Schema,
    set: &'a PolicySet,
    among: &'a [String],
    operation: Option<&'a str>,
}

impl Question<'_> {
    async fn never(&mut self, never: &Never) -> Result<Verdict, ProveError> {
        if !self.may_permit(never).await? {
            if !self.may_hold(never).await? {
                return Err(ProveError::Empty { id: never.id.clone(), who: never.who });
            }
            return Ok(Verdict::Holds);
        }
        let narrowed = self.where_asked(never)?;
        let reads = Reads::of(self.set, &[&never.when])?;
        let texts = [self.set.to_string(), never.when.clone()];
        for env in self.whole(|env| self.asks(env) && is_from(never.who, env)) {
            let compiled = compile(&narrowed, &env, self.schema)?;
            let found = self.compiler.check_always_denies_with_counterexample_opt(&compiled).await;
            if let Some(env) = found.map_err(no_example)? {
                return Found::from(env).told(self.set, Decision::Allow, &texts, &reads).map(fails);
            }
        }
        Ok(Verdict::Holds)
    }

    /// Whether anything of the kind is permitted.
    async fn may_permit(&mut self, never: &Never) -> Result<bool, ProveError> {
        let narrowed = self.where_asked(never)?;
        let mut reads = Reads::of(self.set, &[&never.when])?;
        self.among.iter().try_for_each(|condition| reads.add(condition))?;
        let trimmed = Trimmed::of(self.policy.schema_text(), &reads)?;
        for env in trimmed.envs(&[self.policy], &reads, |env| self.asks(env) && is_from(never.who, env)) {
            let compiled = compile(&narrowed, &env, trimmed.schema())?;
            if !self.compiler.check_always_denies_opt(&compiled).await.map_err(failed)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether there is anything of the kind to be permitted.
    async fn may_hold(&mut self, never: &Never) -> Result<bool, ProveError> {
        let text = format!("permit (principal, action, resource) when {{ {} }};", never.when);
        let asked = cedar_policy::Policy::parse(None, text).map_err(failed)?;
        let asked = PolicySet::from_policies([asked]).map_err(failed)?;
        let reads = Reads::of(&asked, &[])?;
        let trimmed = Trimmed::of(self.policy.schema_text(), &reads)?;
        for env in trimmed.envs(&[], &reads, |env| is_from(never.who, env)) {
            let compiled = compile(&asked, &env, trimmed.schema())?;
            if !self.compiler.check_always_denies_opt(&compiled).await.map_err(failed)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn where_asked(&self, never: &Never) -> Result<PolicySet, ProveError> {
        let conditions = [self.among, std::slice::from_ref(&never.when)].concat();
        only_where(self.set, self.schema, &never.id, never.who, &conditions)
    }

    async fn no_looser(&mut self, older: &Policy, id: &str) -> Result<Verdict, ProveError> {
        if !self.may_be_looser(older, id).await? {
            return Ok(Verdict::Holds);
        }
        let (_, old) = older.cedar();
        let mut reads = Reads::of(self.set, &[])?;
        reads.add_all(old)?;
        let new = only_where(self.set, self.schema, id, Who::Guests, self.among)?;
        let texts = [self.set.to_string(), old.to_string()];
        for env in self.whole(|env| self.is_about(env)) {
            let (new, old) = (compile(&new, &env, self.schema)?, compile(old, &env, self.schema)?);
            let found = self.compiler.check_implies_with_counterexample_opt(&new, &old).await;
            if let Some(env) = found.map_err(no_example)? {
                return Found::from(env).told(self.set, Decision::Allow, &texts, &reads).map(fails);
            }
        }
        Ok(Verdict::Holds)
    }

    /// Whether anything is permitted that the older bundle does not permit.
    async fn may_be_looser(&mut self, older: &Policy, id: &str) -> Result<bool, ProveError> {
        let (_, old) = older.cedar();
        let mut reads = Reads::of(self.set, &[])?;
        reads.add_all(old)?;
        self.among.iter().try_for_each(|condition| reads.add(condition))?;
        let new = only_where(self.set, self.schema, id, Who::Guests, self.among)?;
        let trimmed = Trimmed::of(self.policy.schema_text(), &reads)?;
        for env in trimmed.envs(&[self.policy, older], &reads, |env| self.is_about(env)) {
            let new = compile(&new, &env, trimmed.schema())?;
            let old = compile(old, &env, trimmed.schema())?;
            if !self.compiler.check_implies_opt(&new, &old).await.map_err(failed)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn rule_applies(&mut self, rule: &cedar_policy::Policy) -> Result<Verdict, ProveError> {
        let (trimmed, envs) = self.for_rule(rule)?;
        for env in envs {
            let compiled = CompiledPolicy::compile(rule, &env, trimmed.schema()).map_err(failed)?;
            if !self.compiler.check_never_matches_opt(&compiled).await.map_err(failed)? {
                return Ok(Verdict::Holds);
            }
        }
        Ok(Verdict::Fails(None))
    }

    async fn rule_errs(&mut self, rule: &cedar_policy::Policy) -> Result<Verdict, ProveError> {
        let (trimmed, envs) = self.for_rule(rule)?;
        for env in envs {
            let compiled = CompiledPolicy::compile(rule, &env, trimmed.schema()).map_err(failed)?;
            if !self.compiler.check_never_errors_opt(&compiled).await.map_err(failed)? {
                return Ok(Verdict::Fails(None));
            }
        }
        Ok(Verdict::Holds)
    }

    /// What one rule is asked about: no counterexample is told of it, so that the answer counts.
    fn for_rule(&self, rule: &cedar_policy::Policy) -> Result<(Trimmed, Vec<RequestEnv>), ProveError> {
        let alone = PolicySet::from_policies([rule.clone()]).map_err(failed)?;
        let reads = Reads::of(&alone, &[])?;
        let trimmed = Trimmed::of(self.policy.schema_text(), &reads)?;
        let envs = trimmed.envs(&[self.policy], &reads, |_| true);
        Ok((trimmed, envs))
    }

    fn asks(&self, env: &RequestEnv) -> bool {
        self.operation.is_none_or(|name| env.action().id().unescaped() == name)
    }

    /// Examples are guests; a proof that nothing is permitted anew is about everybody.
    fn is_about(&self, env: &RequestEnv) -> bool {
        self.asks(env) && (self.among.is_empty() || is_from(Who::Guests, env))
    }

    /// What the whole schema has.
    fn whole(&self, is_asked: impl Fn(&RequestEnv) -> bool) -> Vec<RequestEnv> {
        self.schema.request_envs().filter(is_asked).collect()
    }
}

fn is_from(who: Who, env: &RequestEnv) -> bool {
    env.principal().basename() == who.principal()
}

/// The bundle, narrowed to requests for which the conditions hold: it permits something if and only if the bundle
/// permits something there. Each is a rule by itself, which the solver takes more easily than all in one.
fn only_where(
    set: &PolicySet,
    schema: &Schema,
    id: &str,
    who: Who,
    conditions: &[String],
) -> Result<PolicySet, ProveError> {
    let wrong = |message: String| ProveError::Condition { id: id.to_owned(), message };
    let mut alone = PolicySet::new();
    let mut narrowed = set.clone();
    for (number, when) in conditions.iter().enumerate() {
        let who = who.principal();
        let text = format!("forbid (principal is {who}, action, resource) unless {{ {when} }};");
        let narrow = cedar_policy::Policy::parse(Some(PolicyId::new(format!("{NARROW} {number}"))), text);
        let narrow = narrow.map_err(|error| wrong(error.to_string()))?;
        alone.add(narrow.clone()).map_err(|error| wrong(error.to_string()))?;
        narrowed.add(narrow).map_err(|error| wrong(error.to_string()))?;
    }
    let result = Validator::new(schema.clone()).validate(&alone, ValidationMode::Strict);
    // Cedar tells them in no order.
    match result.validation_errors().map(ToString::to_string).min() {
        Some(words) => {
            // It begins with the rule's name, which is nobody's.
            let told = words.split_once(NARROW).and_then(|(_, rest)| rest.split_once("`, "));
            Err(wrong(told.map_or(words.as_str(), |(_, told)| told).to_owned()))
        }
        None => Ok(narrowed),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, ProveError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)
}

fn rule<'a>(set: &'a PolicySet, id: &str) -> Result<&'a cedar_policy::Policy, ProveError> {
    set.policy(&PolicyId::new(id)).ok_or_else(|| ProveError::NoRule(id.to_owned()))
}

fn compile(set: &PolicySet, env: &RequestEnv, schema: &Schema) -> Result<CompiledPolicySet, ProveError> {
    CompiledPolicySet::compile(set, env, schema).map_err(failed)
}

fn fails(found: Counterexample) -> Verdict {
    Verdict::Fails(Some(Box::new(found)))
}

/// Its words, cut: some errors of the symbolic compiler print all of what was asked, which is megabytes.
pub(crate) fn failed(error: impl core::fmt::Display) -> ProveError {
    let words = error.to_string();
    match words.char_indices().nth(MOST_WORDS) {
        Some((end, _)) => ProveError::Solver(format!("{}...", words.get(..end).unwrap_or_default())),
        None => ProveError::Solver(words),
    }
}

/// Examples of the solver's are held against what was asked before they come here.
fn no_example(error: Error) -> ProveError {
    match error {
        Error::ModelInvalid { .. } => ProveError::Disagree { request: "the solver's own example".to_owned() },
        error => failed(error),
    }
}

impl From<Env> for Found {
    fn from(env: Env) -> Self {
        Self { request: env.request, entities: env.entities }
    }
}

/// An id that no rule can have, since it is no annotation of anybody's.
const NARROW: &str = " only where";
/// Most characters of an error that is not ours.
const MOST_WORDS: usize = 500;
/// How long the solver may think about one bundle, in milliseconds.
const SOLVER_LIMIT_MS: &str = "300000";
