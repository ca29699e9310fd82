//! What a release does when the evidence lacks a certificate: it looks elsewhere, and starts over.
//!
//! Only after the token is ours and everything holds that needs no certificate, the answer to the challenge included:
//! whoever has no challenge of ours, or replays another's report, makes the broker ask nobody. While services are asked
//! no lock is held, and no place of `max_releases`: who waits for them keeps out nobody who needs none.

use std::sync::Arc;

use claims::snp::{SigningKey, Tcb};
use claims::{BrokerId, Nonce, Sha256Digest, TranscriptHash, UnixTime};
use endorsements::{Authority, FindError, Found, Missed, VcekName, Wanted};
use evidence::Evidence;
use tokio::sync::SemaphorePermit;
use verify::{
    ChainError, Endorsements, NeededKey, Role, TrustAnchors, VerifyError, answers, endorsed_issuer,
    endorsed_key, precheck,
};
use wire::{PreflightRequest, ReleaseRequest};

use crate::app::{App, AppError};
use crate::core::{Core, Prepared, Refusal};
use crate::served::Arrival;

/// A message with evidence, and what the evidence must bind.
pub(crate) trait Asks: wire::Message {
    /// The release that it asks for, or about.
    fn asked(&self) -> &ReleaseRequest;
    /// Its transcript, encoded.
    fn transcript_bytes(&self, broker: BrokerId, nonce: Nonce) -> Vec<u8>;
}

impl Asks for ReleaseRequest {
    fn asked(&self) -> &ReleaseRequest {
        self
    }

    fn transcript_bytes(&self, broker: BrokerId, nonce: Nonce) -> Vec<u8> {
        self.transcript(broker, nonce, sha256).encode()
    }
}

impl Asks for PreflightRequest {
    fn asked(&self) -> &ReleaseRequest {
        &self.asked
    }

    fn transcript_bytes(&self, broker: BrokerId, nonce: Nonce) -> Vec<u8> {
        self.transcript(broker, nonce, sha256).encode()
    }
}

fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(crypto::sha256(&[bytes]))
}

/// What is looked for on behalf of a request.
struct Search {
    /// Each would do: a report of version 2 does not say which product it is of.
    wanted: Vec<Wanted>,
    /// Certificates to go with what is found, each by itself: a report does not say which provider's key signed it.
    /// Empty where none is needed.
    leaves: Vec<Vec<u8>>,
    /// What the evidence was refused with as it came.
    refused: VerifyError,
}

impl App {
    /// As `prepare`, with certificates from elsewhere where the evidence lacks them; and the place that the
    /// release holds from here on.
    ///
    /// # Errors
    /// As `prepare`, and for a body that is no message; [`Refusal::NotEndorsed`] if no source has what is needed,
    /// [`AppError::Busy`] if too many releases are under way.
    pub(crate) async fn prepare<M: Asks, P>(
        &self,
        body: &[u8],
        arrival: Arrival,
        prepare: impl Fn(&M, &Endorsements, Arrival) -> Result<Prepared<P>, Refusal>,
    ) -> Result<(Prepared<P>, SemaphorePermit<'_>), AppError> {
        let place = self.place()?;
        let now = arrival.now;
        let message: M = wire::decode(body).map_err(Refusal::from)?;
        let refused = match prepare(&message, &Endorsements::default(), arrival) {
            Err(Refusal::Verify(refused)) if self.may_be_endorsed(&refused) => refused,
            prepared => return Ok((prepared?, place)),
        };
        let search = self.search(&message, refused, now)?;
        let (found, place) = match self.at_hand(&search, now) {
            Ok(found) => (found, place),
            Err(missed) => {
                drop(place);
                let found = self.ask(&search, &missed, now).await?;
                (found, self.place()?)
            }
        };
        tracing::info!(source = found.source, "certificates found");
        // Time has passed: the challenge may have expired meanwhile.
        let arrival = Arrival { now: crate::public::now(), ..arrival };
        Ok((search.try_each(&found, |fetched| prepare(&message, fetched, arrival))?, place))
    }

    /// Whether other certificates could change the outcome: there was no chain, or it was another key's.
    fn may_be_endorsed(&self, refused: &VerifyError) -> bool {
        match refused {
            VerifyError::Chain(ChainError::NoLeaf { .. } | ChainError::NoIntermediate { .. }) => true,
            VerifyError::Tcb { .. } | VerifyError::Chip { .. } => !self.sources.is_empty(),
            _ => false,
        }
    }

    /// What would help, once everything holds that needs no certificate.
    fn search(&self, message: &impl Asks, refused: VerifyError, now: UnixTime) -> Result<Search, Refusal> {
        let needed = match self.core.needed_key(message, now) {
            // Evidence of a kind for which nothing can be found: it is told what it lacks.
            Err(Refusal::Verify(VerifyError::Unsupported { .. })) => return Err(refused.into()),
            needed => needed?,
        };
        let (chip, tcb) = (&needed.chip_id, needed.reported_tcb);
        let products = needed.products.iter().copied();
        let (wanted, leaves) = match needed.kind {
            SigningKey::Vcek => {
                let names = products.filter_map(|product| VcekName::new(product, chip, tcb));
                (names.map(Wanted::Vcek).collect(), Vec::new())
            }
            SigningKey::Vlek => {
                let leaves = if lacks_only_issuer(&refused) { Vec::new() } else { self.vleks(&needed) };
                if leaves.is_empty() && !lacks_only_issuer(&refused) {
                    return Err(not_endorsed(&refused, no_such_vlek()));
                }
                (products.map(|product| Wanted::Chain(Authority::asvk(product))).collect(), leaves)
            }
        };
        Ok(Search { wanted, leaves, refused })
    }

