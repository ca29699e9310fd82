//! `POST /v1/enrol`: an attestation key becomes one that this broker believes.
//!
//! 1. The keys fit the rules, and a certificate under a root of the operator's vouches for the endorsement key (or
//!    nothing does, and the operator lets service modules enrol). Out goes a credential that only a TPM with both keys
//!    opens, and a ticket, since nothing is kept meanwhile.
//! 2. The ticket and what the TPM opened come back. The key is written to the store and the journal, then answered.
//!
//! A key that an operator withdrew is not enrolled again by this way. A TPM has at most [`MAX_KEYS_OF_A_TPM`] keys here;
//! the oldest makes place.

use claims::tpm::AkBinding;
use claims::{AttestationKey, PolicyDigest, UnixTime};
use evidence::tpm::{Public, TpmError};
use journal::{AttestationKeyChanged, Event};
use store::Transaction;
use verify::Enrolment;
use verify::tpm::credential::{EnrolError, Enrolling};
use verify::tpm::ticket::{Activated, TicketError};
use wire::{EnrolChallenge, EnrolProof, EnrolRequest, Enrolled, ProblemCode};

use crate::app::{App, AppError};
use crate::core::{Refusal, internal};

/// Most believed keys of one TPM.
pub const MAX_KEYS_OF_A_TPM: usize = 8;

/// Why a key was not enrolled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnrolRefusal {
    /// A public area cannot be read.
    #[error("{which}: {error}")]
    Public {
        /// Whose.
        which: &'static str,
        /// What is wrong.
        error: TpmError,
    },
    /// Keys or certificates break a rule.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// No certificate came, and service modules may not enrol here.
    #[error(
        "nothing vouches for the endorsement key: expected its certificate; for guests of a secure vm service \
         module, set `svsm = true` in `[trust]`"
    )]
    NoCertificate,
    /// The ticket or the secret is not what it should be.
    #[error(transparent)]
    Ticket(#[from] TicketError),
    /// An operator withdrew the key.
    #[error("the attestation key {0} was withdrawn; `keyfast attestation-keys enrol` takes it back")]
    Withdrawn(claims::tpm::ObjectName),
}

impl EnrolRefusal {
    /// What the guest is told.
    pub fn code(&self) -> ProblemCode {
        match self {
            Self::Enrol(EnrolError::Crypto(_)) => ProblemCode::Internal,
            _ => ProblemCode::EnrolmentRefused,
        }
    }
}

impl App {
    /// Answers `POST /v1/enrol`.
    ///
    /// # Errors
    /// [`AppError`]; nothing is enrolled by this in any case.
    pub fn enrol(&self, body: &[u8], now: UnixTime) -> Result<Vec<u8>, AppError> {
        let busy = |_| AppError::Busy { limit: self.config.max_releases };
        let _place = self.room.try_acquire().map_err(busy)?;
        let request: EnrolRequest = wire::decode(body).map_err(Refusal::from)?;
        let ak = public("attestation key", &request.ak)?;
        let ek = public("endorsement key", &request.ek)?;
        let (enrolling, vouched) = if request.certificates.is_empty() {
            if !self.config.trust.svsm {
                return Err(EnrolRefusal::NoCertificate.into());
            }
            (Enrolling::without_certificate(&ak, &ek).map_err(EnrolRefusal::from)?, None)
        } else {
            let certificates = &request.certificates;
            let checked =
                self.core.ek_roots.with(|roots| Enrolling::check(&ak, &ek, certificates, roots, now));
            let (enrolling, vouched) = checked.map_err(EnrolRefusal::from)?;
            (enrolling, Some(vouched))
        };
        self.refuse_withdrawn(enrolling.ak_name())?;
        let lifetime_s = self.config.challenge_lifetime_s;
        let ticket = self.core.challenge.ticket(&enrolling, vouched.as_ref(), now, lifetime_s);
        let ticket = ticket.map_err(EnrolRefusal::from)?;
        let challenge = EnrolChallenge {
            token: ticket.token,
            credential: ticket.credential.blob,
            encrypted_seed: ticket.credential.encrypted_seed,
            expires: ticket.expires,
        };
        Ok(wire::encode(&challenge).map_err(internal)?)
    }

