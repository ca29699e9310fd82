//! The messages of the protocol `keyfast/1`, as bytes and as types.
//!
//! `SPEC.md` beside this crate has the MUSTs, and `vectors/` the test vectors; a second implementation needs
//! nothing else. A message is deterministic CBOR (RFC 8949, 4.2.1): [`decode`] refuses whatever [`encode`] would
//! not have written, byte for byte, so that there is one spelling of each message and no room between parsers.
//! Errors travel as problem details in JSON (RFC 9457): [`Problem`]. What operators' commands say to a broker on its
//! own machine is [`admin`], and no part of the protocol.
//!
//! | endpoint | asks | answers |
//! |-|-|-|
//! | `POST` [`CHALLENGE_PATH`] | [`ChallengeRequest`] | [`ChallengeResponse`] |
//! | `POST` [`RELEASE_PATH`] | [`ReleaseRequest`] | [`ReleaseResponse`] |
//! | `POST` [`PREFLIGHT_PATH`] | [`PreflightRequest`] | [`PreflightResponse`] |
//! | `POST` [`ENROL_PATH`] | [`EnrolRequest`] | [`EnrolChallenge`] |
//! | `POST` [`ENROL_PROOF_PATH`] | [`EnrolProof`] | [`Enrolled`] |
//! | `GET` [`STATEMENT_PATH`] | | [`SignedStatement`] |
//! | `GET` [`CHECKPOINT_PATH`], [`TILE_PATH`] | | C2SP checkpoint and tiles |
//!
//! This crate must never hash, sign or verify, and holds no secret: whatever is confidential is sealed before it
//! becomes a message. It is the only crate on the guest's path that names serde.

#![deny(clippy::arithmetic_side_effects)]

pub mod admin;
mod bounds;
mod challenge;
mod codec;
mod enrol;
mod error;
mod message;
mod preflight;
mod problem;
mod release;
mod response;
mod shape;
mod statement;

pub use challenge::{ChallengeRequest, ChallengeResponse};
pub use enrol::{EnrolChallenge, EnrolProof, EnrolRequest, Enrolled};
pub use error::{DecodeError, EncodeError, FieldError};
pub use message::{Message, decode, encode};
pub use preflight::{
    PredictedImage, PredictedPcr, PredictedSection, Prediction, PreflightRequest, PreflightResponse,
    ToldReason, Verdict, WouldDeny, WouldPermit,
};
pub use problem::{Problem, ProblemCode, ProblemError, Remedy};
pub use release::{ReleaseRequest, Request, Unwrap};
pub use response::{Answer, Denial, Permit, Receipt, ReleaseResponse, Sealed};
pub use statement::{SignedStatement, Statement};

/// Where a guest gets its challenge.
pub const CHALLENGE_PATH: &str = "/v1/challenge";
/// Where a guest hands in its evidence.
pub const RELEASE_PATH: &str = "/v1/release";
/// Where a guest asks what would be decided.
pub const PREFLIGHT_PATH: &str = "/v1/preflight";
/// Where a guest names the keys of its TPM.
pub const ENROL_PATH: &str = "/v1/enrol";
/// Where a guest shows that its TPM holds them.
pub const ENROL_PROOF_PATH: &str = "/v1/enrol/proof";
/// Where anyone reads the broker's signed statement.
pub const STATEMENT_PATH: &str = "/v1/statement";
/// Where anyone reads the newest checkpoint of the journal (C2SP `tlog-checkpoint`).
pub const CHECKPOINT_PATH: &str = "/v1/log/checkpoint";
/// What the journal's tiles are under (C2SP `tlog-tiles`): `/v1/log/tile/<L>/<N>[.p/<W>]`.
pub const TILE_PATH: &str = "/v1/log/tile/";

/// The media type of every message but an error.
pub const MEDIA_TYPE: &str = "application/keyfast+cbor";
/// The media type of an error (RFC 9457).
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";
