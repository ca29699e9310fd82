//! Sources against a server on this machine that plays AMD's, Azure's, or a bad one.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use claims::snp::Product;
use claims::{ChipId, UnixTime};
use endorsements::{
    Authority, Failure, FindError, Found, Limits, Service, Shape, Sources, Store, VcekName, Wanted, to_pem,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const NOW: UnixTime = UnixTime(1_790_000_000);
const PATIENCE: Duration = Duration::from_secs(5);
const VCEK: [u8; 5] = [0x30, 3, 2, 1, 1];
const ASK: [u8; 5] = [0x30, 3, 2, 1, 2];
const NEW_ASK: [u8; 5] = [0x30, 3, 2, 1, 3];

/// Answers requests with what the test says, and remembers the paths that were asked for.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `answer` gets the path and how often anything was asked before; it gives status, header lines and body.
    async fn start(
        answer: impl Fn(&str, usize) -> (u16, String, Vec<u8>) + Send + Sync + Copy + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let path = head.split(' ').nth(1).unwrap().to_owned();
                let before = seen.lock().unwrap().len();
                let (status, headers, body) = answer(&path, before);
                seen.lock().unwrap().push(path);
                let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
                stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
            }
        });
        Self { url, asked }
    }

    async fn kds() -> Self {
        Self::start(|path, _| (200, String::new(), kds(path))).await
    }

    fn service(&self, shape: Shape) -> Service {
        Service::new(shape, self.url.parse().unwrap())
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn kds(path: &str) -> Vec<u8> {
    if path.ends_with("cert_chain") { to_pem(&[ASK.to_vec()]).into_bytes() } else { VCEK.to_vec() }
}

const GENOA: Product = Product::Genoa;

fn name(chip: u8) -> Wanted {
    Wanted::Vcek(vcek(chip))
}

fn vcek(chip: u8) -> VcekName {
    VcekName::new(Product::Genoa, &ChipId([chip; 64]), [10, 0, 0, 0, 0, 0, 23, 84]).unwrap()
}

/// Wants the VCEK first and the ASK somewhere.
fn judge(_: &Wanted, certificates: &[Vec<u8>]) -> Result<(), String> {
    let whole = certificates.first().is_some_and(|der| *der == VCEK) && certificates.contains(&ASK.to_vec());
    if whole { Ok(()) } else { Err("no chain".to_owned()) }
}

async fn find(sources: &Sources, chip: u8) -> Result<Found, Arc<FindError>> {
    sources.find(&name(chip), NOW, &judge).await
}

fn none() -> Sources {
    Sources::none(PATIENCE, 7)
}

#[tokio::test]
async fn what_a_service_gave_is_kept_and_not_asked_for_again() {
    let (server, dir) = (Server::kds().await, tempfile::tempdir().unwrap());
    let sources = || none().with_cache(Store::new(dir.path())).with_service(server.service(Shape::Kds));
    let chip = "07".repeat(64);
    let found = find(&sources(), 7).await.unwrap();
    assert_eq!(found.certificates, [VCEK, ASK]);
    assert_eq!(found.source, format!("kds at {}", server.url));
    let path = format!("/vcek/v1/Genoa/{chip}?blSPL=10&teeSPL=00&snpSPL=23&ucodeSPL=84");
    assert_eq!(server.asked(), [path, "/vcek/v1/Genoa/cert_chain".to_owned()]);

    let again = find(&sources(), 7).await.unwrap();
    assert_eq!(
        (again.certificates, again.source),
        (found.certificates, format!("`{}`", dir.path().display()))
    );
    assert_eq!(server.asked().len(), 2);
    find(&sources(), 8).await.unwrap();
    assert_eq!(server.asked().len(), 3, "the chain is known");
}

#[tokio::test]
async fn a_kept_file_that_does_not_verify_is_fetched_again_and_replaced() {
    let (server, dir) = (Server::kds().await, tempfile::tempdir().unwrap());
    let store = Store::new(dir.path());
    store.put_vcek(&vcek(7), &[0x30, 3, 2, 1, 9]).unwrap();
    store.put_chain(Authority::ask(GENOA), &[NEW_ASK.to_vec()]).unwrap();
    let sources = none().with_cache(store).with_service(server.service(Shape::Kds));
    assert_eq!(find(&sources, 7).await.unwrap().certificates, [VCEK, ASK]);
    let store = Store::new(dir.path());
    assert_eq!(store.vcek(&vcek(7)).unwrap().unwrap(), VCEK);
    assert_eq!(store.chain(Authority::ask(GENOA)).unwrap(), [ASK]);
}

#[tokio::test]
async fn the_directory_comes_first_and_is_never_written() {
    let (server, dir) = (Server::kds().await, tempfile::tempdir().unwrap());
    let store = Store::new(dir.path());
    store.put_vcek(&vcek(7), &VCEK).unwrap();
    store.put_chain(Authority::ask(GENOA), &[ASK.to_vec()]).unwrap();
    let sources = none().with_directory(store).with_service(server.service(Shape::Kds));
    assert_eq!(find(&sources, 7).await.unwrap().source, format!("`{}`", dir.path().display()));
    assert!(server.asked().is_empty());
    find(&sources, 8).await.unwrap();
    assert_eq!(Store::new(dir.path()).vcek(&vcek(8)).unwrap(), None);
}

#[tokio::test]
async fn what_does_not_verify_is_not_kept_and_the_next_service_is_asked() {
    let liar = Server::start(|_, _| (200, String::new(), NEW_ASK.to_vec())).await;
    let (server, dir) = (Server::kds().await, tempfile::tempdir().unwrap());
    let sources = || none().with_cache(Store::new(dir.path())).with_service(liar.service(Shape::AzureCache));
    let error = find(&sources(), 7).await.unwrap_err();
    let said = format!(
        "no source gave {}; `{}`: has none, azure-cache at {}: gave what does not verify: no chain",
        name(7),
        dir.path().display(),
        liar.url
    );
    assert_eq!(error.to_string(), said);
    assert_eq!(error.retry_after(), None);
    assert!(Store::new(dir.path()).keys_of(Authority::ask(GENOA)).unwrap().is_empty());
    let both = sources().with_service(server.service(Shape::Kds));
    assert_eq!(find(&both, 7).await.unwrap().source, format!("kds at {}", server.url));
}

#[tokio::test]
async fn azure_gives_the_whole_chain_at_once() {
    let whole = |_: &str, _| (200, String::new(), to_pem(&[VCEK.to_vec(), ASK.to_vec()]).into_bytes());
    let server = Server::start(whole).await;
    let sources = none().with_service(server.service(Shape::AzureCache));
    assert_eq!(find(&sources, 7).await.unwrap().certificates, [VCEK, ASK]);
    let path =
        format!("/SevSnpVM/certificates/{}/541700000000000a?api-version=2020-10-15-preview", "07".repeat(64));
    assert_eq!(server.asked(), [path]);
}

#[tokio::test]
async fn a_busy_service_is_asked_again_when_it_says() {
    let busy = |path: &str, before| match before {
        0 => (429, "Retry-After: 1\r\n".to_owned(), Vec::new()),
        _ => (200, String::new(), kds(path)),
    };
    let server = Server::start(busy).await;
    let since = Instant::now();
    find(&none().with_service(server.service(Shape::Kds)), 7).await.unwrap();
    assert!(since.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_service_that_asks_for_more_time_than_there_is_is_left_alone() {
    let server = Server::start(|_, _| (429, "Retry-After: 30\r\n".to_owned(), Vec::new())).await;
    let sources = none().with_service(server.service(Shape::Kds));
    let error = find(&sources, 7).await.unwrap_err();
    let [(_, Failure::Busy { status: 429, wait })] = error.failures.as_slice() else { panic!("{error}") };
    assert_eq!((*wait, error.retry_after()), (Duration::from_secs(30), Some(Duration::from_secs(30))));
    let error = find(&sources, 8).await.unwrap_err();
    assert!(matches!(error.failures.as_slice(), [(_, Failure::LeftAlone { .. })]), "{error}");
    assert_eq!(server.asked().len(), 1);
    sources.find(&name(9), NOW.plus(30), &judge).await.unwrap_err();
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_hundred_guests_of_a_chip_are_one_request() {
    let server = Server::kds().await;
    let sources = Arc::new(none().with_service(server.service(Shape::Kds)));
    let ask = |_| {
        let sources = Arc::clone(&sources);
        tokio::spawn(async move { find(&sources, 7).await.unwrap() })
    };
    for asking in (0..100).map(ask).collect::<Vec<_>>() {
        assert_eq!(asking.await.unwrap().certificates, [VCEK, ASK]);
    }
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn an_unknown_chip_is_asked_for_once_in_ten_minutes() {
    let server = Server::start(|_, _| (404, String::new(), Vec::new())).await;
    let sources = none().with_service(server.service(Shape::Kds));
    for _ in 0..3 {
        let error = find(&sources, 7).await.unwrap_err();
        assert!(matches!(error.failures.as_slice(), [(_, Failure::Absent)]), "{error}");
    }
    assert_eq!(server.asked().len(), 1);
    sources.find(&name(7), NOW.plus(599), &judge).await.unwrap_err();
    assert_eq!(server.asked().len(), 1);
    sources.find(&name(7), NOW.plus(600), &judge).await.unwrap_err();
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn an_answer_without_end_or_without_certificates_is_refused() {
    let long = Server::start(|_, _| (200, String::new(), vec![0x30; 200_000])).await;
    let error = find(&none().with_service(long.service(Shape::Kds)), 7).await.unwrap_err();
    assert!(error.to_string().ends_with("answer too long: expected at most 131072 bytes"), "{error}");
    let page = Server::start(|_, _| (200, String::new(), b"<html>".to_vec())).await;
    let error = find(&none().with_service(page.service(Shape::Kds)), 7).await.unwrap_err();
    assert!(error.to_string().ends_with("neither a certificate in DER nor in PEM"), "{error}");
}

#[tokio::test]
async fn without_sources_the_error_says_so() {
    let error = find(&none(), 7).await.unwrap_err();
    assert_eq!(error.to_string(), format!("no source gave {}: none is configured", name(7)));
}

#[tokio::test]
async fn a_revocation_list_comes_from_the_first_service_that_has_it() {
    let server = Server::start(|_, _| (200, String::new(), vec![7])).await;
    let sources =
        none().with_service(server.service(Shape::AzureCache)).with_service(server.service(Shape::Kds));
    assert_eq!(sources.crl(Authority::ask(GENOA), NOW).await.unwrap(), [7]);
    assert_eq!(server.asked(), ["/vcek/v1/Genoa/crl"]);
    let error = none()
        .with_service(server.service(Shape::AzureThim))
        .crl(Authority::asvk(Product::Milan), NOW)
        .await
        .unwrap_err();
    let said = format!(
        "no source gave the revocation list of the ASVK of Milan; azure-thim at {}: has none",
        server.url
    );
    assert_eq!(error.to_string(), said);
}

#[tokio::test]
async fn made_up_chips_are_asked_for_at_a_bounded_rate() {
    let server = Server::start(|_, _| (404, String::new(), Vec::new())).await;
    let limits = Limits { per_minute: 3, ..Limits::default() };
    let sources = none().with_service(server.service(Shape::Kds)).with_limits(limits);
    for chip in 1..=9 {
        find(&sources, chip).await.unwrap_err();
    }
    assert_eq!(server.asked().len(), 3);
    let error = find(&sources, 9).await.unwrap_err();
    let [(services, Failure::TooOften { per_minute: 3, wait })] = error.failures.as_slice() else {
        panic!("{error}")
    };
    assert_eq!((services.as_str(), error.retry_after()), ("services", Some(*wait)));
    assert_eq!(*wait, Duration::from_secs(20));
    let said = "services: not asked, as 3 look-ups a minute are the most; the next in 20 s";
    assert!(error.to_string().ends_with(said), "{error}");
    // What is known to be absent costs nothing, and neither does waiting.
    assert!(matches!(find(&sources, 1).await.unwrap_err().failures.as_slice(), [(_, Failure::Absent)]));
    sources.find(&name(9), NOW.plus(20), &judge).await.unwrap_err();
    assert_eq!(server.asked().len(), 4);
}

#[tokio::test]
async fn few_callers_wait_and_what_is_at_hand_needs_no_waiting() {
    let (silent, dir) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), tempfile::tempdir().unwrap());
    let url = format!("http://{}", silent.local_addr().unwrap());
    let store = Store::new(dir.path());
    store.put_vcek(&vcek(7), &VCEK).unwrap();
    store.put_chain(Authority::ask(GENOA), &[ASK.to_vec()]).unwrap();
    let limits = Limits { waiting: 2, ..Limits::default() };
    let sources = none().with_directory(store).with_service(Service::new(Shape::Kds, url.parse().unwrap()));
    let sources = Arc::new(sources.with_limits(limits));
    let waits = [1, 2].map(|chip| {
        let sources = Arc::clone(&sources);
        tokio::spawn(async move { find(&sources, chip).await })
    });
    let _asked = [silent.accept().await.unwrap(), silent.accept().await.unwrap()];
    let error = find(&sources, 3).await.unwrap_err();
    assert!(
        matches!(error.failures.as_slice(), [_, (_, Failure::Crowded { limit: 2 })])
            && error.retry_after().is_some(),
        "{error}"
    );
    assert!(find(&sources, 7).await.is_ok());
    waits.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn the_chain_above_vleks_is_fetched_once() {
    let server = Server::kds().await;
    let dir = tempfile::tempdir().unwrap();
    let sources = none().with_cache(Store::new(dir.path())).with_service(server.service(Shape::Kds));
    let judge = |_: &Wanted, certificates: &[Vec<u8>]| match certificates {
        [ask] if *ask == ASK => Ok(()),
        _ => Err("no chain".to_owned()),
    };
    let wanted = Wanted::Chain(Authority::asvk(GENOA));
    for _ in 0..2 {
        assert_eq!(sources.find(&wanted, NOW, &judge).await.unwrap().certificates, [ASK]);
    }
    assert_eq!(server.asked(), ["/vlek/v1/Genoa/cert_chain"]);
    assert_eq!(Store::new(dir.path()).chain(Authority::asvk(GENOA)).unwrap(), [ASK]);
}
