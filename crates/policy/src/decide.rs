//! The decision: locks, then Cedar; [`Policy::evaluate`] explains, [`Policy::decide`] grants.
//!
//! 1. Claims have not expired (`decide` only).
//! 2. No lock holds the key back (see `locks`).
//! 3. Cedar: an error of any policy is a denial, then a `forbid` that applies, then the lack of a `permit`.
//! 4. The same for the key's own policy, if it has one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{Effect, EntityUid, EvalResult, PolicySet, RequestEnv, Schema};
use claims::{
    AttestedRequest, BrokerId, ClaimsRecord, KeyAttributes, KeyId, KeyVersion, Operation, PolicyDigest,
    RecipientKey, ReleasePolicy, Sha256Digest, TranscriptHash, UnixTime, UnwrapBinding,
};
use verify::BoundRequest;

use crate::bundle::Bundle;
use crate::cache::OwnPolicies;
use crate::circumstances::Circumstances;
use crate::explain::Explainer;
use crate::load_error::LoadErrors;
use crate::locks;
use crate::reach::BOOT;
use crate::reason::{Denial, DenialCode, Reason, ReasonKind};
use crate::references::platforms::View;
use crate::rules::{Condition, Rule, Test};
use crate::subject::tpm::DATABASE_ENTRIES;
use crate::subject::{Subject, Subjects, Unfit};

/// A bundle that passed every check, ready to decide.
pub struct Policy {
    pub(crate) digest: PolicyDigest,
    pub(crate) schema: Schema,
    /// What `schema` was read from.
    pub(crate) schema_text: Arc<str>,
    /// Every rule under its id.
    pub(crate) set: PolicySet,
    /// The rules whose heads are about a kind of request: no other can permit it, forbid it, or err.
    /// Of rules that say the same, as policies for several platforms have them, it has the first alone.
    pub(crate) by_env: HashMap<RequestEnv, Vec<Arc<Rule>>>,
    /// The ids of the others, by that of the first.
    pub(crate) twins: HashMap<String, Vec<String>>,
    pub(crate) subjects: Subjects,
    /// By id.
    pub(crate) rules: BTreeMap<String, Arc<Rule>>,
    pub(crate) own: OwnPolicies,
}

/// One request in Cedar's terms, to be asked about more than once.
pub struct Prepared(Result<Subject, Unfit>);

/// What the rules say about a record, a request and a key. Grants nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evaluation {
    /// These rules permit it, in order of their ids, and none forbids it.
    Permit {
        /// The `@id` of each.
        rules: Vec<String>,
    },
    /// It is denied.
    Deny(Denial),
}

impl From<Result<Vec<String>, Denial>> for Evaluation {
    fn from(decided: Result<Vec<String>, Denial>) -> Self {
        match decided {
            Ok(rules) => Self::Permit { rules },
            Err(denial) => Self::Deny(denial),
        }
    }
}

impl Policy {
    /// Parses and checks a bundle.
    ///
    /// # Errors
    /// Everything that is wrong with it, with places; see [`crate::Problem`].
    pub fn load(bundle: Bundle) -> Result<Self, LoadErrors> {
        crate::load::load(&bundle)
    }

    /// The digest of the bundle that was loaded.
    pub fn digest(&self) -> PolicyDigest {
        self.digest
    }

    /// Schema and rules in Cedar's terms, each rule under its `@id`: for proofs, which decide nothing.
    pub fn cedar(&self) -> (&Schema, &PolicySet) {
        (&self.schema, &self.set)
    }

    /// The text of its schema.
    pub fn schema_text(&self) -> &str {
        &self.schema_text
    }

    /// The ids of the rules that can be about an action, by their heads.
    pub fn rules_about(&self, action: &EntityUid) -> BTreeSet<&str> {
        let about = |rule: &&Rule| rule.asked.iter().any(|env| env.action() == action);
        self.all_rules().filter(about).map(|rule| rule.id.as_str()).collect()
    }

    /// A rule's id, and those of the rules that say the same.
    fn with_twins<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a str> {
        let twins = self.twins.get(id).into_iter().flatten().map(String::as_str);
        core::iter::once(id).chain(twins)
    }

