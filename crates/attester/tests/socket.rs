//! The socket attester and its server, over real sockets, each facing a peer that misbehaves.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use attester::codec::{Answer, MAX_ANSWER, MAX_REQUEST, Request};
use attester::{
    Activate, AttestError, Attester, Credential, Failure, FrameError, MAX_EVIDENCE, ServeError,
    SocketAttester, TpmKeys, answer,
};
use claims::{EvidenceKind, ReportData};

const LIMIT: Duration = Duration::from_secs(20);
const REPORT_DATA: ReportData = ReportData([0x5a; 64]);

/// Gives its report data back, or as many zeros as it is told, or fails.
enum Fake {
    Echo,
    Zeros(usize),
    Broken,
}

impl Attester for Fake {
    fn kind(&self) -> EvidenceKind {
        EvidenceKind::SevSnp
    }

    fn attest(&mut self, report_data: &ReportData) -> Result<Vec<u8>, AttestError> {
        match self {
            Self::Echo => Ok(report_data.0.to_vec()),
            Self::Zeros(len) => Ok(vec![0; *len]),
            Self::Broken => Err(AttestError::Device("the chip's serial is 4711".into())),
        }
    }
}

struct Bound {
    _dir: tempfile::TempDir,
    path: PathBuf,
    listener: UnixListener,
}

fn bind() -> Bound {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("attester.sock");
    let listener = UnixListener::bind(&path).unwrap();
    Bound { _dir: dir, path, listener }
}

/// Serves as many connections as there are fakes, and gives the outcome of each.
fn serve(fakes: Vec<Fake>) -> (PathBuf, JoinHandle<Vec<Result<(), ServeError>>>) {
    let Bound { _dir, path, listener } = bind();
    let thread = std::thread::spawn(move || {
        let _dir = _dir;
        let outcomes = fakes.into_iter().map(|mut fake| {
            let (stream, _) = listener.accept().unwrap();
            answer(stream, &mut fake, LIMIT)
        });
        outcomes.collect()
    });
    (path, thread)
}

/// Sends raw bytes and reads whatever comes.
fn raw(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut out = Vec::new();
    stream.read_to_end(&mut out).unwrap();
    out
}

/// What the client makes of a server that answers with these bytes.
fn client_facing(reply: Vec<u8>) -> AttestError {
    let Bound { _dir, path, listener } = bind();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
        stream.write_all(&reply).ok();
    });
    let mut client = SocketAttester::with_kind(&path, EvidenceKind::SevSnp, LIMIT);
    let error = client.attest(&REPORT_DATA).expect_err("a malformed answer");
    server.join().unwrap();
    error
}

#[test]
fn a_client_gets_the_kind_and_then_evidence_over_its_report_data() {
    let (path, server) = serve(vec![Fake::Echo, Fake::Echo, Fake::Zeros(MAX_EVIDENCE)]);
    let mut client = SocketAttester::connect(&path, LIMIT).unwrap();
    assert_eq!(client.kind(), EvidenceKind::SevSnp);
    assert_eq!(client.attest(&REPORT_DATA).unwrap(), REPORT_DATA.0);
    assert_eq!(client.attest(&REPORT_DATA).unwrap().len(), MAX_EVIDENCE);
    assert!(server.join().unwrap().iter().all(Result::is_ok));
}

#[test]
fn a_bad_request_ends_in_its_error_and_the_next_client_is_served() {
    let good = Request::Attest(REPORT_DATA).encode();
    let wrong_magic = [b"XFAT", &good[4..]].concat();
    let wrong_version = [b"KFAT\x09", &good[5..]].concat();
    let oversized = [&good[..], &[0; 5000]].concat();
    let bad: [(&[u8], Failure, FrameError); 5] = [
        (&[], Failure::Malformed, FrameError::Truncated { expected: 70, got: 0 }),
        (&good[..69], Failure::Malformed, FrameError::Truncated { expected: 70, got: 69 }),
        (&oversized, Failure::Malformed, FrameError::TooLong { expected: 70, got: MAX_REQUEST + 1 }),
        (&wrong_magic, Failure::Malformed, FrameError::Magic { got: *b"XFAT" }),
        (&wrong_version, Failure::Version, FrameError::Version { got: 9 }),
    ];
    let (path, server) = serve((0..=bad.len()).map(|_| Fake::Echo).collect());
    for (bytes, failure, error) in &bad {
        if bytes.len() > good.len() {
            // The server closes before it has read all of it, which resets the connection: no answer to compare.
            let mut stream = UnixStream::connect(&path).unwrap();
            stream.write_all(bytes).unwrap();
            continue;
        }
        let told = Answer::Failed { failure: *failure, message: error.to_string() };
        assert_eq!(Answer::decode(&Request::Attest(REPORT_DATA), &raw(&path, bytes)), Ok(told));
    }
    let mut client = SocketAttester::with_kind(&path, EvidenceKind::SevSnp, LIMIT);
    assert_eq!(client.attest(&REPORT_DATA).unwrap(), REPORT_DATA.0);
    let outcomes = server.join().unwrap();
    for (outcome, (_, _, error)) in outcomes.iter().zip(&bad) {
        assert!(matches!(outcome, Err(ServeError::Malformed(got)) if got == error), "{outcome:?}");
    }
    assert!(outcomes.last().unwrap().is_ok());
}

