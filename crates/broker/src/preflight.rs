//! A guest asks what would be decided: evidence is believed as for a release, policies are evaluated, and the answer is
//! words.
//!
//! Nothing here can seal: `Authenticated::bind_preflight` gives `PreflightClaims`, which no `BoundRequest` comes from,
//! so no `Grant`, which `RootKey::seal` takes, and no `SealedKey`. What is evaluated is a copy of the claims' record,
//! with the guest's predictions in their place; such a record is plain data that anyone may write.

use std::sync::Arc;

use claims::{AttestedRequest, ClaimsRecord, RequestId, Sha256Digest, UnixTime};
use journal::{Event, SignedGroup, Trial};
use policy::{Evaluation, Policy, Reason, nearest};
use serde::Deserialize;
use store::{Committed, LeafRow, SpentNonce};
use verify::{Endorsements, PreflightClaims};
use wire::{PreflightRequest, PreflightResponse, ToldReason, Verdict, WouldDeny, WouldPermit};

use crate::answer::{permitted_by, unchanged, unknown_key, warning};
use crate::core::{Core, Prepared, Refusal, add_unchanged, internal};
use crate::predicted::predicted;
use crate::ring::KeyRing;
use crate::served::{Arrival, Launch};

/// What a guest is told that asks what would be decided. Reasons name an owner's rules and reference values, and anyone
/// who rents a machine of the right kind has authentic evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Telling {
    /// Nothing: preflights are refused as if there were none.
    Off,
    /// Codes alone.
    Code,
    /// The reasons, where the same request would be permitted to the guest as it attested itself: one that is the
    /// owner's now may learn why its next boot would not be. To all others codes alone.
    #[default]
    Known,
    /// The reasons, to every guest whose evidence is believed.
    Explain,
}

/// Every verdict of a preflight, until its transaction is durable.
pub struct PendingTrial {
    request_id: RequestId,
    verdicts: Vec<Verdict>,
}

/// What came out for one request.
struct Tried {
    verdict: Verdict,
    outcome: String,
    /// The whole reasons, for the journal.
    reasons: Vec<Reason>,
}

impl Core {
    /// Verifies a preflight, evaluates it, and words the answer; arguments are those of [`Core::prepare`].
    ///
    /// # Errors
    /// [`Refusal`] if the evidence is not believed, or the prediction does not fit it.
    pub(crate) fn prepare_preflight(
        &self,
        message: &PreflightRequest,
        request_id: RequestId,
        (policy, ring): (&Arc<Policy>, &KeyRing),
        telling: Telling,
        fetched: &Endorsements,
        arrival: Arrival,
    ) -> Result<Prepared<PendingTrial>, Refusal> {
        let now = arrival.now;
        let challenge = self.challenge.open(&message.asked.token, now)?;
        let nonce = SpentNonce { nonce: challenge.nonce(), expires: challenge.expires() };
        let authenticated = self.authenticate(&message.asked, fetched, now)?;
        let sha256 = |bytes: &[u8]| Sha256Digest(crypto::sha256(&[bytes]));
        let transcript = message.transcript(self.broker, challenge.nonce(), sha256);
        let claims = authenticated.bind_preflight(challenge, &transcript, now)?;
        let supposed = message.prediction.as_ref().map(|prediction| predicted(claims.record(), prediction));
        let supposed = supposed.transpose()?;
        let mut transaction = self.transaction(nonce, claims.record(), claims.quoted_tpm(), policy, now);
        let guest = Launch::of(claims.record());
        let mut verdicts = Vec::with_capacity(claims.requests().len());
        for (index, asked) in (0..).zip(claims.requests()) {
            let key = ring.select(&asked.key, asked.version);
            if let Some(key) = &key {
                add_unchanged(&mut transaction, &unchanged(&key.wrapped.attributes));
            }
            // What was served counts here; a trial itself is never counted.
            let circumstances = self.circumstances(&guest, &asked.key, &nonce, arrival);
            let ask = |record: &ClaimsRecord| {
                let key = key.as_ref()?;
                Some(policy.evaluate(record, asked, &key.wrapped.attributes, &circumstances))
            };
            let as_it_is = ask(claims.record());
            let outcome = supposed.as_ref().map_or_else(|| as_it_is.clone(), ask);
            let tells = telling.tells(as_it_is.as_ref());
            let mut tried =
                Tried::of(outcome, key.as_ref().map(|key| key.wrapped.attributes.version), asked, tells);
            if let (Verdict::Permit(_), Some(key)) = (&tried.verdict, &key) {
                let record = supposed.as_ref().unwrap_or(claims.record());
                let announced = policy.announced(record, asked, &key.wrapped.attributes, &circumstances);
                tried.reasons.extend(announced.into_iter().flat_map(|(from, denial)| warning(from, denial)));
            }
            let subject = (&claims, index, asked, supposed.is_some());
            transaction.leaves.push(tried.leaf(subject, request_id, policy, now)?);
            verdicts.push(tried.verdict);
        }
        Ok(Prepared { transaction, pending: PendingTrial { request_id, verdicts } })
    }
}

