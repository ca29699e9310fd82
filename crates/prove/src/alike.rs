//! Guests like a given one, as a condition in Cedar: those that have its claims, but for some that are free.
//!
//! A guest that somebody can build is described so: what it would come to by itself is fixed, what a builder can choose
//! is free, and how free claims hang together the builder says beside it. So an answer of the solver is a guest that can
//! be built, if that was right; whether it was shows when it is built.

use std::collections::{BTreeMap, BTreeSet};

use cedar_policy::SchemaFragment;
use policy::{KnownValue, Policy};
use serde_json::Value;

use crate::prover::failed;
use crate::{ProveError, Reads};

/// Values by the names of their types, which free claims are chosen from: those that policies name, those that the
/// reference values know, and others.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    names: BTreeMap<String, BTreeSet<String>>,
    known: Vec<KnownValue>,
}

impl Candidates {
    /// Those of these policies, with a condition and the reference values as they are at a time. Of the latter a few of
    /// each kind and state, since one is as good as another.
    ///
    /// # Errors
    /// [`ProveError`] if the condition is no Cedar.
    pub fn of(policy: &Policy, conditions: &[&str], known: Vec<KnownValue>) -> Result<Self, ProveError> {
        let (_, set) = policy.cedar();
        let mut all = Self { names: BTreeMap::new(), known };
        for policy in set.policies() {
            all.add_literals(policy);
        }
        for condition in conditions {
            let text = format!("permit (principal, action, resource) when {{ {condition} }};");
            all.add_literals(&cedar_policy::Policy::parse(None, text).map_err(failed)?);
        }
        let mut counts = BTreeMap::new();
        for value in all.known.clone() {
            let count: &mut usize = counts.entry((value.kind, value.state)).or_default();
            *count = count.saturating_add(1);
            if *count <= FEW {
                all.add(value.kind, &value.id);
            }
        }
        Ok(all)
    }

    fn add_literals(&mut self, policy: &cedar_policy::Policy) {
        for uid in policy.entity_literals() {
            self.add(&uid.type_name().to_string(), uid.id().unescaped());
        }
    }

    /// One more.
    pub fn add(&mut self, kind: &str, id: &str) {
        self.names.entry(kind.to_owned()).or_default().insert(id.to_owned());
    }

    /// The names of a type.
    pub fn names(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.names.get(kind).into_iter().flatten().map(String::as_str)
    }

    /// That a claim is one of them.
    pub fn one_of(&self, kind: &str, path: &str) -> String {
        let names: Vec<String> = self.names(kind).map(|id| entity(kind, id)).collect();
        if names.is_empty() { "false".to_owned() } else { format!("[{}].contains({path})", names.join(", ")) }
    }

    /// What the reference values say of each of these types, and that they say nothing of the others.
    fn states(&self, kinds: &BTreeSet<String>) -> Vec<String> {
        let mut all = Vec::new();
        let referable = self.names.iter().filter(|(kind, _)| kinds.contains(*kind));
        for (kind, id) in referable.flat_map(|(kind, ids)| ids.iter().map(move |id| (kind, id))) {
            let known = self.known.iter().find(|known| known.kind == kind && known.id == *id);
            for state in STATES {
                let not = if known.is_some_and(|known| known.state == state) { "" } else { "!" };
                all.push(format!("{not}({} in ReferenceState::{state:?})", entity(kind, id)));
            }
        }
        all
    }
}

/// The conditions: the claims of the guest among these entities, as [`Policy::entities`] gives them, but for what is
/// free, by paths such as `principal.snp.vmpl` with all below; and the states of candidates and of what the guest shows.
/// What is not read is not asked for. `schema` is the bundle's, as text.
///
/// # Errors
/// [`ProveError`] if the schema is not one.
pub fn alike(
    schema: &str,
    entities: &Value,
    free: &[&str],
    candidates: &Candidates,
    reads: &Reads,
) -> Result<Vec<String>, ProveError> {
    let shapes = Shapes::of(schema)?;
    let mut walk = Walk {
        shapes: &shapes,
        entities,
        free,
        reads,
        shown: candidates.clone(),
        kinds: BTreeSet::new(),
        guards: Vec::new(),
        all: Vec::new(),
    };
    walk.entity("principal", GUEST);
    let Walk { shown, kinds, mut all, .. } = walk;
    all.extend(shown.states(&kinds));
    Ok(all)
}

