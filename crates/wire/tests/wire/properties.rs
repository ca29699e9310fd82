//! Whatever the bytes: no panic, and one spelling of each message.

use claims::Suite;
use proptest::prelude::*;
use wire::{
    ChallengeRequest, ChallengeResponse, Message, PreflightRequest, PreflightResponse, Problem,
    ReleaseRequest, ReleaseResponse, SignedStatement, Statement,
};

use crate::samples;

/// What is read is written again as it was.
fn invariant_one_spelling<M: Message>(bytes: &[u8]) {
    if let Ok(message) = wire::decode::<M>(bytes) {
        assert_eq!(wire::encode(&message).unwrap(), bytes);
    }
}

fn invariant_one_spelling_of_each(bytes: &[u8]) {
    invariant_one_spelling::<ChallengeRequest>(bytes);
    invariant_one_spelling::<ChallengeResponse>(bytes);
    invariant_one_spelling::<ReleaseRequest>(bytes);
    invariant_one_spelling::<ReleaseResponse>(bytes);
    invariant_one_spelling::<PreflightRequest>(bytes);
    invariant_one_spelling::<PreflightResponse>(bytes);
    invariant_one_spelling::<Statement>(bytes);
    invariant_one_spelling::<SignedStatement>(bytes);
}

fn sound() -> Vec<Vec<u8>> {
    vec![
        wire::encode(&samples::challenge_request()).unwrap(),
        wire::encode(&samples::challenge_response()).unwrap(),
        wire::encode(&samples::release_request(Suite::P384)).unwrap(),
        wire::encode(&samples::release_response()).unwrap(),
        wire::encode(&samples::signed_statement()).unwrap(),
        wire::encode(&samples::preflight_request()).unwrap(),
        wire::encode(&samples::preflight_response()).unwrap(),
    ]
}

#[test]
fn every_truncation_is_refused() {
    for message in sound() {
        for end in 0..message.len() {
            let cut = &message[..end];
            assert!(wire::decode::<ChallengeRequest>(cut).is_err());
            assert!(wire::decode::<ChallengeResponse>(cut).is_err());
            assert!(wire::decode::<ReleaseRequest>(cut).is_err());
            assert!(wire::decode::<ReleaseResponse>(cut).is_err());
            assert!(wire::decode::<SignedStatement>(cut).is_err());
            assert!(wire::decode::<PreflightRequest>(cut).is_err());
            assert!(wire::decode::<PreflightResponse>(cut).is_err());
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_have_one_spelling(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        invariant_one_spelling_of_each(&bytes);
        let _any_outcome = Problem::from_json(&bytes);
    }

    #[test]
    fn altered_messages_have_one_spelling(
        which in 0..7usize,
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut message = sound().swap_remove(which);
        for (at, value) in edits {
            let at = at.index(message.len());
            message[at] = value;
        }
        invariant_one_spelling_of_each(&message);
    }
}
