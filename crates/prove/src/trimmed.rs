//! What a proof is asked about: a guest with no more claims than something reads, and of the operations that the same
//! rules are about, one.
//!
//! The types of records are compared at each read of one before the solver sees a formula, so that claims which nothing
//! reads cost time. The answer is the same without them: no condition can tell. A counterexample is looked for on the
//! whole schema, never on this one.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::{RequestEnv, Schema, SchemaFragment};
use policy::Policy;
use serde_json::{Map, Value};

use crate::prover::failed;
use crate::{ProveError, Reads};

/// A schema without what nothing reads.
pub(crate) struct Trimmed {
    schema: Schema,
    /// What each action applies to, as the schema says it, by the action's name.
    applies: BTreeMap<String, String>,
}

impl Trimmed {
    /// Of the text of a schema that a bundle was loaded with.
    ///
    /// # Errors
    /// [`ProveError::Solver`] if Cedar cannot say or take it in JSON.
    pub(crate) fn of(text: &str, reads: &Reads) -> Result<Self, ProveError> {
        let (fragment, _) = SchemaFragment::from_cedarschema_str(text).map_err(failed)?;
        let json = without_unread(fragment.to_json_value().map_err(failed)?, reads);
        let actions = json.pointer("//actions").and_then(Value::as_object).into_iter().flatten();
        let applies_to = |action: &Value| action.get("appliesTo").map(Value::to_string).unwrap_or_default();
        let applies = actions.map(|(name, action)| (name.clone(), applies_to(action))).collect();
        Ok(Self { schema: Schema::from_json_value(json).map_err(failed)?, applies })
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Principals, actions and resources to ask about, of those asked for: one action of those that apply to the same and
    /// that the same rules of all these policies can be about; every one if a condition reads the action.
    pub(crate) fn envs(
        &self,
        policies: &[&Policy],
        reads: &Reads,
        is_asked: impl Fn(&RequestEnv) -> bool,
    ) -> Vec<RequestEnv> {
        let mut seen = BTreeSet::new();
        let mut is_new = |env: &RequestEnv| {
            let action = env.action();
            let name = action.id().unescaped();
            let rules: Vec<_> = policies.iter().map(|policy| policy.rules_about(action)).collect();
            let itself = reads.reads_action().then(|| name.to_owned());
            let types = (env.principal().to_string(), env.resource().to_string());
            seen.insert((types, self.applies.get(name), rules, itself))
        };
        self.schema.request_envs().filter(is_asked).filter(|env| is_new(env)).collect()
    }
}

/// A schema without the claims that are not read. It has one namespace, and that has no name.
fn without_unread(mut schema: Value, reads: &Reads) -> Value {
    let common = schema.pointer("//commonTypes").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(shape) = schema.pointer_mut("//entityTypes/Guest/shape") {
        trim(shape, "principal", &common, reads);
    }
    schema
}

/// Takes out of a type, the value of the expression `path`, the attributes that are not read.
fn trim(kind: &mut Value, path: &str, common: &Map<String, Value>, reads: &Reads) {
    // A name stands for different attributes in different places: it is written out before it is trimmed.
    if let Some(named) = kind.get("name").and_then(Value::as_str).and_then(|name| common.get(name)) {
        let required = kind.get("required").cloned();
        *kind = named.clone();
        if let (Some(required), Some(kind)) = (required, kind.as_object_mut()) {
            kind.insert("required".to_owned(), required);
        }
    }
    let Some(attributes) = kind.get_mut("attributes").and_then(Value::as_object_mut) else { return };
    let below = |name: &str| format!("{path}.{name}");
    attributes.retain(|name, _| reads.needs(&below(name)));
    attributes.iter_mut().for_each(|(name, kind)| trim(kind, &below(name), common, reads));
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "type Tcb = { snp: Long, tee: Long };
        type Snp = { vmpl: Long, reported: Tcb, launch?: Tcb };
        entity Guest = { simulated: Bool, snp?: Snp };
        entity Key = { version: Long, tcb: Tcb };
        action release appliesTo { principal: Guest, resource: Key, context: { now: Long } };
        action renew, unwrap appliesTo { principal: Guest, resource: Key, context: { now?: Long } };";

    fn reads(conditions: &[&str]) -> Reads {
        let mut reads = Reads::default();
        conditions.iter().for_each(|condition| reads.add(condition).unwrap());
        reads
    }

    /// The claims that are left.
    fn left(conditions: &[&str]) -> Vec<String> {
        fn paths(kind: &Value, path: &str, into: &mut Vec<String>) {
            match kind.get("attributes").and_then(Value::as_object) {
                None => into.push(path.to_owned()),
                Some(below) if below.is_empty() => into.push(format!("{path} {{}}")),
                Some(below) => {
                    below.iter().for_each(|(name, kind)| paths(kind, &format!("{path}.{name}"), into))
                }
            }
        }
        let (fragment, _) = SchemaFragment::from_cedarschema_str(SCHEMA).unwrap();
        let json = without_unread(fragment.to_json_value().unwrap(), &reads(conditions));
        let mut all = Vec::new();
        paths(json.pointer("//entityTypes/Guest/shape").unwrap(), "principal", &mut all);
        all
    }

    #[test]
    fn a_claim_is_left_if_and_only_if_something_reads_it() {
        assert_eq!(left(&["principal.simulated"]), ["principal.simulated"]);
        assert_eq!(left(&["principal has snp"]), ["principal.snp {}"]);
        let one = ["principal has snp && principal.snp.vmpl == 0", "resource.tcb.snp == 1"];
        assert_eq!(left(&one), ["principal.snp.vmpl"]);
        // The same record in two places.
        let below = ["principal has snp && principal.snp has launch && principal.snp.launch.tee == 0"];
        assert_eq!(left(&below), ["principal.snp.launch.tee"]);
        // A record as a whole is all that is in it.
        let whole = ["principal has snp && principal.snp.reported == {snp: 1, tee: 2}"];
        assert_eq!(left(&whole), ["principal.snp.reported.snp", "principal.snp.reported.tee"]);
        let all = "principal.simulated principal.snp.launch.snp principal.snp.launch.tee principal.snp.reported.snp \
                   principal.snp.reported.tee principal.snp.vmpl";
        assert_eq!(left(&["context == context"]).join(" "), all, "what is not understood reads everything");
        assert_eq!(left(&["principal.snp == principal.snp"]), all.split(' ').skip(1).collect::<Vec<_>>());
    }

    #[test]
    fn an_optional_claim_stays_optional() {
        let read = reads(&["principal has snp && principal.snp has launch && principal.snp.launch.snp == 0"]);
        let trimmed = Trimmed::of(SCHEMA, &read).unwrap();
        let valid = |text: &str| {
            let rule = format!("permit (principal is Guest, action, resource) when {{ {text} }};");
            let set = rule.parse().unwrap();
            let strict = cedar_policy::ValidationMode::Strict;
            cedar_policy::Validator::new(trimmed.schema().clone()).validate(&set, strict).validation_passed()
        };
        assert!(valid("principal has snp && principal.snp has launch && principal.snp.launch.snp == 0"));
        assert!(!valid("principal.snp has launch"));
        assert!(!valid("principal has snp && principal.snp.launch.snp == 0"));
    }
}
