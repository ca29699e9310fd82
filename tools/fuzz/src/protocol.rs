//! Messages between guest and broker, frames between agent and attester, and what owners read.

use attester::activate::Credential;
use attester::codec::{Answer, Request};
use claims::ReportData;
use keys::Descriptor;
use verify::challenge::ChallengeKey;
use wire::admin::ImportSecret;
use wire::{Message, Problem};

use crate::NOW;

/// A message of `keyfast/1`: there is one way to write it.
pub fn message<M: Message>(data: &[u8]) {
    if let Ok(message) = wire::decode::<M>(data) {
        assert!(wire::encode(&message).is_ok_and(|again| again == data), "{} in two ways", M::NAME);
    }
}

/// A secret behind what is said of it, at the broker's admin socket.
pub fn import_secret(data: &[u8]) {
    let Ok((said, secret)) = ImportSecret::split(data) else { return };
    // What was left out is written out, and may then be too much.
    let Ok(head) = said.head() else { return };
    let body = [&head[..], secret].concat();
    assert_eq!(ImportSecret::split(&body), Ok((said, secret)));
}

/// Problem details, which a guest reads from a broker that it does not know yet.
pub fn problem(data: &[u8]) {
    if let Ok(problem) = Problem::from_json(data) {
        assert_eq!(Problem::from_json(&problem.to_json()), Ok(problem));
    }
}

/// A challenge's token: nobody makes one without the key.
pub fn challenge_token(data: &[u8]) {
    assert!(ChallengeKey::new(&[7; 32]).open(data, NOW).is_err());
}

/// A request at the attester's socket.
pub fn attester_request(data: &[u8]) {
    if let Ok(request) = Request::decode(data) {
        assert_eq!(request.encode(), data);
    }
}

/// Its answer, to each request; what says why it failed may be cut.
pub fn attester_answer(data: &[u8]) {
    let credential = Credential { blob: vec![0, 1, 7], encrypted_seed: vec![0, 1, 7] };
    let attest = Request::Attest(ReportData([7; 64]));
    for request in [attest, Request::Kind, Request::Keys, Request::Activate(credential)] {
        match Answer::decode(&request, data) {
            Ok(Answer::Failed { .. }) | Err(_) => (),
            Ok(answer) => assert!(answer.encode().is_ok_and(|again| again == data)),
        }
    }
}

/// A key descriptor's text.
pub fn descriptor(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Ok(descriptor) = Descriptor::from_unverified_text(text) {
        assert_eq!(descriptor.to_text(), text);
        let _any = descriptor.public_key();
    }
}