    fn vleks(&self, needed: &NeededKey) -> Vec<Vec<u8>> {
        let tcb = |product| Tcb::from_report_bytes(needed.reported_tcb, product);
        needed.products.iter().flat_map(|product| self.sources.vleks_at(*product, tcb(*product))).collect()
    }

    /// In the directory and the cache.
    fn at_hand(&self, search: &Search, now: UnixTime) -> Result<Found, Vec<Missed>> {
        let judge = self.judge(now);
        let mut missed = Vec::new();
        for wanted in &search.wanted {
            match self.sources.at_hand(wanted, &judge) {
                Ok(found) => return Ok(found),
                Err(one) => missed.push(one),
            }
        }
        Err(missed)
    }

    /// At services.
    async fn ask(&self, search: &Search, missed: &[Missed], now: UnixTime) -> Result<Found, Refusal> {
        let judge = self.judge(now);
        let mut last = None;
        for one in missed {
            match self.sources.ask(one, now, &judge).await {
                Ok(found) => return Ok(found),
                Err(error) => last = Some(error),
            }
        }
        Err(not_endorsed(&search.refused, last.unwrap_or_else(|| Arc::new(no_such_key()))))
    }

    /// Whether certificates are what is wanted, under one of our roots, valid now.
    fn judge(&self, now: UnixTime) -> impl Fn(&Wanted, &[Vec<u8>]) -> Result<(), String> + Send + Sync {
        move |wanted, certificates| {
            vouches(wanted, certificates, &self.core.anchors, now).map_err(|reason| reason.to_string())
        }
    }
}

impl Search {
    /// The first outcome that is none of a wrong leaf, or the last.
    fn try_each<T>(
        &self,
        found: &Found,
        prepare: impl Fn(&Endorsements) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let (last, others) = self.leaves.split_last().map_or((None, &[][..]), |(last, o)| (Some(last), o));
        let with = |leaf: Option<&Vec<u8>>| {
            Endorsements::from_certificates(leaf.into_iter().chain(&found.certificates).cloned())
        };
        for leaf in others {
            match prepare(&with(Some(leaf))?) {
                Err(Refusal::Verify(_)) => (),
                outcome => return outcome,
            }
        }
        prepare(&with(last)?)
    }
}

impl Core {
    /// The key that must have signed a request's evidence, once everything holds that needs no certificate.
    fn needed_key(&self, message: &impl Asks, now: UnixTime) -> Result<NeededKey, Refusal> {
        let asked = message.asked();
        let challenge = self.challenge.open(&asked.token, now)?;
        let evidence = Evidence::parse(asked.kind, &asked.evidence)?;
        let needed = precheck(&evidence, &self.attestation_keys, now)?;
        let transcript = message.transcript_bytes(self.broker, challenge.nonce());
        answers(&evidence, TranscriptHash(crypto::sha512(&[&transcript])))?;
        Ok(needed)
    }
}

/// Whether the leaf came along.
fn lacks_only_issuer(refused: &VerifyError) -> bool {
    matches!(refused, VerifyError::Chain(ChainError::NoIntermediate { certificate: Role::Vlek, .. }))
}

fn vouches(
    wanted: &Wanted,
    certificates: &[Vec<u8>],
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<(), Box<dyn core::error::Error>> {
    let endorsements = Endorsements::from_certificates(certificates.iter().cloned())?;
    match wanted {
        Wanted::Vcek(name) => {
            let key = endorsed_key(&endorsements, anchors, now)?;
            let is_key = name.is(key.product, &key.hwid, key.tcb);
            if is_key { Ok(()) } else { Err("a certificate of another key".into()) }
        }
        Wanted::Chain(Authority { kind, product }) => {
            endorsed_issuer(&endorsements, (*kind, *product), anchors, now)?;
            Ok(())
        }
    }
}

fn not_endorsed(refused: &VerifyError, error: Arc<FindError>) -> Refusal {
    Refusal::NotEndorsed { refused: Box::new(refused.clone()), error }
}

/// For a report whose TCB no key can have.
fn no_such_key() -> FindError {
    FindError {
        wanted: "a key for the report's chip and tcb, as there can be none".to_owned(),
        failures: Vec::new(),
    }
}

/// For a provider's key that came from nowhere.
fn no_such_vlek() -> Arc<FindError> {
    Arc::new(FindError {
        wanted:
            "the certificate of a VLEK, which comes with the evidence or lies in the directory, as only its \
                 cloud provider gets it"
                .to_owned(),
        failures: Vec::new(),
    })
}