#[test]
fn a_failing_platform_is_reported_without_its_reasons() {
    let (path, server) = serve(vec![Fake::Broken, Fake::Zeros(MAX_EVIDENCE + 1)]);
    let mut client = SocketAttester::with_kind(&path, EvidenceKind::SevSnp, LIMIT);
    for _ in 0..2 {
        let error = client.attest(&REPORT_DATA).unwrap_err();
        let failure = Failure::Attestation;
        assert!(
            matches!(&error, AttestError::Refused { failure: f, message } if *f == failure && message.is_empty())
        );
    }
    let outcomes = server.join().unwrap();
    assert!(matches!(outcomes[0], Err(ServeError::Attest(AttestError::Device(_)))));
    let oversized = FrameError::Oversized { limit: MAX_EVIDENCE, got: MAX_EVIDENCE + 1 };
    assert!(matches!(&outcomes[1], Err(ServeError::Unsendable(got)) if *got == oversized));
}

#[test]
fn a_malformed_answer_is_named() {
    let done = Answer::Done { kind: EvidenceKind::SevSnp, evidence: vec![1; 8] }.encode().unwrap();
    let is = |error: AttestError, wanted: FrameError| {
        assert!(matches!(&error, AttestError::Malformed(got) if *got == wanted), "{error}");
    };
    is(client_facing(Vec::new()), FrameError::Truncated { expected: 11, got: 0 });
    is(client_facing(done[..18].to_vec()), FrameError::Truncated { expected: 19, got: 18 });
    is(client_facing([&done[..], &[0]].concat()), FrameError::TooLong { expected: 19, got: 20 });
    is(client_facing(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), FrameError::Magic { got: *b"HTTP" });
    let endless = [b"KFAT\x01\x00\x01\x00\x01\x00\x00", &vec![0; MAX_ANSWER * 2][..]].concat();
    is(client_facing(endless), FrameError::TooLong { expected: MAX_ANSWER, got: MAX_ANSWER + 1 });
}

#[test]
fn another_kind_than_was_promised_is_refused() {
    let tpm = Answer::Done { kind: EvidenceKind::Tpm, evidence: vec![1] }.encode().unwrap();
    let error = client_facing(tpm);
    let (expected, got) = (EvidenceKind::SevSnp, EvidenceKind::Tpm);
    assert!(matches!(error, AttestError::KindChanged { expected: e, got: g } if e == expected && g == got));
}

#[test]
fn nobody_at_the_socket_is_said_at_once() {
    let path = Path::new("/nonexistent/attester.sock");
    assert!(matches!(SocketAttester::connect(path, LIMIT), Err(AttestError::Unreachable { .. })));
    let long = PathBuf::from(format!("/{}", "a".repeat(200)));
    assert!(matches!(SocketAttester::connect(&long, LIMIT), Err(AttestError::Unreachable { .. })));
}

#[test]
fn a_silent_attester_holds_nobody_up() {
    let short = Duration::from_millis(50);
    let Bound { _dir, path, listener } = bind();
    let begun = Instant::now();
    // Never accepted: the requests wait in the listener's queue, and then the queue is full.
    for _ in 0..200 {
        let error = SocketAttester::with_kind(&path, EvidenceKind::SevSnp, Duration::from_millis(1));
        assert!(matches!(error.clone().attest(&REPORT_DATA), Err(AttestError::TimedOut { .. })));
    }
    assert!(begun.elapsed() < LIMIT);
    drop(listener);

    let (ours, theirs) = UnixStream::pair().unwrap();
    let outcome = answer(theirs, &mut Fake::Echo, short);
    assert!(matches!(outcome, Err(ServeError::TimedOut { limit }) if limit == short));
    drop(ours);
}

