//! `tpm2-tools` as an oracle, on published vectors and on a real `swtpm`. Where the two differ, each test says who is
//! right. It lies here and not among the oracles outside the workspace because it needs no crate of theirs, only the
//! tools that `tools/setup` installs; it is passed over where they are missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use claims::EvidenceKind;
use claims::tpm::{HashAlgorithm, ObjectName};
use evidence::Evidence;
use evidence::tpm::{Attest, EventLog, Public};
use simtee::vtpm::evidence::sections;
use simtee::vtpm::log::BootSpec;
use verify::tpm::credential::Enrolling;
use verify::tpm::name_of;
use verify::{TpmVerifyError, TrustAnchors, VerifyError};

use crate::folder::{list, read};
use crate::simulated::boot;
use crate::swtpm::Tpm;
use crate::table::{NOW, Table, activated, check};

/// Runs a tool that needs no TPM in a folder, or `None`, said aloud, where it is not installed.
fn tool(folder: &Path, line: &str) -> Option<Output> {
    let mut words = line.split(' ');
    let name = words.next().unwrap();
    let output = Command::new(name).args(words).current_dir(folder).env("TPM2TOOLS_TCTI", "none").output();
    if output.is_err() {
        eprintln!("passed over: `{name}` is not installed");
    }
    output.ok()
}

/// An empty folder of a test's own.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tpm2-tools").join(test);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// A quote as `tpm2_quote` leaves it.
#[derive(Clone)]
struct Files {
    ak: Vec<u8>,
    attest: Vec<u8>,
    signature: Vec<u8>,
    pcrs: Vec<u8>,
}

impl Files {
    fn of_vector(path: &str, [ak, attest, signature, pcrs]: [&str; 4]) -> Option<Self> {
        let part = |name: &str| read(&format!("{path}/{name}"));
        Some(Self { ak: part(ak)?, attest: part(attest)?, signature: part(signature)?, pcrs: part(pcrs)? })
    }

    /// Whether `tpm2_checkquote` believes it; it is told the extra data that are there.
    fn tool_believes(&self, folder: &Path) -> Option<bool> {
        for (name, bytes) in
            [("ak", &self.ak), ("msg", &self.attest), ("sig", &self.signature), ("pcrs", &self.pcrs)]
        {
            fs::write(folder.join(name), bytes).unwrap();
        }
        let extra = Attest::parse(&self.attest)
            .map_or_else(|_| Vec::new(), |quote| quote.fields().extra_data.clone());
        let line = format!("tpm2_checkquote -u ak -m msg -s sig -f pcrs -q {}", hex::encode(extra));
        Some(tool(folder, &line)?.status.success())
    }

    /// What we make of it, with the key enrolled and the values named as the file names them.
    fn verified(&self) -> Result<(), Option<VerifyError>> {
        let values = named(&self.pcrs);
        let name = name_of(&Public::parse_sized(&self.ak).unwrap());
        let parts = [(5, &self.ak[..]), (6, &self.attest), (7, &self.signature), (8, &values)];
        let evidence = Evidence::parse(EvidenceKind::Tpm, &sections(&parts)).map_err(|_| None)?;
        let table = Table(vec![(name.clone(), activated(name, None))]);
        check(evidence, &TrustAnchors::none(), &table, NOW).map(|_| ()).map_err(Some)
    }
}

/// The values of the tools' file: 132 bytes of selection, then lists of at most eight digests.
fn named(pcrs: &[u8]) -> Vec<u8> {
    let number = |at: usize| u32::from_le_bytes(pcrs[at..at + 4].try_into().unwrap());
    let lists = pcrs[136..].chunks(532);
    let digests = lists.flat_map(|list| {
        let count = u32::from_le_bytes(list[..4].try_into().unwrap());
        (0..count as usize).map(move |i| &list[4 + i * 66..][..66])
    });
    let mut digests = digests.map(|digest| digest[2..][..usize::from(digest[0])].to_vec());
    let mut all = Vec::new();
    for at in (0..number(0) as usize).map(|bank| 4 + bank * 8) {
        let bits = number(at + 3) & 0xff_ffff;
        for index in (0..24_u8).filter(|index| bits >> index & 1 == 1) {
            all.extend([&[pcrs[at + 1], pcrs[at], index][..], &digests.next().unwrap()].concat());
        }
    }
    all
}

