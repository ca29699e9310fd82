//! Guests whose evidence carries no certificates: fetched from a service, kept, or carried to a broker without one.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use claims::snp::Product;
use claims::{EvidenceKind, Operation, ReportData, TranscriptHash, UnixTime};
use simtee::control::{GuestRequest, KdsReply, KdsRequest, Reply, Request, TcbChange, call};
use simtee::vtpm::{VTpm, evidence as parts, log::BootSpec};
use simtee::{GuestSpec, RootDir, SimHost};
use wire::{ProblemCode, ReleaseRequest, Verdict};

use crate::exchange::{Answer, Exchange, request};
use crate::guest::attest;
use crate::preflight;
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

    /// The same host in this process, for evidence that its guests do not give.
    fn twin(&self, setup: &Setup) -> SimHost {
        let twin = setup.path("twin");
        fs::create_dir(&twin).unwrap();
        for entry in fs::read_dir(&self.dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, twin.join(path.file_name().unwrap())).unwrap();
            }
        }
        RootDir::open(&twin).unwrap().host(Product::Genoa, UnixTime(0)).unwrap()
    }

    fn requests(&self) -> u64 {
        self.turn_away(0, 0)
    }

    /// How many came for certificates, of brokers that were started so often and fetched both lists each time.
    fn lookups(&self, starts: u64) -> u64 {
        wait_until("the revocation lists are fetched", || self.requests() >= 2 * starts);
        self.requests() - 2 * starts
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

/// Sends an honest request with evidence of another making over the very transcript.
fn ask_with(
    setup: &Setup,
    kind: EvidenceKind,
    socket: &Path,
    evidence: impl FnOnce(TranscriptHash) -> Vec<u8>,
) -> Answer {
    let mut exchange = Exchange::with(&setup.url());
    let requests = vec![request(Operation::Release, "db")];
    let (honest, nonce) = exchange.honest(setup.identity(), socket, requests);
    let mut message = ReleaseRequest { kind, ..honest };
    let transcript = message.transcript(setup.identity(), nonce, crate::guest::sha256);
    message.evidence = evidence(TranscriptHash(crypto::sha512(&[&transcript.encode()])));
    exchange.release(&message)
}

/// The code of a refusal, and what the operator is told.
#[track_caller]
fn refused(setup: &Setup, answer: Answer) -> (ProblemCode, String) {
    let problem = answer.ok().unwrap_err();
    let request = problem.request_id.unwrap().to_string();
    let mut said = String::new();
    wait_until("the refusal is stored", || {
        let run = setup.keyfast(&["audit", "explain", &request]);
        // Lines are broken where a terminal ends.
        said = run.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
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
    assert_eq!(host.lookups(1), 2, "the VCEK and its chain");
    granted(&setup, &web);
    granted(&setup, &host.guest("other-guest-of-the-chip", 0x1b));
    setup.reconfigure(str::to_owned);
    granted(&setup, &web);
    assert_eq!(host.lookups(2), 2);

    // Evidence that does not answer the challenge makes the broker ask nobody, whatever chip and TCB it names.
    let newer = host.guest("newer", 0x1c);
    let mut exchange = Exchange::with(&setup.url());
    let (mut message, _) = exchange.honest(setup.identity(), &newer, vec![request(Operation::Release, "db")]);
    message.evidence = attest(&newer, &ReportData([7; 64]));
    let (code, said) = refused(&setup, exchange.release(&message));
    assert_eq!(code, ProblemCode::EvidenceRefused);
    assert!(said.contains("the evidence binds another transcript"), "{said}");
    assert_eq!(host.lookups(2), 2);

    // A busy service is not worth a guest's patience: it may come back.
    host.turn_away(1, 30);
    let (code, said) = refused(&setup, ask(&setup, &newer));
    assert_eq!(code, ProblemCode::Unavailable);
    let busy = format!("kds at {}: busy (status 429); asks to wait 30 s", host.url);
    assert!(said.contains("no VCEK or VLEK certificate") && said.contains(&busy), "{said}");
    granted(&setup, &web);
}

#[test]
fn a_question_finds_its_certificates_too() {
    let (setup, host) = set_up();
    host.trusted_by(&setup, &format!("services = [\"kds\"]\nkds_url = \"{}\"", host.url));
    setup.create_key("db", &["--simulation", "--operations", "release"]);
    let web = host.guest("web", 0x1b);
    let mut exchange = Exchange::with(&setup.url());
    let question = preflight::honest(&setup, &mut exchange, &web, "db");
    assert_eq!(question.asked.evidence.len(), 1184, "a report alone");
    let verdicts = preflight::verdicts(preflight::ask(&mut exchange, &question));
    assert!(matches!(verdicts[..], [Verdict::Permit(_)]), "{verdicts:?}");
    assert_eq!(host.lookups(1), 2, "the VCEK and its chain");
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
    let nothing = "keyfast: nothing to import: expected certificates of VCEKs, VLEKs, ASKs or ASVKs, or revocation \
                   lists, under a trusted root";
    setup.keyfast(&["endorsements", "import", &chain, "--dir", &elsewhere]).fails(2, nothing);
}

/// Lists by themselves, in DER and PEM; nobody else's, and none that is older than what is there.
#[test]
fn revocation_lists_are_carried_too() {
    let (setup, host) = set_up();
    let twin = host.twin(&setup);
    let dir = setup.path("parcel").display().to_string();
    let ark = host.dir.join("ark.pem").display().to_string();
    let roots = ["--simulated-root", &ark, "--simulated-root-sha256", &host.root];
    let write = |name: &str, bytes: &[u8]| {
        let path = setup.path(name);
        fs::write(&path, bytes).unwrap();
        path.display().to_string()
    };
    let list = |later: u64| twin.sign_crl(&twin.crl_spec(twin.created().plus(later))).unwrap();
    let (old, new) = (write("old.crl", &list(0)), list(60));
    let pem = endorsements_pem(&new);
    let new_pem = write("new.pem", pem.as_bytes());
    let import = |file: &str, roots: &[&str]| {
        setup.keyfast(&[&["endorsements", "import", file, "--dir", &dir], roots].concat())
    };
    let said = format!(
        "keyfast: `{old}` does not verify: the revocation list of `ARK-Genoa` is not signed by the trusted key of \
         that name; nothing was written"
    );
    import(&old, &[]).fails(1, &said);
    assert!(!Path::new(&dir).exists());
    let run = import(&old, &roots).success();
    assert!(run.stdout.contains("next one due"), "{run}");
    host.trusted_by(&setup, &format!("directory = {dir:?}"));
    import(&new_pem, &roots).success();
    let kept = |kind: &str| fs::read(format!("{dir}/{kind}/Genoa/crl.der")).unwrap();
    assert_eq!((kept("vcek"), kept("vlek")), (new.clone(), new.clone()));
    let run = import(&old, &roots);
    assert!(
        run.code == Some(1) && run.stderr.contains("is older than the revocation list of the ASK of Genoa"),
        "{run}"
    );
    assert_eq!(kept("vcek"), new, "the newer one stays");
    let newest = list(180);
    let both = endorsements_pem(&newest) + &endorsements_pem(&list(150));
    import(&write("both.pem", both.as_bytes()), &roots).success();
    assert_eq!(kept("vlek"), newest);
    let mut altered = list(240);
    *altered.last_mut().unwrap() ^= 1;
    assert_eq!(import(&write("altered.crl", &altered), &roots).code, Some(1));
    assert_eq!(kept("vcek"), newest);
    let rubbish = write("rubbish.der", &[0x30, 3, 2, 1, 1]);
    assert!(import(&rubbish, &roots).stderr.contains("does not verify: "));
    // What a list in the directory names is fetched from nobody.
    let report = write("report.bin", &attest(&host.guest("web", 0x1b), &ReportData([0; 64])));
    let fetch = ["endorsements", "fetch", "--report", &report, "--dir", &dir, "--url", &host.url];
    let fetch = [&fetch[..], &roots].concat();
    let mut revoking = twin.crl_spec(twin.created().plus(300));
    // The serial number of Genoa's ASK.
    revoking.revoked = vec![simtee::Revoked::new(0x2_0001, twin.created())];
    import(&write("revoking.crl", &twin.sign_crl(&revoking).unwrap()), &roots).success();
    let run = setup.keyfast(&fetch);
    let said = "gave what does not verify: the ASK was revoked on";
    assert!(run.code == Some(1) && run.stderr.contains(said), "{run}");
    assert!(!Path::new(&dir).join("vcek/Genoa/cert_chain.pem").exists());
}

fn endorsements_pem(der: &[u8]) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN X509 CRL-----\n{text}\n-----END X509 CRL-----\n")
}

#[test]
fn azures_evidence_gets_its_certificates_found_too() {
    let (setup, host) = set_up();
    let twin = host.twin(&setup);
    host.trusted_by(&setup, &format!("services = [\"kds\"]\nkds_url = \"{}\"", host.url));
    setup.create_key("db", &["--simulation", "--operations", "release"]);
    let web = host.guest("web", 0x1b);
    let mut vtpm = VTpm::generate().unwrap();
    vtpm.boot(&BootSpec::new("web"));
    let runtime = parts::runtime_data(&vtpm, "baefd3e1-184b-4c4c-ab88-0bdad260505f").unwrap();
    let paravisor = twin.launch(&GuestSpec::new(Product::Genoa, "paravisor")).unwrap();
    let report = paravisor.report(&parts::runtime_report_data(&runtime));
    let report = paravisor.sign(report).unwrap();
    let evidence = |runtime: &str, hash: TranscriptHash| {
        let extra = crypto::sha256(&[&hash.0, &crypto::sha256(&[&report])]);
        let quote = vtpm.quote(&vtpm.quote_spec(&extra, 0xffff).unwrap(), 0xffff).unwrap();
        parts::azure(&parts::hcl(&report, runtime), &[0; 24], &quote)
    };
    let kind = EvidenceKind::AzureVtpm;
    let other = runtime.replace("\"tpm-enabled\":true", "\"tpm-enabled\":false");
    let (code, said) = refused(&setup, ask_with(&setup, kind, &web, |hash| evidence(&other, hash)));
    assert_eq!(code, ProblemCode::EvidenceRefused);
    assert!(said.contains("runtime data"), "{said}");
    let replayed = ask_with(&setup, kind, &web, |_| evidence(&runtime, TranscriptHash([7; 64])));
    assert!(refused(&setup, replayed).1.contains("binds another transcript"));
    assert_eq!(host.lookups(1), 0, "nobody is asked for what cannot be believed");
    // Believed, and denied: no policy of a new broker lets a paravisor of this measurement have keys.
    let answer = ask_with(&setup, kind, &web, |hash| evidence(&runtime, hash));
    assert_eq!(answer.codes(), [Some("policy-denied".to_owned())]);
    assert_eq!(host.lookups(1), 2);
    fetched_for_azure(
        &setup,
        &host,
        &evidence(&runtime, TranscriptHash([7; 64])),
        &parts::hcl(&report, &runtime),
    );
}

/// The report in evidence of Azure's, and in the blob that a guest's NV index has, name their key.
fn fetched_for_azure(setup: &Setup, host: &Host, evidence: &[u8], blob: &[u8]) {
    let ark = host.dir.join("ark.pem").display().to_string();
    for (name, bytes) in [("azure.bin", evidence), ("blob.bin", blob)] {
        let (file, dir) = (setup.path(name), setup.path(&format!("{name}.d")).display().to_string());
        fs::write(&file, bytes).unwrap();
        let file = file.to_str().unwrap();
        let fetch = ["endorsements", "fetch", "--report", file, "--dir", &dir, "--url", &host.url];
        let roots = ["--simulated-root", &ark, "--simulated-root-sha256", &host.root];
        let run = setup.keyfast(&[&fetch[..], &roots].concat()).success();
        assert!(run.stdout.contains("the VCEK of Genoa chip"), "{run}");
        fs::write(file, &bytes[..bytes.len().min(600)]).unwrap();
        let run = setup.keyfast(&[&fetch[..], &roots].concat());
        assert!(run.code == Some(1) && run.stderr.contains(file), "{run}");
    }
}

#[test]
fn the_chain_above_a_providers_key_is_found_and_its_own_certificate_only_in_the_directory() {
    let (setup, host) = set_up();
    let (twin, dir) = (host.twin(&setup), setup.path("parcel").display().to_string());
    fs::create_dir(&dir).unwrap();
    let section = format!("services = [\"kds\"]\nkds_url = \"{}\"\ndirectory = {dir:?}", host.url);
    host.trusted_by(&setup, &section);
    setup.create_key("db", &["--simulation", "--operations", "release"]);
    let web = host.guest("web", 0x1b);
    let spec = GuestSpec::new(Product::Genoa, "web").at_provider("CN=cc-us-east-2.amazonaws.com");
    let guest = twin.launch(&spec).unwrap();
    let vlek = guest.chain().vek.clone();
    let ask = |certificates: &[u8]| {
        ask_with(&setup, EvidenceKind::SevSnp, &web, |hash| {
            let report = guest.sign(guest.report(&ReportData(hash.0))).unwrap();
            [&report[..], certificates].concat()
        })
    };
    // As AWS gives them: the VLEK's certificate and none of its issuer.
    let vlek_guid = simtee::table::VLEK;
    let alone = simtee::CertificateTable { entries: vec![(vlek_guid, vlek.clone())] }.encode();
    assert_eq!(ask(&alone).codes(), [Some("policy-denied".to_owned())], "believed; this names no system");
    assert_eq!(host.lookups(1), 1, "the chain, once");
    assert_eq!(ask(&alone).codes().len(), 1);
    assert_eq!(host.lookups(1), 1);

    let (code, said) = refused(&setup, ask(&[]));
    assert_eq!(code, ProblemCode::EvidenceRefused);
    assert!(said.contains("which comes with the evidence or lies in the directory"), "{said}");
    assert_eq!(host.lookups(1), 1, "no service has it");
    let (file, ark) = (setup.path("vlek.der"), host.dir.join("ark.pem"));
    fs::write(&file, vlek).unwrap();
    let roots = ["--simulated-root", ark.to_str().unwrap(), "--simulated-root-sha256", &host.root];
    let asvk = setup.path("asvk.der");
    fs::write(&asvk, twin.asvk_der()).unwrap();
    let import = ["endorsements", "import", file.to_str().unwrap(), asvk.to_str().unwrap(), "--dir", &dir];
    let run = setup.keyfast(&[&import[..], &roots].concat()).success();
    assert!(run.stdout.contains("the VLEK of Genoa for `CN=cc-us-east-2.amazonaws.com`"), "{run}");
    assert_eq!(ask(&[]).codes().len(), 1);

    let fetch = ["endorsements", "fetch", "--crl", "--dir", &dir, "--url", &host.url];
    let run = setup.keyfast(&[&fetch[..], &roots].concat()).success();
    assert!(run.stdout.contains("vlek/Genoa/crl.der") && run.stdout.contains("issued 20"), "{run}");
    let run = setup.keyfast(&[&["endorsements", "list", &dir][..], &roots].concat()).success();
    for expected in ["VLEK  CN=cc-us-east-2.amazonaws.com", "ASVK", "CRL", "0 revoked"] {
        assert!(run.stdout.contains(expected), "{expected}: {run}");
    }
}

/// Whoever waits for a service holds no place that others need, and not many may wait.
#[test]
fn a_service_that_does_not_answer_keeps_nobody_out() {
    let (setup, host) = set_up();
    let dir = setup.path("parcel").display().to_string();
    fs::create_dir(&dir).unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let section = format!(
        "services = [\"kds\"]\nkds_url = \"{url}\"\npatience_s = 12\ndirectory = {dir:?}\nmax_lookups = 1"
    );
    host.trusted_by(&setup, &section);
    setup.reconfigure(|text| format!("max_releases = 1\n{text}"));
    setup.create_key("db", &["--simulation", "--operations", "release"]);
    let [known, unknown, other] =
        [("known", 0x1b), ("unknown", 0x1c), ("other", 0x1d)].map(|(name, snp)| host.guest(name, snp));
    let report = setup.path("report.bin");
    fs::write(&report, attest(&known, &ReportData([0; 64]))).unwrap();
    let (report, ark) = (report.to_str().unwrap(), host.dir.join("ark.pem"));
    let roots = ["--simulated-root", ark.to_str().unwrap(), "--simulated-root-sha256", &host.root];
    let fetch = ["endorsements", "fetch", "--report", report, "--dir", &dir, "--url", &host.url];
    setup.keyfast(&[&fetch[..], &roots].concat()).success();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| ask(&setup, &unknown));
        let mut asked = Vec::new();
        // The broker asks for revocation lists on other connections.
        let is_key = |stream: &TcpStream| {
            let mut line = String::new();
            BufReader::new(stream).read_line(&mut line).unwrap();
            line.contains("SPL=")
        };
        while asked.last().is_none_or(|stream| !is_key(stream)) {
            asked.push(silent.accept().unwrap().0);
        }
        granted(&setup, &known);
        let (code, said) = refused(&setup, ask(&setup, &other));
        assert_eq!(code, ProblemCode::Unavailable);
        assert!(said.contains("not asked, as 1 callers wait for answers already"), "{said}");
        drop((asked, silent));
        assert_eq!(waits.join().unwrap().problem(), ProblemCode::Unavailable);
    });
}

