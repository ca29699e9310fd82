//! Genuine event logs, replayed to the values that were published with them, and mutations of one.

use claims::Sha256Digest;
use claims::tpm::{Digest, HashAlgorithm};
use evidence::tpm::{EventLog, LogError, PcrValue, SignatureEntry, UefiVariable};
use serde_json::Value;
use verify::tpm::boot::{BootError, appraise};

use crate::folder::{read, read_text};

const SHA256: HashAlgorithm = HashAlgorithm::Sha256;

/// Published values of one log, and the digests of its boot applications.
fn published(expected: &Value, name: &str) -> (Vec<PcrValue>, Vec<Digest>) {
    let digest = |text: &Value| text.as_str().unwrap().parse::<Digest>().unwrap();
    let value = |(index, value): (&String, &Value)| PcrValue {
        bank: SHA256,
        index: index.parse().unwrap(),
        value: digest(value),
    };
    let mut values: Vec<_> =
        expected[name]["pcrs"]["sha256"].as_object().unwrap().iter().map(value).collect();
    values.sort_by_key(|value| value.index);
    let applications = expected[name]["efi_app_digests"]["sha256"].as_array();
    (values, applications.into_iter().flatten().map(digest).collect())
}

#[test]
fn genuine_logs_replay_to_their_published_values() {
    let Some(expected) = read("tpm/go-tpm-tools-eventlogs/expected-pcrs.json") else { return };
    let expected: Value = serde_json::from_slice(&expected).unwrap();
    for (path, name, secure_boot) in [
        ("go-eventlog-tpm/rhel8-uefi.bin", "Rhel8EventLog", None),
        ("go-eventlog-tpm/ubuntu-1804-amd-sev.bin", "Ubuntu1804AmdSevEventLog", None),
        ("go-eventlog-tpm/ubuntu-2104-no-dbx.bin", "Ubuntu2104NoDbxEventLog", Some(false)),
        ("go-eventlog-tpm/ubuntu-2104-no-secure-boot.bin", "Ubuntu2104NoSecureBootEventLog", Some(false)),
        ("go-eventlog-tpm/cos-85-amd-sev.bin", "Cos85AmdSevEventLog", Some(true)),
        ("go-eventlog-tpm/cos-93-amd-sev.bin", "Cos93AmdSevEventLog", Some(true)),
        ("go-eventlog-tpm/cos-101-amd-sev.bin", "Cos101AmdSevEventLog", None),
        ("go-tpm-tools-eventlogs/ubuntu-2404-amd-sevsnp.bin", "Ubuntu2404AmdSevSnpEventLog", Some(false)),
        ("go-tpm-tools-eventlogs/eventlogwithsp800155.bin", "SP800155EventLog", Some(true)),
        ("go-tpm-tools-eventlogs/gdc-host.bin", "GdcHost", None),
        ("go-tpm-tools-eventlogs/confidential-gke-debug-251000_eventlog.bin", "CGKE251000", None),
    ] {
        let Some(bytes) = read(&format!("tpm/{path}")) else { continue };
        let (values, applications) = published(&expected, name);
        let log = EventLog::parse(&bytes).unwrap();
        let facts = appraise(&log, SHA256, &values).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert!(secure_boot.is_none_or(|secure_boot| facts.secure_boot == Some(secure_boot)), "{path}");
        assert_eq!(facts.boot_services_exited, Some(true), "{path}");
        if !applications.is_empty() {
            assert_eq!(facts.applications, applications, "{path}");
        }
        // One value altered, and nothing of the log counts.
        for (at, PcrValue { index: pcr, value, .. }) in
            values.iter().enumerate().filter(|(_, v)| v.index != 10)
        {
            let mut altered = values.clone();
            altered[at].value.0[0] ^= 1;
            let (expected, got) = (altered[at].value.clone(), value.clone());
            let error = BootError::Replay { pcr: *pcr, bank: SHA256, expected, got };
            assert_eq!(appraise(&log, SHA256, &altered), Err(error), "{path}");
        }
    }
}

