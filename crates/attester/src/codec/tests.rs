//! Frames by their bytes, and each byte altered.

use super::*;

const REQUEST: Request = Request::Attest(ReportData([0xab; 64]));

fn done() -> Vec<u8> {
    Answer::Done { kind: EvidenceKind::SevSnp, evidence: vec![7; 20] }.encode().unwrap()
}

#[test]
fn a_request_has_the_bytes_of_the_specification() {
    assert_eq!(REQUEST.encode()[..6], *b"KFAT\x01\x01");
    assert_eq!(REQUEST.encode()[6..], [0xab; 64]);
    assert_eq!(Request::Kind.encode()[..6], *b"KFAT\x01\x02");
    for request in [REQUEST, Request::Kind, Request::Keys] {
        assert_eq!(Request::decode(&request.encode()), Ok(request));
    }
}

#[test]
fn an_answer_has_the_bytes_of_the_specification() {
    assert_eq!(done()[..11], *b"KFAT\x01\x00\x01\x00\x00\x00\x14");
    let failed = Answer::Failed { failure: Failure::Attestation, message: "no".to_owned() };
    assert_eq!(failed.encode().unwrap(), b"KFAT\x01\x03\x00\x00\x00\x00\x02no");
    for answer in [Answer::Done { kind: EvidenceKind::SevSnp, evidence: vec![7; 20] }, failed] {
        assert_eq!(Answer::decode(&REQUEST, &answer.encode().unwrap()), Ok(answer));
    }
}

#[test]
fn a_request_altered_in_any_header_byte_is_refused() {
    let altered = |at: usize, byte: u8| {
        let mut frame = REQUEST.encode();
        frame[at] = byte;
        Request::decode(&frame).unwrap_err()
    };
    assert_eq!(altered(0, b'X'), FrameError::Magic { got: *b"XFAT" });
    assert_eq!(altered(4, 2), FrameError::Version { got: 2 });
    assert_eq!(altered(5, 5), FrameError::Operation { got: 5 });
    assert_eq!(altered(5, 2), FrameError::StrayReportData);
    assert_eq!(altered(5, 3), FrameError::StrayReportData);
}

#[test]
fn a_request_of_any_other_length_is_refused() {
    let frame = REQUEST.encode();
    for got in 0..REQUEST_LEN {
        let truncated = FrameError::Truncated { expected: REQUEST_LEN, got };
        assert_eq!(Request::decode(&frame[..got]), Err(truncated));
    }
    let long = [&frame[..], &[0]].concat();
    assert_eq!(Request::decode(&long), Err(FrameError::TooLong { expected: 70, got: 71 }));
}

#[test]
fn an_answer_altered_in_any_header_byte_is_refused() {
    let altered = |at: usize, byte: u8| {
        let mut frame = done();
        frame[at] = byte;
        Answer::decode(&REQUEST, &frame).unwrap_err()
    };
    assert_eq!(altered(3, b'X'), FrameError::Magic { got: *b"KFAX" });
    assert_eq!(altered(4, 0), FrameError::Version { got: 0 });
    assert_eq!(altered(5, 5), FrameError::Status { got: 5 });
    assert_eq!(altered(5, 3), FrameError::Kind { got: 1 });
    assert_eq!(altered(6, 0), FrameError::Kind { got: 0 });
    assert_eq!(altered(7, 1), FrameError::Oversized { limit: MAX_EVIDENCE, got: 0x0100_0014 });
    assert_eq!(altered(10, 21), FrameError::Truncated { expected: 32, got: 31 });
    assert_eq!(altered(10, 19), FrameError::TooLong { expected: 30, got: 31 });
}

#[test]
fn a_truncated_answer_is_refused_at_every_length() {
    let frame = done();
    for got in 0..frame.len() {
        let error = Answer::decode(&REQUEST, &frame[..got]).unwrap_err();
        assert!(matches!(error, FrameError::Truncated { got: g, .. } if g == got), "{error}");
    }
}

#[test]
fn an_answer_fits_its_request() {
    let empty = Answer::Done { kind: EvidenceKind::SevSnp, evidence: Vec::new() }.encode().unwrap();
    let no_evidence = FrameError::Body { expected: "evidence", got: 0 };
    assert_eq!(Answer::decode(&REQUEST, &empty), Err(no_evidence));
    let stray = FrameError::Body { expected: "none", got: 20 };
    assert_eq!(Answer::decode(&Request::Kind, &done()), Err(stray));
}

#[test]
fn evidence_and_text_are_bounded() {
    let most = |len| Answer::Done { kind: EvidenceKind::Tpm, evidence: vec![0; len] }.encode();
    assert_eq!(most(MAX_EVIDENCE).unwrap().len(), MAX_ANSWER);
    let oversized = FrameError::Oversized { limit: MAX_EVIDENCE, got: MAX_EVIDENCE + 1 };
    assert_eq!(most(MAX_EVIDENCE + 1), Err(oversized));
    let text = Answer::Failed { failure: Failure::Attestation, message: "é".repeat(300) };
    assert_eq!(text.encode().unwrap().len(), HEADER_LEN + MAX_MESSAGE);
}

/// A TPM2B of so many bytes.
fn sized(byte: u8, len: usize) -> Vec<u8> {
    [&u16::try_from(len).unwrap().to_be_bytes()[..], &vec![byte; len]].concat()
}

