//! The key distribution service of a simulated host, as its clients meet it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use claims::UnixTime;
use claims::snp::Product;
use simtee::control::{CallError, KdsReply, KdsRequest, Reply, Request, call};
use simtee::{GuestSpec, Server, SimHost, Stop};

const NOW: UnixTime = UnixTime(1_790_000_000);

struct Served {
    dir: tempfile::TempDir,
    control: PathBuf,
    stop: Stop,
    url: String,
}

impl Served {
    fn start(product: Product) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::open(dir.path(), product, NOW).unwrap();
        let server = server.with_kds("127.0.0.1:0".parse().unwrap(), NOW).unwrap();
        let (control, stop) = (server.control_socket().to_owned(), server.stop());
        let url = server.kds_url().unwrap();
        std::thread::spawn(move || server.run());
        Self { dir, control, stop, url }
    }

    /// The head and the body of an answer.
    fn ask(&self, line: &str) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        stream.write_all(format!("{line} HTTP/1.1\r\nHost: kds\r\n\r\n").as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let end = bytes.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
        let body = bytes.split_off(end + 4);
        (String::from_utf8(bytes).unwrap(), body)
    }

    fn status(&self, line: &str) -> u16 {
        self.ask(line).0.split(' ').nth(1).unwrap().parse().unwrap()
    }

    fn control(&self, busy: u32) -> KdsReply {
        match call(&self.control, &Request::Kds(KdsRequest { busy, retry_after_s: 7 })).unwrap() {
            Reply::Kds(reply) => reply,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.trigger();
    }
}

#[test]
fn it_has_amds_paths_and_turns_away_on_demand() {
    let served = Served::start(Product::Turin);
    // The same directory is the same host; the lock is the process's, so read what lies there.
    let ark = std::fs::read(served.dir.path().join("ark.pem")).unwrap();
    let (head, chain) = served.ask("GET /vcek/v1/Turin/cert_chain");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(chain.ends_with(&ark) && chain.len() > ark.len());
    let (head, vlek_chain) = served.ask("GET /vlek/v1/Turin/cert_chain");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(vlek_chain.ends_with(&ark) && vlek_chain.len() > ark.len() && vlek_chain != chain);
    let (head, list) = served.ask("GET /vcek/v1/Turin/crl");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && list.starts_with(&[0x30, 0x82]), "{head}");

    for (line, status) in [
        ("GET /vcek/v1/Genoa/cert_chain", 404),
        ("GET /vlek/v1/Genoa/cert_chain", 404),
        ("GET /vcek/v1/Turin/0011223344556677?fmcSPL=1&blSPL=1&teeSPL=1&snpSPL=4&ucodeSPL=82", 404),
        ("POST /vcek/v1/Turin/cert_chain", 405),
        ("GET /", 404),
    ] {
        assert_eq!(served.status(line), status, "{line}");
    }

    let before = served.control(2);
    assert_eq!((before.url.as_str(), before.requests), (served.url.as_str(), 8));
    let (head, body) = served.ask("GET /vcek/v1/Turin/cert_chain");
    assert!(head.contains("429 Too Many Requests\r\n") && head.contains("Retry-After: 7\r\n"), "{head}");
    assert!(body.is_empty());
    assert_eq!(served.status("GET /vcek/v1/Turin/cert_chain"), 429);
    assert_eq!(served.status("GET /vcek/v1/Turin/cert_chain"), 200);
    assert_eq!(served.control(0).requests, 11);
}

#[test]
fn a_vcek_is_the_one_that_signs_reports() {
    let host = {
        let dir = tempfile::tempdir().unwrap();
        SimHost::open_or_create(dir.path(), Product::Genoa, NOW).unwrap();
        dir
    };
    let known = SimHost::open_or_create(host.path(), Product::Genoa, NOW).unwrap();
    let guest = known.launch(&GuestSpec::new(Product::Genoa, "web")).unwrap();
    let server = Server::open(host.path(), Product::Genoa, NOW).unwrap();
    let server = server.with_kds("127.0.0.1:0".parse().unwrap(), NOW).unwrap();
    let (control, stop, url) = (server.control_socket().to_owned(), server.stop(), server.kds_url().unwrap());
    std::thread::spawn(move || server.run());
    let served = Served { dir: host, control, stop, url };
    let chip: String = known.chip_id().0.iter().map(|byte| format!("{byte:02x}")).collect();
    let line = format!("GET /vcek/v1/Genoa/{chip}?blSPL=10&teeSPL=00&snpSPL=27&ucodeSPL=88");
    let (head, vcek) = served.ask(&line);
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    // RSA-PSS is salted: all but the signature is the same.
    let signed = vcek.len() - 512;
    assert_eq!(vcek.get(..signed), guest.chain().vek.get(..signed));
    assert_eq!(served.status(&line.replace("&ucodeSPL=88", "")), 400);
}

#[test]
fn without_the_service_the_control_socket_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::open(dir.path(), Product::Milan, NOW).unwrap();
    let (control, stop) = (server.control_socket().to_owned(), server.stop());
    std::thread::spawn(move || server.run());
    let refused = call(&control, &Request::Kds(KdsRequest::default())).unwrap_err();
    assert!(matches!(&refused, CallError::Refused { code, .. } if code == "no-kds"), "{refused}");
    stop.trigger();
}