    /// Answers `POST /v1/enrol/proof`.
    ///
    /// # Errors
    /// [`AppError`]; the key is not enrolled then.
    pub async fn prove(&self, body: &[u8], now: UnixTime) -> Result<Vec<u8>, AppError> {
        let proof: EnrolProof = wire::decode(body).map_err(Refusal::from)?;
        let activated = self.core.challenge.activated(&proof.token, &proof.secret, now);
        let activated = activated.map_err(EnrolRefusal::from)?;
        let _turn = self.attestation_keys_turn.lock().await;
        self.refuse_withdrawn(activated.name())?;
        if activated.key().enrolment == Enrolment::Activated {
            self.core.attestation_keys.put_activated(activated.name().clone(), activated.key().clone());
        } else {
            self.record_activated(&activated, now).await?;
        }
        let enrolled = Enrolled { ak_name: activated.name().to_bytes(), until: activated.key().not_after };
        Ok(wire::encode(&enrolled).map_err(internal)?)
    }

    /// Writes down what an operator says of a key, and may say under these policies.
    ///
    /// # Errors
    /// [`AppError::Commit`]; it is as it was then.
    pub async fn record_attestation_key(
        &self,
        key: &AttestationKey,
        action: &str,
        actor: &str,
        (policy, now): (PolicyDigest, UnixTime),
    ) -> Result<(), AppError> {
        let _turn = self.attestation_keys_turn.lock().await;
        self.record(vec![(key.clone(), action)], actor, (policy, now)).await
    }

    fn refuse_withdrawn(&self, name: &claims::tpm::ObjectName) -> Result<(), EnrolRefusal> {
        match self.core.attestation_keys.durable(name) {
            Some(key) if !key.believed => Err(EnrolRefusal::Withdrawn(name.clone())),
            _ => Ok(()),
        }
    }

    async fn record_activated(&self, activated: &Activated, now: UnixTime) -> Result<(), AppError> {
        let key = AttestationKey {
            name: activated.name().clone(),
            binding: AkBinding::EkCertificate,
            ek: activated.key().ek.clone(),
            simulated: activated.key().simulated,
            not_after: activated.key().not_after,
            believed: true,
        };
        if self.core.attestation_keys.durable(&key.name).as_ref() == Some(&key) {
            return Ok(());
        }
        let mut others = key.ek.as_ref().map(|ek| self.core.attestation_keys.of_tpm(ek)).unwrap_or_default();
        others.retain(|other| other.name != key.name);
        let too_many = others.len().saturating_add(1).saturating_sub(MAX_KEYS_OF_A_TPM);
        let replaced = others.into_iter().take(too_many);
        let replaced = replaced.map(|old| (AttestationKey { believed: false, ..old }, "replace"));
        // Policies are not asked about it, and stay what they are until it is recorded.
        let _policy_stays = self.policy_turn.lock().await;
        let policy = self.policy().digest();
        self.record(replaced.chain([(key, "enrol")]).collect(), "activation", (policy, now)).await
    }

    /// Keys as they are from now on, each with what was done: into the store, the journal, and memory; not if other
    /// policies are in force by then. The caller has the turn, since before it looked at the keys that are there.
    async fn record(
        &self,
        changes: Vec<(AttestationKey, &str)>,
        actor: &str,
        (policy, now): (PolicyDigest, UnixTime),
    ) -> Result<(), AppError> {
        let mut transaction = Transaction::new(now);
        transaction.policy = Some(policy);
        for (key, action) in &changes {
            let changed = AttestationKeyChanged {
                broker: self.core.broker,
                policy: Some(policy),
                key: key.clone(),
                action: (*action).to_owned(),
                actor: actor.to_owned(),
                at: now,
            };
            let salt = crypto::random_array().map_err(internal)?;
            transaction.leaves.push(Event::AttestationKey(changed).row(salt, None, None));
            transaction.attestation_keys.push(key.clone());
        }
        self.commit(transaction).await?;
        for (key, action) in changes {
            tracing::info!(name = %key.name, action, actor, "attestation key");
            self.core.attestation_keys.put(key);
        }
        Ok(())
    }
}

/// A key that an operator vouches for, from its TPM2B_PUBLIC.
///
/// # Errors
/// [`EnrolRefusal`] for what is no attestation key.
pub fn by_operator(bytes: &[u8], simulated: bool) -> Result<AttestationKey, EnrolRefusal> {
    let name = verify::tpm::fit_for_quotes(&public("attestation key", bytes)?).map_err(EnrolError::from)?;
    let (binding, ek) = (AkBinding::Enrolled, None);
    Ok(AttestationKey { name, binding, ek, simulated, not_after: UnixTime::END, believed: true })
}

fn public(which: &'static str, bytes: &[u8]) -> Result<Public, EnrolRefusal> {
    Public::parse_sized(bytes).map_err(|error| EnrolRefusal::Public { which, error })
}
