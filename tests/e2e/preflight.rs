//! A guest asks what would be decided: it is told what an operator reads, gets no key, and leaves a trial.

use std::fs;
use std::path::Path;

use agent::session::Session;
use claims::leaf::LeafKind;
use claims::{Operation, ReportData, Sha256Digest};
use rusqlite::Connection;
use serde_json::{Value, json};
use wire::{
    CHALLENGE_PATH, PREFLIGHT_PATH, PredictedPcr, Prediction, PreflightRequest, PreflightResponse,
    ProblemCode, RELEASE_PATH, ReleaseResponse, Verdict,
};

use crate::exchange::{Answer, Exchange, limit, request};
use crate::guest::{Guest, attest, sha256, wanted};
use crate::image::Image;
use crate::setup::{Run, Setup, shared};

/// A question that is answered: genuine challenge, evidence over the very transcript.
pub fn honest(setup: &Setup, exchange: &mut Exchange, socket: &Path, key: &str) -> PreflightRequest {
    let (asked, nonce) = exchange.honest(setup.identity(), socket, vec![request(Operation::Release, key)]);
    let mut message = PreflightRequest { asked, prediction: None };
    let transcript = message.transcript(setup.identity(), nonce, sha256).encode();
    message.asked.evidence = attest(socket, &ReportData(crypto::sha512(&[&transcript])));
    message
}

pub fn ask(exchange: &mut Exchange, message: &PreflightRequest) -> Answer {
    exchange.post(PREFLIGHT_PATH, &wire::encode(message).unwrap())
}

#[track_caller]
pub fn verdicts(answer: Answer) -> Vec<Verdict> {
    wire::decode::<PreflightResponse>(&answer.ok().unwrap()).unwrap().verdicts
}

/// How many leaves of a kind the journal has.
fn leaves(setup: &Setup, kind: LeafKind) -> i64 {
    let connection = Connection::open(setup.dev("broker/keyfast.sqlite")).unwrap();
    let count = "SELECT count(*) FROM leaf WHERE kind = ?1";
    connection.query_row(count, [kind.code()], |row| row.get(0)).unwrap()
}

/// What `--json` printed, and the exit code.
fn told(run: &Run) -> (Option<i32>, Value) {
    (run.code, serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run}")))
}

#[test]
fn a_question_leaves_trials_and_no_release_and_brings_no_key() {
    let setup = Setup::up();
    let secret = b"a secret that nobody is to see in an answer";
    let file = setup.path("secret");
    fs::write(&file, secret).unwrap();
    setup.keyfast(&["keys", "import", "pw", "--simulation", "--file", file.to_str().unwrap()]).success();
    setup.create_key("db", &["--simulation", "--operations", "unwrap,release"]);
    let guest = Guest::new(&setup, "asker");
    let mut exchange = Exchange::with(&setup.url());
    let all = [(Operation::Secret, "pw"), (Operation::Release, "db"), (Operation::Secret, "db")];
    let wanted = all.map(|(operation, key)| wanted(operation, key)).to_vec();
    let session = Session::new(guest.knowledge(&setup), wanted);
    let challenge = exchange.post(CHALLENGE_PATH, &session.challenge_request().unwrap()).ok().unwrap();
    let asking = session.on_challenge(&challenge, exchange.peer_key()).unwrap().into_preflight(None);
    let evidence = attest(&guest.socket, &asking.report_data());
    let (body, awaiting) = asking.with_evidence(evidence).unwrap();
    let answer = exchange.post(PREFLIGHT_PATH, &body).ok().unwrap();
    assert!(!answer.windows(secret.len()).any(|part| part == secret));
    assert!(wire::decode::<ReleaseResponse>(&answer).is_err());
    let response = awaiting.on_answer(&answer).unwrap();
    let [Verdict::Permit(secret), Verdict::Permit(release), Verdict::Deny(unfit)] = &response.verdicts[..]
    else {
        panic!("{response:?}")
    };
    assert_eq!((secret.version.0, release.version.0), (1, 1));
    assert_eq!(secret.rules, ["simulated-development/permit"]);
    assert_eq!(unfit.code, "operation-not-allowed");
    assert_eq!((leaves(&setup, LeafKind::Trial), leaves(&setup, LeafKind::Release)), (3, 0));
    assert_eq!(leaves(&setup, LeafKind::Denial), 0);
    let run = setup.keyfast(&["audit", "explain", &response.request_id.to_string()]).success();
    for line in ["trial   secret of `pw`\n", "code      permitted\n", "trial   secret of `db`\n"] {
        assert!(run.stdout.contains(line), "{run}");
    }
    // The journal is whole with trials in it, also to a broker that starts.
    setup.reconfigure(str::to_owned);
    setup.keyfast(&["audit", "verify"]).success();
}

