//! From texts to a [`Policy`]: the gate that every bundle passes or stays outside of.
//!
//! 1. Bounds on number, length and nesting of texts (see `bounds`).
//! 2. The schema parses, and takes what this broker hands to policies (see `fit`).
//! 3. The reference values are well-formed.
//! 4. Every policy parses, is no template, and has an `@id` of its own and a `@doc`.
//! 5. Cedar's strict validator has no error and no doubt: no unknown claim, action or value, no wrong type, no
//!    read of an optional claim without a guard, no rule that can never apply.
//! 6. No policy names bytes or keys that can never occur.
//! 7. Every policy can be explained.
//!
//! The policy of a key passes the same gate, beside the schema and the reference values of the bundle in force.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{
    EntityUid, PolicySet, PolicySetError, RequestEnv, Schema, ValidationError, ValidationMode, Validator,
};

use claims::{PolicyDigest, ReleasePolicy, UnixTime};

use crate::bounds;
use crate::bundle::Bundle;
use crate::cache::{Cache, OwnPolicies};
use crate::decide::Policy;
use crate::fit;
use crate::load_error::{LoadError, LoadErrors, Problem};
use crate::reach::Reach;
use crate::references::References;
use crate::rules::Rule;
use crate::subject::Subjects;
use crate::vocabulary::{Vocabulary, impossible_name};

/// One policy file, parsed.
struct File<'a> {
    name: &'a str,
    text: &'a str,
    set: PolicySet,
}

/// One policy and the place where its text begins.
pub(crate) struct Found<'a> {
    pub(crate) file: &'a str,
    text: &'a str,
    offset: usize,
    pub(crate) policy: &'a cedar_policy::Policy,
}

/// Loads on a stack of its own: Cedar recurses with the nesting that `bounds` lets through.
pub(crate) fn load(bundle: &Bundle) -> Result<Policy, LoadErrors> {
    LoadErrors::unless_empty(bundle.check_bounds())?;
    on_own_stack(|| {
        let schema = schema(&bundle.schema)?;
        let mut errors = Vec::new();
        let references = References::parse(&bundle.references).unwrap_or_else(|found| {
            errors.extend(found.iter().cloned());
            References::default()
        });
        let around = Around {
            digest: bundle.digest(),
            schema,
            schema_text: bundle.schema.as_str().into(),
            references: Arc::new(references),
            own: "",
        };
        load_rules(&bundle.policies, around, errors)
    })
}

/// Loads the policy of a key beside schema and reference values of a bundle. Its rules are known as `key/ID`.
pub(crate) fn load_own(bundle: &Policy, text: &str) -> Result<Policy, LoadErrors> {
    if text.len() > ReleasePolicy::MAX_LEN {
        let problem = Problem::TooLong { max: ReleasePolicy::MAX_LEN, got: text.len() };
        return Err(LoadError::whole(OWN, problem).into());
    }
    let files = [(OWN.to_owned(), text.to_owned())];
    on_own_stack(|| {
        let references = Arc::clone(&bundle.subjects.references);
        let (digest, schema) = (bundle.digest, bundle.schema.clone());
        let schema_text = Arc::clone(&bundle.schema_text);
        load_rules(&files, Around { digest, schema, schema_text, references, own: "key/" }, Vec::new())
    })
}

