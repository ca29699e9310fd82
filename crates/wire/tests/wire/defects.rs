//! One message for each defect, named for it, with the exact error.
//!
//! Those that are about the encoding are small messages written by hand; those about a field are sound messages
//! with that one field changed, encoded by the derived encoder, which checks nothing.

use claims::{KeyVersion, Operation, Sha256Digest, Suite};
use wire::{
    Answer, ChallengeRequest, ChallengeResponse, DecodeError, EnrolChallenge, EnrolProof, EnrolRequest,
    Enrolled, FieldError, Message, PreflightRequest, PreflightResponse, ReleaseRequest, ReleaseResponse,
    Statement, Verdict,
};

use crate::format::Vector;
use crate::samples;

pub fn vectors() -> Vec<Vector> {
    let mut all = encoding();
    all.extend(structure());
    all.extend(requests());
    all.extend(responses());
    all.extend(statements());
    all.extend(enrolments());
    all.extend(preflights());
    all.extend(verdicts());
    all
}

/// What CBOR allows and this protocol does not, in a challenge request: `a1 00 03`.
fn encoding() -> Vec<Vector> {
    let defect = defect::<ChallengeRequest>;
    let one_level = [0xa1, 0x00];
    let too_deep: Vec<u8> = one_level.iter().copied().cycle().take(18).chain([0x03]).collect();
    vec![
        defect("empty", &[], "truncated"),
        defect("truncated", &[0xa1, 0x00], "truncated"),
        defect("truncated_string", &[0xa1, 0x00, 0x42, 0x01], "truncated"),
        defect("count_beyond_the_end", &[0xbb, 0, 0, 1, 0, 0, 0, 0, 0], "truncated"),
        defect("trailing_byte", &[0xa1, 0x00, 0x03, 0x00], "trailing"),
        defect("non_shortest_integer", &[0xa1, 0x00, 0x18, 0x03], "not-shortest"),
        defect("non_shortest_key", &[0xa1, 0x18, 0x00, 0x03], "not-shortest"),
        defect("non_shortest_map", &[0xb8, 0x01, 0x00, 0x03], "not-shortest"),
        defect("indefinite_map", &[0xbf, 0x00, 0x03, 0xff], "indefinite"),
        defect("indefinite_string", &[0xa1, 0x00, 0x5f, 0x41, 0x03, 0xff], "indefinite"),
        defect("negative_integer", &[0xa1, 0x00, 0x23], "foreign-type"),
        defect("tag", &[0xa1, 0x00, 0xc2, 0x41, 0x03], "foreign-type"),
        defect("float", &[0xa1, 0x00, 0xf9, 0x42, 0x00], "foreign-type"),
        defect("null", &[0xa1, 0x00, 0xf6], "foreign-type"),
        defect("text_key", &[0xa1, 0x61, 0x30, 0x03], "key-type"),
        defect("repeated_key", &[0xa2, 0x00, 0x03, 0x00, 0x03], "repeated-key"),
        defect("unordered_keys", &[0xa2, 0x01, 0x03, 0x00, 0x03], "key-order"),
        defect("too_deep", &too_deep, "too-deep"),
        defect("oversize", &[&[0xa1, 0x00, 0x58, 61][..], &[0; 61]].concat(), "too-long"),
    ]
}

/// Sound CBOR that is another message.
fn structure() -> Vec<Vector> {
    let mut invalid_utf8 = wire::encode(&samples::release_request(Suite::P384)).unwrap();
    let name = invalid_utf8.windows(9).position(|w| w == b"disk.root").unwrap();
    *invalid_utf8.get_mut(name).unwrap() = 0xff;
    vec![
        defect::<ChallengeRequest>("unknown_key", &[0xa2, 0x00, 0x03, 0x01, 0x00], "unknown"),
        defect::<ChallengeRequest>("array_for_map", &[0x81, 0x03], "other"),
        defect::<ChallengeRequest>("missing_field", &[0xa0], "other"),
        defect::<ChallengeRequest>("wrong_type", &[0xa1, 0x00, 0x41, 0x03], "other"),
        defect::<ReleaseRequest>("invalid_utf8", &invalid_utf8, "other"),
    ]
}