/// What the service asks the broker for, the guest hears, within a bound.
#[test]
fn a_guest_waits_as_long_as_the_service_asks() {
    for (asked, told) in [(17, 17..=17), (3600, 50..=60)] {
        let (setup, host) = set_up();
        host.trusted_by(&setup, &format!("services = [\"kds\"]\nkds_url = \"{}\"\npatience_s = 1", host.url));
        setup.create_key("db", &["--simulation", "--operations", "release"]);
        let guest = host.guest("web", 0x1b);
        host.turn_away(1000, asked);
        let problem = ask(&setup, &guest).ok().unwrap_err();
        assert_eq!(problem.code, ProblemCode::Unavailable);
        assert!(problem.retry_after_s.is_some_and(|told_s| told.contains(&told_s)), "{problem:?}");
    }
}

/// Lists come from the service and from the directory, and get in force without a restart.
#[test]
fn revocation_lists_are_kept_fresh() {
    let (setup, host) = set_up();
    let twin = host.twin(&setup);
    let dir = setup.path("parcel").display().to_string();
    fs::create_dir(&dir).unwrap();
    let section = format!("services = [\"kds\"]\nkds_url = \"{}\"\ndirectory = {dir:?}", host.url);
    host.trusted_by(&setup, &section);
    setup.create_key("db", &["--simulation", "--operations", "release"]);
    let simulated = "[[trust.simulated]]";
    setup.reconfigure(|text| text.replace(simulated, &format!("crl_max_age_days = 30\n{simulated}")));
    let web = host.guest("web", 0x1b);
    let is_granted = || ask(&setup, &web).ok().is_ok();
    wait_until("the list is fetched and in force", is_granted);
    let cached = |kind| setup.dev("broker/endorsements").join(kind).join("Genoa/crl.der");
    assert!(cached("vcek").is_file() && cached("vlek").is_file());

    let mut revoking = twin.crl_spec(twin.created());
    // The serial number of Genoa's ASK.
    revoking.revoked = vec![simtee::Revoked::new(0x2_0001, twin.created())];
    fs::create_dir_all(format!("{dir}/vcek/Genoa")).unwrap();
    let (new, file) = (format!("{dir}/new"), format!("{dir}/vcek/Genoa/crl.der"));
    fs::write(&new, twin.sign_crl(&revoking).unwrap()).unwrap();
    fs::rename(new, file).unwrap();
    wait_until("the ASK is revoked", || !is_granted());
    let (code, said) = refused(&setup, ask(&setup, &web));
    assert_eq!(code, ProblemCode::EvidenceRefused);
    assert!(said.contains("the ASK was revoked"), "{said}");
}