    /// The ids and docs of its rules, in order of the ids.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all_rules().map(|rule| (rule.id.as_str(), rule.doc.as_str()))
    }

    /// Each condition of each rule, as (rule's id, condition as explanations spell it): for coverage of cases. One of
    /// several sides (`||`) is followed by the conditions of each.
    pub fn conditions(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all_conditions().map(|(rule, condition)| (rule.id.as_str(), condition.text.as_str()))
    }

    fn all_rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.values().map(Arc::as_ref)
    }

    fn all_conditions(&self) -> impl Iterator<Item = (&Rule, &Condition)> {
        let within =
            |rule| move |condition| condition_and_sides(condition).into_iter().map(move |c| (rule, c));
        self.all_rules().flat_map(move |rule| rule.conditions.iter().flat_map(within(rule)))
    }

    /// What each condition comes to for a guest that looks like `record`, in the order of [`Self::conditions`]: whether
    /// it holds, or `None` where it cannot be read because one before it fails. All `None` if the request cannot be put
    /// in Cedar's terms.
    pub fn outcomes(
        &self,
        record: &ClaimsRecord,
        request: &AttestedRequest,
        key: &KeyAttributes,
        circumstances: &Circumstances,
    ) -> Vec<Option<bool>> {
        self.outcomes_for(&self.subjects.subject(
            record,
            request,
            key,
            circumstances,
            circumstances.now,
            None,
        ))
    }

    pub(crate) fn outcomes_for(&self, subject: &Result<Subject, Unfit>) -> Vec<Option<bool>> {
        let conditions = self.all_conditions();
        match subject {
            Err(_) => conditions.map(|_| None).collect(),
            Ok(subject) => {
                let explainer = Explainer { subjects: &self.subjects, subject };
                conditions.map(|(_, condition)| explainer.holds(condition).ok()).collect()
            }
        }
    }

    /// What this policy says about a guest that looks like `record`: for tests, replay and explanations.
    pub fn evaluate(
        &self,
        record: &ClaimsRecord,
        request: &AttestedRequest,
        key: &KeyAttributes,
        circumstances: &Circumstances,
    ) -> Evaluation {
        self.permits(record, request, key, circumstances, circumstances.now.into()).into()
    }

    /// Puts a request in Cedar's terms under this bundle. No other bundle may be asked about it.
    pub fn prepare(
        &self,
        record: &ClaimsRecord,
        request: &AttestedRequest,
        key: &KeyAttributes,
        circumstances: &Circumstances,
    ) -> Prepared {
        Prepared(self.subjects.subject(record, request, key, circumstances, circumstances.now, None))
    }

    /// What the rules of the bundle say about it, apart from locks and from the key's own policy.
    pub fn rules_say(&self, prepared: &Prepared) -> Evaluation {
        self.judge(&prepared.0).into()
    }

    /// When a TCB floor or a revocation that is announced now will deny what is permitted now, and why. Without a time
    /// it is one on trial, which somebody has still to put in force.
    pub fn announced(
        &self,
        record: &ClaimsRecord,
        request: &AttestedRequest,
        key: &KeyAttributes,
        circumstances: &Circumstances,
    ) -> Option<(Option<UnixTime>, Denial)> {
        let snp = record.snp.as_ref()?;
        let (processor, now) = ((snp.product, snp.cpuid), circumstances.now);
        let platforms = &self.subjects.references.platforms;
        let denial = |view: View| self.permits(record, request, key, circumstances, view).err();
        let dated = platforms.announced(processor, now);
        let dated = dated.into_iter().find_map(|from| Some((Some(from), denial(from.into())?)));
        dated.or_else(|| {
            let tries = platforms.tries(processor, now);
            tries.then(|| denial(View { at: now, trials: true })).flatten().map(|denial| (None, denial))
        })
    }

    /// The serial number of the reference values.
    pub fn serial(&self) -> u64 {
        self.subjects.references.serial()
    }

    /// Decides about a request that verified evidence binds.
    ///
    /// `key` is the row that the broker found for the request: of that id, and of the version asked for or, for
    /// `latest`, of the newest enabled one.
    ///
    /// # Errors
    /// The denial, with its reasons.
    pub fn decide(
        &self,
        request: &BoundRequest<'_>,
        key: &KeyAttributes,
        circumstances: &Circumstances,
    ) -> Result<Grant, Denial> {
        let (claims, asked) = (request.claims(), request.request());
        locks::fresh(claims.valid_until(), circumstances.now)?;
        let rules = self.permits(claims.record(), asked, key, circumstances, circumstances.now.into())?;
        Ok(Grant {
            operation: asked.operation,
            key: key.id.clone(),
            version: key.version,
            index: request.index(),
            recipient: claims.recipient().clone(),
            transcript: claims.transcript_bytes().to_vec(),
            transcript_hash: claims.transcript_hash(),
            broker: claims.broker(),
            policy: self.digest,
            rules,
            key_commitment: key.commitment,
            key_revision: key.revision,
            decided_at: circumstances.now,
            unwrap: asked.unwrap,
        })
    }

    /// The policy of a key, loaded beside this one's schema and reference values.
    ///
    /// # Errors
    /// Everything that is wrong with it, as for a bundle.
    pub fn of_key(&self, policy: &ReleasePolicy) -> Result<Arc<Self>, LoadErrors> {
        self.own.get(&policy.cedar, || crate::load::load_own(self, &policy.cedar))
    }

    /// Whether a rule can read what a guest's Secure Boot databases hold.
    pub(crate) fn reads_database_entries(&self) -> bool {
        DATABASE_ENTRIES.into_iter().any(|name| self.subjects.reach.reads(BOOT, name))
    }

    /// The same of the key's own policy, if it has one that loads.
    pub(crate) fn own_reads_database_entries(&self, key: &KeyAttributes) -> bool {
        let own = key.release_policy.as_ref().and_then(|own| self.of_key(own).ok());
        own.is_some_and(|own| own.reads_database_entries())
    }

    /// The rules that permit it, with reference values as they are in this view: the bundle's, and those of the key's
    /// own policy.
    fn permits(
        &self,
        record: &ClaimsRecord,
        request: &AttestedRequest,
        key: &KeyAttributes,
        circumstances: &Circumstances,
        view: View,
    ) -> Result<Vec<String>, Denial> {
        locks::check(record, request, key)?;
        let mut rules = self.permitting(record, request, key, circumstances, view)?;
        if let Some(own) = &key.release_policy {
            let own = self.of_key(own).map_err(|errors| unloadable(&errors))?;
            rules.extend(own.permitting(record, request, key, circumstances, view)?);
        }
        Ok(rules)
    }

    /// The rules of this policy alone that permit it.
    fn permitting(
        &self,
        record: &ClaimsRecord,
        request: &AttestedRequest,
        key: &KeyAttributes,
        circumstances: &Circumstances,
        view: View,
    ) -> Result<Vec<String>, Denial> {
        self.judge(&self.subjects.subject(record, request, key, circumstances, view, None))
    }

    /// What Cedar makes of each rule, taken together: an error of any is a denial, then a `forbid` that applies, then the
    /// lack of a `permit`.
    pub(crate) fn judge(&self, subject: &Result<Subject, Unfit>) -> Result<Vec<String>, Denial> {
        let subject = subject.as_ref().map_err(|error| unputtable(error))?;
        let rules = subject.env().and_then(|env| self.by_env.get(&env));
        let (mut permitting, mut forbidding, mut errors) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for rule in rules.into_iter().flatten() {
            match (subject.evaluate(&rule.applies), rule.effect) {
                (Ok(EvalResult::Bool(false)), _) => {}
                (Ok(EvalResult::Bool(true)), Effect::Permit) => permitting.extend(self.with_twins(&rule.id)),
                (Ok(EvalResult::Bool(true)), Effect::Forbid) => forbidding.extend(self.with_twins(&rule.id)),
                (Ok(other), _) => {
                    errors.extend(self.failed(rule, &format!("{other} is neither true nor false")))
                }
                (Err(error), _) => errors.extend(self.failed(rule, &error)),
            }
        }
        if !errors.is_empty() {
            errors.sort_by(|a, b| a.rule.cmp(&b.rule));
            return Err(Denial { code: DenialCode::EvaluationFailed, reasons: errors });
        }
        if !forbidding.is_empty() || permitting.is_empty() {
            return Err(self.denied(subject, &forbidding));
        }
        Ok(permitting.into_iter().map(ToOwned::to_owned).collect())
    }

    /// A denial by these rules, or by the lack of any.
    fn denied(&self, subject: &Subject, forbidding: &BTreeSet<&str>) -> Denial {
        let explainer = Explainer { subjects: &self.subjects, subject };
        let reasons = if forbidding.is_empty() {
            explainer.near_misses(self.all_rules())
        } else {
            explainer.forbidden(forbidding.iter().filter_map(|id| self.rules.get(*id)).map(Arc::as_ref))
        };
        Denial { code: DenialCode::PolicyDenied, reasons }
    }

    fn failed(&self, rule: &Rule, error: &str) -> Vec<Reason> {
        let doc = |id| self.rules.get(id).map_or("", |rule| rule.doc.as_str());
        self.with_twins(&rule.id).map(|id| failure(id, doc(id), error.to_owned())).collect()
    }
}