#[test]
fn logs_that_break_the_rules_are_refused_by_name() {
    let appraised = |path: &str| {
        let log = EventLog::parse(&read(&format!("tpm/{path}"))?);
        Some(log.map(|log| appraise(&log, SHA256, &[])))
    };
    for (path, event) in
        [("go-eventlog-tpm/arch-linux-workstation.bin", 2), ("go-eventlog-legacy/crypto_agile_eventlog", 3)]
    {
        let Some(result) = appraised(path) else { continue };
        let Err(BootError::Variable { expected, event: at }) = result.unwrap() else { panic!("{path}") };
        assert_eq!((expected, at), ("SecureBoot to be one byte, 0 or 1", event), "{path}");
    }
    for path in [
        "go-eventlog-tpm/debian-10.bin",
        "go-eventlog-legacy/ebs_event_missing_eventlog",
        "go-eventlog-legacy/option_rom_eventlog",
        "go-eventlog-legacy/short_no_action_eventlog",
    ] {
        let Some(result) = appraised(path) else { continue };
        let sha1_only = BootError::Bank { expected: SHA256, crypto_agile: false };
        assert_eq!(result.unwrap(), Err(sha1_only), "{path}");
    }
    for path in ["keylime-mb/binary_bios_measurements-empty", "keylime-mb/binary_bios_measurements-bogus"] {
        let Some(result) = appraised(path) else { continue };
        assert!(matches!(result, Err(LogError::Truncated { event: 0, .. })), "{path}");
    }
    if let Some(result) = appraised("go-eventlog-legacy/sb_cert_eventlog") {
        assert_eq!(result.unwrap(), Err(BootError::SeparatorMissing { pcr: 0 }));
    }
}

#[test]
fn logs_of_real_machines_are_read_to_their_end() {
    for (path, secure_boot) in
        [("binary_bios_measurements", false), ("binary_bios_measurements-secureboot", true)]
    {
        let Some(bytes) = read(&format!("tpm/keylime-mb/{path}")) else { continue };
        let log = EventLog::parse(&bytes).unwrap();
        // PCR 7 as the log has it, so that its facts count.
        let value = replayed(&log, 7);
        let facts = appraise(&log, SHA256, &[value]).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!((facts.secure_boot, facts.boot_services_exited), (Some(secure_boot), None));
        assert!(facts.applications.is_empty(), "pcr 4 was not quoted");
    }
}

fn replayed(log: &EventLog, pcr: u8) -> PcrValue {
    let events = log.events.iter().filter(|event| event.pcr == u32::from(pcr) && event.kind != 3);
    let digests = events.map(|event| event.digest(SHA256).unwrap());
    let value = digests.fold(vec![0; 32], |value, digest| crypto::sha256(&[&value, digest]).to_vec());
    PcrValue { bank: SHA256, index: pcr, value: Digest(value) }
}

#[test]
fn mutations_of_a_genuine_log_are_refused_each_with_its_own_error() {
    let Some(text) = read_text("tpm/qemu-ovmf/tcg-snakeoil-uki/pcrs.txt") else { return };
    let quoted: Vec<PcrValue> = text
        .lines()
        .filter(|line| line.starts_with("sha256"))
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (index, value) = (words[1].parse().unwrap(), words[2].parse().unwrap());
            PcrValue { bank: SHA256, index, value }
        })
        .filter(|value| value.index <= 15)
        .collect();
    let parsed = |name: &str| read(name).map(|bytes| EventLog::parse(&bytes));
    let whole = parsed("tpm/qemu-ovmf/tcg-snakeoil-uki/eventlog.bin").unwrap().unwrap();
    assert_eq!(appraise(&whole, SHA256, &quoted).unwrap().secure_boot, Some(true));

    let truncated = |name: &str| match parsed(name) {
        Some(Err(LogError::Truncated { event, field, .. })) => Some((event, field)),
        None => None,
        other => panic!("{name}: {other:?}"),
    };
    if let Some(result) = parsed("tpm/attack-swtpm/el-eventsize-ffffffff.bin") {
        let expected = "2 digests".to_owned();
        assert_eq!(result.unwrap_err(), LogError::Digests { event: 1, expected, got: u32::MAX });
    }
    if let Some(found) = truncated("tpm/attack-swtpm/el-truncated-mid-event.bin") {
        assert_eq!(found.1, "the event data");
    }
    if let Some(found) = truncated("tpm/attack-swtpm/el-no-specid.bin") {
        assert_eq!(found, (0, "the event data"), "read as the older format");
    }
    if let Some(log) = parsed("tpm/attack-swtpm/el-no-sep7.bin") {
        let error = appraise(&log.unwrap(), SHA256, &quoted).unwrap_err();
        assert_eq!(error, BootError::SeparatorMissing { pcr: 7 });
    }
}

