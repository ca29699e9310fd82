//! `keyfast endorsements` without a network: which certificates are let into a directory, and what is said of those there.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use claims::snp::Product;
use claims::{ReportData, UnixTime};
use serde_json::{Value, json};
use simtee::{GuestSpec, Revoked, SimHost, field};

const HEAD: &str = "PRODUCT  KIND  HOLDER  TCB  FROM        UNTIL       VERIFIES";

/// A host that is a day old.
fn host(product: Product) -> SimHost {
    static KEYS: OnceLock<Arc<simtee::HostKeys>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| Arc::new(simtee::kept_keys!().unwrap()));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    SimHost::with_keys(Arc::clone(keys), product, UnixTime(now - 86_400)).unwrap()
}

/// A folder of its own for each test, empty.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("endorsements").join(test);
    let _absent = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs `keyfast endorsements` in a folder; exit code, standard output and standard error.
fn keyfast(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
    let output = command.current_dir(folder).arg("endorsements").args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn succeeds(folder: &Path, args: &[&str]) -> String {
    let (code, stdout, stderr) = keyfast(folder, args);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{args:?}");
    stdout
}

#[track_caller]
fn fails(folder: &Path, args: &[&str], expected: &str) {
    let (code, stdout, stderr) = keyfast(folder, args);
    assert_eq!((code, stdout.as_str(), stderr.trim_end()), (Some(1), "", expected), "{args:?}");
}

/// Copies AMD's own files into a folder; `None` where the folder of vectors is absent.
fn genuine(folder: &Path, names: &[&str]) -> Option<()> {
    let beside = || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors"));
    let root = std::env::var_os("KEYFAST_VECTORS").map_or_else(beside, PathBuf::from);
    for name in names {
        let Ok(bytes) = fs::read(root.join("snp/crl").join(name)) else {
            eprintln!("1 vector missing: no {name} below {}", root.display());
            return None;
        };
        fs::write(folder.join(name), bytes).unwrap();
    }
    Some(())
}

const LIST: &str = "genoa-2024.crl.der";
const OLD_LIST: &str = "genoa-2022.crl.der";
const REVOKED: &str = "genoa-ask-0x20001-REVOKED.pem";
const IN_USE: &str = "SEV-Genoa.pem";

fn refusal(since: &str, listed: &str) -> String {
    format!(
        "keyfast: `{REVOKED}` does not verify: the ASK was revoked on {since}: `ARK-Genoa` lists its serial number \
         0x020001 in its list of {listed}; leave it out, and use the one that took its place; nothing was written"
    )
}

/// Both of AMD's lists have expired, and count all the same.
#[test]
fn the_intermediate_that_amd_revoked_is_refused_with_the_list_that_says_so_in_any_order() {
    let folder = folder("given");
    let Some(()) = genuine(&folder, &[LIST, OLD_LIST, REVOKED, IN_USE]) else { return };
    let new = refusal("2022-10-31T12:00:00Z", "2024-10-23T04:36:24Z");
    let old = refusal("2022-10-31T13:34:46Z", "2022-10-31T13:34:46Z");
    for (files, expected) in [
        (&[LIST, REVOKED][..], &new),
        (&[REVOKED, LIST], &new),
        (&[IN_USE, REVOKED, LIST], &new),
        (&[OLD_LIST, REVOKED], &old),
    ] {
        fails(&folder, &[&["import", "--dir", "kept"], files].concat(), expected);
        assert!(!folder.join("kept").exists(), "{files:?}");
    }
    let said = "the ASK of Genoa\n\
                list     kept/vcek/Genoa/crl.der\n\
                list     kept/vlek/Genoa/crl.der\n         \
                issued 2024-10-23T04:36:24Z, next one due 2025-11-03T01:00:00Z\n";
    assert_eq!(succeeds(&folder, &["import", "--dir", "kept", IN_USE, LIST]), said);
}

#[test]
fn a_list_that_is_in_the_directory_counts_whichever_chain_it_lies_beside() {
    let folder = folder("stored");
    let Some(()) = genuine(&folder, &[LIST, REVOKED, IN_USE]) else { return };
    let expected = refusal("2022-10-31T12:00:00Z", "2024-10-23T04:36:24Z");
    for other in ["vcek", "vlek"] {
        succeeds(&folder, &["import", "--dir", "kept", LIST]);
        fs::remove_file(folder.join("kept").join(other).join("Genoa/crl.der")).unwrap();
        fails(&folder, &["import", "--dir", "kept", REVOKED], &expected);
        assert!(!folder.join("kept/vcek/Genoa/cert_chain.pem").exists());
    }
}

/// One that was there before is told apart from the one in use, and neither hides the other.
#[test]
fn what_a_later_list_revokes_is_shown_as_revoked() {
    let folder = folder("later");
    let Some(()) = genuine(&folder, &[LIST, REVOKED, IN_USE]) else { return };
    let rows = |lines: &[&str]| {
        let table = succeeds(&folder, &["list", "kept"]);
        let table: Vec<&str> = table.lines().filter(|line| !line.contains("CRL")).collect();
        assert_eq!(table, [&[HEAD], lines].concat());
    };
    for file in [IN_USE, REVOKED] {
        assert_eq!(succeeds(&folder, &["import", "--dir", "kept", file]), "the ASK of Genoa\n");
    }
    let in_use = "Genoa    ASK   -       -    2022-10-31  2047-10-31  yes";
    rows(&["Genoa    ASK   -       -    2022-01-26  2047-01-26  yes", in_use]);
    succeeds(&folder, &["import", "--dir", "kept", LIST]);
    rows(&["Genoa    ASK   -       -    -           -           no: revoked 2022-10-31", in_use]);
    let all: Value = serde_json::from_str(&succeeds(&folder, &["list", "--json", "kept"])).unwrap();
    let expected = json!([
        {
            "file": "kept/vcek/Genoa/cert_chain.pem", "product": "Genoa", "kind": "ask", "verifies": false,
            "reason": "the ASK was revoked on 2022-10-31T12:00:00Z: `ARK-Genoa` lists its serial number 0x020001 in \
                       its list of 2024-10-23T04:36:24Z",
            "revoked": "2022-10-31T12:00:00Z",
        },
        {
            "file": "kept/vcek/Genoa/cert_chain.pem", "product": "Genoa", "kind": "ask", "verifies": true,
            "simulated": false, "serial": "020002",
            "not_before": "2022-10-31T13:33:48Z", "not_after": "2047-10-31T13:33:48Z",
        },
    ]);
    assert_eq!(all.as_array().unwrap().get(..2).unwrap(), expected.as_array().unwrap());
}

/// A root that came along has a row too. A chip's key falls with its issuer, and with nobody else's.
#[test]
fn a_key_below_a_revoked_intermediate_is_neither_imported_nor_shown_as_good() {
    let (folder, host) = (folder("key"), host(Product::Genoa));
    let chain = host.launch(&GuestSpec::new(Product::Genoa, "web")).unwrap().chain().clone();
    let since = host.created();
    let list = |serial| {
        let mut spec = host.crl_spec(since);
        spec.revoked = vec![Revoked::new(serial, since)];
        host.sign_crl(&spec).unwrap()
    };
    let chain_pem = endorsements::to_pem(&[chain.ask.clone(), chain.ark.clone()]);
    for (name, bytes) in [
        ("vcek.der", &chain.vek[..]),
        ("ask.der", &chain.ask),
        ("asvk.der", host.asvk_der()),
        ("ark.der", &chain.ark),
        ("chain.pem", chain_pem.as_bytes()),
        ("ask.crl", &list(0x20001)),
        ("asvk.crl", &list(0x20101)),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
    }
    let sha256 = host.ark_sha256().to_string();
    let with_roots =
        |args: &[&'static str]| [args, &["--simulated-root", "ark.der", "--simulated-root-sha256"]].concat();
    let run = |args: &[&'static str]| {
        let mut args: Vec<&str> = with_roots(args);
        args.push(&sha256);
        keyfast(&folder, &args)
    };
    let verdicts = || {
        let (code, table, errors) = run(&["list", "kept"]);
        assert_eq!((code, errors.as_str()), (Some(0), ""));
        let row = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let verdict = line.rsplit("  ").next().unwrap().to_owned();
            (words.get(1).unwrap().to_string(), verdict)
        };
        let all = table.lines().skip(1).map(row);
        all.filter(|(kind, _)| kind != "CRL").collect::<Vec<_>>()
    };
    let expect = |rows: &[(&str, &str)]| {
        let rows: Vec<_> = rows.iter().map(|(kind, said)| ((*kind).to_owned(), (*said).to_owned())).collect();
        assert_eq!(verdicts(), rows);
    };
    assert_eq!(run(&["import", "--dir", "kept", "vcek.der", "ask.der"]).0, Some(0));
    assert_eq!(run(&["import", "--dir", "kept", "asvk.der"]).0, Some(0));
    // As services hand chains out.
    fs::copy(folder.join("chain.pem"), folder.join("kept/vcek/Genoa/cert_chain.pem")).unwrap();
    let good = [("VCEK", "simulated"), ("ASK", "simulated"), ("ARK", "simulated"), ("ASVK", "simulated")];
    expect(&good);
    let day: String = since.to_string().chars().take(10).collect();
    let (revoked, falls) = (format!("no: revoked {day}"), format!("no: ASK revoked {day}"));
    assert_eq!(run(&["import", "--dir", "kept", "asvk.crl"]).0, Some(0));
    expect(&[good[0], good[1], good[2], ("ASVK", &revoked)]);
    assert_eq!(run(&["import", "--dir", "kept", "vcek.der"]).0, Some(0));
    assert_eq!(run(&["import", "--dir", "kept", "ask.crl"]).0, Some(0));
    expect(&[("VCEK", &falls), ("ASK", &revoked), good[2], good[3]]);
    let (code, _, error) = run(&["import", "--dir", "kept", "vcek.der"]);
    let expected = format!(
        "keyfast: `vcek.der` does not verify: the ASK was revoked on {since}: `ARK-Genoa` lists its serial number \
         0x020001 in its list of {since}; nothing was written"
    );
    assert_eq!((code, error.trim_end()), (Some(1), expected.as_str()));
}

/// Before anybody is asked for a certificate, which there cannot be.
#[test]
fn a_report_of_venice_is_refused_by_its_name() {
    let (folder, host) = (folder("venice"), host(Product::Turin));
    let guest = host.launch(&GuestSpec::new(Product::Turin, "web")).unwrap();
    let mut report = guest.report(&ReportData([7; 64]));
    report.put(field::CPUID, [0x1a, 0x50, 0]);
    fs::write(folder.join("venice.bin"), guest.sign(report).unwrap()).unwrap();
    let expected = "keyfast: `venice.bin`: Venice is not supported: expected a model of Milan, Genoa or Turin, got \
                    family 0x1a, model 0x50";
    fails(&folder, &["fetch", "--report", "venice.bin", "--dir", "kept"], expected);
    assert!(!folder.join("kept").exists());
}
