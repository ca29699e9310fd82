//! `keyfast evidence show` and `verify` as people and programs meet them: output, exit codes, flags.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};

use claims::snp::Product;
use claims::{ClaimsRecord, ReportData, UnixTime};
use policy::case::ClaimsJson;
use serde_json::Value;
use simtee::{GuestSpec, Revoked, SimHost, field};

const CREATED: UnixTime = UnixTime(1_790_000_000);
const AT: &str = "1790086400";
const CSP_ID: &str = "CN=cc-us-east-2.amazonaws.com";

fn host() -> &'static SimHost {
    static HOST: OnceLock<SimHost> = OnceLock::new();
    HOST.get_or_init(|| {
        let keys = Arc::new(simtee::kept_keys!().unwrap());
        SimHost::with_keys(keys, Product::Genoa, CREATED).unwrap()
    })
}

/// A file of this name with these contents, in a folder of its own for each test.
fn file(test: &str, name: &str, contents: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("evidence").join(test);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, contents).unwrap();
    path
}

fn evidence(test: &str, spec: &GuestSpec) -> PathBuf {
    file(test, "evidence.bin", &host().attest(spec, &ReportData([7; 64])).unwrap())
}

fn usual() -> GuestSpec {
    GuestSpec::new(Product::Genoa, "web")
}

/// Runs `keyfast evidence`, with the host's root trusted where the command verifies.
fn keyfast(test: &str, args: &[&str], file_arg: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
    command.arg("evidence").args(args).arg(file_arg);
    if args[0] == "verify" {
        command.args(["--at", AT, "--simulated-root"]).arg(file(test, "ark.der", host().ark_der()));
    }
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The outcome of each check, by number.
fn outcomes(output: &Output) -> Vec<(u8, String)> {
    let is_head = |line: &&str| line.get(..3).is_some_and(|number| number.trim().parse::<u8>().is_ok());
    let text = text(output);
    let heads = text.lines().filter(is_head);
    heads.map(|line| (line[..3].trim().parse().unwrap(), line[28..35].trim().to_owned())).collect()
}

fn failed(output: &Output) -> Vec<u8> {
    outcomes(output).into_iter().filter(|(_, outcome)| outcome == "FAIL").map(|(number, _)| number).collect()
}

#[test]
fn an_honest_guest_passes_and_every_check_is_shown() {
    let output = keyfast("honest", &["verify"], &evidence("honest", &usual()));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(outcomes(&output).len(), 18);
    let of = |word: &str| outcomes(&output).into_iter().filter(|(_, outcome)| outcome == word).count();
    assert_eq!((of("pass"), of("policy"), of("-")), (13, 4, 1));
    let text = text(&output);
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    assert!(text.contains("authenticated: Genoa at") && text.contains("under a simulated root"));
    assert!(!text.contains('\u{1b}'), "no colours where nobody looks");
}

#[test]
fn all_that_is_wrong_is_shown_and_the_exit_code_says_so() {
    let guest = host().launch(&usual()).unwrap();
    let mut report = guest.report(&ReportData([7; 64]));
    report.put(field::CHIP_ID, [0; 64]).put(field::VMPL, [9, 0, 0, 0]);
    let bytes = guest.evidence(&guest.sign(report).unwrap());
    let output = keyfast("wrong", &["verify", "--require-crl"], &file("wrong", "evidence.bin", &bytes));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(failed(&output), [3, 11, 13]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("keyfast: not authenticated: vmpl out of range"), "{said}");
}

#[test]
fn a_root_that_nobody_named_is_not_believed() {
    let evidence = evidence("unknown-root", &usual());
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
    let output = command.args(["evidence", "verify", "--at", AT]).arg(evidence).output().unwrap();
    assert_eq!((output.status.code(), failed(&output)), (Some(1), vec![5]));
    assert!(text(&output).contains("not made: it rests on what failed"));
}

#[test]
fn revocation_lists_are_asked_for_given_and_heeded() {
    let evidence = evidence("crl", &usual());
    let list = |name, revoked| {
        let mut spec = host().crl_spec(CREATED);
        spec.revoked = revoked;
        file("crl", name, &host().sign_crl(&spec).unwrap())
    };
    let clean = list("clean.crl", Vec::new());
    let listed = list("listed.crl", vec![Revoked::new(0x20001, CREATED)]);
    let verify = |args: &[&str]| keyfast("crl", &[&["verify"], args].concat(), &evidence);
    let (clean, listed) = (clean.to_str().unwrap(), listed.to_str().unwrap());
    assert_eq!(verify(&["--require-crl=1", "--crl", clean]).status.code(), Some(0));
    let stale = verify(&["--require-crl=0", "--crl", clean]);
    assert_eq!((stale.status.code(), failed(&stale)), (Some(1), vec![13]));
    let revoked = verify(&["--crl", clean, "--crl", listed]);
    assert_eq!((revoked.status.code(), failed(&revoked)), (Some(1), vec![13]));
    assert!(text(&revoked).contains("the ASK was revoked on 2026-"), "{}", text(&revoked));
    let no_list = file("crl", "no.crl", b"no list");
    assert_eq!(verify(&["--crl", no_list.to_str().unwrap()]).status.code(), Some(2));
}

#[test]
fn a_providers_guest_is_shown_with_its_provider() {
    let output = keyfast("vlek", &["verify"], &evidence("vlek", &usual().at_provider(CSP_ID)));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output).contains(&format!("provider        {CSP_ID}")), "{}", text(&output));
}