fn requests() -> Vec<Vector> {
    let change = |name: &str, expect: &str, change: &dyn Fn(&mut ReleaseRequest)| {
        let mut request = samples::release_request(Suite::P384);
        change(&mut request);
        changed(name, expect, &request)
    };
    let mut unknown_operation = wire::encode(&samples::release_request(Suite::P384)).unwrap();
    let renew = b"\xa3\x00\x04\x01\x69disk.root";
    let at = unknown_operation.windows(renew.len()).position(|w| w == renew).unwrap();
    *unknown_operation.get_mut(at + 2).unwrap() = 5;
    let mut bad_name = wire::encode(&samples::release_request(Suite::P384)).unwrap();
    *bad_name.get_mut(at + 5).unwrap() = b'/';
    vec![
        defect::<ReleaseRequest>("unknown_operation", &unknown_operation, "field-code"),
        defect::<ReleaseRequest>("key_name_with_slash", &bad_name, "field-text"),
        change("no_requests", "field-count", &|r| r.requests.clear()),
        change("too_many_requests", "field-count", &|r| {
            let renew = r.requests.pop().unwrap();
            r.requests = vec![renew; 33];
        }),
        change("empty_token", "field-length", &|r| r.token.clear()),
        change("long_token", "field-length", &|r| r.token = vec![0; 257]),
        change("no_evidence", "field-length", &|r| r.evidence.clear()),
        change("recipient_key_of_another_suite", "field-length", &|r| r.suite = Suite::XWing),
        change("unwrap_without_wrapped_key", "field-presence", &|r| r.requests[0].unwrap = None),
        change("wrapped_key_with_release", "field-presence", &|r| {
            r.requests[0].operation = Operation::Release;
        }),
        change("context_with_rsa", "field-presence", &|r| {
            r.requests[0].unwrap.as_mut().unwrap().context = b"x".to_vec();
        }),
        change("wrapped_key_too_long", "field-length", &|r| {
            r.requests[0].unwrap.as_mut().unwrap().wrapped = vec![0; 1025];
        }),
    ]
}

fn responses() -> Vec<Vector> {
    let change = |name: &str, expect: &str, change: &dyn Fn(&mut ReleaseResponse)| {
        let mut response = samples::release_response();
        change(&mut response);
        changed(name, expect, &response)
    };
    let mut short_nonce = minicbor::to_vec(samples::challenge_response()).unwrap();
    let at = short_nonce.windows(34).position(|w| w.starts_with(&[0x58, 32, 0x40])).unwrap();
    *short_nonce.get_mut(at + 1).unwrap() = 31;
    short_nonce.remove(at + 33);
    let sound = wire::encode(&samples::release_response()).unwrap();
    let denial = b"\x82\x01\xa1\x00\x6dpolicy-denied";
    let at = sound.windows(denial.len()).position(|w| w == denial).unwrap();
    let (mut surplus, mut unknown_answer) = (sound.clone(), sound);
    surplus[at] = 0x83;
    surplus.insert(at + denial.len(), 0x00);
    unknown_answer[at + 1] = 0x02;
    vec![
        defect::<ReleaseResponse>("surplus_array_element", &surplus, "unknown"),
        defect::<ReleaseResponse>("unknown_answer", &unknown_answer, "other"),
        defect::<ChallengeResponse>("short_nonce", &short_nonce, "field-length"),
        change("no_answers", "field-count", &|r| r.answers.clear()),
        change("no_checkpoint", "field-length", &|r| r.checkpoint.clear()),
        change("version_zero", "field-number", &|r| {
            let Answer::Permit(permit) = &mut r.answers[0] else { panic!() };
            permit.version = KeyVersion(0);
        }),
        change("ciphertext_shorter_than_its_tag", "field-length", &|r| {
            let Answer::Permit(permit) = &mut r.answers[0] else { panic!() };
            permit.sealed.as_mut().unwrap().ciphertext.truncate(15);
        }),
        change("proof_too_long", "field-count", &|r| {
            let Answer::Permit(permit) = &mut r.answers[0] else { panic!() };
            permit.receipt.proof = vec![Sha256Digest([0; 32]); 65];
        }),
        change("denial_code_in_capitals", "field-text", &|r| {
            let Answer::Denial(denial) = &mut r.answers[2] else { panic!() };
            denial.code = "Policy-Denied".to_owned();
        }),
    ]
}