#[test]
fn a_question_and_a_release_are_never_each_other() {
    let setup = shared();
    let guest = Guest::new(setup, "questioner");
    let mut exchange = Exchange::with(&setup.url());
    let question = honest(setup, &mut exchange, &guest.socket, "aes");
    let (release, _) =
        exchange.honest(setup.identity(), &guest.socket, vec![request(Operation::Release, "aes")]);
    let (asks, releases) = (wire::encode(&question).unwrap(), wire::encode(&release).unwrap());
    // By their form, and by what the evidence binds.
    assert_eq!(exchange.post(RELEASE_PATH, &asks).problem(), ProblemCode::MalformedRequest);
    assert_eq!(exchange.post(PREFLIGHT_PATH, &releases).problem(), ProblemCode::MalformedRequest);
    assert_eq!(exchange.release(&question.asked).problem(), ProblemCode::EvidenceRefused);
    let disguised = PreflightRequest { asked: release.clone(), prediction: None };
    assert_eq!(ask(&mut exchange, &disguised).problem(), ProblemCode::EvidenceRefused);
    // What is supposed is bound, too.
    let pcrs = vec![PredictedPcr { index: 4, value: None }];
    let prediction = Prediction { bank: claims::tpm::HashAlgorithm::Sha256, pcrs, image: None, dbx: None };
    let supposing = PreflightRequest { prediction: Some(prediction), ..question.clone() };
    assert_eq!(ask(&mut exchange, &supposing).problem(), ProblemCode::EvidenceRefused);

    assert!(matches!(verdicts(ask(&mut exchange, &question))[..], [Verdict::Permit(_)]));
    assert_eq!(exchange.release(&release).codes(), [None], "none of these spent a nonce");
    assert_eq!(ask(&mut exchange, &question).problem(), ProblemCode::ChallengeSpent);
}

#[test]
fn a_challenge_is_good_for_a_question_or_a_release() {
    let setup = shared();
    let guest = Guest::new(setup, "once");
    let mut exchange = Exchange::with(&setup.url());
    let (mut release, nonce) =
        exchange.honest(setup.identity(), &guest.socket, vec![request(Operation::Renew, "aes")]);
    let mut question = PreflightRequest { asked: release.clone(), prediction: None };
    let transcript = question.transcript(setup.identity(), nonce, sha256).encode();
    question.asked.evidence = attest(&guest.socket, &ReportData(crypto::sha512(&[&transcript])));
    verdicts(ask(&mut exchange, &question));
    assert_eq!(exchange.release(&release).problem(), ProblemCode::ChallengeSpent);
    release.token = vec![0; release.token.len()];
    let forged = PreflightRequest { asked: release, prediction: None };
    assert_eq!(ask(&mut exchange, &forged).problem(), ProblemCode::ChallengeInvalid);
    let most = limit::<PreflightRequest>();
    let too_large = Exchange::with(&setup.url()).post(PREFLIGHT_PATH, &vec![0; most + 1]).problem();
    assert_eq!(too_large, ProblemCode::TooLarge);
}

#[test]
fn a_prediction_that_does_not_fit_the_evidence_is_refused() {
    let setup = shared();
    let guest = Guest::new(setup, "dreamer");
    let mut exchange = Exchange::with(&setup.url());
    let (asked, nonce) =
        exchange.honest(setup.identity(), &guest.socket, vec![request(Operation::Renew, "aes")]);
    let pcrs = vec![PredictedPcr { index: 4, value: None }];
    let prediction = Prediction { bank: claims::tpm::HashAlgorithm::Sha256, pcrs, image: None, dbx: None };
    let mut message = PreflightRequest { asked, prediction: Some(prediction) };
    let transcript = message.transcript(setup.identity(), nonce, sha256).encode();
    message.asked.evidence = attest(&guest.socket, &ReportData(crypto::sha512(&[&transcript])));
    assert_eq!(ask(&mut exchange, &message).problem(), ProblemCode::Unsupported);
}