#[test]
fn checkquote_and_we_agree_on_quotes_and_on_altered_ones() {
    let folder = folder("checkquote");
    let boots = ["tcg-crb", "tcg-tis", "tcg-snakeoil-uki"].map(|name| format!("tpm/qemu-ovmf/{name}"));
    let quotes =
        boots.iter().map(|path| Files::of_vector(path, ["ak.tss", "quote.msg", "quote.sig", "quote.pcrs"]));
    let honest = Files::of_vector("tpm/attack-swtpm", ["ak.tss", "honest.msg", "honest.sig", "honest.pcrs"]);
    for quote in quotes.chain([honest]).flatten() {
        let Some(believed) = quote.tool_believes(&folder) else { return };
        assert!(believed);
        quote.verified().unwrap();
        let parts: [fn(&mut Files) -> &mut Vec<u8>; 3] =
            [|quote| &mut quote.attest, |quote| &mut quote.signature, |quote| &mut quote.pcrs];
        // Within the magic, the extra data, the digest; the signature; the first value.
        for (part, at) in [(0, 2), (0, 50), (0, usize::MAX), (1, usize::MAX), (2, 140)] {
            let mut altered = quote.clone();
            let bytes = parts[part](&mut altered);
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= 1;
            assert_eq!(altered.tool_believes(&folder), Some(false), "part {part}, byte {at}");
            assert!(altered.verified().is_err(), "part {part}, byte {at}");
        }
    }
}

/// CVE-2024-29039: before 5.7 the tool takes the selection from the file of values, which nobody signed. We are right.
#[test]
fn checkquote_took_a_resettable_pcr_for_another_and_we_do_not() {
    let folder = folder("relabelled");
    let spoof = Files::of_vector("tpm/attack-swtpm", ["ak.tss", "spoof.msg", "spoof.sig", "spoof.pcrs"]);
    let Some(mut spoof) = spoof else { return };
    // PCRs 0 to 10 and 16 become 0 to 11.
    spoof.pcrs[7..10].copy_from_slice(&[0xff, 0x0f, 0]);
    let expected = "sha256:0,1,2,3,4,5,6,7,8,9,10,16".to_owned();
    let got = "sha256:0,1,2,3,4,5,6,7,8,9,10,11".to_owned();
    let error = TpmVerifyError::Selection { expected, got };
    assert_eq!(spoof.verified(), Err(Some(VerifyError::Tpm(error))));
    if spoof.tool_believes(&folder) == Some(true) {
        eprintln!("this tpm2_checkquote has CVE-2024-29039");
    }
}

#[test]
fn print_reads_the_fields_that_we_read() {
    let folder = folder("print");
    for path in
        ["qemu-ovmf/tcg-crb/quote.msg", "qemu-ovmf/tcg-snakeoil-uki/quote.msg", "keylime-quote/quote.out"]
    {
        let Some(bytes) = read(&format!("tpm/{path}")) else { continue };
        fs::write(folder.join("msg"), &bytes).unwrap();
        let Some(output) = tool(&folder, "tpm2_print -t TPMS_ATTEST msg") else { return };
        let text = String::from_utf8(output.stdout).unwrap();
        let attest = Attest::parse(&bytes).unwrap();
        let fields = attest.fields();
        let mut expected = vec![
            format!("qualifiedSigner: {}", fields.qualified_signer),
            format!("extraData: {}", hex::encode(&fields.extra_data)),
            format!("clock: {}", fields.clock_ms),
            format!("resetCount: {}", fields.reset_count),
            format!("restartCount: {}", fields.restart_count),
            format!("safe: {}", u8::from(fields.safe)),
            format!("pcrDigest: {}", fields.pcr_digest),
        ];
        for selection in &fields.selection {
            let [low, middle, high, _] = selection.bits.to_le_bytes();
            expected.push(format!("hash: {} ({})", selection.bank.id(), selection.bank));
            expected.push(format!("pcrSelect: {}", hex::encode([low, middle, high])));
        }
        for line in expected {
            assert!(text.lines().any(|printed| printed.trim() == line), "{path}: {line}\n{text}");
        }
    }
}

