//! Messages that no honest guest sends, against the real broker.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use claims::{ConfigDigest, Operation, ReportData, Suite};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use transport::Method;
use wire::{
    CHALLENGE_PATH, CHECKPOINT_PATH, ChallengeRequest, MEDIA_TYPE, ProblemCode, RELEASE_PATH, ReleaseRequest,
    STATEMENT_PATH,
};

use crate::exchange::{Exchange, limit, request};
use crate::guest::{Guest, attest, sha256};
use crate::setup::{Setup, shared};

/// A connection, and a guest on it.
fn guest(name: &str) -> (&'static Setup, Guest, Exchange) {
    let setup = shared();
    (setup, Guest::new(setup, name), Exchange::with(&setup.url()))
}

fn renewal(setup: &Setup, guest: &Guest, exchange: &mut Exchange) -> ReleaseRequest {
    exchange.honest(setup.identity(), &guest.socket, vec![request(Operation::Renew, "aes")]).0
}

#[test]
fn a_challenge_is_answered_once() {
    let (setup, guest, mut exchange) = guest("replay");
    let body = renewal(setup, &guest, &mut exchange);
    assert_eq!(exchange.release(&body).codes(), [None]);
    assert_eq!(exchange.release(&body).problem(), ProblemCode::ChallengeSpent);
    let other_place = &mut Exchange::with(&setup.url());
    assert_eq!(other_place.release(&body).problem(), ProblemCode::ChallengeSpent);
    // Other requests under the same token, freshly attested: spent all the same.
    let mut again = ReleaseRequest { requests: vec![request(Operation::Release, "aes")], ..body };
    again.evidence = attest(&guest.socket, &ReportData([9; 64]));
    assert_eq!(exchange.release(&again).problem(), ProblemCode::EvidenceRefused);
}

#[test]
fn of_many_at_once_under_one_challenge_one_is_answered() {
    let (setup, guest, mut exchange) = guest("race");
    let body = renewal(setup, &guest, &mut exchange);
    let url = setup.url();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let send = || scope.spawn(|| Exchange::with(&url).release(&body).0.status);
        let threads: Vec<_> = (0..8).map(|_| send()).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let granted = answers.iter().filter(|status| **status == 200).count();
    let spent = answers.iter().filter(|status| **status == 409).count();
    assert_eq!((granted, spent), (1, 7), "{answers:?}");
}