/// A value of Cedar's JSON as Cedar spells it; `None` for an empty set, which has no spelling under strict validation.
fn literal(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(quoted(text)),
        Value::Array(members) if members.is_empty() => None,
        Value::Array(members) => {
            let members: Option<Vec<String>> = members.iter().map(literal).collect();
            Some(format!("[{}]", members?.join(", ")))
        }
        Value::Object(fields) => match (fields.get("__entity"), fields.get("__extn")) {
            (Some(uid), _) => {
                let text = |field| uid.get(field).and_then(Value::as_str).unwrap_or_default();
                Some(entity(text("type"), text("id")))
            }
            (None, Some(call)) => {
                let name = call.get("fn").and_then(Value::as_str)?;
                Some(format!("{name}({})", literal(call.get("arg")?)?))
            }
            (None, None) => None,
        },
        plain => Some(plain.to_string()),
    }
}

fn entity(kind: &str, id: &str) -> String {
    format!("{kind}::{}", quoted(id))
}

/// A string as Cedar spells it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

/// What the schema says of types.
struct Shapes {
    common: Value,
    entities: Value,
}

impl Shapes {
    fn of(schema: &str) -> Result<Self, ProveError> {
        let (fragment, _) = SchemaFragment::from_cedarschema_str(schema).map_err(failed)?;
        let json = fragment.to_json_value().map_err(failed)?;
        let part = |name: &str| json.get("").and_then(|all| all.get(name)).cloned().unwrap_or_default();
        Ok(Self { common: part("commonTypes"), entities: part("entityTypes") })
    }

    /// The type of this shape, or of the members of this set, if reference values are kept for it.
    fn referable<'a>(&self, shape: &'a Value) -> Option<&'a str> {
        let shape = shape.get("element").unwrap_or(shape);
        let kind = shape.get("name").and_then(Value::as_str)?;
        let groups = self.entities.get(kind)?.get("memberOfTypes")?.as_array()?;
        groups.iter().any(|group| group == STATE).then_some(kind)
    }

    /// The attributes of an entity type.
    fn of_entity(&self, kind: &str) -> Option<&Value> {
        self.attributes(self.entities.get(kind)?.get("shape")?)
    }

    /// The attributes of a record type, by itself or by its name.
    fn attributes<'a>(&'a self, shape: &'a Value) -> Option<&'a Value> {
        match shape.get("attributes") {
            Some(attributes) => Some(attributes),
            None => self.attributes(self.common.get(shape.get("name").or(shape.get("type"))?.as_str()?)?),
        }
    }
}

struct Walk<'a> {
    shapes: &'a Shapes,
    entities: &'a Value,
    free: &'a [&'a str],
    reads: &'a Reads,
    shown: Candidates,
    /// Referable types that are read.
    kinds: BTreeSet<String>,
    /// What must be asked before what is below can be read.
    guards: Vec<String>,
    all: Vec<String>,
}

impl Walk<'_> {
    /// The only entity of this type.
    fn entity(&mut self, path: &str, kind: &str) {
        let is_kind = |entity: &&Value| entity.pointer("/uid/type").and_then(Value::as_str) == Some(kind);
        let found = self.entities.as_array().and_then(|all| all.iter().find(is_kind));
        let (attributes, shapes) = (found.and_then(|entity| entity.get("attrs")), self.shapes);
        if let (Some(attributes), Some(shape)) = (attributes, shapes.of_entity(kind)) {
            self.record(path, attributes, shape);
        }
    }

    fn record(&mut self, path: &str, attributes: &Value, shape: &Value) {
        for (name, shape) in shape.as_object().into_iter().flatten() {
            let below = format!("{path}.{name}");
            let whole = below == "principal.snp" || below == "principal.tpm";
            if !whole && !self.reads.reads(&below) {
                continue;
            }
            self.kinds.extend(self.shapes.referable(shape).map(str::to_owned));
            if self.free.contains(&below.as_str()) {
                continue;
            }
            let optional = shape.get("required").and_then(Value::as_bool) == Some(false);
            match attributes.get(name) {
                None => self.push(&format!("!({path} has {name})")),
                Some(value) if optional => {
                    self.push(&format!("{path} has {name}"));
                    self.guards.push(format!("{path} has {name}"));
                    self.value(&below, value, shape);
                    self.guards.pop();
                }
                Some(value) => self.value(&below, value, shape),
            }
        }
    }

    fn value(&mut self, path: &str, value: &Value, shape: &Value) {
        let shapes = self.shapes;
        if let Some(kind) = value.pointer("/__entity/type").and_then(Value::as_str) {
            if shapes
                .of_entity(kind)
                .is_some_and(|shape| shape.as_object().is_some_and(|all| !all.is_empty()))
            {
                return self.entity(path, kind);
            }
            if let Some(id) = value.pointer("/__entity/id").and_then(Value::as_str) {
                self.shown.add(kind, id);
            }
        }
        match (literal(value), shapes.attributes(shape)) {
            (Some(literal), _) => self.push(&format!("{path} == {literal}")),
            (None, Some(shape)) => self.record(path, value, shape),
            (None, None) => self.push(&format!("{path}.isEmpty()")),
        }
    }

    /// One more condition, with what must be asked before it.
    fn push(&mut self, condition: &str) {
        let guards: String = self.guards.iter().map(|guard| format!("{guard} && ")).collect();
        self.all.push(format!("{guards}{condition}"));
    }
}