/// A condition, and those of its sides, if it has some, in their order.
fn condition_and_sides(condition: &Condition) -> Vec<&Condition> {
    let (mut all, mut rest) = (Vec::new(), vec![condition]);
    while let Some(condition) = rest.pop() {
        all.push(condition);
        if let Test::Either(sides) = &condition.test {
            rest.extend(sides.iter().rev().flat_map(|side| side.iter().rev()));
        }
    }
    all
}

/// The denial of a request that cannot be put in Cedar's terms.
fn unputtable(error: &str) -> Denial {
    let reason = failure("request", "what policies are asked about", error.to_owned());
    Denial { code: DenialCode::EvaluationFailed, reasons: vec![reason] }
}

/// The denial of a request for a key whose own policy does not load beside the bundle in force.
fn unloadable(errors: &LoadErrors) -> Denial {
    let reason = failure("key", "the key's own policy must permit as well", errors.to_string());
    Denial { code: DenialCode::EvaluationFailed, reasons: vec![reason] }
}

fn failure(rule: &str, doc: &str, found: String) -> Reason {
    Reason {
        kind: ReasonKind::Error,
        rule: rule.to_owned(),
        doc: doc.to_owned(),
        condition: "evaluation succeeds".to_owned(),
        wanted: "no error".to_owned(),
        found,
    }
}