#[test]
fn the_databases_of_a_genuine_log_are_those_of_its_firmware() {
    let Some(bytes) = read("tpm/qemu-ovmf/tcg-snakeoil-uki/eventlog.bin") else { return };
    let log = EventLog::parse(&bytes).unwrap();
    let facts = appraise(&log, SHA256, &[replayed(&log, 7)]).unwrap();
    let contents = |name: &str| {
        let utf16: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let named = |data: &[u8]| data.get(32..).is_some_and(|rest| rest.starts_with(&utf16));
        let event = log.events.iter().find(|event| named(&event.data)).unwrap();
        Some(Sha256Digest(crypto::sha256(&[&event.data[32 + utf16.len()..]])))
    };
    assert_eq!(facts.pk, contents("PK"));
    assert_eq!(facts.kek, contents("KEK"));
    assert_eq!((facts.db, facts.dbx.is_some()), (contents("db"), true));
    let pem = read("tpm/qemu-ovmf/PkKek-1-snakeoil.pem").unwrap();
    let certificate = verify::certificates_from_file(&pem).unwrap();
    let expected = vec![Sha256Digest(crypto::sha256(&[&certificate[0]]))];
    assert_eq!(facts.db_entries.unwrap().certificates, expected);
}

/// Certificates of `tpm/secureboot-wellknown`.
const KEK_CA: &str = "MicCorKEKCA2011_2011-06-24.crt";
const UEFI_CA: &str = "MicCorUEFCA2011_2011-06-27.crt";
const WINDOWS_CA: &str = "MicWinProPCA2011_2011-10-19.crt";
const REVOKED: [&str; 3] = ["canonical-boothole.crt", "cisco-boothole.crt", "debian-boothole.crt"];

fn certificate(name: &str) -> Option<Vec<u8>> {
    let bytes = read(&format!("tpm/secureboot-wellknown/{name}"))?;
    // Another project published the same ones.
    if let Some(copy) = read(&format!("tpm/go-tpm-tools-securebootcerts/{name}")) {
        assert_eq!(bytes, copy, "{name}");
    }
    assert_eq!(
        verify::certificates_from_file(&bytes).unwrap(),
        std::slice::from_ref(&bytes),
        "{name} is a certificate"
    );
    Some(bytes)
}

/// What a log says of a database, whose entries are whole.
fn database<'a>(log: &'a EventLog, name: &str) -> Vec<SignatureEntry<'a>> {
    let mut variables =
        log.events.iter().filter(|event| event.pcr == 7).filter_map(|event| UefiVariable::parse(&event.data));
    let variable = variables.find(|variable| variable.name == name).unwrap();
    SignatureEntry::parse_all(variable.contents).unwrap_or_else(|| panic!("{name}"))
}

#[test]
fn databases_of_genuine_logs_hold_the_certificates_that_were_published() {
    for (path, revoked) in [
        ("go-eventlog-legacy/coreos_36_shielded_vm_no_secure_boot_eventlog", true),
        ("go-eventlog-legacy/ubuntu_2104_shielded_vm_no_secure_boot_eventlog", true),
        ("go-eventlog-tpm/ubuntu-2104-no-dbx.bin", false),
        ("go-eventlog-tpm/ubuntu-2104-no-secure-boot.bin", true),
        ("go-tpm-tools-eventlogs/ubuntu-2404-amd-sevsnp.bin", false),
    ] {
        let (Some(bytes), Some(pk)) = (read(&format!("tpm/{path}")), certificate("GcePk.crt")) else {
            continue;
        };
        let log = EventLog::parse(&bytes).unwrap();
        for (name, expected) in [
            ("PK", vec![pk]),
            ("KEK", vec![certificate(KEK_CA).unwrap()]),
            ("db", vec![certificate(UEFI_CA).unwrap(), certificate(WINDOWS_CA).unwrap()]),
        ] {
            let entries = database(&log, name);
            assert!(entries.iter().all(|entry| entry.kind == SignatureEntry::X509), "{path}: {name}");
            let found: Vec<_> = entries.iter().map(|entry| entry.data.to_vec()).collect();
            assert_eq!(found, expected, "{path}: {name}");
        }
        let dbx = database(&log, "dbx");
        for name in REVOKED {
            let certificate = certificate(name).unwrap();
            assert_eq!(dbx.iter().any(|entry| entry.data == certificate), revoked, "{path}: {name}");
        }
        let digests = dbx.iter().filter(|entry| entry.kind == SignatureEntry::SHA256);
        assert!(digests.clone().all(|entry| entry.data.len() == 32 && entry.owner == MICROSOFT), "{path}");
        // Not every log has what it takes to be believed.
        let Ok(facts) = appraise(&log, SHA256, &[replayed(&log, 7)]) else { continue };
        let (found, expected) = (facts.dbx_entries.unwrap(), digests.map(|entry| entry.data.to_vec()));
        let expected: std::collections::BTreeSet<_> = expected.collect();
        assert!(found.hashes.iter().map(|hash| hash.0.to_vec()).eq(expected), "{path}");
        let sha256 = |name| Sha256Digest(crypto::sha256(&[&certificate(name).unwrap()]));
        assert!(REVOKED.iter().all(|name| found.certificates.contains(&sha256(name)) == revoked), "{path}");
    }
}