impl Telling {
    /// Whether reasons are told, given what would be decided about the guest as it is.
    fn tells(self, as_it_is: Option<&Evaluation>) -> bool {
        match self {
            Self::Off | Self::Code => false,
            Self::Known => matches!(as_it_is, Some(Evaluation::Permit { .. })),
            Self::Explain => true,
        }
    }
}

impl Tried {
    /// `outcome` and `version` are `None` where there is no such key.
    fn of(
        outcome: Option<Evaluation>,
        version: Option<claims::KeyVersion>,
        asked: &AttestedRequest,
        tells: bool,
    ) -> Self {
        let (code, reasons) = match (outcome, version) {
            (Some(Evaluation::Permit { rules }), Some(version)) => {
                let reasons = permitted_by(&rules, Vec::new());
                let rules = rules.iter().filter(|_| tells).take(Verdict::MAX_ITEMS).map(|rule| told(rule));
                let verdict = Verdict::Permit(WouldPermit { version, rules: rules.collect() });
                return Self { verdict, outcome: Trial::PERMITTED.to_owned(), reasons };
            }
            (Some(Evaluation::Deny(denial)), _) => (denial.code.as_str(), denial.reasons),
            _ => unknown_key(asked.version),
        };
        let (told_reasons, left_out) = if tells { told_reasons(&reasons) } else { (Vec::new(), 0) };
        let deny = WouldDeny {
            code: code.to_owned(),
            reasons: told_reasons,
            left_out,
            nearest: nearest(&reasons).filter(|_| tells).map(|text| told(&text)),
        };
        Self { verdict: Verdict::Deny(deny), outcome: code.to_owned(), reasons }
    }

    /// The leaf that records it.
    fn leaf(
        &self,
        (claims, index, asked, predicted): (&PreflightClaims, u32, &AttestedRequest, bool),
        request: RequestId,
        policy: &Policy,
        now: UnixTime,
    ) -> Result<LeafRow, Refusal> {
        let explanation = serde_json::to_string(&self.reasons).map_err(internal)?;
        let trial = Trial {
            broker: claims.broker(),
            transcript: claims.transcript_hash(),
            index,
            operation: asked.operation,
            key: asked.key.clone(),
            version: asked.version,
            policy: policy.digest(),
            outcome: self.outcome.clone(),
            predicted,
            reasons: tlog::digest(explanation.as_bytes()),
            decided_at: now,
        };
        let salt = crypto::random_array().map_err(internal)?;
        Ok(Event::Trial(trial).row(salt, Some(request), Some(explanation)))
    }
}

/// Reasons within the bounds of a verdict, and how many were left out.
fn told_reasons(reasons: &[Reason]) -> (Vec<ToldReason>, u64) {
    // The nearest permit's sentence has its place.
    let mut room = Verdict::MAX_TEXTS.saturating_sub(Verdict::MAX_TEXT);
    let mut all = Vec::new();
    for Reason { kind, rule, doc, condition, wanted, found } in reasons.iter().take(Verdict::MAX_ITEMS) {
        let [rule, doc, condition, wanted, found] =
            [rule, doc, condition, wanted, found].map(|text| told(text));
        let reason = ToldReason { kind: kind.name().to_owned(), rule, doc, condition, wanted, found };
        let len = reason.texts().iter().map(|text| text.len()).fold(0, usize::saturating_add);
        let Some(left) = room.checked_sub(len) else { break };
        room = left;
        all.push(reason);
    }
    let left_out = reasons.len().saturating_sub(all.len());
    (all, u64::try_from(left_out).unwrap_or(u64::MAX))
}