/// What the tool says a log leads to in SHA-256, and how many events it has.
fn replayed_by_tool(text: &str) -> (usize, Vec<(u8, String)>) {
    let events = text.lines().filter(|line| line.starts_with("- EventNum:")).count();
    let values =
        text.lines().skip_while(|line| *line != "pcrs:").skip_while(|line| *line != "  sha256:").skip(1);
    let value = |line: &str| {
        let (index, value) = line.strip_prefix("    ")?.split_once(": 0x")?;
        Some((index.trim().parse().ok()?, value.to_lowercase()))
    };
    (events, values.map_while(value).collect())
}

fn replayed_by_us(log: &EventLog) -> Vec<(u8, String)> {
    let digests = |pcr: u8| {
        let events = log.events.iter().filter(move |event| event.pcr == u32::from(pcr) && event.kind != 3);
        events.filter_map(|event| event.digest(HashAlgorithm::Sha256))
    };
    let value = |pcr| digests(pcr).fold([0; 32], |value, digest| crypto::sha256(&[&value, digest]));
    (0..24).filter(|pcr| digests(*pcr).next().is_some()).map(|pcr| (pcr, hex::encode(value(pcr)))).collect()
}

/// The tool crashes on a log of 34 bytes, and prints nothing of one in the older format; we refuse the one and read the
/// other. It also extends PCR 0 by EV_NO_ACTION events, which extend nothing: the published value of such a log is ours.
#[test]
fn eventlog_reads_and_replays_what_we_do() {
    let folder = folder("eventlog");
    let folders =
        ["go-eventlog-tpm", "go-tpm-tools-eventlogs", "go-eventlog-legacy", "keylime-mb", "attack-swtpm"];
    let files = folders.iter().flat_map(|name| list(&format!("tpm/{name}")));
    let logs =
        files.filter(|name| !name.ends_with(".md") && !name.ends_with(".json") && !name.ends_with(".b64"));
    let mut compared = 0;
    for name in logs {
        let bytes = read(&name).unwrap();
        let Ok(log) = EventLog::parse(&bytes) else { continue };
        fs::write(folder.join("log"), &bytes).unwrap();
        let Some(output) = tool(&folder, "tpm2_eventlog log") else { return };
        let (events, values) = replayed_by_tool(&String::from_utf8_lossy(&output.stdout));
        if !log.crypto_agile || !output.status.success() {
            continue;
        }
        assert_eq!(events, log.events.len() + 1, "{name}: the tool counts the event that describes the log");
        let silent: Vec<u32> =
            log.events.iter().filter(|event| event.kind == 3).map(|event| event.pcr).collect();
        let compared_pcrs = |values: Vec<(u8, String)>| -> Vec<_> {
            values.into_iter().filter(|(pcr, _)| !silent.contains(&u32::from(*pcr))).collect()
        };
        assert_eq!(compared_pcrs(values), compared_pcrs(replayed_by_us(&log)), "{name}");
        compared += 1;
    }
    eprintln!("{compared} logs compared");
}

#[test]
fn a_credential_of_the_tools_opens_in_our_simulated_tpm() {
    let folder = folder("makecredential");
    let vtpm = boot(&BootSpec::new("web"));
    let ek = vtpm.ek_public().unwrap();
    let sized = [&u16::try_from(ek.len()).unwrap().to_be_bytes()[..], &ek].concat();
    fs::write(folder.join("ek"), sized).unwrap();
    fs::write(folder.join("secret"), b"a secret for this tpm").unwrap();
    let public = |bytes: Vec<u8>| Public::parse(&bytes).unwrap();
    let enrolling = Enrolling::without_certificate(&public(vtpm.ak_public().unwrap()), &public(ek)).unwrap();
    let make = |name: &ObjectName| {
        let line = format!("tpm2_makecredential -T none -u ek -s secret -n {name} -o credential");
        assert!(tool(&folder, &line)?.status.success());
        // Magic and version, then TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET.
        let file = fs::read(folder.join("credential")).unwrap();
        let len = usize::from(u16::from_be_bytes([file[8], file[9]]));
        Some((file[8..10 + len].to_vec(), file[10 + len..].to_vec()))
    };
    let Some((blob, seed)) = make(enrolling.ak_name()) else { return };
    assert_eq!(vtpm.activate(&blob, &seed), Some(b"a secret for this tpm".to_vec()));
    // For another Name it stays shut.
    let (blob, seed) = make(enrolling.ek_name()).unwrap();
    assert_eq!(vtpm.activate(&blob, &seed), None);
}