#[test]
fn a_guest_is_told_what_the_operator_reads() {
    let setup = shared();
    let flags = ["--kind", "svsm", "--image", "another image"];
    let arguments = ["preflight", "db", "release:keep", "nosuch", "--json"];
    let run = setup.guest("curious", &flags, &arguments);
    let explanation = setup.explain(&run.stderr);
    let (code, report) = told(&run);
    assert_eq!((code, report["about"].as_str()), (Some(6), Some("this guest as it is")));
    let expected: Vec<Value> = explanation
        .answers
        .iter()
        .map(|answer| {
            assert_eq!(answer.outcome, "trial");
            json!({ "code": answer.code, "reasons": answer.reasons })
        })
        .collect();
    let verdicts = report["verdicts"].as_array().unwrap();
    let got: Vec<Value> = verdicts
        .iter()
        .map(|verdict| json!({ "code": verdict["code"], "reasons": verdict["reasons"] }))
        .collect();
    assert_eq!(got, expected);
    assert_eq!(got.len(), 3);
    let codes: Vec<&str> = verdicts.iter().map(|verdict| verdict["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["policy-denied", "operation-not-allowed", "unknown-key"]);
    // For people the same words, and the same sentence at the end.
    let request = report["request"].as_str().unwrap();
    let operator = setup.keyfast(&["audit", "explain", request]).success().stdout;
    let sentence = verdicts[0]["nearest"].as_str().unwrap();
    let joined = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(sentence.starts_with("would be permitted by `simulated-vtpm/permit` if "), "{sentence}");
    assert!(joined(&operator).contains(sentence), "{operator}");
    let people = setup.guest("curious", &flags, &["preflight", "db"]);
    assert!(joined(&people.stdout).contains(sentence), "{people}");
    assert!(people.stdout.contains("db   unwrap     denied     policy-denied\n"), "{people}");
    let message =
        "keyfast-agent: would be denied: 1 of 1; an operator reads the whole reason: keyfast audit explain ";
    assert!(people.code == Some(6) && people.stderr.starts_with(message), "{people}");
}

#[test]
fn a_question_is_put_to_a_keys_own_policy_and_is_not_counted_as_served() {
    let setup = shared();
    let file = setup.path("once.cedar");
    let rule = "@id(\"once\")\n@doc(\"d\")\npermit (principal is Guest, action, resource is Key)\n";
    let condition = "context.recent.key < 1 && context has network && context.network.isLoopback()";
    fs::write(&file, format!("{rule}when {{ {condition} }};\n")).unwrap();
    let flags = ["--simulation", "--kind", "aes-256", "--policy", file.to_str().unwrap()];
    setup.create_key("rare", &flags);
    let ask = || setup.guest("rarely", &[], &["preflight", "renew:rare", "--json"]);
    for _ in 0..3 {
        ask().success();
    }
    setup.guest("rarely", &[], &["renew", "rare"]).success();
    let (code, report) = told(&ask());
    let reason = &report["verdicts"][0]["reasons"][0];
    assert_eq!((code, reason["rule"].as_str()), (Some(6), Some("key/once")));
    assert_eq!(reason["found"], "1");
}

/// A unified kernel image in a file.
pub fn image(setup: &Setup, name: &str, kernel: &[u8]) -> String {
    let path = setup.path(name);
    let magic = b"#### LoaderInfo: systemd-stub 252.39-1 ####";
    let image = Image::new(&[
        (".linux", kernel),
        (".osrel", b"ID=test\n"),
        (".cmdline", b"root=/dev/vda quiet"),
        (".initrd", b"initial ramdisk"),
        (".sdmagic", magic),
    ]);
    fs::write(&path, image.file()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Contents of dbx with one hash in a file.
fn dbx(setup: &Setup, hash: [u8; 32]) -> String {
    let path = setup.path("dbx.esl");
    let head = [28 + 48, 0, 48_u32].map(u32::to_le_bytes).concat();
    fs::write(&path, [&[7; 16][..], &head, &[8; 16], &hash].concat()).unwrap();
    path.to_str().unwrap().to_owned()
}

fn make_known(setup: &Setup, values: &[(&str, &str)]) {
    let path = setup.dev("attestation-policies/reference-values.toml");
    let text = fs::read_to_string(&path).unwrap();
    let value = |(name, value): &(&str, &str)| {
        format!("\n[[pcr]]\nvalue = \"{value}\"\nname = \"{name}\"\nstate = \"active\"\n")
    };
    fs::write(&path, text + &values.iter().map(value).collect::<String>()).unwrap();
}

#[test]
fn the_next_boot_is_judged_before_it_is_booted() {
    let setup = Setup::up();
    setup.create_key("db", &["--simulation"]);
    let next = image(&setup, "next.efi", b"kernel 2");
    let dbx = dbx(&setup, [9; 32]);
    let kinds = ["tpm", "svsm", "azure-vtpm"];
    let ask = |kind: &str, flags: &[&str]| {
        let arguments = [&["preflight", "db", "renew:db", "--json"], flags].concat();
        setup.guest(kind, &["--kind", kind], &arguments)
    };
    let measured = setup.keyfast(&["measure", "uki", &next, "--json"]).success();
    let measured: Value = serde_json::from_str(&measured.stdout).unwrap();
    for kind in kinds {
        assert_eq!(told(&ask(kind, &[])).0, Some(0), "{kind} as it is");
        let (code, report) = told(&ask(kind, &["--next", &next]));
        let verdict = &report["verdicts"][0];
        let reasons = verdict["reasons"].as_array().unwrap();
        assert_eq!((code, reasons.len()), (Some(6), 1), "{kind}: {report}");
        assert!(reasons[0]["condition"].as_str().unwrap().starts_with("principal.tpm.pcrs.pcr4 in ["));
        assert_eq!(reasons[0]["found"], measured["pcr4"], "{kind}");
        assert_eq!(report["foreseen"]["pcr4"], measured["pcr4"], "{kind}");
        assert_eq!(report["foreseen"]["pcr9"], measured["pcr9"], "{kind}");
        assert_eq!(report["foreseen"]["pcr11"], measured["pcr11"], "{kind}");
    }
    let (code, report) = told(&ask("tpm", &["--dbx", &dbx]));
    let reasons = report["verdicts"][0]["reasons"].as_array().unwrap();
    assert!(reasons[0]["condition"].as_str().unwrap().starts_with("principal.tpm.pcrs.pcr7 in ["));
    let pcr7 = report["foreseen"]["pcr7"].clone();
    assert_eq!((code, reasons.len(), &reasons[0]["found"]), (Some(6), 1, &pcr7));
    let contents = Sha256Digest(crypto::sha256(&[&fs::read(&dbx).unwrap()]));
    assert_eq!(report["foreseen"]["dbx"], contents.to_string());

    // Once the values are known, the same boots are permitted; another image is not.
    make_known(&setup, &[("next", measured["pcr4"].as_str().unwrap()), ("dbx", pcr7.as_str().unwrap())]);
    setup.reconfigure(str::to_owned);
    for kind in kinds {
        let (code, report) = told(&ask(kind, &["--next", &next, "--dbx", &dbx]));
        assert_eq!((code, report["verdicts"][1]["decision"].as_str()), (Some(0), Some("permit")), "{kind}");
        let explained = setup.keyfast(&["audit", "explain", report["request"].as_str().unwrap()]);
        let line = "trial   unwrap of `db`, as supposed of its next boot\n";
        assert!(explained.stdout.contains(line), "{explained}");
    }
    let other = image(&setup, "other.efi", b"kernel 3");
    assert_eq!(told(&ask("tpm", &["--next", &other])).0, Some(6));
    assert_eq!(leaves(&setup, LeafKind::Release), 0);
}

#[test]
fn what_cannot_be_foreseen_is_said_and_not_asked() {
    let setup = shared();
    let next = image(setup, "unforeseen.efi", b"kernel");
    let ask = |guest: &str, flags: &[&str]| setup.guest(guest, flags, &["preflight", "db", "--next", &next]);
    ask("launched", &[]).fails(
        4,
        "keyfast-agent: cannot foresee the next boot: evidence of kind sev-snp has no tpm, so no image or dbx that \
         boots later is in it; what a host launches directly is foreseen with `keyfast measure snp`",
    );
    ask("logless", &["--kind", "tpm", "--without-log"]).fails(
        4,
        "keyfast-agent: cannot foresee the next boot: the evidence has no event log: expected one that explains the \
         pcrs; see `event_log` in `[attester]`",
    );
    let extend = format!("4={}", "07".repeat(32));
    let run = ask("extended", &["--kind", "tpm", "--extend", &extend]);
    let head =
        "keyfast-agent: cannot foresee the next boot: the event log does not lead to pcr 4 as it is quoted: ";
    assert!(run.code == Some(4) && run.stderr.starts_with(head), "{run}");
    let run = setup.guest("launched", &[], &["preflight", "db", "--dbx", &next]);
    assert_eq!(run.code, Some(8), "{run}");
    let run = setup.guest("launched", &[], &["preflight", "open:db"]);
    let wrong = "not an operation; use unwrap, release, secret or renew";
    assert!(run.code == Some(2) && run.stderr.contains(wrong), "{run}");
}

#[test]
fn who_is_told_reasons_is_the_operators_to_say() {
    let setup = Setup::up();
    setup.create_key("db", &["--simulation"]);
    let next = image(&setup, "next.efi", b"kernel 2");
    let configured = |telling: &str| {
        setup.reconfigure(|text| {
            let old = text.lines().find(|line| line.starts_with("preflight = ")).unwrap_or("# preflight");
            text.replace(old, telling)
        });
    };
    let reasons = |flags: &[&str], arguments: &[&str]| {
        let name = format!("guest-{}", flags.len());
        let run = setup.guest(&name, flags, &[&["preflight", "db", "--json"], arguments].concat());
        let (code, report) = told(&run);
        assert_eq!((code, report["verdicts"][0]["code"].as_str()), (Some(6), Some("policy-denied")), "{run}");
        let told = report["verdicts"][0]["reasons"].as_array().unwrap().len();
        assert_eq!(told > 0, !report["verdicts"][0]["nearest"].is_null());
        // The operator reads them, whatever the guest is told.
        assert!(!setup.explain(&run.stderr).answers[0].reasons.is_empty());
        told
    };
    let (ours, stranger) = (["--kind", "tpm"], ["--kind", "tpm", "--image", "another image"]);
    // Unless told otherwise: one that would get the key now learns why its next boot would not.
    configured("# preflight");
    assert_eq!((reasons(&ours, &["--next", &next]), reasons(&stranger, &[])), (1, 0));
    assert_eq!(reasons(&stranger, &["--next", &next]), 0);
    configured("preflight = \"code\"");
    assert_eq!((reasons(&ours, &["--next", &next]), reasons(&stranger, &[])), (0, 0));
    let run = setup.guest("guest-2", &ours, &["preflight", "db"]).success();
    assert!(run.stdout.contains("db   unwrap     permitted  not told\n"), "{run}");
    let trials = leaves(&setup, LeafKind::Trial);
    configured("preflight = \"off\"");
    let run = setup.guest("guest-2", &ours, &["preflight", "db"]);
    run.fails(
        6,
        "keyfast-agent: the broker answers no preflights: it is older than this agent, or its operator has set \
         `preflight = \"off\"`",
    );
    assert_eq!(leaves(&setup, LeafKind::Trial), trials);
    configured("preflight = \"explain\"\nmax_releases = 0");
    let mut exchange = Exchange::with(&setup.url());
    let guest = Guest::new(&setup, "waiting");
    let question = honest(&setup, &mut exchange, &guest.socket, "aes");
    assert_eq!(ask(&mut exchange, &question).problem(), ProblemCode::Overloaded);
}
