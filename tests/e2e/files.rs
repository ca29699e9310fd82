//! What a guest gets: files decrypted both ways, secrets, renewals, many requests at a time.

use std::fs;

use agent::session::{Session, SessionError};
use claims::{KeyVersion, Operation, UnwrapAlgorithm, VersionSelector};
use keys::{Kek, OpenedContent};
use wire::Unwrap;

use crate::exchange::{Exchange, request};
use crate::guest::{Guest, wanted};
use crate::setup::{Setup, shared};

fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

/// Decrypts with the agent and compares.
fn decrypts(setup: &Setup, guest: &str, suite: &str, encrypted: &str, via: &str, expected: &[u8]) {
    let output = setup.path(&format!("{guest}.out"));
    let alter = |text: &str| text.replace("suite = \"x-wing\"", &format!("suite = \"{suite}\""));
    let arguments = ["decrypt", encrypted, "--via", via, "-o", output.to_str().unwrap()];
    let run = setup.guest_with(guest, alter, &arguments);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{suite} via {via}: {run}");
    assert_eq!(fs::read(&output).unwrap(), expected, "{suite} via {via}");
    fs::remove_file(output).unwrap();
}

#[test]
fn a_file_comes_back_whichever_way_its_key_travels() {
    let setup = shared();
    let data = plaintext(300_001);
    let plain = setup.encrypt("db", &data, "round", &[]);
    let signed = setup.encrypt("db", &data, "signed", &["--sign", "--context", "volume=7"]);
    let empty = setup.encrypt("db", &[], "empty", &[]);
    for suite in ["x-wing", "p384"] {
        for via in ["unwrap", "release"] {
            decrypts(setup, "round", suite, &plain, via, &data);
            decrypts(setup, "round", suite, &signed, via, &data);
        }
    }
    decrypts(setup, "round", "x-wing", &empty, "unwrap", &[]);
    assert_eq!(fs::read(&plain).unwrap()[..3], [0x02, 0x04, 0x78], "version 2, suite 0x0478");
    assert_eq!(fs::read(&signed).unwrap()[..3], [0x02, 0x05, 0x78], "version 2, suite 0x0578");
}

#[test]
fn the_unwrap_only_key_decrypts_and_stays() {
    let setup = shared();
    let data = plaintext(5000);
    let encrypted = setup.encrypt("keep", &data, "keep", &[]);
    decrypts(setup, "keep", "x-wing", &encrypted, "unwrap", &data);
    let output = setup.path("keep.stolen");
    let run = setup.guest(
        "keep",
        &[],
        &["decrypt", &encrypted, "--via", "release", "-o", output.to_str().unwrap()],
    );
    let explanation = setup.explain(&run.stderr);
    let id = &explanation.request;
    let message = "keyfast-agent: denied: operation-not-allowed for `keep`; the reason is the operator's to read: \
                   keyfast audit explain";
    run.fails(6, &format!("{message} {id}"));
    assert!(!output.exists());
    let reason = &explanation.answers[0].reasons[0];
    assert_eq!(
        [&reason.condition, &reason.wanted, &reason.found],
        ["request.operation in key.operations", "one of unwrap, renew", "release"]
    );
}

#[test]
fn a_key_below_its_suite_floor_is_denied() {
    let setup = shared();
    setup.create_key("floor", &["--simulation", "--kind", "aes-256", "--suite-floor", "x-wing"]);
    let weak = |text: &str| text.replace("suite = \"x-wing\"", "suite = \"p384\"");
    let run = setup.guest_with("floor", weak, &["renew", "floor"]);
    assert_eq!(setup.explain(&run.stderr).answers[0].code, "suite-too-weak");
    assert_eq!(run.code, Some(6));
    setup.guest_with("floor", str::to_owned, &["renew", "floor"]).success();
}

#[test]
fn a_secret_goes_to_the_guest_and_a_renewal_brings_nothing() {
    let setup = shared();
    let file = setup.path("secret.in");
    fs::write(&file, "correct horse\0battery\n").unwrap();
    let import = ["keys", "import", "token", "--simulation", "--file", file.to_str().unwrap()];
    setup.keyfast(&import).success();
    assert_eq!(setup.guest("secret", &[], &["secret", "token"]).success().stdout, "correct horse\0battery\n");
    let output = setup.path("secret.out");
    setup.guest("secret", &[], &["secret", "token", "-o", output.to_str().unwrap()]).success();
    assert_eq!(fs::read(output).unwrap(), fs::read(file).unwrap());
    // A pipe is written to and not replaced by a file.
    let piped = setup.guest("secret", &[], &["secret", "token", "-o", "/dev/stdout"]).success();
    assert_eq!(piped.stdout, "correct horse\0battery\n");
    let renewed = setup.guest("secret", &[], &["renew", "token"]).success();
    assert_eq!((renewed.stdout.as_str(), renewed.stderr.as_str()), ("", ""));
    let run = setup.guest("secret", &[], &["secret", "db"]);
    assert_eq!(setup.explain(&run.stderr).answers[0].code, "operation-not-allowed");
}