#[test]
fn version_4_is_asked_for() {
    let evidence = evidence("version-4", &GuestSpec { version: 4, ..usual() });
    let refused = keyfast("version-4", &["verify"], &evidence);
    assert_eq!((refused.status.code(), failed(&refused)), (Some(1), vec![1]));
    let believed = keyfast("version-4", &["verify", "--accept-version-4"], &evidence);
    assert_eq!(believed.status.code(), Some(0));
}

#[test]
fn programs_get_json_of_what_is_right_and_wrong() {
    let evidence = evidence("json", &usual());
    let parse = |output: &Output| serde_json::from_slice::<Value>(&output.stdout).unwrap();
    let right = parse(&keyfast("json", &["verify", "--json"], &evidence));
    assert_eq!((&right["authenticated"], &right["error"]), (&Value::Bool(true), &Value::Null));
    assert_eq!(right["checks"].as_array().unwrap().len(), 18);
    assert_eq!(right["checks"][3]["outcome"], "pass");
    assert_eq!(right["checks"][13]["outcome"], "policy");
    let claims = &right["claims"];
    assert_eq!((&claims["snp"]["product"], &claims["simulated"]), (&"Genoa".into(), &true.into()));
    assert_eq!(claims["snp"]["crl_issued"], Value::Null);

    let wrong = keyfast("json", &["verify", "--json", "--require-crl"], &evidence);
    assert_eq!(wrong.status.code(), Some(1));
    let wrong = parse(&wrong);
    assert_eq!((&wrong["authenticated"], &wrong["claims"]), (&Value::Bool(false), &Value::Null));
    assert_eq!(wrong["checks"][12]["outcome"], "fail");
    assert_eq!(wrong["checks"][12]["error"], wrong["error"]);
}

#[test]
fn bytes_that_are_no_report_fail_the_check_that_they_fail() {
    let verify = |name, bytes: &[u8], args: &[&str]| {
        keyfast("malformed", &[&["verify"], args].concat(), &file("malformed", name, bytes))
    };
    let short = verify("short.bin", b"short", &["--kind", "sev-snp"]);
    assert_eq!((short.status.code(), failed(&short)), (Some(1), vec![1]));
    let reserved = verify("reserved.bin", &damaged(&usual()), &[]);
    assert_eq!(reserved.status.code(), Some(1));
    let unread: String = UNREAD.iter().map(|title| format!("{title:<26}  -       {NOT_READ}\n")).collect();
    let expected = format!(
        "  1 length and version      pass    1184 bytes, version 5\n\
         \x20 2 reserved bytes          FAIL    reserved byte 0x210 (end of the signed part) is set: expected\n\
         \x20                                   0x00, got 0x01\n{unread}"
    );
    assert_eq!(text(&reserved), expected);
    let said = "keyfast: reserved byte 0x210 (end of the signed part) is set: expected 0x00, got 0x01\n";
    assert_eq!(errors(&reserved), said);
    // Version 4 is nobody's unless it is asked for, whatever else is wrong.
    let old = damaged(&GuestSpec { version: 4, ..usual() });
    assert_eq!(failed(&verify("old.bin", &old, &[])), [1, 2]);
    assert_eq!(failed(&verify("old.bin", &old, &["--accept-version-4"])), [2]);
}

/// Evidence with a reserved byte set that only parsing looks at.
fn damaged(spec: &GuestSpec) -> Vec<u8> {
    let guest = host().launch(spec).unwrap();
    let mut report = guest.report(&ReportData([7; 64]));
    report.bytes_mut()[0x210] = 1;
    guest.evidence(&guest.sign(report).unwrap())
}

/// The checks that nothing can be said of where a report is malformed.
const UNREAD: [&str; 16] = [
    "  3 requester",
    "  4 report signature",
    "  5 trust anchor",
    "  6 certificate signatures",
    "  7 validity",
    "  8 certificate names",
    "  9 signing key",
    " 10 tcb extensions",
    " 11 chip or provider",
    " 12 product",
    " 13 revocation",
    " 14 tcb floors",
    " 15 order of tcb versions",
    " 16 guest policy",
    " 17 launch and report data",
    " 18 platform",
];
const NOT_READ: &str = "not made: the bytes could not be read";

#[test]
fn a_report_is_examined_though_the_table_behind_it_is_damaged() {
    let guest = host().launch(&usual()).unwrap();
    let report = guest.sign(guest.report(&ReportData([7; 64]))).unwrap();
    let path = file("table", "evidence.bin", &[&report[..], &[1; 24]].concat());
    let certs = path.with_file_name("certs");
    fs::create_dir_all(&certs).unwrap();
    for (name, der) in [("vcek.der", &guest.chain().vek[..]), ("ask.der", host().ask_der())] {
        fs::write(certs.join(name), der).unwrap();
    }
    let output = keyfast("table", &["verify", "--certs", certs.to_str().unwrap()], &path);
    let passed = outcomes(&output).into_iter().filter(|(_, outcome)| outcome == "pass").count();
    assert_eq!((output.status.code(), failed(&output), passed), (Some(1), vec![1], 12));
    assert_eq!(
        errors(&output),
        "keyfast: certificate table ends without its last entry of zeros: got 24 bytes\n"
    );
}

