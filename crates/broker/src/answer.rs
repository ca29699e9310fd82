//! From a decision to an answer: staged, sealed and under embargo, and let go once the record is durable.

use std::sync::Arc;

use claims::leaf::Salt;
use claims::{KeyAttributes, PolicyDigest, RequestId, Sha256Digest, UnixTime, VersionSelector};
use journal::{Denied, Event, SignedGroup, Staged, confirm, stage};
use policy::{Circumstances, Denial, Policy, Reason, ReasonKind};
use release::{Embargoed, ReleaseError, UnwrapInput};
use store::{Committed, KeyUnchanged, LeafRow};
use tlog::Hash;
use verify::BoundRequest;
use wire::{Answer, Permit, Receipt, ReleaseResponse, Sealed};

use crate::core::{Core, Refusal, internal};
use crate::ring::KeyRing;
use crate::served::{Counted, Launch};

/// What was decided about one request.
pub(crate) struct Decided {
    outcome: Result<(policy::Grant, Embargoed), NoGrant>,
    /// What will deny it from an announced date on.
    announced: Vec<Reason>,
    /// The key that it was about; `None` if there is none.
    pub(crate) key: Option<KeyAttributes>,
    /// What it was decided on besides.
    pub(crate) circumstances: Circumstances,
    /// Where it is counted, if it is a permit.
    pub(crate) counted: Option<Counted>,
}

/// A denial, by policy or because there is nothing to seal.
struct NoGrant {
    code: &'static str,
    reasons: Vec<Reason>,
}

/// One answer, staged for the journal.
pub enum PendingAnswer {
    /// Granted, and under embargo.
    Permit {
        /// What is to be recorded.
        staged: Box<Staged>,
        /// What is let go then.
        embargoed: Embargoed,
        /// The leaf that records it.
        row: LeafRow,
    },
    /// Denied.
    Denial {
        /// The leaf that records it.
        row: LeafRow,
        /// What the guest is told.
        code: &'static str,
    },
}

/// Every answer of a request, until its transaction is durable.
pub struct Pending {
    /// What the guest may quote.
    pub request_id: RequestId,
    /// In order of the requests.
    pub answers: Vec<PendingAnswer>,
    /// The permits among them, which count from now on.
    pub counted: Vec<Counted>,
    /// Size of the log in the checkpoint that the guest kept.
    pub known_size: u64,
}

impl Core {
    /// Decides one request, counts it if it is permitted, and seals what is granted.
    pub(crate) fn decide(
        &self,
        (guest, bound): (&Launch, &BoundRequest<'_>),
        unwrap: Option<UnwrapInput<'_>>,
        policy: &Arc<Policy>,
        ring: &KeyRing,
        circumstances: Circumstances,
    ) -> Decided {
        let asked = bound.request();
        let Some(key) = ring.select(&asked.key, asked.version) else {
            let (code, reasons) = unknown_key(asked.version);
            let outcome = Err(NoGrant { code, reasons });
            return Decided { outcome, announced: Vec::new(), key: None, circumstances, counted: None };
        };
        let attributes = &key.wrapped.attributes;
        let decide = |recent| {
            let circumstances = Circumstances { recent, ..circumstances.clone() };
            (policy.decide(bound, attributes, &circumstances), circumstances)
        };
        let now = circumstances.now;
        let decided = self.served.decide((guest, &asked.key), now, decide, |(outcome, _)| outcome.is_ok());
        let ((outcome, circumstances), mut counted) = decided;
        let outcome = match outcome {
            Err(Denial { code, reasons }) => Err(NoGrant { code: code.as_str(), reasons }),
            Ok(grant) => match self.root.seal(&grant, &key.wrapped, unwrap) {
                Ok(embargoed) => Ok((grant, embargoed)),
                Err(error) => {
                    self.served.take_back(counted.take().as_slice());
                    Err(not_sealed(&error))
                }
            },
        };
        let permitted = outcome.is_ok();
        let announced =
            permitted.then(|| policy.announced(bound.claims().record(), asked, attributes, &circumstances));
        let announced = announced.flatten().map_or_else(Vec::new, |(from, denial)| warning(from, denial));
        Decided { outcome, announced, key: Some(attributes.clone()), circumstances, counted }
    }
}

impl Decided {
    /// The key must still be as it was when this becomes durable.
    pub(crate) fn unchanged(&self) -> Option<KeyUnchanged> {
        self.key.as_ref().map(unchanged)
    }
}

/// The reasons that will deny what is permitted now.
pub(crate) fn warning(from: Option<UnixTime>, denial: Denial) -> Vec<Reason> {
    let when = from.map_or("once what is on trial is in force".to_owned(), |from| format!("from {from} on"));
    let until = |reason: Reason| Reason {
        kind: ReasonKind::Announced,
        wanted: format!("{} {when}", reason.wanted),
        ..reason
    };
    denial.reasons.into_iter().map(until).collect()
}

/// The key as it was decided about.
pub(crate) fn unchanged(attributes: &KeyAttributes) -> KeyUnchanged {
    let (version, revision) = (attributes.version, attributes.revision);
    KeyUnchanged { key: attributes.id.clone(), version, revision }
}

/// Code and reasons of a denial where there is no such key.
pub(crate) fn unknown_key(version: VersionSelector) -> (&'static str, Vec<Reason>) {
    let wanted = match version {
        VersionSelector::Latest => "a key of this name".to_owned(),
        VersionSelector::Exact(version) => format!("version {version} of a key of this name"),
    };
    let reason = lock("unknown-key", "the key exists", wanted, "none".to_owned());
    ("unknown-key", vec![reason])
}

fn not_sealed(error: &ReleaseError) -> NoGrant {
    let code = match error {
        ReleaseError::Unwrap { .. } | ReleaseError::OtherDek { .. } => "unwrap-failed",
        _ => "not-sealed",
    };
    let reason =
        lock(code, "the key can be used and sealed", "a key that opens".to_owned(), error.to_string());
    NoGrant { code, reasons: vec![reason] }
}

fn lock(rule: &str, condition: &str, wanted: String, found: String) -> Reason {
    Reason {
        kind: ReasonKind::Lock,
        rule: rule.to_owned(),
        doc: String::new(),
        condition: condition.to_owned(),
        wanted,
        found,
    }
}

impl PendingAnswer {
    /// Stages the leaf of one decision, under a salt of its own.
    pub(crate) fn stage(
        bound: &BoundRequest<'_>,
        decided: Decided,
        request: RequestId,
        policy: PolicyDigest,
        salt: Salt,
        now: UnixTime,
    ) -> Result<Self, Refusal> {
        let no_grant = match decided.outcome {
            Ok((grant, embargoed)) => {
                if let Some(first) = decided.announced.first() {
                    let (key, rule, wanted) = (grant.key(), &first.rule, &first.wanted);
                    tracing::warn!(%request, %key, rule, wanted, "permitted, and will be denied");
                }
                let explanation = permitted_by(grant.rules(), decided.announced);
                let explanation = serde_json::to_string(&explanation).map_err(internal)?;
                let staged = stage(grant, embargoed.digest(), salt);
                let row = staged.row(request, Some(explanation));
                return Ok(Self::Permit { staged: Box::new(staged), embargoed, row });
            }
            Err(no_grant) => no_grant,
        };
        let asked = bound.request();
        let explanation = serde_json::to_string(&no_grant.reasons).map_err(internal)?;
        let denied = Denied {
            broker: bound.claims().broker(),
            transcript: bound.claims().transcript_hash(),
            index: bound.index(),
            operation: asked.operation,
            key: asked.key.clone(),
            version: asked.version,
            policy,
            code: no_grant.code.to_owned(),
            reasons: tlog::digest(explanation.as_bytes()),
            decided_at: now,
        };
        let row = Event::Denied(denied).row(salt, Some(request), Some(explanation));
        Ok(Self::Denial { row, code: no_grant.code })
    }