#[test]
fn thirty_two_requests_are_answered_one_by_one_and_in_order() {
    let setup = shared();
    let guest = Guest::new(setup, "many");
    let kinds = [
        (Operation::Release, "aes", None),
        (Operation::Release, "keep", Some("operation-not-allowed")),
        (Operation::Renew, "db", None),
        (Operation::Release, "genuine", Some("simulated-mismatch")),
        (Operation::Secret, "aes", Some("operation-not-allowed")),
        (Operation::Release, "nothing", Some("unknown-key")),
    ];
    let asked: Vec<_> = kinds.into_iter().cycle().take(32).collect();
    let held = guest.ask(setup, asked.iter().map(|(op, key, _)| wanted(*op, key)).collect()).unwrap();
    assert_eq!(held.outcome.answers.len(), 32);
    for (index, (answer, (operation, key, denial))) in (0..).zip(held.outcome.answers.iter().zip(&asked)) {
        match answer {
            Err(code) => assert_eq!(Some(code.as_str()), *denial, "{index}"),
            Ok(opened) => {
                assert_eq!((*denial, opened.index, opened.key.as_str()), (None, index, *key));
                assert_eq!(opened.version, KeyVersion(1));
                match (operation, &opened.content) {
                    (Operation::Release, OpenedContent::Kek(Kek::Aes(bytes))) => assert_eq!(bytes.len(), 32),
                    (Operation::Renew, OpenedContent::Renewed) => {}
                    (_, other) => panic!("{index}: {other:?}"),
                }
            }
        }
    }
    let id = held.outcome.request_id.to_string();
    let explained = setup.explain(&format!("keyfast audit explain {id}"));
    let codes: Vec<&str> = explained.answers.iter().map(|answer| answer.code.as_str()).collect();
    let expected: Vec<&str> = asked.iter().map(|(_, _, denial)| denial.unwrap_or("permitted")).collect();
    assert_eq!(codes, expected, "every answer is a leaf of the journal, in order");
}

#[test]
fn a_thirty_third_request_is_refused() {
    let setup = shared();
    let guest = Guest::new(setup, "most");
    let mut exchange = Exchange::with(&setup.url());
    let renew = |count| vec![request(Operation::Renew, "aes"); count];
    let (most, _) = exchange.honest(setup.identity(), &guest.socket, renew(32));
    let body = wire::encode(&most).unwrap();
    assert_eq!(exchange.release(&most).codes(), vec![None; 32]);
    // One more, which our own encoder refuses to write: 0x98 0x20 is the array's head.
    let head = body.windows(2).rposition(|bytes| bytes == [0x98, 0x20]).unwrap();
    let item = one_renewal();
    let mut longer = body[..head].to_vec();
    longer.extend([0x98, 0x21]);
    longer.extend(&body[head + 2..body.len() - 2]);
    longer.extend(item);
    longer.extend(&body[body.len() - 2..]);
    let answer = exchange.post(wire::RELEASE_PATH, &longer);
    assert_eq!(answer.problem(), wire::ProblemCode::MalformedRequest);
    // The agent does not send it in the first place.
    let session = Session::new(guest.knowledge(setup), vec![wanted(Operation::Renew, "aes"); 33]);
    let challenge = exchange.post(wire::CHALLENGE_PATH, &session.challenge_request().unwrap()).ok().unwrap();
    let attesting = session.on_challenge(&challenge, exchange.peer_key()).unwrap();
    let error = attesting.with_evidence(vec![2]).err().unwrap();
    assert!(matches!(error, SessionError::Request(_)) && !error.blames_broker(), "{error}");
}

/// `{0: 4, 1: "aes", 2: 0}`.
fn one_renewal() -> Vec<u8> {
    [&[0xa3, 0x00, 0x04, 0x01, 0x63][..], b"aes", &[0x02, 0x00]].concat()
}

#[test]
fn a_dek_under_aes_gcm_is_bound_to_its_context() {
    let setup = shared();
    let guest = Guest::new(setup, "context");
    let released = guest.ask(setup, vec![wanted(Operation::Release, "aes")]).unwrap();
    let Some(Ok(opened)) = released.outcome.answers.into_iter().next() else { panic!("denied") };
    let OpenedContent::Kek(Kek::Aes(kek)) = opened.content else { panic!("no AES key") };
    let (nonce, mut dek) = ([3; 12], vec![0x5a; 32]);
    let tag = crypto::Aes256Gcm::new(kek.expose()).unwrap().seal(nonce, b"volume 7", &mut dek).unwrap();
    let wrapped = [&nonce[..], &dek, &tag].concat();
    let algorithm = UnwrapAlgorithm::Aes256Gcm;
    let unwrap = |context: &[u8]| agent::session::Wanted {
        unwrap: Some(Unwrap { algorithm, wrapped: wrapped.clone(), context: context.to_vec() }),
        version: VersionSelector::Exact(KeyVersion(1)),
        ..wanted(Operation::Unwrap, "aes")
    };
    let held = guest.ask(setup, vec![unwrap(b"volume 7"), unwrap(b"volume 8")]).unwrap();
    let [Ok(opened), Err(code)] = held.outcome.answers.as_slice() else { panic!("not as asked") };
    let OpenedContent::Dek(dek) = &opened.content else { panic!("no DEK") };
    assert_eq!((dek.expose(), code.as_str()), (&[0x5a; 32][..], "unwrap-failed"));
}
