//! `keyfast evidence` on quotes: bare ones, Azure's, a service module's, and the loose files that they are made of.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};

use claims::snp::Product;
use claims::{ClaimsRecord, ReportData, UnixTime};
use policy::case::ClaimsJson;
use serde_json::Value;
use simtee::vtpm::log::BootSpec;
use simtee::vtpm::{KeySpec, Quote, VTpm, evidence as parts};
use simtee::{GuestSpec, SimHost};

const CREATED: UnixTime = UnixTime(1_790_000_000);
const AT: &str = "1790086400";

fn host() -> &'static SimHost {
    static HOST: OnceLock<SimHost> = OnceLock::new();
    HOST.get_or_init(|| {
        let keys = Arc::new(simtee::kept_keys!().unwrap());
        SimHost::with_keys(keys, Product::Genoa, CREATED).unwrap()
    })
}

fn vtpm() -> &'static VTpm {
    static VTPM: OnceLock<VTpm> = OnceLock::new();
    VTPM.get_or_init(|| {
        let mut vtpm = VTpm::generate().unwrap();
        let mut spec = BootSpec::new("web");
        // An EFI_SIGNATURE_LIST of one image's hash.
        let kind = evidence::tpm::SignatureEntry::SHA256;
        let sizes = [28 + 48, 0, 48_u32].map(u32::to_le_bytes).concat();
        spec.databases[3] = [&kind[..], &sizes, &[9; 16], &[0xdb; 32]].concat();
        vtpm.boot(&spec);
        vtpm
    })
}