    /// The leaf to be written.
    pub fn row(&self) -> LeafRow {
        match self {
            Self::Permit { row, .. } | Self::Denial { row, .. } => row.clone(),
        }
    }
}

/// The rules that permitted it, and what will deny it, as an explanation.
pub(crate) fn permitted_by(rules: &[String], announced: Vec<Reason>) -> Vec<Reason> {
    let permit = |rule: &String| lock(rule, "the rule permits it", "permit".to_owned(), "permit".to_owned());
    rules.iter().map(permit).chain(announced).collect()
}

impl Pending {
    /// Tells the log what was denied: by codes, since reasons are the journal's.
    pub fn trace(&self) {
        for (index, answer) in self.answers.iter().enumerate() {
            if let PendingAnswer::Denial { code, .. } = answer {
                tracing::info!(request = %self.request_id, index, code, "denied");
            }
        }
    }

    /// The answer, now that every leaf is durable. `consistency` is the proof from the checkpoint that the guest
    /// kept to this group's.
    ///
    /// # Errors
    /// [`Refusal::Internal`] if what was committed is not what was staged; nothing is given up then.
    pub fn answer(
        self,
        committed: &Committed<SignedGroup>,
        consistency: Vec<Hash>,
    ) -> Result<Vec<u8>, Refusal> {
        let answers = self.answers.into_iter().map(|answer| answer.release(committed));
        let response = ReleaseResponse {
            request_id: self.request_id,
            answers: answers.collect::<Result<_, _>>()?,
            checkpoint: committed.group().checkpoint().to_vec(),
            consistency: consistency.iter().map(|hash| Sha256Digest(hash.0)).collect(),
        };
        wire::encode(&response).map_err(internal)
    }
}

impl PendingAnswer {
    fn release(self, committed: &Committed<SignedGroup>) -> Result<Answer, Refusal> {
        let (staged, embargoed) = match self {
            Self::Denial { code, .. } => return Ok(Answer::Denial(wire::Denial { code: code.to_owned() })),
            Self::Permit { staged, embargoed, .. } => (*staged, embargoed),
        };
        let recorded = confirm(staged, committed).map_err(internal)?;
        let version = recorded.version();
        let parts = recorded.receipt().clone();
        let receipt = Receipt {
            policy: parts.policy,
            key_commitment: parts.key_commitment,
            decided_at: parts.decided_at,
            salt: parts.salt,
            index: parts.leaf,
            proof: parts.proof.0.iter().map(|hash| Sha256Digest(hash.0)).collect(),
        };
        let sealed = embargoed.unembargo(recorded).map_err(internal)?;
        let sealed = (!sealed.is_nothing())
            .then_some(Sealed { encapsulated: sealed.encapsulated, ciphertext: sealed.ciphertext });
        Ok(Answer::Permit(Permit { version, sealed, receipt }))
    }
}
