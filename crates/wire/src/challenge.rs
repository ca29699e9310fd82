//! `POST /v1/challenge`: the broker's nonce, and its statement where the guest's is old (SPEC.md, 5.1).

use claims::{Nonce, UnixTime};
use minicbor::{Decode, Encode};

use crate::{FieldError, Message, SignedStatement, bounds};

/// Asks for a challenge.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ChallengeRequest {
    /// Sequence number of the newest statement that the guest has; 0 if none.
    #[n(0)]
    pub known_statement: u64,
}

impl Message for ChallengeRequest {
    const NAME: &'static str = "challenge request";
    const MAX_LEN: usize = 64;

    fn check(&self) -> Result<(), FieldError> {
        Ok(())
    }
}

/// A challenge.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct ChallengeResponse {
    /// To be sent back as it is, 1 to [`ChallengeResponse::MAX_TOKEN`] bytes; only the broker reads it.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    pub token: Vec<u8>,
    /// What the transcript must carry.
    #[n(1)]
    #[cbor(with = "crate::codec::fixed")]
    pub nonce: Nonce,
    /// When the broker stops taking the token, by the broker's clock.
    #[n(2)]
    #[cbor(with = "crate::codec::time")]
    pub expires: UnixTime,
    /// An encoded [`SignedStatement`], if it is newer than the one that the guest has.
    #[n(3)]
    #[cbor(with = "minicbor::bytes")]
    pub statement: Option<Vec<u8>>,
}

impl ChallengeResponse {
    /// Most bytes of a token.
    pub const MAX_TOKEN: usize = 256;
}

impl Message for ChallengeResponse {
    const NAME: &'static str = "challenge response";
    const MAX_LEN: usize = 20 * 1024;

    fn check(&self) -> Result<(), FieldError> {
        bounds::length("token", &self.token, 1..=Self::MAX_TOKEN)?;
        match &self.statement {
            Some(statement) => bounds::length("statement", statement, 1..=SignedStatement::MAX_LEN),
            None => Ok(()),
        }
    }
}
