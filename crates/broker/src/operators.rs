//! Those who manage the broker: which accounts may connect, what the configuration calls them, and whether the policies
//! in force let them do what they ask for. A refusal is a leaf of the journal, as a refused guest is.
//!
//! An account is the kernel's word about the other end of the socket, never that of whoever connects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use claims::{InvalidKeyId, KeyId, PolicyDigest, UnixTime};
use journal::{ActDenied, Event};
use policy::{Act, Denial, Object, Operator, nearest};
use serde::Deserialize;
use store::{CommitError, Transaction};

use crate::app::App;
use crate::public::now;

/// A Unix account that may manage the broker.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// Its number.
    pub uid: u32,
    /// What policies and the journal call it: `Operator::"alice"`. The characters of a key's name.
    pub name: String,
    /// The groups that policies find it in: `OperatorGroup::"key-officers"`.
    #[serde(default)]
    pub groups: BTreeSet<String>,
}

/// Who may connect to the management socket.
#[derive(Clone, Debug)]
pub struct Operators {
    /// The account that runs the broker.
    own: u32,
    named: BTreeMap<u32, Operator>,
}

/// Why accounts cannot be configured like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// A name or a group is none.
    #[error("account {uid}: {source}")]
    Name {
        /// The account.
        uid: u32,
        /// Why.
        source: InvalidKeyId,
    },
    /// One account stands there twice, or two have one name.
    #[error("account {uid} (`{name}`) stands there twice, by its number or its name")]
    Repeated {
        /// The second one's number.
        uid: u32,
        /// Its name.
        name: String,
    },
}

impl Operators {
    /// These accounts, root, and the one that runs the broker, `own`.
    ///
    /// # Errors
    /// [`AccountsError`].
    pub fn new(accounts: &[Account], own: u32) -> Result<Self, AccountsError> {
        let (mut named, mut names) = (BTreeMap::new(), BTreeSet::new());
        for Account { uid, name, groups } in accounts {
            for word in groups.iter().chain([name]) {
                word.parse::<KeyId>().map_err(|source| AccountsError::Name { uid: *uid, source })?;
            }
            let operator = Operator { uid: *uid, name: name.clone(), groups: groups.clone() };
            if !names.insert(name) || named.insert(*uid, operator).is_some() {
                return Err(AccountsError::Repeated { uid: *uid, name: name.clone() });
            }
        }
        Ok(Self { own, named })
    }

    /// Whether anybody is named who is neither root nor runs the broker, so that the socket must be open to others.
    pub fn has_others(&self) -> bool {
        self.named.keys().any(|uid| ![0, self.own].contains(uid))
    }

    /// Who this account is; `None` if it has no business here. Root and the account that runs the broker are
    /// administrators, unless they are named and put elsewhere.
    pub fn find(&self, uid: u32) -> Option<Operator> {
        let administrator = || Operator {
            uid,
            name: Operator::unnamed(uid),
            groups: BTreeSet::from([ADMINISTRATORS.to_owned()]),
        };
        let own = [0, self.own].contains(&uid);
        self.named.get(&uid).cloned().or_else(|| own.then(administrator))
    }
}

/// Connections of accounts that have no business here: told of once in a while, with how many there were.
#[derive(Debug, Default)]
pub struct Strangers {
    told: Option<UnixTime>,
    untold: u64,
}

impl Strangers {
    /// For how many seconds nothing more is told of them.
    const PAUSE_S: u64 = 60;