#[test]
fn a_token_that_is_not_ours_is_refused() {
    let (setup, guest, mut exchange) = guest("token");
    let honest = renewal(setup, &guest, &mut exchange);
    for bit in [0, 8 * honest.token.len() / 2, 8 * honest.token.len() - 1] {
        let mut altered = honest.clone();
        altered.token[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(exchange.release(&altered).problem(), ProblemCode::ChallengeInvalid, "bit {bit}");
    }
    let len = honest.token.len();
    for token in [honest.token[..len - 1].to_vec(), [&honest.token[..], &[0]].concat(), vec![0; len], vec![1]]
    {
        let foreign = ReleaseRequest { token, ..honest.clone() };
        assert_eq!(exchange.release(&foreign).problem(), ProblemCode::ChallengeInvalid);
    }
    assert_eq!(exchange.release(&honest).codes(), [None], "none of these spent the nonce");
}

#[test]
fn evidence_over_another_transcript_is_refused() {
    let (setup, guest, mut exchange) = guest("transcript");
    let honest = renewal(setup, &guest, &mut exchange);
    let (_, other) = crypto::hpke_generate(Suite::XWing).unwrap();
    let weaker = crypto::hpke_generate(Suite::P384).unwrap().1;
    let with = |alter: &dyn Fn(&mut ReleaseRequest)| {
        let mut altered = honest.clone();
        alter(&mut altered);
        altered
    };
    let fresh = exchange.challenge().token;
    let cases = [
        ("recipient", with(&|m| m.recipient = other.public.clone())),
        ("suite", with(&|m| (m.suite, m.recipient) = (weaker.suite, weaker.public.clone()))),
        ("one request more", with(&|m| m.requests.push(request(Operation::Renew, "db")))),
        ("another operation", with(&|m| m.requests = vec![request(Operation::Release, "aes")])),
        ("another key", with(&|m| m.requests = vec![request(Operation::Renew, "db")])),
        ("configuration", with(&|m| m.config = ConfigDigest([8; 32]))),
        ("another nonce", with(&|m| m.token = fresh.clone())),
    ];
    for (what, altered) in cases {
        assert_eq!(exchange.release(&altered).problem(), ProblemCode::EvidenceRefused, "{what}");
    }
    assert_eq!(exchange.release(&honest).codes(), [None], "and the honest one is still good");
}

#[test]
fn evidence_for_another_broker_is_refused() {
    let (setup, guest, mut exchange) = guest("elsewhere");
    let mut message = renewal(setup, &guest, &mut exchange);
    let challenge = exchange.challenge();
    message.token = challenge.token;
    let elsewhere = message.transcript(claims::BrokerId([1; 32]), challenge.nonce, sha256).encode();
    message.evidence = attest(&guest.socket, &ReportData(crypto::sha512(&[&elsewhere])));
    assert_eq!(exchange.release(&message).problem(), ProblemCode::EvidenceRefused);
}

#[test]
fn evidence_that_is_none_is_refused() {
    let (setup, guest, mut exchange) = guest("evidence");
    let honest = renewal(setup, &guest, &mut exchange);
    let len = honest.evidence.len();
    for (what, evidence) in [
        ("truncated", honest.evidence[..len - 1].to_vec()),
        ("a report without certificates", honest.evidence[..1184].to_vec()),
        ("zeros", vec![0; 1184]),
        ("one byte", vec![2]),
        ("the most there may be", vec![0xff; ReleaseRequest::MAX_EVIDENCE]),
    ] {
        let altered = ReleaseRequest { evidence, ..honest.clone() };
        assert_eq!(exchange.release(&altered).problem(), ProblemCode::EvidenceRefused, "{what}");
    }
    let other_kind = ReleaseRequest { kind: claims::EvidenceKind::Tpm, ..honest };
    let code = exchange.release(&other_kind).problem();
    assert!(matches!(code, ProblemCode::Unsupported | ProblemCode::EvidenceRefused), "{code:?}");
}

#[test]
fn every_truncation_of_a_message_is_malformed() {
    let (setup, guest, mut exchange) = guest("truncated");
    let challenge = wire::encode(&ChallengeRequest { known_statement: 300 }).unwrap();
    let release = wire::encode(&renewal(setup, &guest, &mut exchange)).unwrap();
    let step = release.len() / 40;
    for (path, message, step) in [(CHALLENGE_PATH, challenge, 1), (RELEASE_PATH, release, step)] {
        for len in (0..message.len()).step_by(step).chain([message.len() - 1]) {
            let problem = exchange.post(path, &message[..len]).problem();
            assert_eq!(problem, ProblemCode::MalformedRequest, "{path}: {len} of {}", message.len());
        }
        let trailing = [&message[..], &[0]].concat();
        assert_eq!(exchange.post(path, &trailing).problem(), ProblemCode::MalformedRequest, "{path}");
    }
}

#[test]
fn a_message_above_its_limit_is_too_large() {
    let (_, _, mut exchange) = guest("oversized");
    for (path, most) in
        [(CHALLENGE_PATH, limit::<ChallengeRequest>()), (RELEASE_PATH, limit::<ReleaseRequest>())]
    {
        assert_eq!(exchange.post(path, &vec![0; most]).problem(), ProblemCode::MalformedRequest, "{path}");
        // The broker may close the connection rather than read on.
        let mut another = Exchange::with(&shared().url());
        assert_eq!(another.post(path, &vec![0; most + 1]).problem(), ProblemCode::TooLarge, "{path}");
    }
}

#[test]
fn another_media_type_method_or_path_is_refused() {
    let (_, _, mut exchange) = guest("media");
    let body = wire::encode(&ChallengeRequest { known_statement: 0 }).unwrap();
    for media in ["application/cbor", "application/json", "text/plain", "", "application/keyfast+cbor; a=b"] {
        let answer = exchange.send(Method::POST, CHALLENGE_PATH, media, &body);
        assert_eq!(answer.problem(), ProblemCode::UnsupportedMediaType, "{media}");
    }
    for (method, path) in [
        (Method::GET, CHALLENGE_PATH),
        (Method::PUT, RELEASE_PATH),
        (Method::DELETE, RELEASE_PATH),
        (Method::POST, STATEMENT_PATH),
        (Method::POST, CHECKPOINT_PATH),
    ] {
        let answer = exchange.send(method.clone(), path, MEDIA_TYPE, &[]);
        assert_eq!(answer.problem(), ProblemCode::MethodNotAllowed, "{method} {path}");
    }
    for path in [
        "/",
        "/v1",
        "/v2/release",
        "/v1/release/",
        "/admin/v1/status",
        "/v1/log/tile/9/000",
        "/v1/log/tile/0/../../../root.key",
        "/v1/log/%2e%2e/root.key",
        "/v1/log//etc/passwd",
    ] {
        let answer = exchange.send(Method::GET, path, MEDIA_TYPE, &[]);
        assert_eq!(answer.problem(), ProblemCode::NotFound, "{path}");
    }
}

#[test]
fn the_statement_is_signed_by_the_identity_and_names_the_tls_key() {
    let (setup, _, mut exchange) = guest("statement");
    let bytes = exchange.send(Method::GET, STATEMENT_PATH, MEDIA_TYPE, &[]).ok().unwrap();
    let statement = agent::statement::VerifiedStatement::open(&bytes, &[setup.identity()]).unwrap();
    statement.check_tls_key(exchange.peer_key()).unwrap();
    assert_eq!(exchange.challenge().statement, Some(bytes));
}

/// Alert `protocol_version` (RFC 8446, 6.2), fatal, in a record of TLS 1.2's version.
const PROTOCOL_VERSION: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 70];