fn quote(vtpm: &VTpm) -> Quote {
    vtpm.quote(&vtpm.quote_spec(&[7; 32], 0xffff).unwrap(), 0xffff).unwrap()
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

fn azure(runtime: &str) -> (Vec<u8>, Vec<u8>) {
    let guest = host().launch(&GuestSpec::new(Product::Genoa, "paravisor")).unwrap();
    let bound = parts::runtime_data(vtpm(), VM_ID).unwrap();
    let report = guest.sign(guest.report(&parts::runtime_report_data(&bound))).unwrap();
    let hcl = parts::hcl(&report, runtime);
    (parts::azure(&hcl, &parts::certificates(&guest), &quote(vtpm())), hcl)
}

fn svsm() -> Vec<u8> {
    let guest = host().launch(&GuestSpec::new(Product::Genoa, "svsm")).unwrap();
    let report = guest.sign(guest.report(&ReportData([7; 64]))).unwrap();
    let (ek, ak) = (vtpm().ek_public().unwrap(), vtpm().ak_public().unwrap());
    parts::svsm(&report, &parts::certificates(&guest), &ek, &ak, &quote(vtpm()))
}

const VM_ID: &str = "baefd3e1-184b-4c4c-ab88-0bdad260505f";

/// A folder of a test's own.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("quotes").join(test);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Runs `keyfast evidence` in a folder.
fn keyfast(folder: &Path, line: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyfast"));
    command.arg("evidence").args(line).current_dir(folder);
    if line[0] == "verify" {
        fs::write(folder.join("ark.der"), host().ark_der()).unwrap();
        command.args(["--at", AT, "--simulated-root", "ark.der"]);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(line.contains(&"--json") || text.lines().all(|line| line.chars().count() <= 100), "{text}");
    output
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The checks with an outcome, by number.
fn checks(folder: &Path, line: &[&str], outcome: &str) -> Vec<String> {
    let output = keyfast(folder, &[&["verify", "--json"], line].concat());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = json["checks"].as_array().unwrap().iter();
    let of = all.filter(|check| check["outcome"] == outcome);
    of.map(|check| check["check"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_bare_quote_counts_under_a_key_that_the_operator_names() {
    let folder = folder("bare");
    let ak = vtpm().ak_public().unwrap();
    fs::write(folder.join("evidence.bin"), parts::tpm(&ak, &quote(vtpm()))).unwrap();
    fs::write(folder.join("ak.pub"), sized(&ak)).unwrap();
    fs::write(folder.join("ek.pub"), sized(&vtpm().ek_public().unwrap())).unwrap();

    let unknown = keyfast(&folder, &["verify", "evidence.bin"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert_eq!(checks(&folder, &["evidence.bin"], "fail"), ["T9"]);
    let name = hex::encode(simtee::vtpm::name(&ak));
    assert!(String::from_utf8(unknown.stderr).unwrap().contains(&name), "what to enrol is said");

    for enrol in [["--ak-public", "ak.pub"], ["--trust-ak", &name]] {
        let output = keyfast(&folder, &[&["verify", "evidence.bin"], &enrol[..]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let text = text(&output);
        assert!(text.contains(" T9 trust in the key        pass    "), "{text}");
        assert!(text.contains("tpm key         enrolled by you, on this command line"), "{text}");
        assert!(text.contains("os binding      host-vtpm") && text.contains("secure boot     on"), "{text}");
        let held = "\n  dbx             certificates: 0, hashes of images: 1\n";
        assert!(text.contains(held) && !text.contains("\n  db "), "{text}");
    }
    let output = keyfast(&folder, &["verify", "--json", "evidence.bin", "--ak-public", "ak.pub"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let boot = &json["claims"]["tpm"]["boot"];
    assert_eq!(boot["dbx_entries"]["hashes"], serde_json::json!(["db".repeat(32)]));
    assert_eq!(boot.get("db_entries"), None);
    let enrolled = ["evidence.bin", "--ak-public", "ak.pub"];
    assert_eq!(checks(&folder, &enrolled, "pass"), ["T1", "T2", "T3", "T6", "T7", "T8", "T9", "T10"]);
    assert_eq!(checks(&folder, &enrolled, "not-applicable"), ["T4"]);
    assert_eq!(checks(&folder, &enrolled, "challenge"), ["T5"]);
    let with_ek = ["evidence.bin", "--ak-public", "ak.pub", "--ek-public", "ek.pub"];
    assert!(checks(&folder, &with_ek, "pass").contains(&"T4".to_owned()));
    let other = ["evidence.bin", "--ak-public", "ak.pub", "--ek-public", "ak.pub"];
    assert_eq!(checks(&folder, &other, "fail"), ["T4"]);
}

#[test]
fn all_that_is_wrong_with_a_quote_is_shown_under_its_numbers() {
    let folder = folder("wrong");
    let mut vtpm = VTpm::generate().unwrap();
    vtpm.boot(&BootSpec::new("web"));
    vtpm.ak_spec = KeySpec { attributes: 0x0004_0072, ..KeySpec::attestation() };
    let ak = vtpm.ak_public().unwrap();
    let mut spec = vtpm.quote_spec(&[7; 32], 0xffff).unwrap();
    spec.selection = vec![(0x0b, 0x1_ffff)];
    let mut quote = vtpm.quote(&spec, 0xffff).unwrap();
    quote.signature = self::vtpm().sign(&quote.attest).unwrap();
    fs::write(folder.join("evidence.bin"), parts::tpm(&ak, &quote)).unwrap();
    let name = hex::encode(simtee::vtpm::name(&ak));
    let line = ["evidence.bin", "--trust-ak", &name];
    assert_eq!(checks(&folder, &line, "fail"), ["T2", "T3", "T6"]);
    assert_eq!(checks(&folder, &line, "not-made"), ["T8", "T10"]);
    quote.attest[0] = 0;
    fs::write(folder.join("malformed.bin"), parts::tpm(&ak, &quote)).unwrap();
    let output = keyfast(&folder, &["verify", "malformed.bin"]);
    assert_eq!(
        (output.status.code(), checks(&folder, &["malformed.bin"], "fail")),
        (Some(1), ["T1", "T3", "T9"].map(str::to_owned).to_vec()),
        "what is wrong with the key is told too"
    );
}

#[test]
fn azures_evidence_and_its_blob_are_recognised() {
    let folder = folder("azure");
    let runtime = parts::runtime_data(vtpm(), VM_ID).unwrap();
    let (evidence, hcl) = azure(&runtime);
    fs::write(folder.join("evidence.bin"), &evidence).unwrap();
    fs::write(folder.join("hcl.bin"), &hcl).unwrap();
    let output = keyfast(&folder, &["verify", "evidence.bin"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output).contains(" A2 runtime data            pass    "), "{}", text(&output));
    assert!(text(&output).contains(&format!("vm id           {VM_ID}")), "{}", text(&output));
    assert_eq!(checks(&folder, &["evidence.bin"], "not-applicable"), ["T3", "T4"]);

    let (other, _) = azure(&runtime.replace("true", "false"));
    fs::write(folder.join("other.bin"), other).unwrap();
    assert_eq!(checks(&folder, &["other.bin"], "fail"), ["A2"]);
    assert_eq!(checks(&folder, &["other.bin"], "not-made"), ["13", "T9"]);

    let shown = keyfast(&folder, &["show", "hcl.bin"]);
    assert!(text(&shown).starts_with("hcl blob, not verified") && text(&shown).contains(VM_ID));
    let alone = keyfast(&folder, &["verify", "hcl.bin"]);
    assert_eq!(alone.status.code(), Some(1));
    let said = "keyfast: evidence of kind azure-vtpm lacks the section `quote`; `keyfast evidence pack` puts its \
        parts into one file\n";
    assert_eq!(String::from_utf8(alone.stderr).unwrap(), said);
    let json: Value =
        serde_json::from_slice(&keyfast(&folder, &["verify", "--json", "evidence.bin"]).stdout).unwrap();
    let record =
        ClaimsRecord::try_from(serde_json::from_value::<ClaimsJson>(json["claims"].clone()).unwrap());
    let tpm = record.unwrap().tpm.unwrap();
    assert_eq!(tpm.paravisor.unwrap().vm_id, VM_ID);
    assert_eq!(json["claims"]["tpm"]["reset_count"], tpm.reset_count);
}

#[test]
fn the_report_in_a_blob_is_examined_without_a_quote() {
    let folder = folder("blob");
    let guest = host().launch(&GuestSpec::new(Product::Genoa, "paravisor")).unwrap();
    let runtime = parts::runtime_data(vtpm(), VM_ID).unwrap();
    let report = guest.sign(guest.report(&parts::runtime_report_data(&runtime))).unwrap();
    let hcl = parts::hcl(&report, &runtime);
    fs::write(folder.join("hcl.bin"), &hcl).unwrap();
    fs::create_dir_all(folder.join("certs")).unwrap();
    fs::write(folder.join("certs/vcek.der"), &guest.chain().vek).unwrap();
    fs::write(folder.join("certs/ask.der"), host().ask_der()).unwrap();
    let line = ["hcl.bin", "--certs", "certs"];
    let output = keyfast(&folder, &[&["verify"], &line[..]].concat());
    assert_eq!(output.status.code(), Some(1));
    let quotes: Vec<String> = text(&output)
        .lines()
        .map(str::to_owned)
        .filter(|line| line.contains(" T") || line.starts_with('T'))
        .collect();
    assert_eq!(quotes.len(), 10);
    assert!(quotes.iter().all(|line| line.ends_with("  -       not made: there is no quote")), "{quotes:?}");
    let passed = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "15", "A1", "A2", "A3"];
    assert_eq!(checks(&folder, &line, "pass"), passed);
    assert_eq!(checks(&folder, &line, "policy"), ["14", "16", "17", "18"]);
    assert_eq!(checks(&folder, &line, "fail"), [] as [&str; 0]);
    let pairs = [(2, &hcl[..]), (3, &parts::certificates(&guest))];
    fs::write(folder.join("evidence.bin"), parts::sections(&pairs)).unwrap();
    assert_eq!(checks(&folder, &["evidence.bin"], "pass"), passed);
    // Other runtime data than the report binds.
    let other = parts::hcl(&report, &runtime.replace("true", "false"));
    fs::write(folder.join("hcl.bin"), other).unwrap();
    assert_eq!(checks(&folder, &line, "fail"), ["A2"]);
}

#[test]
fn of_a_damaged_quote_what_can_be_read_is_examined() {
    let folder = folder("damaged");
    let (quote, ak) = (quote(vtpm()), vtpm().ak_public().unwrap());
    let name = hex::encode(simtee::vtpm::name(&ak));
    let line = ["evidence.bin", "--trust-ak", &name];
    let write = |quote: &Quote| fs::write(folder.join("evidence.bin"), parts::tpm(&ak, quote)).unwrap();

    let cut = quote.log[..quote.log.len() - 1].to_vec();
    write(&Quote { log: cut, ..quote.clone() });
    assert_eq!(checks(&folder, &line, "fail"), ["T10"]);
    assert_eq!(checks(&folder, &line, "pass"), ["T1", "T2", "T3", "T6", "T7", "T8", "T9"]);

    let twice = [&quote.pcrs[..35], &quote.pcrs[..35]].concat();
    write(&Quote { pcrs: twice, ..quote.clone() });
    let output = keyfast(&folder, &[&["verify"], &line[..]].concat());
    let expected = format!(
        " T1 quote layout            pass    magic 0xff544347, type 0x8018, nothing behind it\n\
         \x20T2 quote signature         -       not made: the bytes could not be read\n\
         \x20T3 key attributes          pass    restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin,\n\
         \x20                                   not decrypt\n\
         \x20T4 qualified signer        -       not made: the bytes could not be read\n\
         \x20T5 extra data              -       not made: the bytes could not be read\n\
         \x20T6 pcr selection           FAIL    pcr values out of order: expected an index above 0 in the bank\n\
         \x20                                   sha256, got 0\n\
         \x20T7 pcr digest              -       not made: the bytes could not be read\n\
         \x20T8 claimed pcrs            -       not made: the bytes could not be read\n\
         \x20T9 trust in the key        pass    {}\n\
         \x20                                   {}, enrolled by an operator\n\
         T10 event log               -       not made: the bytes could not be read\n",
        &name[..64],
        &name[64..],
    );
    assert_eq!((output.status.code(), text(&output)), (Some(1), expected));

    let mut other = quote.clone();
    other.attest[0] = 0;
    write(&other);
    assert_eq!(checks(&folder, &line, "fail"), ["T1"]);
    assert_eq!(checks(&folder, &line, "pass"), ["T3", "T9"]);
}

#[test]
fn a_service_modules_key_needs_the_endorsement_key_of_its_manifest() {
    let folder = folder("svsm");
    fs::write(folder.join("evidence.bin"), svsm()).unwrap();
    fs::write(folder.join("ek.pub"), vtpm().ek_public().unwrap()).unwrap();
    let name = hex::encode(simtee::vtpm::name(&vtpm().ak_public().unwrap()));
    assert_eq!(checks(&folder, &["evidence.bin"], "fail"), ["T9"]);
    assert_eq!(checks(&folder, &["evidence.bin", "--trust-ak", &name], "fail"), ["V2"]);
    let line = ["evidence.bin", "--trust-ak", &name, "--ek-public", "ek.pub"];
    assert_eq!(checks(&folder, &line, "fail"), [] as [&str; 0]);
    assert_eq!(checks(&folder, &line, "challenge"), ["V3", "T5"]);
    let output = keyfast(&folder, &[&["verify"], &line[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn loose_files_are_shown_and_packed() {
    let folder = folder("loose");
    let (quote, ak) = (quote(vtpm()), vtpm().ak_public().unwrap());
    let values: Vec<u8> = quote.pcrs.chunks(35).flat_map(|value| value[3..].to_vec()).collect();
    for (name, bytes) in [
        ("q.msg", &quote.attest),
        ("q.sig", &quote.signature),
        ("q.pcrs", &values),
        ("ak.pub", &sized(&ak)),
        ("log", &quote.log),
    ] {
        fs::write(folder.join(name), bytes).unwrap();
    }
    for (file, title, word) in [
        ("q.msg", "quote", "pcr_digest"),
        ("q.sig", "signature", "rsassa with sha256"),
        ("ak.pub", "public area", "restricted"),
        ("log", "event log", "EV_EFI_BOOT_SERVICES_APPLICATION"),
    ] {
        let text = text(&keyfast(&folder, &["show", file]));
        assert!(text.starts_with(&format!("{title}, not verified")) && text.contains(word), "{text}");
    }
    let pack = ["pack", "--attest", "q.msg", "--signature", "q.sig", "--pcrs", "q.pcrs", "--log", "log"];
    let packed = keyfast(&folder, &[&pack[..], &["--ak-public", "ak.pub", "-o", "evidence.bin"]].concat());
    assert_eq!(packed.status.code(), Some(0), "{packed:?}");
    assert_eq!(fs::read(folder.join("evidence.bin")).unwrap(), parts::tpm(&ak, &quote));
    let verified = keyfast(&folder, &["verify", "evidence.bin", "--ak-public", "ak.pub"]);
    assert_eq!(verified.status.code(), Some(0));
    let shown = keyfast(&folder, &["show", "--json", "evidence.bin"]);
    let json: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&json["pcrs"][7]["index"], &json["ak_restricted"]), (&7.into(), &true.into()));

    let wrong = keyfast(
        &folder,
        &[
            "pack",
            "--attest",
            "q.sig",
            "--signature",
            "q.sig",
            "--pcrs",
            "q.pcrs",
            "--ak-public",
            "ak.pub",
            "-o",
            "never.bin",
        ],
    );
    assert_eq!((wrong.status.code(), folder.join("never.bin").exists()), (Some(2), false));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("expected a quote's TPMS_ATTEST"));
}