    /// Counts one; gives how many there are to tell of, if it is time to.
    pub fn one_more(&mut self, now: UnixTime) -> Option<u64> {
        self.untold = self.untold.saturating_add(1);
        if self.told.is_some_and(|told| now.0.abs_diff(told.0) < Self::PAUSE_S) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

/// Why an operator does not get what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ActError {
    /// Policies say no.
    #[error("`{actor}` may not {act} {object}: {why}")]
    Denied {
        /// Who.
        actor: String,
        /// What.
        act: Act,
        /// To what.
        object: String,
        /// What stands in the way.
        why: String,
    },
    /// The refusal is not recorded.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The system gives no randomness.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
}

impl App {
    /// Asks the policies in force whether this operator may do it; records it if not, or counts it where too much of
    /// this operator's is recorded already. Gives the policies that permit it, for the leaf that says so.
    ///
    /// # Errors
    /// [`ActError::Denied`], with what stands in the way.
    pub async fn may(
        &self,
        operator: &Operator,
        act: Act,
        object: Object<'_>,
    ) -> Result<PolicyDigest, ActError> {
        let (policy, now) = (self.policy(), now());
        let Err(denial) = policy.permits_act(operator, act, object, now) else { return Ok(policy.digest()) };
        let why = in_short(&denial);
        let denied = ActError::Denied { actor: operator.name.clone(), act, object: object.to_string(), why };
        if !self.refusals.lock().unwrap_or_else(PoisonError::into_inner).act_has_leaf(operator.uid) {
            return Err(denied);
        }
        let leaf = ActDenied {
            broker: self.core.broker,
            policy: policy.digest(),
            actor: operator.name.clone(),
            act: act.to_string(),
            object: object.to_string(),
            code: denial.code.as_str().to_owned(),
            at: now,
        };
        let mut transaction = Transaction::new(now);
        transaction.policy = Some(policy.digest());
        transaction.leaves.push(Event::ActDenied(leaf).row(crypto::random_array()?, None, None));
        self.commit(transaction).await?;
        tracing::warn!(operator = %operator.name, error = %denied, "an act was denied");
        Err(denied)
    }
}

/// The rule that forbids it, or what the nearest permit lacks.
fn in_short(denial: &Denial) -> String {
    let first = || denial.reasons.first().map(ToString::to_string);
    nearest(&denial.reasons).or_else(first).unwrap_or_else(|| denial.code.to_string())
}

/// The group of those who run the broker.
const ADMINISTRATORS: &str = "administrators";

#[cfg(test)]
mod tests {
    use super::*;

    fn account(uid: u32, name: &str, groups: &[&str]) -> Account {
        let groups = groups.iter().map(|&group| group.to_owned()).collect();
        Account { uid, name: name.to_owned(), groups }
    }

    #[test]
    fn whoever_runs_the_broker_administers_it_and_strangers_do_not_connect() {
        let operators = Operators::new(&[account(1001, "alice", &["auditors"])], 990).unwrap();
        let groups = |uid| operators.find(uid).map(|who| (who.name, Vec::from_iter(who.groups)));
        let administrators = vec![ADMINISTRATORS.to_owned()];
        assert_eq!(groups(0), Some(("uid 0".to_owned(), administrators.clone())));
        assert_eq!(groups(990), Some(("uid 990".to_owned(), administrators)));
        assert_eq!(groups(1001), Some(("alice".to_owned(), vec!["auditors".to_owned()])));
        assert_eq!(groups(1002), None);
        assert!(operators.has_others());
    }

    #[test]
    fn an_account_that_is_named_is_only_where_the_configuration_puts_it() {
        let operators =
            Operators::new(&[account(0, "root", &[]), account(990, "keyfast", &[])], 990).unwrap();
        assert!(operators.find(0).unwrap().groups.is_empty());
        assert!(!operators.has_others(), "both could connect before");
    }

    #[test]
    fn strangers_are_told_of_once_a_minute() {
        let mut strangers = Strangers::default();
        let told = [0, 1, 59, 60, 61, 200].map(|second| strangers.one_more(UnixTime(second)));
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }

    #[test]
    fn names_are_names_and_stand_there_once() {
        let error = |accounts: &[Account]| Operators::new(accounts, 0).unwrap_err();
        for accounts in
            [[account(1, "a", &[]), account(1, "b", &[])], [account(2, "a", &[]), account(1, "a", &[])]]
        {
            assert!(matches!(error(&accounts), AccountsError::Repeated { uid: 1, .. }));
        }
        assert!(matches!(error(&[account(1, "Alice", &[])]), AccountsError::Name { uid: 1, .. }));
        assert!(matches!(error(&[account(1, "a", &["b c"])]), AccountsError::Name { uid: 1, .. }));
    }
}
