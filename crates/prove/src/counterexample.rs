//! A request that shows that a property does not hold, told by its claims.

use std::collections::BTreeMap;

use cedar_policy::{Authorizer, Decision, Entities, PolicySet, Request};
use serde_json::Value;

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
            let Some(uid) = uid else { continue };
            if let Some(attributes) = attributes_of(&entities, uid.type_name().to_string().as_str()) {
                flatten(variable, attributes, &entities, &mut claims);
            }
        }
        claims.retain(|path, _| texts.iter().any(|text| reads(text, path)));
        let action = self.request.action().map(|uid| uid.id().unescaped().to_owned()).unwrap_or_default();
        Ok(Counterexample { action, rules, claims })
    }
}

/// The attributes of the only entity of this type that matters: the guest, or the key.
fn attributes_of<'a>(entities: &'a Value, kind: &str) -> Option<&'a Value> {
    let is_kind = |entity: &&Value| entity.pointer("/uid/type").and_then(Value::as_str) == Some(kind);
    entities.as_array()?.iter().find(is_kind)?.get("attrs")
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
fn reads(text: &str, path: &str) -> bool {
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
        assert!(reads("principal.snp.vmpl == 0", "principal.snp.vmpl"));
        assert!(!reads("principal.snp.vmpl2 == 0", "principal.snp.vmpl"));
    }
}
