//! The simulated host as a process would be: over its real sockets.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::Duration;

use attester::{AttestError, Attester, SocketAttester};
use claims::snp::Product;
use claims::{EvidenceKind, ReportData, UnixTime};
use simtee::control::{CallError, GuestRequest, MAX_LINE, Reply, Request, StatusReply, TcbChange, call};
use simtee::{GuestSpec, MAX_GUESTS, Server, SimError, SimHost, Stop, field};

const NOW: UnixTime = UnixTime(1_790_000_000);
const LIMIT: Duration = Duration::from_secs(20);
const REPORT_DATA: ReportData = ReportData([0x5a; 64]);

/// A served directory, stopped when dropped.
struct Served {
    dir: tempfile::TempDir,
    control: PathBuf,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Keys are slow to make: every test starts from a copy of one host.
        static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
        let made = MADE.get_or_init(|| {
            let made = tempfile::tempdir().unwrap();
            SimHost::open_or_create(made.path(), Product::Genoa, NOW).unwrap();
            made
        });
        for file in std::fs::read_dir(made.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
        }
        Self::start_in(dir)
    }

    fn start_in(dir: tempfile::TempDir) -> Self {
        let server = Server::open(dir.path(), Product::Genoa, NOW).unwrap();
        let (control, stop) = (server.control_socket().to_owned(), server.stop());
        Self { dir, control, stop, thread: Some(std::thread::spawn(move || server.run())) }
    }

    fn guest(&self, request: GuestRequest) -> (SocketAttester, String) {
        match call(&self.control, &Request::Guest(request)).unwrap() {
            Reply::Guest(reply) => {
                (SocketAttester::connect(&reply.socket, LIMIT).unwrap(), reply.measurement)
            }
            other => panic!("{other:?}"),
        }
    }

    fn status(&self) -> StatusReply {
        match call(&self.control, &Request::Status {}).unwrap() {
            Reply::Status(status) => status,
            other => panic!("{other:?}"),
        }
    }

    fn join(mut self) -> tempfile::TempDir {
        self.thread.take().unwrap().join().unwrap();
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.trigger();
    }
}

fn named(name: &str) -> GuestRequest {
    GuestRequest::new(name.parse().unwrap())
}

/// Sends raw bytes to a socket and reads whatever comes.
fn raw(path: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut out = String::new();
    stream.read_to_string(&mut out).unwrap();
    out
}

#[test]
fn a_guest_attests_over_its_socket_what_it_was_launched_as() {
    let served = Served::start();
    let (mut web, measurement) = served.guest(named("web"));
    assert_eq!(measurement, GuestSpec::default_measurement().to_string());
    assert_eq!(web.kind(), EvidenceKind::SevSnp);
    let evidence = web.attest(&REPORT_DATA).unwrap();
    assert_eq!(field::REPORT_DATA.read(&evidence), REPORT_DATA.0);
    assert_eq!(field::HOST_DATA.read(&evidence), crypto::sha256(&[b"web"]));

    let tcb = TcbChange { snp: Some(5), ..TcbChange::default() };
    let odd = GuestRequest { debug: true, tcb, measurement: Some([9; 48]), vmpl: Some(2), ..named("odd") };
    let (mut odd, measurement) = served.guest(odd);
    assert_eq!(measurement, "09".repeat(48));
    let evidence = odd.attest(&REPORT_DATA).unwrap();
    assert_eq!(u64::from_le_bytes(field::POLICY.read(&evidence)), 0xb_0000);
    assert_eq!(field::REPORTED_TCB.read(&evidence), [10, 0, 0, 0, 0, 0, 5, 0x58]);
    assert_eq!(field::LAUNCH_TCB.read(&evidence), [10, 0, 0, 0, 0, 0, 5, 0x58]);
    assert_eq!(field::MEASUREMENT.read(&evidence), [9; 48]);
    assert_eq!(field::VMPL.read(&evidence), [2, 0, 0, 0]);
}

#[test]
fn a_guest_altered_after_signing_differs_in_that_bit_only() {
    let served = Served::start();
    let (mut altered, _) = served.guest(GuestRequest { alter_bit: Some(0x90 * 8 + 3), ..named("web") });
    let evidence = altered.attest(&REPORT_DATA).unwrap();
    let mut expected = GuestSpec::default_measurement().0;
    expected[0] ^= 8;
    assert_eq!(field::MEASUREMENT.read(&evidence), expected);
    let beyond = GuestRequest { alter_bit: Some(1184 * 8), ..named("db") };
    let error = call(&served.control, &Request::Guest(beyond)).unwrap_err();
    assert!(matches!(&error, CallError::Refused { code, .. } if code == "failed"), "{error}");
    assert_eq!(served.status().guests.len(), 1);
}

