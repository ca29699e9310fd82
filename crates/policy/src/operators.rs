//! Management acts: whether an operator may do something to a key, to an attestation key, or to the broker.
//!
//! The same rules decide as about guests, in the same way: an error is a denial, a `forbid` that applies is one, and so
//! is the lack of a `permit`. There are no locks here, and a key's own policy is not asked: it says who may have the
//! key, not who manages it.
//!
//! Who an operator is, the broker's socket and configuration say; nothing here may take anybody's word for it.

use core::fmt;
use std::collections::{BTreeSet, HashSet};

use cedar_policy::{Context, Effect, Entities, Entity, EntityUid, Request, RestrictedExpression, Schema};
use claims::tpm::ObjectName;
use claims::{KeyAttributes, UnixTime};

use crate::decide::{Evaluation, Policy};
use crate::reason::Denial;
use crate::references::ValueKind;
use crate::subject::{Subject, Subjects, Unfit, attributes, datetime, unfit};
use crate::vocabulary::uid;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Number of the Unix account.
    pub uid: u32,
    /// What the configuration calls the account, else [`Operator::unnamed`].
    pub name: String,
    /// The groups that the configuration puts it in.
    pub groups: BTreeSet<String>,
}

/// What an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Sees status, keys without their bytes, descriptors, attestation keys.
    View,
    /// Sees decisions, with what was known of the guests that asked.
    Audit,
    /// Has other policies put in force.
    Load,
    /// Makes a key or another version of one.
    Create,
    /// Brings a secret.
    Import,
    /// Has a version served again.
    Enable,
    /// Has a version served no more.
    Disable,
    /// Gives a version another policy of its own, or none.
    SetPolicy,
    /// Has an attestation key believed.
    Enrol,
    /// Has an attestation key believed no longer.
    Withdraw,
}

/// What it is done to.
#[derive(Clone, Copy, Debug)]
pub enum Object<'a> {
    /// The broker as a whole.
    Broker,
    /// A version of a key; one that is made is as it will be.
    Key(&'a KeyAttributes),
    /// A TPM's attestation key.
    AttestationKey(&'a ObjectName),
}

impl Operator {
    /// The name of an account that the configuration gives none.
    pub fn unnamed(uid: u32) -> String {
        format!("{UNNAMED}{uid}")
    }

    /// The account of such a name.
    pub(crate) fn unnamed_uid(name: &str) -> Option<u32> {
        let uid = name.strip_prefix(UNNAMED)?.parse().ok()?;
        (Self::unnamed(uid) == name).then_some(uid)
    }
}

impl Act {
    /// Every act.
    pub const ALL: [Self; 10] = [
        Self::View,
        Self::Audit,
        Self::Load,
        Self::Create,
        Self::Import,
        Self::Enable,
        Self::Disable,
        Self::SetPolicy,
        Self::Enrol,
        Self::Withdraw,
    ];

    /// Its name in policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Audit => "audit",
            Self::Load => "load",
            Self::Create => "create",
            Self::Import => "import",
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::SetPolicy => "set-policy",
            Self::Enrol => "enrol",
            Self::Withdraw => "withdraw",
        }
    }
}

/// [`Act::name`].
impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// As a policy names it.
impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broker => f.write_str(BROKER),
            Self::Key(key) => write!(f, "Key::\"{}\"", key.id),
            Self::AttestationKey(name) => write!(f, "AkName::\"{name}\""),
        }
    }
}

impl Policy {
    /// Whether this operator may do it: the rules that permit it, in order of their ids.
    ///
    /// # Errors
    /// The denial, with its reasons.
    pub fn permits_act(
        &self,
        operator: &Operator,
        act: Act,
        object: Object<'_>,
        now: UnixTime,
    ) -> Result<Vec<String>, Denial> {
        self.judge(&self.subjects.act(operator, act, object, now, None))
    }

    /// [`Self::permits_act`] as an [`Evaluation`]: for tests and explanations.
    pub fn evaluate_act(
        &self,
        operator: &Operator,
        act: Act,
        object: Object<'_>,
        now: UnixTime,
    ) -> Evaluation {
        self.permits_act(operator, act, object, now).into()
    }

    /// Whether a rule permits any act at all.
    pub fn permits_some_act(&self) -> bool {
        let operator = &self.subjects.vocabulary.operator;
        self.rules.values().any(|rule| rule.effect == Effect::Permit && rule.is_about(operator))
    }

    /// What each condition comes to, as [`Policy::outcomes`] says of guests.
    pub fn outcomes_of_act(
        &self,
        operator: &Operator,
        act: Act,
        object: Object<'_>,
        now: UnixTime,
    ) -> Vec<Option<bool>> {
        self.outcomes_for(&self.subjects.act(operator, act, object, now, None))
    }
}

impl Subjects {
    /// Puts an act in Cedar's terms. With a schema, checks that it conforms; `fit` shows that all do.
    pub(crate) fn act(
        &self,
        operator: &Operator,
        act: Act,
        object: Object<'_>,
        now: UnixTime,
        schema: Option<&Schema>,
    ) -> Result<Subject, Unfit> {
        let v = &self.vocabulary;
        let principal = uid(&v.operator, &operator.name);
        let groups: HashSet<EntityUid> =
            operator.groups.iter().map(|group| uid(&v.operator_group, group)).collect();
        let of_operator = attributes([
            ("name", RestrictedExpression::new_string(operator.name.clone())),
            ("uid", RestrictedExpression::new_long(i64::from(operator.uid))),
        ]);
        let mut entities = vec![Entity::new(principal.clone(), of_operator, groups).map_err(unfit)?];
        let resource = match object {
            Object::Broker => {
                let broker = uid(&v.broker, "broker");
                entities.push(Entity::new_no_attrs(broker.clone(), HashSet::new()));
                broker
            }
            Object::Key(key) => {
                entities.push(self.key_entity(key)?);
                self.key_name(key)
            }
            Object::AttestationKey(name) => {
                let name = name.to_string();
                entities.extend(self.known(ValueKind::Ak, &name, now));
                uid(&v.ak_name, &name)
            }
        };
        self.add_named(&mut entities, now);
        let (action, every) = (uid(&v.action, act.name()), uid(&v.action, MANAGE));
        entities.push(Entity::new_no_attrs(action.clone(), HashSet::from([every.clone()])));
        entities.push(Entity::new_no_attrs(every, HashSet::new()));
        let context = Context::from_pairs(attributes([("now", datetime(now))])).map_err(unfit)?;
        let request = Request::new(principal, action, resource, context, schema);
        let entities = Entities::from_entities(entities, schema).map_err(unfit)?;
        Ok(Subject { request: request.map_err(unfit)?, entities, at: now })
    }
}

/// What the name of an account begins with that the configuration gives none.
const UNNAMED: &str = "uid ";
/// The group of all acts.
const MANAGE: &str = "manage";
/// The broker, in sentences.
const BROKER: &str = "the broker";