const GUEST: &str = "Guest";
const STATE: &str = "ReferenceState";
const STATES: [&str; 5] = ["trial", "active", "retiring", "expired", "denied"];
/// Known values of a kind and state that are candidates.
const FEW: usize = 3;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA: &str = "\
        entity ReferenceState enum [\"trial\", \"active\", \"retiring\", \"expired\", \"denied\"];\n\
        entity Measurement in [ReferenceState];\n\
        entity Chip in [ReferenceState];\n\
        entity Processor = { revoked: Bool };\n\
        type Snp = { vmpl: Long, bits: Set<Long>, issued?: datetime, measurement: Measurement, processor: Processor,\n\
                     chip?: Chip };\n\
        entity Guest = { simulated: Bool, snp?: Snp };";

    /// A guest of which nothing is free but its VMPL.
    fn conditions(read: &[&str]) -> Vec<String> {
        let entities = json!([
            { "uid": { "type": "Processor", "id": "processor" }, "attrs": { "revoked": false } },
            { "uid": { "type": "Guest", "id": "guest" }, "attrs": { "simulated": true, "snp": {
                "vmpl": 1, "bits": [], "issued": { "__extn": { "fn": "datetime", "arg": "2026-01-01" } },
                "measurement": { "__entity": { "type": "Measurement", "id": "aa" } },
                "processor": { "__entity": { "type": "Processor", "id": "processor" } },
            } } },
        ]);
        let known = vec![KnownValue { kind: "Measurement", id: "aa".to_owned(), state: "active" }];
        let mut candidates = Candidates { names: BTreeMap::new(), known };
        candidates.add("Chip", "00");
        let mut reads = Reads::default();
        read.iter().try_for_each(|condition| reads.add(condition)).unwrap();
        alike(SCHEMA, &entities, &["principal.snp.vmpl"], &candidates, &reads).unwrap()
    }

    #[test]
    fn claims_are_fixed_as_far_as_they_are_read_and_not_free() {
        let there = "principal has snp";
        assert_eq!(conditions(&[]), [there]);
        assert_eq!(conditions(&["principal.snp.vmpl == 0"]), [there]);
        assert_eq!(conditions(&["principal.simulated"]), ["principal.simulated == true", there]);
        let read =
            ["principal.snp.bits.contains(1)", "principal.snp.processor.revoked", "principal.snp has issued"];
        assert_eq!(
            conditions(&read),
            [
                there,
                "principal has snp && principal.snp.bits.isEmpty()",
                "principal has snp && principal.snp has issued",
                "principal has snp && principal.snp has issued && \
                 principal.snp.issued == datetime(\"2026-01-01\")",
                "principal has snp && principal.snp.processor.revoked == false",
            ]
        );
    }

    #[test]
    fn states_are_told_of_all_that_can_be_chosen_or_shown() {
        let of = |value: &str, known: &str| {
            STATES.map(|state| {
                let not = if state == known { "" } else { "!" };
                format!("{not}({value} in ReferenceState::\"{state}\")")
            })
        };
        let told = conditions(&["principal.snp.measurement in ReferenceState::\"active\""]);
        let shown =
            ["principal has snp", "principal has snp && principal.snp.measurement == Measurement::\"aa\""];
        assert_eq!(told[..2], shown);
        assert_eq!(told[2..], of("Measurement::\"aa\"", "active"));
        let told = conditions(&["principal.snp has chip"]);
        assert_eq!(told[..2], ["principal has snp", "principal has snp && !(principal.snp has chip)"]);
        assert_eq!(told[2..], of("Chip::\"00\"", ""));
    }

    #[test]
    fn values_are_spelt_as_cedar_reads_them() {
        for (value, expected) in [
            (json!(-1), "-1"),
            (json!("a\"\n"), "\"a\\\"\\n\""),
            (json!([1, 2]), "[1, 2]"),
            (json!({ "__entity": { "type": "Csp", "id": "CN=\"x\"" } }), "Csp::\"CN=\\\"x\\\"\""),
        ] {
            let spelt = literal(&value).unwrap();
            assert_eq!(spelt, expected);
            Reads::default().add(&format!("{spelt} == {spelt}")).unwrap();
        }
        assert_eq!((literal(&json!([])), literal(&json!({ "a": 1 }))), (None, None));
    }
}