#[test]
fn what_is_no_evidence_is_not_taken_for_a_report() {
    let legacy_log = [&[0; 4][..], &[8, 0, 0, 0], &[7; 20], &70_000_u32.to_le_bytes(), &[0; 70_000]].concat();
    let pcr_values = [&[2, 0, 0, 0, 0x0b, 0, 3, 0xff, 0xff, 0, 0, 0][..], &[0; 2252]].concat();
    let known = "known are evidence (sev-snp, tpm, azure-vtpm, svsm), an hcl blob, a quote (TPMS_ATTEST), a \
        signature (TPMT_SIGNATURE), a key (TPM2B_PUBLIC) and an event log\n";
    for (name, bytes) in [
        ("empty", &[][..]),
        ("ek.crt", &[0x30, 0x82, 3, 0xf4, 0x30, 0x82]),
        ("ak.pem", b"-----BEGIN PUBLIC KEY-----\n"),
        ("quote.pcrs", &pcr_values),
    ] {
        let path = file("unknown", name, bytes);
        for command in ["show", "verify"] {
            let output = keyfast("unknown", &[command], &path);
            assert_eq!((output.status.code(), text(&output).as_str()), (Some(1), ""), "{name}");
            let said = format!("keyfast: `{}` is not recognised: {known}", path.display());
            assert_eq!(errors(&output), said);
        }
    }
    let log = file("unknown", "log", &legacy_log);
    let shown = keyfast("unknown", &["show"], &log);
    assert_eq!(
        text(&shown),
        format!(
            "event log, not verified\n\nlog_format                      sha1 only  (sha1)\n\
             log_events                      1\nevents\n     0   0  EV_S_CRTM_VERSION                 {}\n",
            "07".repeat(20)
        )
    );
    let refused = keyfast("unknown", &["verify", "--json"], &log);
    let by_itself = "is an event log by itself, and no evidence: `keyfast evidence pack` puts the parts of \
        evidence into one file";
    assert_eq!(errors(&refused), format!("keyfast: `{}` {by_itself}\n", log.display()));
    let json: Value = serde_json::from_slice(&refused.stdout).unwrap();
    let told = format!("`{}` {by_itself}", log.display());
    assert_eq!((&json["authenticated"], &json["error"]), (&false.into(), &told.into()));
    let endless = keyfast("unknown", &["show"], Path::new("/dev/zero"));
    assert_eq!(errors(&endless), "keyfast: `/dev/zero` is too large: expected at most 1048576 bytes\n");
}

#[test]
fn claims_are_those_of_a_case() {
    let evidence = evidence("claims", &usual());
    let json: Value =
        serde_json::from_slice(&keyfast("claims", &["verify", "--json"], &evidence).stdout).unwrap();
    let claims: ClaimsJson = serde_json::from_value(json["claims"].clone()).unwrap();
    let record = ClaimsRecord::try_from(claims).unwrap();
    let snp = record.snp.unwrap();
    let tcb = GuestSpec::default_tcb(Product::Genoa);
    assert_eq!([snp.reported_tcb, snp.launch_tcb, snp.committed_tcb, snp.current_tcb], [tcb; 4]);
    assert_eq!(
        (snp.vmpl, snp.measurement, snp.report_data),
        (0, GuestSpec::default_measurement(), ReportData([7; 64]))
    );
    assert!(record.simulated && record.snp_fresh && record.tpm.is_none());
    let tcb = serde_json::json!({ "fmc": null, "bootloader": tcb.bootloader, "tee": tcb.tee, "snp": tcb.snp, "microcode": tcb.microcode });
    assert_eq!(json["claims"]["snp"]["reported_tcb"], tcb);
    assert!(json["not_after"].is_string() && json["claims"].get("not_after").is_none());
    let shown: Value =
        serde_json::from_slice(&keyfast("claims", &["show", "--json"], &evidence).stdout).unwrap();
    for name in ["reported_tcb", "launch_tcb", "committed_tcb", "current_tcb"] {
        assert_eq!(shown[name], tcb, "{name}");
    }
}

#[test]
fn show_prints_every_field_and_believes_nothing() {
    let evidence = evidence("show", &usual().at_provider(CSP_ID));
    let output = keyfast("show", &["show"], &evidence);
    let text = text(&output);
    assert!(output.status.success() && text.starts_with("sev-snp evidence, not verified"));
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let json: Value =
        serde_json::from_slice(&keyfast("show", &["show", "--json"], &evidence).stdout).unwrap();
    assert_eq!((&json["version"], &json["key_info.signing_key"]), (&5.into(), &"vlek".into()));
    assert_eq!(json["certificates"][0]["name"], "VLEK");
}