#[test]
fn tls_1_2_is_refused() {
    let setup = shared();
    let mut stream = TcpStream::connect(setup.url().strip_prefix("https://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(&client_hello_1_2()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, PROTOCOL_VERSION);
}

/// A ClientHello without `supported_versions` (RFC 5246, 7.4.1.2): cipher suites, curves and signatures are such that
/// a server of TLS 1.2 would take it.
fn client_hello_1_2() -> Vec<u8> {
    let with_len = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let extension = |id: u16, body: &[u8]| [&id.to_be_bytes()[..], &with_len(body)].concat();
    let groups = extension(10, &with_len(&[0, 29, 0, 23]));
    let formats = extension(11, &[1, 0]);
    let signatures = extension(13, &with_len(&[4, 3, 8, 4]));
    let extensions = [groups, formats, signatures].concat();
    let body = [
        &[3, 3][..],
        &[0x42; 32],
        &[0],
        &with_len(&[0xc0, 0x2b, 0xc0, 0x2c]),
        &[1, 0],
        &with_len(&extensions),
    ]
    .concat();
    let handshake = [&[1, 0][..], &with_len(&body)].concat();
    [&[0x16, 3, 1][..], &with_len(&handshake)].concat()
}

/// A TLS connection of a client that judges certificates by the broker's CA, as `curl --cacert` does.
async fn by_ca(setup: &Setup) -> tokio_rustls::client::TlsStream<tokio::net::TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(setup.dev("broker/ca.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let url = setup.url();
    let stream = tokio::net::TcpStream::connect(url.strip_prefix("https://").unwrap()).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect("127.0.0.1".try_into().unwrap(), stream).await.unwrap()
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(async {
        let mut stream = by_ca(shared()).await;
        let head = format!("POST {RELEASE_PATH} HTTP/1.1\r\nhost: a\r\ncontent-type: {MEDIA_TYPE}\r\n");
        stream.write_all(format!("{head}content-length: 1000\r\n\r\nx").as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        // The connection ends with or without a TLS alert.
        let _ended = tokio::time::timeout(Duration::from_secs(50), read).await.unwrap();
        String::from_utf8(answer).unwrap()
    });
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("malformed-request"), "{answer}");
}

#[test]
fn what_is_no_tls_is_no_harm() {
    let setup = shared();
    let address = setup.url().strip_prefix("https://").unwrap().to_owned();
    for noise in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 1000], &[0x16, 3, 1, 0xff, 0xff]] {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(noise).unwrap();
    }
    Exchange::with(&setup.url()).challenge();
}
