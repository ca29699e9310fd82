//! Guests whose evidence carries no certificates: fetched from a service, kept, or carried to a broker without one.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use claims::{Operation, ReportData};
use simtee::control::{GuestRequest, KdsReply, KdsRequest, Reply, Request, TcbChange, call};
use wire::ProblemCode;

use crate::exchange::{Answer, Exchange, request};
use crate::guest::attest;
use crate::setup::{Setup, wait_until};

/// A simulated host of its own, which hands out certificates over HTTP and none with evidence.
struct Host {
    process: Child,
    dir: PathBuf,
    root: String,
    url: String,
}

impl Host {
    fn start(setup: &Setup) -> Self {
        let dir = setup.path("host");
        let mut command = setup.command("keyfast-simtee");
        command.args(["serve", "--kds", "127.0.0.1:0", "--dir"]).arg(&dir);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut value = |name: &str| {
            let line = lines.next().unwrap().unwrap();
            line.strip_prefix(name).unwrap_or_else(|| panic!("{line}")).to_owned()
        };
        let (_control, root, url) = (value("control "), value("ark-sha256 "), value("kds "));
        Self { process, dir, root, url }
    }

    /// Launches a guest whose SNP firmware has this SPL; gives its evidence socket.
    fn guest(&self, name: &str, snp: u8) -> PathBuf {
        let tcb = TcbChange { snp: Some(snp), ..TcbChange::default() };
        let guest =
            GuestRequest { without_certificates: true, tcb, ..GuestRequest::new(name.parse().unwrap()) };
        match call(&self.dir.join("control.sock"), &Request::Guest(guest)).unwrap() {
            Reply::Guest(guest) => guest.socket,
            other => panic!("{other:?}"),
        }
    }

    /// Has the next requests turned away; gives how many came so far.
    fn turn_away(&self, busy: u32, retry_after_s: u64) -> u64 {
        let request = Request::Kds(KdsRequest { busy, retry_after_s });
        match call(&self.dir.join("control.sock"), &request).unwrap() {
            Reply::Kds(KdsReply { requests, .. }) => requests,
            other => panic!("{other:?}"),
        }
    }

    fn requests(&self) -> u64 {
        self.turn_away(0, 0)
    }

