//! What a release does when the evidence lacks a certificate: it looks elsewhere, and starts over.
//!
//! Only after the token is ours and everything holds that needs no certificate, REPORT_DATA included: whoever has no
//! challenge of ours, or replays another's report, makes the broker ask nobody. No lock is held meanwhile.

use std::sync::Arc;

use claims::snp::SigningKey;
use claims::{RequestId, Sha256Digest, TranscriptHash, UnixTime};
use endorsements::{FindError, VcekName};
use evidence::Evidence;
use policy::Policy;
use verify::{
    BindError, ChainError, Endorsements, NeededKey, TrustAnchors, VerifyError, endorsed_key, precheck,
};
use wire::ReleaseRequest;

use crate::app::App;
use crate::core::{Core, Prepared, Refusal};
use crate::ring::KeyRing;

impl App {
    /// As [`Core::prepare`], with certificates from elsewhere where the evidence lacks them.
    ///
    /// # Errors
    /// As [`Core::prepare`]; [`Refusal::NotEndorsed`] if no source has what is needed.
    pub(crate) async fn prepare(
        &self,
        body: &[u8],
        request: RequestId,
        policy: &Arc<Policy>,
        ring: &KeyRing,
        now: UnixTime,
    ) -> Result<Prepared, Refusal> {
        let none = Endorsements::default();
        match self.core.prepare(body, request, policy, ring, &none, now) {
            Err(Refusal::Verify(refused)) if self.may_be_endorsed(&refused) => {
                let fetched = self.find_endorsements(body, refused, now).await?;
                // Time has passed: the challenge may have expired meanwhile.
                self.core.prepare(body, request, policy, ring, &fetched, crate::public::now())
            }
            prepared => prepared,
        }
    }

    /// Whether other certificates could change the outcome: there was no chain, or it was another key's.
    fn may_be_endorsed(&self, refused: &VerifyError) -> bool {
        match refused {
            VerifyError::Chain(ChainError::NoLeaf { .. } | ChainError::NoIntermediate { .. }) => true,
            VerifyError::Tcb { .. } | VerifyError::Chip { .. } => !self.sources.is_empty(),
            _ => false,
        }
    }

    async fn find_endorsements(
        &self,
        body: &[u8],
        refused: VerifyError,
        now: UnixTime,
    ) -> Result<Endorsements, Refusal> {
        let needed = self.core.needed_key(body, now)?;
        if needed.kind != SigningKey::Vcek {
            return Err(refused.into());
        }
        let judge = |name: &VcekName, certificates: &[Vec<u8>]| {
            vouches(name, certificates, &self.core.anchors, now).map_err(|reason| reason.to_string())
        };
        let mut last = None;
        for product in needed.products {
            let Some(name) = VcekName::new(product, &needed.chip_id, needed.reported_tcb) else { continue };
            match self.sources.find(&name, now, &judge).await {
                Ok(found) => {
                    tracing::info!(%name, source = found.source, "certificates found");
                    return Ok(Endorsements::from_certificates(found.certificates)?);
                }
                Err(error) => last = Some(error),
            }
        }
        let error = last.unwrap_or_else(|| Arc::new(no_such_key()));
        Err(Refusal::NotEndorsed { refused: Box::new(refused), error })
    }
}

impl Core {
    /// The key that must have signed a request's evidence, once everything holds that needs no certificate.
    fn needed_key(&self, body: &[u8], now: UnixTime) -> Result<NeededKey, Refusal> {
        let message: ReleaseRequest = wire::decode(body)?;
        let challenge = self.challenge.open(&message.token, now)?;
        let evidence = Evidence::parse(message.kind, &message.evidence)?;
        let needed = precheck(&evidence)?;
        let sha256 = |bytes: &[u8]| Sha256Digest(crypto::sha256(&[bytes]));
        let transcript = message.transcript(self.broker, challenge.nonce(), sha256);
        let expected = TranscriptHash(crypto::sha512(&[&transcript.encode()]));
        if let Evidence::SevSnp(snp) = &evidence {
            let got = snp.report.fields().report_data;
            if got.0 != expected.0 {
                return Err(BindError::ReportData { expected: Box::new(expected), got: Box::new(got) }.into());
            }
        }
        Ok(needed)
    }
}

/// Whether certificates are the chain of this very key under one of our roots, valid now.
fn vouches(
    name: &VcekName,
    certificates: &[Vec<u8>],
    anchors: &TrustAnchors,
    now: UnixTime,
) -> Result<(), Box<dyn core::error::Error>> {
    let endorsements = Endorsements::from_certificates(certificates.iter().cloned())?;
    let key = endorsed_key(&endorsements, anchors, now)?;
    let is_key = name.is(key.product, &key.hwid, key.tcb);
    if is_key { Ok(()) } else { Err("a certificate of another key".into()) }
}

/// For a report whose TCB no key can have.
fn no_such_key() -> FindError {
    FindError {
        wanted: "a key for the report's chip and tcb, as there can be none".to_owned(),
        failures: Vec::new(),
    }
}