/// A text within its bound, and without control characters.
fn told(text: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().map(printable).collect();
    if text.len() <= Verdict::MAX_TEXT {
        return text;
    }
    let end = text.floor_char_boundary(Verdict::MAX_TEXT.saturating_sub('…'.len_utf8()));
    text.get(..end).unwrap_or_default().to_owned() + "…"
}

impl PendingTrial {
    /// The answer, now that every leaf is durable.
    ///
    /// # Errors
    /// [`Refusal::Internal`] if it cannot be encoded.
    pub(crate) fn answer(self, _durable: &Committed<SignedGroup>) -> Result<Vec<u8>, Refusal> {
        let Self { request_id, verdicts } = self;
        for (index, verdict) in verdicts.iter().enumerate() {
            let outcome = match verdict {
                Verdict::Permit(_) => Trial::PERMITTED,
                Verdict::Deny(deny) => &deny.code,
            };
            tracing::info!(request = %request_id, index, outcome, "trial");
        }
        wire::encode(&PreflightResponse { request_id, verdicts }).map_err(internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::{Denial, DenialCode, ReasonKind};

    fn reason(text: &str) -> Reason {
        let text = || text.to_owned();
        let kind = ReasonKind::NearMiss;
        Reason { kind, rule: text(), doc: text(), condition: text(), wanted: text(), found: text() }
    }

    fn deny() -> Evaluation {
        Evaluation::Deny(Denial { code: DenialCode::PolicyDenied, reasons: vec![reason("r")] })
    }

    #[test]
    fn who_is_no_guest_of_the_owners_gets_a_code() {
        let permit = Evaluation::Permit { rules: vec!["r".to_owned()] };
        let told = |telling: Telling| {
            let known = [Some(&permit), Some(&deny()), None].map(|as_it_is| telling.tells(as_it_is));
            (telling, known)
        };
        assert_eq!(told(Telling::default()), (Telling::Known, [true, false, false]));
        assert_eq!(told(Telling::Code).1, [false; 3]);
        assert_eq!(told(Telling::Explain).1, [true; 3]);
    }

    #[test]
    fn a_warning_says_when_it_will_deny_or_that_nobody_has_said_yet() {
        let wanted = |from: Option<claims::UnixTime>| {
            let denial = Denial { code: DenialCode::PolicyDenied, reasons: vec![reason("r")] };
            let [only] = &warning(from, denial)[..] else { panic!("one reason") };
            assert_eq!((only.kind, only.rule.as_str()), (ReasonKind::Announced, "r"));
            only.wanted.clone()
        };
        assert_eq!(wanted(Some(claims::UnixTime(0))), "r from 1970-01-01T00:00:00Z on");
        assert_eq!(wanted(None), "r once what is on trial is in force");
    }

    #[test]
    fn a_verdict_without_reasons_still_records_them() {
        let asked = AttestedRequest {
            operation: claims::Operation::Renew,
            key: "db".parse().unwrap(),
            version: claims::VersionSelector::Latest,
            unwrap: None,
        };
        let version = Some(claims::KeyVersion(1));
        let tried = Tried::of(Some(deny()), version, &asked, false);
        let (code, reasons) = ("policy-denied".to_owned(), Vec::new());
        assert_eq!(tried.verdict, Verdict::Deny(WouldDeny { code, reasons, left_out: 0, nearest: None }));
        assert_eq!(tried.reasons, [reason("r")]);
        let tried = Tried::of(None, None, &asked, true);
        let Verdict::Deny(deny) = &tried.verdict else { panic!() };
        assert_eq!((deny.code.as_str(), tried.outcome.as_str()), ("unknown-key", "unknown-key"));
        assert_eq!(deny.reasons.len(), 1);
    }

    #[test]
    fn long_reasons_are_cut_and_left_out_and_counted() {
        let many = vec![reason(&"é".repeat(3000)); 5];
        let (told, left_out) = told_reasons(&many);
        assert_eq!((told.len(), left_out), (2, 3));
        let text = &told.first().unwrap().found;
        assert!(text.ends_with("é…") && text.len() <= Verdict::MAX_TEXT, "{}", text.len());
        let verdict = Verdict::Deny(WouldDeny {
            code: "policy-denied".to_owned(),
            reasons: told,
            left_out,
            nearest: Some("x".repeat(Verdict::MAX_TEXT)),
        });
        let response = PreflightResponse { request_id: RequestId([0; 16]), verdicts: vec![verdict] };
        wire::encode(&response).unwrap();
        assert_eq!(super::told("a\n\u{1b}b"), "a  b");
    }
}