/// Shows the policies of a bundle and their places to somebody who has the bundle loaded; problems come back in order.
pub(crate) fn with_found(
    bundle: &Bundle,
    look: impl FnOnce(&[Found<'_>]) -> Vec<LoadError> + Send,
) -> Result<Vec<LoadError>, LoadErrors> {
    on_own_stack(|| {
        let mut errors = Vec::new();
        let files = parse(&bundle.policies, &mut errors);
        LoadErrors::unless_empty(errors)?;
        let found: Vec<Found<'_>> = files.iter().flat_map(locate).collect();
        let mut problems = look(&found);
        problems.sort_by(|a, b| a.place().cmp(&b.place()));
        Ok(problems)
    })
}

fn on_own_stack<T: Send>(load: impl FnOnce() -> Result<T, LoadErrors> + Send) -> Result<T, LoadErrors> {
    let failed = |message: String| LoadError::whole("policies", Problem::Failed { message });
    std::thread::scope(|scope| {
        let loader = std::thread::Builder::new().name("policy load".to_owned()).stack_size(STACK);
        let loading = loader.spawn_scoped(scope, load).map_err(|e| failed(e.to_string()))?;
        loading.join().unwrap_or_else(|_| Err(failed("the loader panicked".to_owned()).into()))
    })
}

/// What rules stand among.
struct Around {
    digest: PolicyDigest,
    schema: Schema,
    schema_text: Arc<str>,
    references: Arc<References>,
    /// What the ids of rules begin with beside the author's own.
    own: &'static str,
}

/// `errors` are those of the texts around.
fn load_rules(
    texts: &[(String, String)],
    around: Around,
    mut errors: Vec<LoadError>,
) -> Result<Policy, LoadErrors> {
    let files = parse(texts, &mut errors);
    let found: Vec<Found<'_>> = files.iter().flat_map(locate).collect();
    errors.extend(check_names(&found));
    let validator = Validator::new(around.schema.clone());
    errors.extend(files.iter().flat_map(|file| validate(&validator, &around.schema, file)));
    errors.extend(found.iter().flat_map(check_literals));
    let prepared = found.iter().filter_map(|found| prepare(found, &around, &mut errors));
    let prepared: Vec<_> = prepared.collect();
    LoadErrors::unless_empty(errors)?;
    assemble(around, &found, prepared)
}

/// Puts together what has passed.
fn assemble(around: Around, found: &[Found<'_>], rules: Vec<Rule>) -> Result<Policy, LoadErrors> {
    let Around { digest, schema, schema_text, references, .. } = around;
    let rules: Vec<Arc<Rule>> = rules.into_iter().map(Arc::new).collect();
    let mut set = PolicySet::new();
    let mut by_env: HashMap<RequestEnv, Vec<Arc<Rule>>> = HashMap::new();
    let mut first_with: HashMap<&str, &str> = HashMap::new();
    let mut twins: HashMap<String, Vec<String>> = HashMap::new();
    for (found, rule) in found.iter().zip(&rules) {
        let renamed = found.policy.new_id(cedar_policy::PolicyId::new(&rule.id));
        let first = *first_with.entry(&rule.says).or_insert(&rule.id);
        if first != rule.id {
            twins.entry(first.to_owned()).or_default().push(rule.id.clone());
        }
        for env in rule.asked.iter().filter(|_| first == rule.id) {
            by_env.entry(env.clone()).or_default().push(Arc::clone(rule));
        }
        let failed = |error: PolicySetError| found.error(Problem::Syntax { message: error.to_string() });
        set.add(renamed).map_err(failed)?;
    }
    let vocabulary = Vocabulary::new().map_err(fit::misfit)?;
    let unread = |message| LoadErrors::from(LoadError::whole("policies", Problem::Failed { message }));
    let reach = Reach::of(found.iter().map(|found| found.policy)).map_err(unread)?;
    let (named, dated) = (Vec::new(), Vec::new());
    let mut subjects = Subjects { vocabulary, references, named, dated, cache: Cache::default(), reach };
    name_bytes(&mut subjects, found);
    let rules: BTreeMap<String, Arc<Rule>> = rules.into_iter().map(|rule| (rule.id.clone(), rule)).collect();
    let own = OwnPolicies::default();
    Ok(Policy { digest, schema, schema_text, set, by_env, twins, subjects, rules, own })
}

fn schema(text: &str) -> Result<Schema, LoadErrors> {
    let (schema, _warnings) = Schema::from_cedarschema_str(text).map_err(|error| {
        let problem = Problem::Syntax { message: error.to_string() };
        LoadError::diagnostic(Bundle::SCHEMA, text, &error, problem)
    })?;
    fit::check(&schema)?;
    Ok(schema)
}

/// Parses every file, and leaves out those that do not parse.
fn parse<'a>(texts: &'a [(String, String)], errors: &mut Vec<LoadError>) -> Vec<File<'a>> {
    let mut files = Vec::new();
    let mut rules = 0usize;
    for (name, text) in texts {
        if let Some(error) = bounds::check(name, text) {
            errors.push(error);
            continue;
        }
        match text.parse::<PolicySet>() {
            Err(found) => errors.extend(found.iter().map(|error| {
                LoadError::diagnostic(name, text, error, Problem::Syntax { message: error.to_string() })
            })),
            Ok(set) => {
                rules = rules.saturating_add(set.num_of_policies());
                errors.extend(set.templates().map(|template| {
                    LoadError::at(name, text, text.find(&template.to_cedar()), Problem::Template)
                }));
                if set.num_of_policies() == 0 && set.num_of_templates() == 0 {
                    errors.push(LoadError::whole(name, Problem::NoRule));
                }
                files.push(File { name, text, set });
            }
        }
    }
    if rules > MAX_RULES {
        let problem = Problem::TooMany { what: "rules", max: MAX_RULES, got: rules };
        errors.push(LoadError::whole("policies", problem));
    }
    files
}

/// The policies of a file in the order of its text. Cedar numbers them in that order.
fn locate<'a>(file: &'a File<'_>) -> Vec<Found<'a>> {
    let number = |policy: &&cedar_policy::Policy| {
        policy.id().to_string().strip_prefix("policy").and_then(|n| n.parse::<usize>().ok())
    };
    let mut policies: Vec<_> = file.set.policies().collect();
    policies.sort_by_key(number);
    let mut from = 0;
    let mut found = Vec::with_capacity(policies.len());
    for policy in policies {
        let own = policy.to_cedar().unwrap_or_default();
        let offset = file.text.get(from..).and_then(|rest| rest.find(&own)).map_or(from, |at| from + at);
        from = offset + own.len();
        found.push(Found { file: file.name, text: file.text, offset, policy });
    }
    found
}

impl Found<'_> {
    /// A problem of the whole policy.
    pub(crate) fn error(&self, problem: Problem) -> LoadError {
        LoadError::at(self.file, self.text, Some(self.offset), problem)
    }

    /// A problem of a name in it.
    pub(crate) fn error_at(&self, literal: &EntityUid, problem: Problem) -> LoadError {
        let written = format!("\"{}\"", literal.id().escaped());
        let within = self.text.get(self.offset..).and_then(|rest| rest.find(&written));
        let offset = within.map_or(self.offset, |at| self.offset + at);
        LoadError::at(self.file, self.text, Some(offset), problem)
    }

    /// The names of entities in it, each once.
    pub(crate) fn literals(&self) -> BTreeSet<EntityUid> {
        self.policy.entity_literals().into_iter().collect()
    }

    /// A non-empty annotation.
    fn annotation(&self, key: &str) -> Option<&str> {
        self.policy.annotation(key).filter(|value| !value.trim().is_empty())
    }
}