#[test]
fn a_name_launched_again_is_another_launch_at_the_same_socket() {
    let served = Served::start();
    let (mut first, _) = served.guest(named("web"));
    let before = first.attest(&REPORT_DATA).unwrap();
    served.guest(GuestRequest { debug: true, ..named("web") });
    let after = first.attest(&REPORT_DATA).unwrap();
    assert_ne!(field::POLICY.read(&before), field::POLICY.read(&after));
    assert_ne!(field::REPORT_ID.read(&before), field::REPORT_ID.read(&after));
    assert_eq!(served.status().guests.len(), 1);
}

#[test]
fn bad_control_lines_are_refused_and_the_host_lives_on() {
    let served = Served::start();
    let long = vec![b'x'; MAX_LINE + 1];
    for (line, reason) in [
        (&b"\n"[..], "EOF while parsing"),
        (b"{\"op\":\"status\"", "EOF while parsing"),
        (b"{\"op\":\"gest\"}\n", "unknown variant"),
        (b"{\"op\":\"stop\",\"really\":true}\n", "unknown field"),
        (b"{\"op\":\"guest\",\"name\":\"../x\"}\n", "not a name"),
        (b"{\"op\":\"guest\",\"name\":\"x\",\"tcb\":{\"fmc\":1}}\n", "only Turin has an fmc"),
        (b"\xff\xfe\n", "expected value"),
    ] {
        let reply = raw(&served.control, line);
        assert!(reply.contains(reason) && reply.contains("\"code\""), "{reply}");
    }
    // The host does not read the rest, so the connection may be reset after the answer.
    let mut stream = UnixStream::connect(&served.control).unwrap();
    stream.write_all(&long).unwrap();
    let mut answer = [0; 60];
    stream.read_exact(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("line too long"));
    assert_eq!(raw(&served.control, b""), "");
    assert_eq!(served.status().guests, []);
}

#[test]
fn bad_frames_at_an_evidence_socket_leave_the_guest_serving() {
    let served = Served::start();
    let (mut web, _) = served.guest(named("web"));
    let socket = served.status().guests[0].socket.clone();
    for frame in [&b""[..], b"KFAT", b"GET / HTTP/1.1\r\n\r\n", &[0; 70]] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        stream.write_all(frame).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert_eq!(answer[..6], *b"KFAT\x01\x01", "{frame:?}");
    }
    assert!(web.attest(&REPORT_DATA).is_ok());
}

#[test]
fn a_host_has_room_for_so_many_guests() {
    let served = Served::start();
    for n in 0..MAX_GUESTS {
        served.guest(named(&format!("g{n}")));
    }
    let error = call(&served.control, &Request::Guest(named("more"))).unwrap_err();
    assert!(matches!(&error, CallError::Refused { code, .. } if code == "too-many-guests"), "{error}");
    served.guest(named("g0"));
    assert_eq!(served.status().guests.len(), MAX_GUESTS);
}

#[test]
fn stopping_removes_the_sockets_and_the_directory_keeps_the_root() {
    let served = Served::start();
    served.guest(named("web"));
    let before = served.status();
    let web = before.guests[0].socket.clone();
    for socket in [&served.control, &web] {
        assert_eq!(std::fs::metadata(socket).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let in_use = Server::open(served.dir.path(), Product::Genoa, NOW).unwrap_err();
    assert!(matches!(in_use, SimError::InUse { .. }), "{in_use}");
    assert!(matches!(call(&served.control, &Request::Stop {}), Ok(Reply::Stopped(_))));
    let control = served.control.clone();
    let dir = served.join();
    assert!(!control.exists() && !web.exists());
    assert!(matches!(call(&control, &Request::Status {}), Err(CallError::Unreachable { .. })));
    let gone = SocketAttester::connect(&web, LIMIT).unwrap_err();
    assert!(matches!(gone, AttestError::Unreachable { .. }), "{gone}");

    // As after a crash: the socket's file is there, and nobody listens.
    drop(std::os::unix::net::UnixListener::bind(&control).unwrap());
    let again = Served::start_in(dir);
    assert_eq!(again.status().ark_sha256, before.ark_sha256);
    assert_eq!(again.status().guests, []);
}