/// A TPM that opens every credential to its seed.
struct FakeTpm {
    kind: EvidenceKind,
    keys: TpmKeys,
}

impl FakeTpm {
    fn new(kind: EvidenceKind) -> Self {
        let (ak, ek) = (vec![0, 1, 1], vec![0, 1, 2]);
        Self { kind, keys: TpmKeys { ak, ek, certificates: vec![vec![3; 700]] } }
    }
}

impl Attester for FakeTpm {
    fn kind(&self) -> EvidenceKind {
        self.kind
    }

    fn attest(&mut self, report_data: &ReportData) -> Result<Vec<u8>, AttestError> {
        Ok(report_data.0.to_vec())
    }

    fn activation(&mut self) -> Result<Option<&mut dyn Activate>, AttestError> {
        Ok(Some(self))
    }
}

impl Activate for FakeTpm {
    fn keys(&mut self) -> Result<TpmKeys, AttestError> {
        Ok(self.keys.clone())
    }

    fn activate(&mut self, credential: &Credential) -> Result<Vec<u8>, AttestError> {
        Ok(credential.encrypted_seed.iter().skip(2).copied().collect())
    }
}

fn credential(seed: &[u8]) -> Credential {
    let len = u16::try_from(seed.len()).unwrap().to_be_bytes();
    Credential { blob: vec![0, 1, 9], encrypted_seed: [&len[..], seed].concat() }
}

#[test]
fn keys_and_secrets_come_through_the_socket() {
    let Bound { _dir, path, listener } = bind();
    let server = std::thread::spawn(move || {
        let mut tpm = FakeTpm::new(EvidenceKind::Tpm);
        let mut next = || answer(listener.accept().unwrap().0, &mut tpm, LIMIT);
        [next(), next(), next()]
    });
    let mut client = SocketAttester::connect(&path, LIMIT).unwrap();
    let tpm = client.activation().unwrap().expect("a TPM's key is enrolled");
    assert_eq!(tpm.keys().unwrap(), FakeTpm::new(EvidenceKind::Tpm).keys);
    assert_eq!(tpm.activate(&credential(b"secret")).unwrap(), b"secret");
    assert!(server.join().unwrap().iter().all(Result::is_ok));
}

#[test]
fn what_a_tpm_gives_is_held_to_the_same_bounds() {
    let Bound { _dir, path, listener } = bind();
    let server = std::thread::spawn(move || {
        let mut tpm = FakeTpm::new(EvidenceKind::Svsm);
        tpm.keys.certificates = vec![vec![3]; 5];
        let mut next = || answer(listener.accept().unwrap().0, &mut tpm, LIMIT);
        [next(), next()]
    });
    let mut client = SocketAttester::with_kind(&path, EvidenceKind::Svsm, LIMIT);
    let tpm = client.activation().unwrap().unwrap();
    let refused = |error| matches!(error, AttestError::Refused { failure: Failure::Attestation, .. });
    assert!(refused(tpm.keys().unwrap_err()));
    assert!(refused(tpm.activate(&credential(&[7; 33])).unwrap_err()));
    let [keys, secret] = server.join().unwrap();
    let field = |field, limit, got| FrameError::Field { field, limit, got };
    let many = field("number of certificates", 4, 5);
    assert!(matches!(&keys, Err(ServeError::Unsendable(got)) if *got == many), "{keys:?}");
    let long = field("secret", 32, 33);
    assert!(matches!(&secret, Err(ServeError::Unsendable(got)) if *got == long), "{secret:?}");
}

#[test]
fn a_platform_without_enrolment_says_so() {
    let (path, server) = serve(vec![Fake::Echo, Fake::Echo]);
    assert!(SocketAttester::with_kind(&path, EvidenceKind::SevSnp, LIMIT).activation().unwrap().is_none());
    for request in [Request::Keys, Request::Activate(credential(b"secret"))] {
        let told = Answer::Failed { failure: Failure::NoActivation, message: String::new() };
        assert_eq!(Answer::decode(&request, &raw(&path, &request.encode())), Ok(told));
    }
    for outcome in server.join().unwrap() {
        let none = matches!(outcome, Err(ServeError::NoActivation { kind: EvidenceKind::SevSnp }));
        assert!(none, "{outcome:?}");
    }
}