fn keys() -> TpmKeys {
    TpmKeys { ak: sized(1, 3), ek: sized(2, 2), certificates: vec![vec![4; 2], vec![5; 1]] }
}

fn credential() -> Credential {
    Credential { blob: sized(6, 2), encrypted_seed: sized(7, 1) }
}

/// A frame of a request or an answer, with this body behind its header.
fn framed(operation: u8, body: &[u8]) -> Vec<u8> {
    [&b"KFAT\x01"[..], &[operation], body].concat()
}

fn answered(request: &Request, body: &[u8]) -> Result<Answer, FrameError> {
    let len = u32::try_from(body.len()).unwrap().to_be_bytes();
    Answer::decode(request, &[&b"KFAT\x01\x00\x02"[..], &len, body].concat())
}

#[test]
fn keys_and_credentials_have_the_bytes_of_the_specification() {
    let request = Request::Activate(credential());
    assert_eq!(request.encode(), framed(4, b"\x00\x02\x06\x06\x00\x01\x07"));
    assert_eq!(Request::decode(&request.encode()), Ok(request.clone()));

    let answer = Answer::Keys { kind: EvidenceKind::Tpm, keys: keys() };
    let body = b"\x00\x03\x01\x01\x01\x00\x02\x02\x02\x02\x00\x02\x04\x04\x00\x01\x05";
    assert_eq!(answer.encode().unwrap()[11..], *body);
    assert_eq!(answered(&Request::Keys, body), Ok(answer));

    let answer = Answer::Secret { kind: EvidenceKind::Tpm, secret: vec![9; 32] };
    assert_eq!(answered(&request, &answer.encode().unwrap()[11..]), Ok(answer));
    let failed = Answer::Failed { failure: Failure::NoActivation, message: String::new() };
    assert_eq!(Answer::decode(&request, &failed.encode().unwrap()), Ok(failed));
}

#[test]
fn keys_and_credentials_are_refused_truncated_at_every_length_or_with_a_byte_behind() {
    let body = Answer::Keys { kind: EvidenceKind::Tpm, keys: keys() }.encode().unwrap().split_off(11);
    for len in 0..body.len() {
        let error = answered(&Request::Keys, &body[..len]).unwrap_err();
        assert!(matches!(error, FrameError::Field { .. }), "{len}: {error}");
    }
    let stray = Err(FrameError::Stray { got: 1 });
    assert_eq!(answered(&Request::Keys, &[&body[..], &[0]].concat()), stray);

    let frame = Request::Activate(credential()).encode();
    for len in 6..frame.len() {
        let error = Request::decode(&frame[..len]).unwrap_err();
        assert!(matches!(error, FrameError::Field { .. }), "{len}: {error}");
    }
    assert_eq!(Request::decode(&[&frame[..], &[0]].concat()), Err(FrameError::Stray { got: 1 }));
}

#[test]
fn each_part_of_keys_and_credentials_is_bounded_and_not_empty() {
    let field = |field, limit, got| FrameError::Field { field, limit, got };
    let refused =
        |altered: TpmKeys| Answer::Keys { kind: EvidenceKind::Tpm, keys: altered }.encode().unwrap_err();
    assert_eq!(refused(TpmKeys { ak: sized(1, 1025), ..keys() }), field("attestation key", 1026, 1027));
    assert_eq!(refused(TpmKeys { ak: sized(1, 0), ..keys() }), field("attestation key", 1026, 2));
    assert_eq!(refused(TpmKeys { ek: sized(1, 1025), ..keys() }), field("endorsement key", 1026, 1027));
    let many = TpmKeys { certificates: vec![vec![1]; 5], ..keys() };
    assert_eq!(refused(many), field("number of certificates", 4, 5));
    let long = |len| TpmKeys { certificates: vec![vec![1; len]], ..keys() };
    assert_eq!(refused(long(8193)), field("certificate", 8194, 8195));
    assert_eq!(refused(long(0)), field("certificate", 8194, 2));
    let most = TpmKeys {
        ak: sized(1, 1024),
        ek: sized(2, 1024),
        certificates: vec![vec![3; crate::activate::MAX_CERTIFICATE]; 4],
    };
    let most = Answer::Keys { kind: EvidenceKind::Svsm, keys: most };
    assert_eq!(Answer::decode(&Request::Keys, &most.encode().unwrap()), Ok(most));

    let refused = |blob: usize, seed: usize| {
        let credential = Credential { blob: sized(1, blob), encrypted_seed: sized(2, seed) };
        Request::decode(&Request::Activate(credential).encode()).unwrap_err()
    };
    assert_eq!(refused(133, 1), field("credential blob", 134, 135));
    assert_eq!(refused(0, 1), field("credential blob", 134, 2));
    assert_eq!(refused(132, 513), field("encrypted seed", 514, 515));
    let most = Request::Activate(Credential { blob: sized(1, 132), encrypted_seed: sized(2, 512) });
    assert_eq!(most.encode().len(), MAX_REQUEST);
    assert_eq!(Request::decode(&most.encode()), Ok(most.clone()));

    for len in [0, 33] {
        let secret = Answer::Secret { kind: EvidenceKind::Tpm, secret: vec![1; len] };
        assert_eq!(secret.encode().unwrap_err(), field("secret", 32, len));
    }
    assert_eq!(answered(&most, &[]), Err(field("secret", 32, 0)));
    assert_eq!(answered(&most, &[1; 33]), Err(FrameError::Oversized { limit: 32, got: 33 }));
}