/// Permission for one operation, on one key version, for one recipient. Spent by move.
#[derive(Debug)]
pub struct Grant {
    operation: Operation,
    key: KeyId,
    version: KeyVersion,
    index: u32,
    recipient: RecipientKey,
    transcript: Vec<u8>,
    transcript_hash: TranscriptHash,
    broker: BrokerId,
    policy: PolicyDigest,
    rules: Vec<String>,
    key_commitment: Sha256Digest,
    key_revision: u64,
    decided_at: UnixTime,
    unwrap: Option<UnwrapBinding>,
}

impl Grant {
    /// What may be done.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// With which key.
    pub fn key(&self) -> &KeyId {
        &self.key
    }

    /// In which version.
    pub fn version(&self) -> KeyVersion {
        self.version
    }

    /// The place of the request among those of the transcript, from 0.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// For whom.
    pub fn recipient(&self) -> &RecipientKey {
        &self.recipient
    }

    /// The transcript as the evidence binds it.
    pub fn transcript_bytes(&self) -> &[u8] {
        &self.transcript
    }

    /// The hash of the transcript.
    pub fn transcript_hash(&self) -> TranscriptHash {
        self.transcript_hash
    }

    /// The broker that the guest asked.
    pub fn broker(&self) -> BrokerId {
        self.broker
    }

    /// The bundle that it was decided under.
    pub fn policy(&self) -> PolicyDigest {
        self.policy
    }

    /// The `@id` of each rule that permits it.
    pub fn rules(&self) -> &[String] {
        &self.rules
    }

    /// What pins the key's bytes.
    pub fn key_commitment(&self) -> Sha256Digest {
        self.key_commitment
    }

    /// The revision of the key's row that was decided on.
    pub fn key_revision(&self) -> u64 {
        self.key_revision
    }

    /// When.
    pub fn decided_at(&self) -> UnixTime {
        self.decided_at
    }

    /// Which DEK, if the operation is `unwrap`.
    pub fn unwrap(&self) -> Option<&UnwrapBinding> {
        self.unwrap.as_ref()
    }
}