fn enrolments() -> Vec<Vector> {
    let request = |name: &str, expect: &str, change: &dyn Fn(&mut EnrolRequest)| {
        let mut request = samples::enrol_request();
        change(&mut request);
        changed(name, expect, &request)
    };
    let no_secret = EnrolProof { secret: Vec::new(), ..samples::enrol_proof() };
    let long_credential = EnrolChallenge { credential: vec![0; 1025], ..samples::enrol_challenge() };
    let short_name = Enrolled { ak_name: vec![0; 33], ..samples::enrolled() };
    vec![
        request("attestation_key_too_long", "field-length", &|r| r.ak = vec![0; 1025]),
        request("no_endorsement_key", "field-length", &|r| r.ek.clear()),
        request("too_many_certificates", "field-count", &|r| r.certificates = vec![vec![0]; 5]),
        request("empty_certificate", "field-length", &|r| r.certificates[1].clear()),
        changed("credential_too_long", "field-length", &long_credential),
        changed("no_secret", "field-length", &no_secret),
        changed("short_name", "field-length", &short_name),
    ]
}

fn preflights() -> Vec<Vector> {
    let change = |name: &str, expect: &str, change: &dyn Fn(&mut PreflightRequest)| {
        let mut request = samples::preflight_request();
        change(&mut request);
        changed(name, expect, &request)
    };
    let prediction = |r: &mut PreflightRequest| r.prediction.take().unwrap();
    let mut sha1 = wire::encode(&samples::preflight_request()).unwrap();
    let bank = b"\x01\xa4\x00\x0b";
    let at = sha1.windows(bank.len()).position(|w| w == bank).unwrap();
    sha1[at + 3] = 4;
    // Neither request is the other.
    let release = wire::encode(&samples::release_request(Suite::XWing)).unwrap();
    let preflight = wire::encode(&samples::preflight_request()).unwrap();
    vec![
        defect::<PreflightRequest>("release_for_preflight", &release, "other"),
        defect::<ReleaseRequest>("preflight_for_release", &preflight, "other"),
        defect::<PreflightRequest>("prediction_in_sha1", &sha1, "field-code"),
        change("preflight_with_checkpoint", "field-number", &|r| r.asked.known_checkpoint_size = 1),
        change("preflight_without_requests", "field-count", &|r| r.asked.requests.clear()),
        change("no_predicted_pcrs", "field-count", &|r| {
            r.prediction = Some(wire::Prediction { pcrs: Vec::new(), ..prediction(r) });
        }),
        change("predicted_pcrs_out_of_order", "field-number", &|r| {
            r.prediction.as_mut().unwrap().pcrs.reverse();
        }),
        change("predicted_dbx_empty", "field-length", &|r| {
            r.prediction.as_mut().unwrap().dbx = Some(Vec::new());
        }),
        change("predicted_pcr_16", "field-number", &|r| r.prediction.as_mut().unwrap().pcrs[2].index = 16),
        change("predicted_pcr_of_another_bank", "field-length", &|r| {
            r.prediction.as_mut().unwrap().pcrs[0].value.as_mut().unwrap().0.push(0);
        }),
        change("too_many_sections", "field-count", &|r| {
            let image = r.prediction.as_mut().unwrap().image.as_mut().unwrap();
            image.sections = vec![image.sections[0].clone(); 33];
        }),
        change("section_name_with_space", "field-text", &|r| {
            let image = r.prediction.as_mut().unwrap().image.as_mut().unwrap();
            image.sections[0].name = ".lin ux".to_owned();
        }),
    ]
}