fn check_names(found: &[Found<'_>]) -> Vec<LoadError> {
    let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
    let mut errors = Vec::new();
    for policy in found {
        for annotation in ["id", "doc"] {
            if policy.annotation(annotation).is_none() {
                errors.push(policy.error(Problem::Unnamed { annotation }));
            }
        }
        let Some(id) = policy.annotation("id") else { continue };
        if let Some(other) = seen.insert(id, policy.file) {
            errors.push(policy.error(Problem::RepeatedId { id: id.to_owned(), other: other.to_owned() }));
        }
    }
    errors
}

/// What the strict validator says about a file: errors, and doubts about rules without errors.
fn validate(validator: &Validator, schema: &Schema, file: &File<'_>) -> Vec<LoadError> {
    let result = validator.validate(&file.set, ValidationMode::Strict);
    let wrong: BTreeSet<String> = result.validation_errors().map(|e| e.policy_id().to_string()).collect();
    let unguarded =
        |error: &&ValidationError| matches!(error, ValidationError::UnsafeOptionalAttributeAccess(_));
    // Behind a condition that does not type, nothing counts as asked for: such errors would only repeat it.
    let rooted: BTreeSet<String> = result
        .validation_errors()
        .filter(|error| !unguarded(error))
        .map(|error| error.policy_id().to_string())
        .collect();
    let errors = result.validation_errors();
    let errors = errors.filter(|error| !unguarded(error) || !rooted.contains(&error.policy_id().to_string()));
    let errors = errors.map(|error| {
        let told = file.found(error.policy_id(), error, |rule, message| Problem::Invalid { rule, message });
        match error {
            ValidationError::UnrecognizedActionId(_) => LoadError { help: Some(actions(schema)), ..told },
            _ => told,
        }
    });
    let doubts = result.validation_warnings().filter(|doubt| !wrong.contains(&doubt.policy_id().to_string()));
    let doubts = doubts.map(|doubt| {
        file.found(doubt.policy_id(), doubt, |rule, message| Problem::Doubtful { rule, message })
    });
    errors.chain(doubts).collect()
}

/// What to write in place of an action that there is not. The validator compares whole names, quotes and all, and takes
/// any of those that are equally far.
fn actions(schema: &Schema) -> String {
    let names: BTreeSet<&str> = schema.actions().map(|action| action.id().unescaped()).collect();
    format!("the actions are {}", Vec::from_iter(names).join(", "))
}

impl File<'_> {
    /// What the validator found, with the rule under its own id in place of Cedar's number.
    fn found(
        &self,
        id: &cedar_policy::PolicyId,
        found: &dyn miette::Diagnostic,
        problem: impl FnOnce(String, String) -> Problem,
    ) -> LoadError {
        let rule = self.set.annotation(id, "id").map_or_else(|| id.to_string(), ToOwned::to_owned);
        let renamed = |message: String| message.replace(&format!("`{id}`"), &format!("`{rule}`"));
        let problem = problem(rule.clone(), renamed(found.to_string()));
        let error = LoadError::diagnostic(self.name, self.text, found, problem);
        let meant_guests = error.problem.to_string().contains(ON_OPERATORS).then(|| GUESTS_ONLY.to_owned());
        LoadError { help: meant_guests.or(error.help.map(renamed)), ..error }
    }
}

