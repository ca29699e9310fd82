//! A request that shows that a property does not hold, told by its claims.

use std::collections::BTreeMap;

use cedar_policy::{
    Authorizer, Decision, Entities, EntityUid, EvalResult, PolicySet, Request, eval_expression,
};
use serde_json::Value;

use crate::Reads;
use crate::machine;
use crate::prover::ProveError;

/// A request that a solver found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// The operation.
    pub action: String,
    /// The rules that decide it, by id.
    pub rules: Vec<String>,
    /// Claims and key attributes that the policies or the property read, as they spell them, with their values.
    pub claims: BTreeMap<String, String>,
    /// What no machine shows, or no request has, and this one does: what they all keep to, in words. The solver is not
    /// told of any of it.
    pub impossible: Vec<String>,
    /// The guest's claims, the key and the circumstances, whole.
    pub request: Asked,
}

/// A request in Cedar's JSON. What is not there is null, as for requests that no guest makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Who asks, as an entity: `uid`, `attrs`, `parents`.
    pub principal: Value,
    /// The guest's claims.
    pub guest: Value,
    /// The key, or what else an act is about, as an entity: `uid`, `attrs`, `parents`, `tags`.
    pub key: Value,
    /// When the key came to be, in milliseconds since 1970.
    pub created_at_ms: Option<i64>,
    /// The broker's clock, in milliseconds since 1970.
    pub now_ms: Option<i64>,
    /// The age of the evidence, in milliseconds.
    pub evidence_age_ms: Option<i64>,
    /// Requests of late for this guest and for this key.
    pub recent: [Option<i64>; 2],
    /// Where it comes from.
    pub network: Option<String>,
}

/// A request and its entities, as the solver gives them.
pub(crate) struct Found {
    pub(crate) request: Request,
    pub(crate) entities: Entities,
}

impl Found {
    /// Tells it, if Cedar decides it as the solver says. `texts` are the policies and the property: what they read is
    /// told.
    pub(crate) fn told(
        self,
        set: &PolicySet,
        expected: Decision,
        texts: &[String],
        reads: &Reads,
    ) -> Result<Counterexample, ProveError> {
        let response = Authorizer::new().is_authorized(&self.request, set, &self.entities);
        if response.decision() != expected {
            return Err(ProveError::Disagree { request: self.request.to_string() });
        }
        let mut rules: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        rules.sort();
        let entities = self.entities.to_json_value().map_err(|e| ProveError::Solver(e.to_string()))?;
        let mut claims = BTreeMap::new();
        for (variable, uid) in
            [("principal", self.request.principal()), ("resource", self.request.resource())]
        {
            if let Some(attributes) = uid.and_then(|uid| entity_of(&entities, uid)?.get("attrs")) {
                flatten(variable, attributes, &entities, &mut claims);
            }
        }
        claims.retain(|path, _| texts.iter().any(|text| is_in(text, path)));
        let impossible = machine::broken(&self.request, &self.entities, reads)?;
        let request = asked(&self.request, &self.entities, &entities);
        let action = self.request.action().map(|uid| uid.id().unescaped().to_owned()).unwrap_or_default();
        Ok(Counterexample { action, rules, claims, impossible, request })
    }
}

fn asked(request: &Request, found: &Entities, entities: &Value) -> Asked {
    let entity =
        |uid: Option<&EntityUid>| uid.and_then(|uid| entity_of(entities, uid)).cloned().unwrap_or_default();
    let value = |expression: &str| eval_expression(request, found, &expression.parse().ok()?).ok();
    let number = |expression: &str| match value(expression)? {
        EvalResult::Long(number) => Some(number),
        _ => None,
    };
    let ms = |path: &str| number(&format!("{path}.durationSince(datetime(\"1970-01-01\")).toMilliseconds()"));
    let principal = entity(request.principal());
    Asked {
        guest: principal.get("attrs").cloned().unwrap_or_default(),
        principal,
        key: entity(request.resource()),
        created_at_ms: ms("resource.created_at"),
        now_ms: ms("context.now"),
        evidence_age_ms: number("context.evidence_age.toMilliseconds()"),
        recent: ["guest", "key"].map(|of| number(&format!("context.recent.{of}"))),
        network: value("context.network").map(|value| value.to_string()),
    }
}

/// The entity of this name: a solver's answer may have others of its type, such as a key that nobody asks for.
fn entity_of<'a>(entities: &'a Value, uid: &EntityUid) -> Option<&'a Value> {
    let (kind, id) = (uid.type_name().to_string(), uid.id().unescaped());
    let is = |entity: &&Value, at: &str, text: &str| entity.pointer(at).and_then(Value::as_str) == Some(text);
    entities.as_array()?.iter().find(|entity| is(entity, "/uid/type", &kind) && is(entity, "/uid/id", id))
}

/// Paths and values, entities by their names and, where they have a state of the reference values, that.
fn flatten(path: &str, value: &Value, entities: &Value, claims: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) => match fields.get("__entity") {
            Some(entity) => {
                claims.insert(path.to_owned(), named(entity, entities));
            }
            None => {
                for (field, value) in fields {
                    flatten(&format!("{path}.{field}"), value, entities, claims);
                }
            }
        },
        Value::Null => {}
        value => {
            claims.insert(path.to_owned(), value.to_string());
        }
    }
}

fn named(entity: &Value, entities: &Value) -> String {
    let text =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = format!("{}::\"{}\"", text(entity, "type"), text(entity, "id").escape_default());
    let known = entities.as_array().into_iter().flatten().find(|known| known.get("uid") == Some(entity));
    let states = known.and_then(|known| known.get("parents")?.as_array()).into_iter().flatten();
    let states: Vec<String> = states.map(|state| text(state, "id")).collect();
    if states.is_empty() { name } else { format!("{name}, {}", states.join(" and ")) }
}

/// Whether a text reads a path, or something within or around it.
fn is_in(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let after = text.get(at + path.len()..).and_then(|rest| rest.chars().next());
        !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_are_told_by_their_paths_and_entities_by_their_states() {
        let entities = json!([
            { "uid": { "type": "Measurement", "id": "00" }, "attrs": {},
              "parents": [{ "type": "ReferenceState", "id": "active" }] },
        ]);
        let guest = json!({
            "simulated": false,
            "snp": { "measurement": { "__entity": { "type": "Measurement", "id": "00" } }, "vmpl": 2 },
        });
        let mut claims = BTreeMap::new();
        flatten("principal", &guest, &entities, &mut claims);
        let told: Vec<(&str, &str)> = claims.iter().map(|(path, value)| (&path[..], &value[..])).collect();
        let expected = [
            ("principal.simulated", "false"),
            ("principal.snp.measurement", "Measurement::\"00\", active"),
            ("principal.snp.vmpl", "2"),
        ];
        assert_eq!(told, expected);
        assert!(is_in("principal.snp.vmpl == 0", "principal.snp.vmpl"));
        assert!(!is_in("principal.snp.vmpl2 == 0", "principal.snp.vmpl"));
    }
}
