//! From a property of operators that does not hold to an act that shows it: in the words of a case, and put to the policies
//! as a broker would. So the solver is checked by the system that it speaks about.

use ::prove::{Candidates, Counterexample, Property, ProveError};
use claims::{KeyId, UnixTime};
use policy::{Act, Evaluation, Policy};
use serde_json::Value;

use super::build::{Question, conditions, reads};
use crate::policy::acts::ActCase;
use crate::policy::simulated::{key_lines, quoted};

/// An act that the policies permit and that shows what does not hold, as far as it was checked.
pub(super) struct BuiltAct {
    now: UnixTime,
    /// (table, line).
    lines: Vec<(&'static str, String)>,
    rules: Vec<String>,
}

/// Looks for it; `None` if no operator's act is so, or none was found.
///
/// # Errors
/// [`ProveError`] if the policies cannot be read.
pub(super) fn build(
    policy: &Policy,
    property: &Property<'_>,
    question: &Question<'_>,
    found: &Counterexample,
    now: UnixTime,
) -> Result<Option<BuiltAct>, ProveError> {
    let candidates = Candidates::of(policy, &conditions(property), policy.known_values(now))?;
    let key = key_lines(found, &candidates, &reads(policy, property)?)
        .into_iter()
        .filter(|(table, _)| *table == "key");
    let key: Vec<_> = key.collect();
    let shows = |lines: Vec<(&'static str, String)>| shows(policy, question, lines, now);
    // The solver may call an operator one name and let it have another, which nobody has.
    for name in names(&found.request.principal) {
        let lines = operator(&found.request.principal, name).into_iter().chain(act(found));
        let Some(mut built) = shows(lines.chain(key.iter().cloned()).collect()) else { continue };
        while let Some(shorter) = (0..built.lines.len()).find_map(|at| {
            let mut lines = built.lines.clone();
            lines.remove(at);
            shows(lines)
        }) {
            built = shorter;
        }
        return Ok(Some(built));
    }
    Ok(None)
}

impl BuiltAct {
    /// Its lines, each with the table that it stands in.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|(table, line)| (*table, line.as_str()))
    }

    /// The whole case.
    pub(super) fn to_text(&self, about: &str) -> String {
        text(&self.lines, about, self.now, &self.rules)
    }

    /// The rules that permit it.
    pub(super) fn rules(&self) -> &[String] {
        &self.rules
    }
}

fn shows(
    policy: &Policy,
    question: &Question<'_>,
    lines: Vec<(&'static str, String)>,
    now: UnixTime,
) -> Option<BuiltAct> {
    let case = ActCase::parse(&text(&lines, "", now, &[])).ok()?;
    let Evaluation::Permit { rules } = case.evaluate(policy) else { return None };
    let permits = |policy: &Policy| matches!(case.evaluate(policy), Evaluation::Permit { .. });
    question.holds(permits).then_some(BuiltAct { now, lines, rules })
}

fn text(lines: &[(&'static str, String)], about: &str, now: UnixTime, rules: &[String]) -> String {
    let mut text = format!("about = {}\nnow = {}\n", quoted(about), quoted(&now.to_string()));
    for table in TABLES {
        let own = lines.iter().filter(|(of, _)| *of == table).map(|(_, line)| format!("{line}\n"));
        let own: String = own.collect();
        // Acts that are about no key must have none.
        if table != "key" || !own.is_empty() {
            text.push_str(&format!("\n[{table}]\n{own}"));
        }
    }
    format!("{text}\n[expect]\npermit = {rules:?}\n")
}

fn names(principal: &Value) -> impl Iterator<Item = &str> {
    ["/uid/id", "/attrs/name"].into_iter().filter_map(|path| principal.pointer(path)?.as_str())
}

fn operator(principal: &Value, name: &str) -> Vec<(&'static str, String)> {
    let groups = principal.get("parents").and_then(Value::as_array).into_iter().flatten();
    let groups: Vec<&str> = groups.filter_map(|group| group.get("id")?.as_str()).collect();
    let uid = principal.pointer("/attrs/uid").and_then(Value::as_u64);
    let uid = uid.filter(|uid| u32::try_from(*uid).is_ok()).map(|uid| ("operator", format!("uid = {uid}")));
    let mut lines = vec![("operator", format!("name = {}", quoted(name)))];
    lines.extend(uid);
    // Each on its own can be left out.
    lines.push(("operator", format!("groups = {groups:?}")));
    lines
}

/// What is done, to the key or attestation key that the solver names, if it can have that name.
fn act(found: &Counterexample) -> Vec<(&'static str, String)> {
    let mut lines = vec![("act", format!("name = {}", quoted(&found.action)))];
    let id = found.request.key.pointer("/uid/id").and_then(Value::as_str).unwrap_or_default();
    let known = Act::ALL.into_iter().find(|act| act.name() == found.action);
    let on = match known {
        Some(Act::View | Act::Audit | Act::Load) | None => None,
        Some(Act::Enrol | Act::Withdraw) => {
            Some(if id.parse::<claims::tpm::ObjectName>().is_ok() { id.to_owned() } else { SOME_NAME.into() })
        }
        Some(_) => Some(if id.parse::<KeyId>().is_ok() { id.to_owned() } else { SOME_KEY.into() }),
    };
    lines.extend(on.map(|on| ("act", format!("on = {}", quoted(&on)))));
    lines
}

/// A key that no policy names, where the solver's cannot be one.
const SOME_KEY: &str = "key";
/// An attestation key likewise.
const SOME_NAME: &str = "000b0000000000000000000000000000000000000000000000000000000000000000";
const TABLES: [&str; 3] = ["operator", "act", "key"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_of_each_act_can_be_read() {
        for act in Act::ALL {
            let principal = json!({
                "uid": { "type": "Operator", "id": "" },
                "attrs": { "name": "bob \"b\"", "uid": -1 },
                "parents": [{ "type": "OperatorGroup", "id": "on-call" }],
            });
            let request =
                ::prove::Asked { key: json!({ "uid": { "id": "?" } }), ..::prove::Asked::default() };
            let found = Counterexample {
                action: act.name().to_owned(),
                rules: Vec::new(),
                claims: std::collections::BTreeMap::new(),
                impossible: Vec::new(),
                request,
            };
            for name in names(&principal) {
                let lines: Vec<_> =
                    operator(&principal, name).into_iter().chain(super::act(&found)).collect();
                let text = text(&lines, "why", UnixTime(0), &["r".to_owned()]);
                assert!(ActCase::parse(&text).is_ok(), "{text}");
                assert!(!text.contains("uid"), "no account has a number below zero: {text}");
            }
        }
    }
}