fn check_literals(found: &Found<'_>) -> Vec<LoadError> {
    let literals = found.literals();
    let impossible = literals.iter().filter_map(|literal| Some((literal, impossible_name(literal)?)));
    let errors = impossible.map(|(literal, expected)| {
        found.error_at(literal, Problem::Literal { literal: literal.to_string(), expected })
    });
    errors.collect()
}

fn prepare(found: &Found<'_>, around: &Around, errors: &mut Vec<LoadError>) -> Option<Rule> {
    let annotation = |key| found.annotation(key).unwrap_or_default();
    let id = format!("{}{}", around.own, annotation("id"));
    let rule = Rule::prepare(found.policy, &around.schema, &id, annotation("doc"));
    rule.map_err(|message| errors.push(found.error(Problem::Unexplained { message }))).ok()
}

/// The bytes that policies name and reference values know: they are part of every decision.
fn name_bytes(subjects: &mut Subjects, found: &[Found<'_>]) {
    let literals: BTreeSet<EntityUid> = found.iter().flat_map(Found::literals).collect();
    for literal in literals {
        let Some(kind) = subjects.kind_of(literal.type_name()) else { continue };
        let name = literal.id().unescaped();
        if subjects.references.find(kind, name).is_some_and(|known| !known.stays()) {
            subjects.dated.push((kind, name.to_owned()));
        } else {
            let entity = subjects.known(kind, name, UnixTime(0));
            subjects.named.extend(entity);
        }
    }
}

/// What the policy of a key is called in errors.
const OWN: &str = "the key's own policy";
/// In Cedar's words, what a rule for guests is told that holds for operators as well.
const ON_OPERATORS: &str = "on entity type `Operator` not found";
const GUESTS_ONLY: &str =
    "operators have no such claim, and this rule is about them too: write `principal is Guest` in its head";
/// Most rules of a bundle.
const MAX_RULES: usize = 2048;
/// Stack of the loader, in bytes: what the bounds on nesting let through, several times over.
const STACK: usize = 128 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_holds_at_most_2048_rules_in_all_its_files() {
        let file = |name: &str, rules: usize| {
            (name.to_owned(), "forbid (principal, action, resource);".repeat(rules))
        };
        let problems = |rules: usize| {
            let mut errors = Vec::new();
            assert_eq!(parse(&[file("a", 1024), file("b", rules)], &mut errors).len(), 2);
            errors.into_iter().map(|error| error.problem).collect::<Vec<_>>()
        };
        assert_eq!(problems(1024), []);
        assert_eq!(problems(1025), [Problem::TooMany { what: "rules", max: 2048, got: 2049 }]);
    }
}