#[test]
fn the_one_certificate_of_a_machine_of_ours_is_in_each_of_its_databases() {
    let (Some(bytes), Some(pem)) =
        (read("tpm/qemu-ovmf/tcg-snakeoil-uki/eventlog.bin"), read("tpm/qemu-ovmf/PkKek-1-snakeoil.pem"))
    else {
        return;
    };
    let (log, certificate) =
        (EventLog::parse(&bytes).unwrap(), verify::certificates_from_file(&pem).unwrap());
    for name in ["PK", "KEK", "db"] {
        let entries = database(&log, name);
        assert_eq!(
            entries.iter().map(|entry| entry.data).collect::<Vec<_>>(),
            [&certificate[0][..]],
            "{name}"
        );
    }
}

/// `tpm2_eventlog` prints each event with its PCR and digests.
#[test]
fn another_parser_reads_the_same_events() {
    for name in ["tcg-crb", "tcg-tis", "tcg-snakeoil-uki"] {
        let Some(bytes) = read(&format!("tpm/qemu-ovmf/{name}/eventlog.bin")) else { continue };
        let Some(text) = read_text(&format!("tpm/qemu-ovmf/{name}/eventlog.tpm2-tools.yaml")) else {
            continue;
        };
        let log = EventLog::parse(&bytes).unwrap();
        let value = |line: &str, field: &str| {
            line.trim_start().strip_prefix(field).map(|rest| rest.trim().trim_matches('"').to_owned())
        };
        // The event that only describes the log is printed, and is none of ours.
        let pcrs: Vec<_> = text.lines().filter_map(|line| value(line, "PCRIndex:")).skip(1).collect();
        assert_eq!(pcrs, log.events.iter().map(|event| event.pcr.to_string()).collect::<Vec<_>>(), "{name}");
        let sizes: Vec<_> = text.lines().filter_map(|line| value(line, "EventSize:")).skip(1).collect();
        let lengths: Vec<_> = log.events.iter().map(|event| event.data.len().to_string()).collect();
        assert_eq!(sizes, lengths, "{name}");
        let digests: Vec<_> = text.lines().filter_map(|line| value(line, "Digest:")).skip(1).collect();
        let of = |event: &evidence::tpm::Event| -> Vec<_> {
            event.digests.iter().map(|(_, digest)| hex::encode(digest)).collect()
        };
        assert_eq!(digests, log.events.iter().flat_map(of).collect::<Vec<_>>(), "{name}");
    }
}

/// EFI_VARIABLE_AUTHENTICATION_2 in front, then what firmware adds to dbx. Its signature is for firmware to check.
#[test]
fn updates_of_dbx_hold_whole_lists_behind_their_signature() {
    for (name, digests, certificates) in [
        ("dbxupdate-2014-08-11.bin", 13, 0),
        ("dbxupdate_x64-2020-10-12.bin", 183, 3),
        ("dbxupdate_x64-2021-04-29.bin", 211, 0),
    ] {
        let Some(update) = read(&format!("tpm/secureboot-wellknown/{name}")) else { continue };
        assert_eq!(SignatureEntry::parse_all(&update), None, "{name}: the signature is no list");
        let signature = u32::from_le_bytes(update[16..20].try_into().unwrap());
        let lists = &update[16 + signature as usize..];
        let entries = SignatureEntry::parse_all(lists).unwrap();
        let of = |kind| entries.iter().filter(|entry| entry.kind == kind).count();
        assert_eq!((of(SignatureEntry::SHA256), of(SignatureEntry::X509)), (digests, certificates), "{name}");
        assert_eq!(entries.len(), digests + certificates, "{name}");
        assert!(entries.iter().all(|entry| entry.owner == MICROSOFT), "{name}");
        let listed: Vec<_> = entries
            .iter()
            .filter(|entry| entry.kind == SignatureEntry::X509)
            .map(|entry| entry.data)
            .collect();
        for (revoked, listed) in REVOKED.iter().zip(listed) {
            assert_eq!(listed, certificate(revoked).unwrap(), "{name}: {revoked}");
        }
        for cut in 1..28 {
            assert_eq!(SignatureEntry::parse_all(&lists[..lists.len() - cut]), None, "{name}");
        }
    }
}

/// 77fa9abd-0359-4d32-bd60-28f4e78f784b.
const MICROSOFT: [u8; 16] = 0xbd9a_fa77_5903_324d_bd60_28f4_e78f_784b_u128.to_be_bytes();
