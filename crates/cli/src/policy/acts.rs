//! Cases in TOML about those who manage keys: an operator, an act, and what must be decided.
//!
//! ```toml
//! about = "auditors make no keys"
//!
//! [operator]
//! name = "alice"
//! groups = ["auditors"]
//!
//! [act]
//! name = "create"
//! on = "db"
//!
//! [expect.deny]
//! code = "policy-denied"
//! reasons = [{ rule = "default-deny", condition = "some permit applies" }]
//! ```
//!
//! `on` is a key's name, or the Name of an attestation key; acts on the broker have none. `[key]` is as for guests.

use std::collections::BTreeSet;

use claims::tpm::ObjectName;
use claims::{AttestedRequest, KeyAttributes, KeyId, Operation, UnixTime, VersionSelector};
use policy::case::{CaseError, Expect};
use policy::{Act, Evaluation, Object, Operator, Policy};
use serde::Deserialize;

use super::simulated::file::{KeyCase, time, usual_time};

/// An operator, an act, and what must be decided.
#[derive(Clone, Debug)]
pub struct ActCase {
    pub about: String,
    pub expect: Expect,
    operator: Operator,
    act: Act,
    on: On,
    now: UnixTime,
}

/// What it is done to.
#[derive(Clone, Debug)]
enum On {
    Broker,
    Key(Box<KeyAttributes>),
    AttestationKey(ObjectName),
}

impl ActCase {
    /// Reads a case.
    ///
    /// # Errors
    /// [`CaseError`], with line and column where it has them.
    pub fn parse(text: &str) -> Result<Self, CaseError> {
        let malformed = |message: String| CaseError::Malformed { message };
        let File { about, now, operator, act, key, expect } =
            toml::from_str(text).map_err(|error| malformed(error.to_string().trim_end().to_owned()))?;
        let OperatorCase { uid, name, groups } = operator;
        let operator = Operator { name: name.unwrap_or_else(|| Operator::unnamed(uid)), uid, groups };
        let known = Act::ALL.into_iter().find(|known| known.name() == act.name);
        let names = || Act::ALL.map(Act::name).join(", ");
        let unknown = || malformed(format!("unknown act `{}`: expected one of {}", act.name, names()));
        let known = known.ok_or_else(unknown)?;
        let on = on(known, act.on.as_deref(), key).map_err(malformed)?;
        Ok(Self { about, expect, operator, act: known, on, now })
    }

    /// What a policy says.
    pub fn evaluate(&self, policy: &Policy) -> Evaluation {
        policy.evaluate_act(&self.operator, self.act, self.object(), self.now)
    }

    /// What each of its conditions comes to.
    pub fn outcomes(&self, policy: &Policy) -> Vec<Option<bool>> {
        policy.outcomes_of_act(&self.operator, self.act, self.object(), self.now)
    }

    /// Everything but what it is about and what it expects.
    pub fn asked(&self) -> String {
        format!("{:?}", (&self.operator, self.act, &self.on, self.now))
    }

    fn object(&self) -> Object<'_> {
        match &self.on {
            On::Broker => Object::Broker,
            On::Key(key) => Object::Key(key),
            On::AttestationKey(name) => Object::AttestationKey(name),
        }
    }
}

/// What an act is done to, which must fit it.
fn on(act: Act, name: Option<&str>, key: Option<KeyCase>) -> Result<On, String> {
    let missing = |what: &str| format!("`on` is missing: `{act}` is done to {what}");
    match act {
        Act::Create | Act::Import | Act::Enable | Act::Disable | Act::SetPolicy => {
            let id: KeyId = name
                .ok_or_else(|| missing("a key"))?
                .parse()
                .map_err(|error: claims::InvalidKeyId| error.to_string())?;
            let operation = if act == Act::Import { Operation::Secret } else { Operation::Release };
            let request =
                AttestedRequest { operation, key: id, version: VersionSelector::Latest, unwrap: None };
            Ok(On::Key(Box::new(key.unwrap_or_default().attributes(&request))))
        }
        _ if key.is_some() => Err(format!("`[key]` makes no sense: `{act}` is done to no key")),
        Act::Enrol | Act::Withdraw => {
            let name = name.ok_or_else(|| missing("an attestation key"))?;
            name.parse().map(On::AttestationKey).map_err(str::to_owned)
        }
        Act::View | Act::Audit | Act::Load => match name {
            None => Ok(On::Broker),
            Some(_) => Err(format!("`on` makes no sense: `{act}` is about the whole broker")),
        },
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    about: String,
    #[serde(default = "usual_time", deserialize_with = "time")]
    now: UnixTime,
    operator: OperatorCase,
    act: WhatCase,
    key: Option<KeyCase>,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorCase {
    /// Number of the account; 1000.
    #[serde(default = "usual_uid")]
    uid: u32,
    /// The name that the configuration gives it; none.
    name: Option<String>,
    /// Its groups; none.
    #[serde(default)]
    groups: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhatCase {
    name: String,
    on: Option<String>,
}

fn usual_uid() -> u32 {
    1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(act: &str) -> String {
        let text = format!("about = 'a'\n[operator]\n[act]\n{act}\n[expect]\npermit = ['r']\n");
        ActCase::parse(&text).err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn an_act_has_what_it_is_done_to_and_nothing_else() {
        for (act, wanted) in [
            ("name = 'create'", "`on` is missing: `create` is done to a key"),
            ("name = 'enrol'", "`on` is missing: `enrol` is done to an attestation key"),
            ("name = 'enrol'\non = 'db'", "not a name"),
            ("name = 'view'\non = 'db'", "`on` makes no sense: `view` is about the whole broker"),
            ("name = 'enrol'\non = 'db'\n[key]", "`[key]` makes no sense: `enrol` is done to no key"),
            ("name = 'erase'", "unknown act `erase`: expected one of view, audit, load, create"),
            ("name = 'create'\non = 'A'", "a-z"),
            ("name = 'create'\nat = 'A'", "unknown field `at`"),
        ] {
            assert!(error(act).contains(wanted), "{act}: {}", error(act));
        }
        for act in Act::ALL {
            let on = match act {
                Act::View | Act::Audit | Act::Load => String::new(),
                Act::Enrol | Act::Withdraw => format!("on = '000b{}'", "ab".repeat(32)),
                _ => "on = 'db'\n[key]\nring = 'services'".to_owned(),
            };
            assert_eq!(error(&format!("name = '{act}'\n{on}")), "", "{act}");
        }
    }
}
