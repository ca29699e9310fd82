//! Enrolment in two steps without state between them: a credential and a ticket go out, the opened secret and the
//! ticket come back.
//!
//! A ticket is authenticated under the brokers' [`ChallengeKey`], as challenges are, with another label: 32 bytes of
//! HMAC-SHA256 over the rest; the expiry and the key's end (8 each, big-endian seconds since 1970); one byte of flags
//! (1 simulated, 2 vouched for by a certificate); SHA-256 of the secret (32); Name of the endorsement key (34 or 50);
//! Name of the attestation key (34, 50 or 66), each as long as its algorithm says. It holds nothing that its bearer may not read.
//!
//! Whoever brings it back with the secret has had the TPM of that endorsement key load that attestation key
//! ([`super::credential`]). A ticket opens as often as it is sent: enrolling a key again changes nothing.

use claims::tpm::{HashAlgorithm, ObjectName};
use claims::{Fields, Sha256Digest, UnixTime};

use super::credential::{Credential, EnrolError, Enrolling};
use super::ek::VerifiedEk;
use super::{EnrolledKey, Enrolment};
use crate::challenge::ChallengeKey;

/// What goes out.
#[derive(Debug)]
pub struct Ticket {
    /// At most [`Ticket::MAX_LEN`] bytes, to be sent back.
    pub token: Vec<u8>,
    /// For TPM2_ActivateCredential.
    pub credential: Credential,
    /// The last second at which the ticket opens.
    pub expires: UnixTime,
}

/// An attestation key that shares a TPM with an endorsement key, as that TPM has shown.
#[derive(Debug)]
pub struct Activated {
    name: ObjectName,
    key: EnrolledKey,
}

/// A ticket that enrols nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// Altered, cut, or made under another key.
    #[error("the enrolment ticket is not ours: its authentication tag does not match; enrol again")]
    Forged,
    /// Too old.
    #[error("the enrolment ticket has expired: expected a time up to {expires}, got {now}; enrol again")]
    Expired {
        /// Its last second.
        expires: UnixTime,
        /// The time of opening.
        now: UnixTime,
    },
    /// The TPM did not open the credential, or opened another one.
    #[error("the secret is not the credential's: no tpm with both keys has opened it")]
    Secret,
}

impl Ticket {
    /// Most bytes of a token.
    pub const MAX_LEN: usize = 32 + CHECKED + 66 + 66;
}

impl ChallengeKey {
    /// A credential for these keys, and the ticket that goes with it. `vouched` is the endorsement key's verified
    /// certificate; without one the key is only [`Enrolment::Activated`].
    ///
    /// # Errors
    /// [`EnrolError::Crypto`] if the system gives no randomness.
    pub fn ticket(
        &self,
        enrolling: &Enrolling,
        vouched: Option<&VerifiedEk>,
        now: UnixTime,
        lifetime_s: u64,
    ) -> Result<Ticket, EnrolError> {
        let secret: [u8; 32] = crypto::random_array()?;
        let credential = enrolling.credential(&secret)?;
        let expires = now.plus(lifetime_s);
        let not_after = vouched.map_or(UnixTime::END, VerifiedEk::not_after);
        let flags = match vouched.map(VerifiedEk::simulated) {
            None => 0_u8,
            Some(false) => 2,
            Some(true) => 3,
        };
        let body = [
            &expires.0.to_be_bytes()[..],
            &not_after.0.to_be_bytes(),
            &[flags],
            &crypto::sha256(&[&secret]),
            &enrolling.ek_name().to_bytes(),
            &enrolling.ak_name().to_bytes(),
        ]
        .concat();
        let tag = self.0.tag(&[&authenticated(&body)]);
        Ok(Ticket { token: [&tag[..], &body].concat(), credential, expires })
    }

    /// Takes the ticket back with what the TPM opened.
    ///
    /// # Errors
    /// [`TicketError`], each variant for what its name says, in their order.
    pub fn activated(&self, token: &[u8], secret: &[u8], now: UnixTime) -> Result<Activated, TicketError> {
        let (tag, body) = token.split_first_chunk::<32>().ok_or(TicketError::Forged)?;
        self.0.verify(&[&authenticated(body)], tag).map_err(|_| TicketError::Forged)?;
        let (checked, names) = body.split_first_chunk::<CHECKED>().ok_or(TicketError::Forged)?;
        let ticket = Body::read(checked, names).ok_or(TicketError::Forged)?;
        if now > ticket.expires {
            return Err(TicketError::Expired { expires: ticket.expires, now });
        }
        if !crypto::ct_eq(&crypto::sha256(&[secret]), &ticket.secret.0) {
            return Err(TicketError::Secret);
        }
        Ok(ticket.activated)
    }
}

impl Activated {
    /// Name of the attestation key.
    pub fn name(&self) -> &ObjectName {
        &self.name
    }

    /// What is known of it.
    pub fn key(&self) -> &EnrolledKey {
        &self.key
    }
}

/// What a ticket says.
struct Body {
    expires: UnixTime,
    secret: Sha256Digest,
    activated: Activated,
}

impl Body {
    fn read(checked: &[u8; CHECKED], names: &[u8]) -> Option<Self> {
        let (expires, rest) = checked.split_first_chunk::<8>()?;
        let (not_after, rest) = rest.split_first_chunk::<8>()?;
        let (&flags, rest) = rest.split_first()?;
        let (secret, _) = rest.split_first_chunk::<32>()?;
        let (algorithm, _) = names.split_first_chunk::<2>()?;
        let algorithm = HashAlgorithm::from_id(u16::from_be_bytes(*algorithm))?;
        let (ek, name) = names.split_at_checked(algorithm.digest_len().saturating_add(2))?;
        let vouched = flags & 2 != 0;
        let key = EnrolledKey {
            enrolment: if vouched { Enrolment::EkCertificate } else { Enrolment::Activated },
            ek: Some(ObjectName::from_bytes(ek)?),
            // The endorsement key need not be the parent.
            qualified_name: None,
            simulated: flags & 1 != 0,
            not_after: UnixTime(u64::from_be_bytes(*not_after)),
        };
        Some(Self {
            expires: UnixTime(u64::from_be_bytes(*expires)),
            secret: Sha256Digest(*secret),
            activated: Activated { name: ObjectName::from_bytes(name)?, key },
        })
    }
}

/// What the tag covers.
fn authenticated(body: &[u8]) -> Vec<u8> {
    Fields::labelled("keyfast/1 enrolment").bytes(body).finish()
}

/// Bytes of a ticket between its tag and the Names.
const CHECKED: usize = 8 + 8 + 1 + 32;