/// Every kind of key that is on the list, in a real TPM. `tpm2_checkquote` reads RSAPSS as PKCS #1; the TPM itself
/// verifies its own signature, and so do we.
#[test]
fn every_scheme_of_a_tpm_verifies() {
    let tpm = Tpm::start("schemes");
    let folder = folder("schemes");
    assert!(tpm.run("tpm2_createek -c ek.ctx -G rsa -u ek.pub"));
    let banks = [
        ("rsa", "rsassa", "sha256", "sha256:0,7,16"),
        ("rsa", "rsapss", "sha256", "sha256:0,7,16"),
        ("rsa", "rsassa", "sha384", "sha256:1+sha384:0,7"),
        ("ecc256", "ecdsa", "sha256", "sha384:0,1,2,3,4,5,6,7,8,9,10"),
        ("ecc384", "ecdsa", "sha384", "sha384:23+sha256:0"),
    ];
    for (kind, scheme, hash, selection) in banks {
        let name = format!("{kind} {scheme} {hash}");
        let create = format!("tpm2_createak -C ek.ctx -c ak.ctx -G {kind} -s {scheme} -g {hash} -u ak.pub");
        assert!(tpm.run(&create), "{name}");
        let quote = format!(
            "tpm2_quote -c ak.ctx --scheme {scheme} -g {hash} -l {selection} -q 0011 -m q.msg -s q.sig -o q.pcrs"
        );
        assert!(tpm.run(&quote), "{name}");
        let files = Files {
            ak: tpm.read("ak.pub"),
            attest: tpm.read("q.msg"),
            signature: tpm.read("q.sig"),
            pcrs: tpm.read("q.pcrs"),
        };
        files.verified().unwrap_or_else(|error| panic!("{name}: {error:?}"));
        let verify = format!("tpm2_verifysignature -c ak.ctx -g {hash} -m q.msg -s q.sig");
        assert!(tpm.run(&verify), "{name}");
        assert_eq!(files.tool_believes(&folder), Some(scheme != "rsapss"), "{name}");
    }
}

/// A key that is not restricted signs whatever it is given, a forged quote too; the tool does not look, and we do.
#[test]
fn a_forged_quote_under_a_key_that_signs_anything_is_refused() {
    let tpm = Tpm::start("forged");
    let folder = folder("forged");
    let attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign";
    assert!(
        tpm.run(&format!("tpm2_createprimary -C o -G rsa2048:rsassa-sha256:null -a {attributes} -c ak.ctx"))
    );
    assert!(tpm.run("tpm2_readpublic -c ak.ctx -o ak.pub"));
    let vtpm = boot(&BootSpec::new("golden"));
    let quote = crate::simulated::quoted(&vtpm);
    fs::write(tpm.path("q.msg"), &quote.attest).unwrap();
    assert!(tpm.run("tpm2_sign -c ak.ctx -g sha256 -s rsassa -o q.sig q.msg"), "it signs anything");
    let mut pcrs =
        [&1_u32.to_le_bytes()[..], &[0x0b, 0, 3, 0xff, 0xff, 0, 0, 0], &[0; 120], &2_u32.to_le_bytes()]
            .concat();
    for half in [0, 8] {
        let digests =
            vtpm.pcrs[half..half + 8].iter().flat_map(|value| [&[32, 0][..], value, &[0; 32]].concat());
        pcrs.extend(8_u32.to_le_bytes().into_iter().chain(digests));
    }
    let files = Files { ak: tpm.read("ak.pub"), attest: quote.attest, signature: tpm.read("q.sig"), pcrs };
    let error = TpmVerifyError::AkAttribute { attribute: "restricted", expected: true };
    assert_eq!(files.verified(), Err(Some(VerifyError::Tpm(error))));
    assert_eq!(files.tool_believes(&folder), Some(true), "golden values that no pcr ever held");
}