fn verdicts() -> Vec<Vector> {
    let change = |name: &str, expect: &str, change: &dyn Fn(&mut PreflightResponse)| {
        let mut response = samples::preflight_response();
        change(&mut response);
        changed(name, expect, &response)
    };
    fn denied(response: &mut PreflightResponse) -> &mut wire::WouldDeny {
        let Verdict::Deny(deny) = &mut response.verdicts[1] else { panic!() };
        deny
    }
    vec![
        change("no_verdicts", "field-count", &|r| r.verdicts.clear()),
        change("verdict_of_version_zero", "field-number", &|r| {
            let Verdict::Permit(permit) = &mut r.verdicts[0] else { panic!() };
            permit.version = KeyVersion(0);
        }),
        change("verdict_code_in_capitals", "field-text", &|r| denied(r).code = "Policy-Denied".to_owned()),
        change("too_many_reasons", "field-count", &|r| {
            let deny = denied(r);
            deny.reasons = vec![deny.reasons[0].clone(); 65];
        }),
        change("reason_too_long", "field-length", &|r| denied(r).reasons[0].doc = "x".repeat(4097)),
        change("reasons_too_long", "field-length", &|r| {
            let deny = denied(r);
            deny.reasons[0].doc = "x".repeat(4096);
            deny.reasons = vec![deny.reasons[0].clone(); 16];
        }),
        change("reason_that_clears_the_screen", "field-text", &|r| {
            denied(r).reasons[0].found = "\u{1b}[2J".to_owned();
        }),
    ]
}

fn statements() -> Vec<Vector> {
    let change = |name: &str, expect: &str, change: &dyn Fn(&mut Statement)| {
        let mut statement = samples::statement();
        change(&mut statement);
        changed(name, expect, &statement)
    };
    let mut empty = samples::signed_statement();
    empty.statement.clear();
    vec![
        changed("empty_statement", "field-length", &empty),
        change("sequence_zero", "field-number", &|s| s.sequence = 0),
        change("no_tls_keys", "field-count", &|s| s.tls_keys.clear()),
        change("url_with_space", "field-text", &|s| s.urls[0] = "https://a b".to_owned()),
        change("url_too_long", "field-length", &|s| s.urls[0] = "x".repeat(257)),
    ]
}

fn changed<M: Message>(name: &str, expect: &str, message: &M) -> Vector {
    assert!(wire::encode(message).is_err(), "{name}: what cannot be read must not be written");
    defect::<M>(name, &minicbor::to_vec(message).unwrap(), expect)
}

fn defect<M: Message>(name: &str, bytes: &[u8], expect: &str) -> Vector {
    let Err(error) = wire::decode::<M>(bytes) else { panic!("{name} was read") };
    assert_eq!(class(&error), expect, "{name}: {error}");
    Vector::message(&format!("bad_{name}"), &error.to_string(), M::NAME, expect, bytes)
}

/// SPEC.md, 8.2: the names of the defects.
fn class(error: &DecodeError) -> &'static str {
    match error {
        DecodeError::TooLong { .. } => "too-long",
        DecodeError::Truncated { .. } => "truncated",
        DecodeError::Trailing { .. } => "trailing",
        DecodeError::NotShortest { .. } => "not-shortest",
        DecodeError::Indefinite { .. } => "indefinite",
        DecodeError::ForeignType { .. } => "foreign-type",
        DecodeError::KeyType { .. } => "key-type",
        DecodeError::RepeatedKey { .. } => "repeated-key",
        DecodeError::KeyOrder { .. } => "key-order",
        DecodeError::TooDeep { .. } => "too-deep",
        DecodeError::Other { .. } => "other",
        DecodeError::Unknown { .. } => "unknown",
        DecodeError::Field { source, .. } => match source {
            FieldError::Length { .. } => "field-length",
            FieldError::Count { .. } => "field-count",
            FieldError::Code { .. } => "field-code",
            FieldError::Number { .. } => "field-number",
            FieldError::Text { .. } => "field-text",
            FieldError::Presence { .. } => "field-presence",
            _ => panic!("{source}"),
        },
        _ => panic!("{error}"),
    }
}
