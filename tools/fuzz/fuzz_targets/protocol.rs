//! Messages and frames: see [`fuzz::protocol`].
#![no_main]

fuzz::targets! {
    attester_answer => fuzz::protocol::attester_answer,
    attester_request => fuzz::protocol::attester_request,
    challenge_token => fuzz::protocol::challenge_token,
    descriptor => fuzz::protocol::descriptor,
    import_secret => fuzz::protocol::import_secret,
    problem => fuzz::protocol::problem,
    wire_challenge_request => fuzz::protocol::message::<wire::ChallengeRequest>,
    wire_challenge_response => fuzz::protocol::message::<wire::ChallengeResponse>,
    wire_enrol_challenge => fuzz::protocol::message::<wire::EnrolChallenge>,
    wire_enrol_proof => fuzz::protocol::message::<wire::EnrolProof>,
    wire_enrol_request => fuzz::protocol::message::<wire::EnrolRequest>,
    wire_enrolled => fuzz::protocol::message::<wire::Enrolled>,
    wire_preflight_request => fuzz::protocol::message::<wire::PreflightRequest>,
    wire_preflight_response => fuzz::protocol::message::<wire::PreflightResponse>,
    wire_release_request => fuzz::protocol::message::<wire::ReleaseRequest>,
    wire_release_response => fuzz::protocol::message::<wire::ReleaseResponse>,
    wire_signed_statement => fuzz::protocol::message::<wire::SignedStatement>,
    wire_statement => fuzz::protocol::message::<wire::Statement>,
}