    /// A broker that believes this host, and has this section of endorsements.
    fn trusted_by(&self, setup: &Setup, section: &str) {
        setup.reconfigure(|text| {
            let (head, _) = text.split_once("[[trust.simulated]]").unwrap();
            let ark = self.dir.join("ark.pem");
            let root = format!("[[trust.simulated]]\ncertificate = {ark:?}\nsha256 = \"{}\"\n", self.root);
            format!("{head}{root}\n[endorsements]\n{section}\n")
        });
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// What a broker answers to an honest guest.
fn ask(setup: &Setup, socket: &Path) -> Answer {
    let mut exchange = Exchange::with(&setup.url());
    let (message, _) = exchange.honest(setup.identity(), socket, vec![request(Operation::Release, "db")]);
    assert_eq!(message.evidence.len(), 1184, "a report alone");
    exchange.release(&message)
}

#[track_caller]
fn granted(setup: &Setup, socket: &Path) {
    assert_eq!(ask(setup, socket).codes(), [None]);
}

/// The code of a refusal, and what the operator is told.
#[track_caller]
fn refused(setup: &Setup, answer: Answer) -> (ProblemCode, String) {
    let problem = answer.ok().unwrap_err();
    let request = problem.request_id.unwrap().to_string();
    let mut said = String::new();
    wait_until("the refusal is stored", || {
        let run = setup.keyfast(&["audit", "explain", &request]);
        said = run.stdout;
        run.code == Some(0)
    });
    (problem.code, said)
}

fn set_up() -> (Setup, Host) {
    let setup = Setup::up();
    let host = Host::start(&setup);
    (setup, host)
}

#[test]
fn a_certificate_is_fetched_once_and_outlives_the_broker_and_the_service() {
    let (setup, host) = set_up();
    host.trusted_by(&setup, &format!("services = [\"kds\"]\nkds_url = \"{}\"", host.url));
    setup.create_key("db", &["--simulation", "--operations", "release"]);
    let web = host.guest("web", 0x1b);
    granted(&setup, &web);
    assert_eq!(host.requests(), 2, "the VCEK and its chain");
    granted(&setup, &web);
    granted(&setup, &host.guest("other-guest-of-the-chip", 0x1b));
    setup.reconfigure(str::to_owned);
    granted(&setup, &web);
    assert_eq!(host.requests(), 2);

    // Evidence that does not answer the challenge makes the broker ask nobody, whatever chip and TCB it names.
    let newer = host.guest("newer", 0x1c);
    let mut exchange = Exchange::with(&setup.url());
    let (mut message, _) = exchange.honest(setup.identity(), &newer, vec![request(Operation::Release, "db")]);
    message.evidence = attest(&newer, &ReportData([7; 64]));
    let (code, said) = refused(&setup, exchange.release(&message));
    assert_eq!(code, ProblemCode::EvidenceRefused);
    assert!(said.contains("the evidence binds another transcript"), "{said}");
    assert_eq!(host.requests(), 2);

    // A busy service is not worth a guest's patience: it may come back.
    host.turn_away(1, 30);
    let (code, said) = refused(&setup, ask(&setup, &newer));
    assert_eq!(code, ProblemCode::Unavailable);
    let busy = format!("kds at {}: busy (status 429); asks to wait 30 s", host.url);
    assert!(said.contains("no VCEK or VLEK certificate") && said.contains(&busy), "{said}");
    granted(&setup, &web);
}

#[test]
fn certificates_are_carried_to_a_broker_without_a_network() {
    let (setup, host) = set_up();
    let dir = setup.path("parcel").display().to_string();
    fs::create_dir(&dir).unwrap();
    host.trusted_by(&setup, &format!("directory = {dir:?}"));
    setup.create_key("db", &["--simulation", "--operations", "release"]);
    let web = host.guest("web", 0x1b);
    let (code, said) = refused(&setup, ask(&setup, &web));
    assert_eq!(code, ProblemCode::EvidenceRefused);
    assert!(
        said.contains("no VCEK or VLEK certificate") && said.contains(&format!("`{dir}`: has none")),
        "{said}"
    );
    assert_eq!(host.requests(), 0);

    let report = setup.path("report.bin");
    fs::write(&report, attest(&web, &ReportData([0; 64]))).unwrap();
    let (report, ark) = (report.to_str().unwrap(), host.dir.join("ark.pem"));
    let roots = ["--simulated-root", ark.to_str().unwrap(), "--simulated-root-sha256", &host.root];
    let fetch = ["endorsements", "fetch", "--report", report, "--dir", &dir, "--url", &host.url];
    let run = setup.keyfast(&fetch);
    assert_eq!(run.code, Some(1), "a simulated root counts only where it is named: {run}");
    let said = "gave what does not verify: the ASK is not signed by the trusted key of `ARK-Genoa`";
    assert!(run.stderr.contains(said), "{run}");
    let run = setup.keyfast(&[&fetch[..], &roots].concat()).success();
    assert!(run.stdout.contains("the VCEK of Genoa chip") && run.stdout.contains("a simulated one"), "{run}");
    granted(&setup, &web);

    let list = |roots: &[&str]| setup.keyfast(&[&["endorsements", "list", &dir], roots].concat()).success();
    assert!(list(&roots).stdout.contains("simulated"));
    assert!(list(&[]).stdout.contains("no: `"), "{}", list(&[]));
    imported_elsewhere(&setup, &dir, &roots);
    lists_can_be_required(&setup, &web, &[&fetch[..], &roots, &["--crl"]].concat());
}

/// A broker that demands revocation lists believes nothing without one, and reads those of its directory.
fn lists_can_be_required(setup: &Setup, guest: &Path, fetch: &[&str]) {
    let simulated = "[[trust.simulated]]";
    setup.reconfigure(|text| text.replace(simulated, &format!("crl_max_age_days = 30\n{simulated}")));
    let (code, said) = refused(setup, ask(setup, guest));
    assert_eq!(code, ProblemCode::EvidenceRefused);
    assert!(said.contains("revocation list"), "{said}");
    setup.keyfast(fetch).success();
    setup.reconfigure(str::to_owned);
    granted(setup, guest);
}

/// Files of any name become a directory of the same shape, if they verify.
fn imported_elsewhere(setup: &Setup, dir: &str, roots: &[&str]) {
    let json = setup.keyfast(&[&["endorsements", "list", "--json", dir], roots].concat()).success().stdout;
    let list: serde_json::Value = serde_json::from_str(&json).unwrap();
    let vcek = list[0]["file"].as_str().unwrap();
    let chain = format!("{dir}/vcek/Genoa/cert_chain.pem");
    let elsewhere = setup.path("elsewhere").display().to_string();
    let import = ["endorsements", "import", vcek, "--dir", &elsewhere];
    let run = setup.keyfast(&[&import[..], roots].concat());
    run.fails(
        1,
        &format!("keyfast: `{vcek}` does not verify: no certificate of its issuer; nothing was written"),
    );
    assert!(!Path::new(&elsewhere).exists());
    setup.keyfast(&[&import[..], &[&chain], roots].concat()).success();
    let name = Path::new(vcek).strip_prefix(dir).unwrap();
    assert_eq!(fs::read(Path::new(&elsewhere).join(name)).unwrap(), fs::read(vcek).unwrap());
    // With the issuer in the directory the chip's certificate is enough.
    setup.keyfast(&[&import[..], roots].concat()).success();
    setup.keyfast(&["endorsements", "import", &chain, "--dir", &elsewhere]).fails(
        2,
        "keyfast: no certificate of a chip's key among the files: expected a VCEK's, with an elliptic-curve key",
    );
}
