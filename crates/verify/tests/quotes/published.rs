//! Quotes and logs of machines that other projects published: each is verified, or refused for what is wrong with it.

use claims::EvidenceKind;
use claims::tpm::{HashAlgorithm, ObjectName};
use evidence::azure::{HclBlob, RuntimeData};
use evidence::tpm::{Attest, EventLog, Public, Signature, TpmError};
use evidence::{Evidence, EvidenceError};
use simtee::vtpm::evidence::sections;
use verify::tpm::boot::{BootError, appraise};
use verify::tpm::name_of;
use verify::{Authenticated, TpmVerifyError, TrustAnchors, VerifyError};

use crate::folder::read;
use crate::table::{NOW, Table, activated, check};

/// The fields of a protobuf message: number, and integer or bytes.
fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, &[u8])> {
    fn varint(bytes: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            *bytes = &bytes[1..];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        value
    }
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes);
        let value = varint(&mut bytes);
        let (part, rest) = if key & 7 == 2 { bytes.split_at(value as usize) } else { (&[][..], bytes) };
        all.push((key >> 3, value, part));
        bytes = rest;
    }
    all
}

fn part<'a>(fields: &[(u64, u64, &'a [u8])], number: u64) -> &'a [u8] {
    fields.iter().find(|(found, _, _)| *found == number).map_or(&[], |(_, _, part)| part)
}

/// A message `Quote` of go-tpm-tools: TPMS_ATTEST, TPMT_SIGNATURE, and the values as evidence has them.
fn quote(bytes: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let quote = fields(bytes);
    let pcrs = fields(part(&quote, 3));
    let bank = u16::try_from(pcrs.iter().find(|(number, _, _)| *number == 1).unwrap().1).unwrap();
    let mut values: Vec<(u8, &[u8])> = Vec::new();
    for (_, _, entry) in pcrs.iter().filter(|(number, _, _)| *number == 2) {
        let entry = fields(entry);
        let index = entry.iter().find(|(number, _, _)| *number == 1).map_or(0, |(_, index, _)| *index);
        values.push((u8::try_from(index).unwrap(), part(&entry, 2)));
    }
    values.sort_unstable();
    let named = values.iter().flat_map(|(i, value)| [&bank.to_be_bytes()[..], &[*i], value].concat());
    (part(&quote, 1).to_vec(), part(&quote, 2).to_vec(), named.collect())
}

fn sized(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat()
}

/// Verifies a quote under a key that an operator enrolled.
fn verify(
    ak: &[u8],
    (attest, signature, values): &(Vec<u8>, Vec<u8>, Vec<u8>),
    log: &[u8],
) -> Result<Result<Authenticated, VerifyError>, EvidenceError> {
    let name: ObjectName = name_of(&Public::parse(ak).unwrap());
    let table = Table(vec![(name.clone(), activated(name, None))]);
    let ak = sized(ak);
    let mut parts = vec![(5, &ak[..]), (6, attest), (7, signature), (8, values)];
    if !log.is_empty() {
        parts.push((9, log));
    }
    let bytes = sections(&parts);
    let evidence = Evidence::parse(EvidenceKind::Tpm, &bytes)?;
    Ok(check(evidence, &TrustAnchors::none(), &table, NOW))
}

#[test]
fn gces_quotes_verify_with_their_log_but_for_the_sha1_bank() {
    for (name, nonce) in [("gce-cos-85-no-nonce.pb", &[][..]), ("gce-cos-85-nonce9009.pb", &[0x90, 0x09])] {
        let Some(bytes) = read(&format!("tpm/go-tpm-tools-attestations/{name}")) else { continue };
        let attestation = fields(&bytes);
        let (ak, log) = (part(&attestation, 1), part(&attestation, 3));
        let quotes: Vec<_> =
            attestation.iter().filter(|(n, _, _)| *n == 2).map(|(_, _, q)| quote(q)).collect();
        let [sha1, sha256, sha384] = quotes.as_slice() else { panic!("{}", quotes.len()) };
        assert_eq!(Attest::parse(&sha256.0).unwrap().fields().extra_data, nonce);
        let error = verify(ak, sha1, log).unwrap().unwrap_err();
        assert_eq!(error, VerifyError::Tpm(TpmVerifyError::Sha1Bank));
        // Container-Optimized OS logs SHA-1 and SHA-256; SHA-384 is extended by nobody.
        let done = verify(ak, sha256, log).unwrap().unwrap();
        let tpm = done.tpm().unwrap();
        let facts = tpm.boot.as_ref().unwrap();
        assert_eq!((facts.secure_boot, facts.boot_services_exited), (Some(true), Some(true)), "{name}");
        assert!(!facts.applications.is_empty() && tpm.pcrs.keys().all(|index| *index < 16));
        assert!(verify(ak, sha384, &[]).unwrap().is_ok());
        let bank = |algorithms: &[HashAlgorithm]| algorithms.contains(&HashAlgorithm::Sha384);
        let of_384 = verify(ak, sha384, log).unwrap();
        match EventLog::parse(log).unwrap() {
            log if bank(&log.algorithms) => assert!(of_384.is_ok(), "{}", of_384.unwrap_err()),
            log => {
                let (expected, crypto_agile) = (HashAlgorithm::Sha384, log.crypto_agile);
                let error = TpmVerifyError::Boot(BootError::Bank { expected, crypto_agile });
                assert_eq!(of_384.unwrap_err(), VerifyError::Tpm(error));
            }
        }
        // Every value of one quote under the other's signature.
        let mixed = (sha256.0.clone(), sha384.1.clone(), sha256.2.clone());
        let error = verify(ak, &mixed, log).unwrap().unwrap_err();
        assert_eq!(error, VerifyError::Tpm(TpmVerifyError::Signature));
    }
}

/// A key that is bound to RSASSA with SHA-1, of a machine that quoted with it.
#[test]
fn a_quote_of_windows_with_sha1_is_refused_by_its_key() {
    let Some(json) = read("tpm/go-eventlog-legacy/windows_gcp_shielded_vm.json") else { return };
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let bytes = |part: &str, field: &str| base64(json[part][field].as_str().unwrap());
    let ak = bytes("AK", "Public");
    let quote = (bytes("Quote", "Quote"), bytes("Quote", "Signature"));
    let mut values: Vec<(u8, Vec<u8>)> = Vec::new();
    for pcr in json["Log"]["PCRs"].as_array().unwrap() {
        let index = u8::try_from(pcr["Index"].as_u64().unwrap()).unwrap();
        values.push((index, base64(pcr["Digest"].as_str().unwrap())));
    }
    values.sort_unstable();
    let values = values.iter().flat_map(|(i, value)| [&[0, 0x04, *i][..], value].concat()).collect();
    let log = bytes("Log", "Raw");
    let error = verify(&ak, &(quote.0, quote.1, values), &log).unwrap().unwrap_err();
    let got = "rsassa with sha1 on rsa".to_owned();
    assert_eq!(error, VerifyError::Tpm(TpmVerifyError::AkScheme { got }));
}

/// TPMT_PUBLIC of a restricted RSASSA key with SHA-256, as most attestation keys are.
fn rsa_key(modulus: &[u8]) -> Vec<u8> {
    let head = hex::decode("0001000b0005007200000010001400 0b080000000000".replace(' ', "")).unwrap();
    [&head[..], &sized(modulus)].concat()
}

/// The key of keylime's quote: `test-data/files/akpub.pem` of github.com/keylime/keylime at commit
/// 8a680fb9b6d34295e9a7b4bcf83ef0d1026e19cc (Apache-2.0), its modulus.
const KEYLIME_AK: &str = "\
    ab8888d40000768748495a6a54285945a46dc970edbcac04afefd8a151a4c6d7f0a6571aaa80c29335433615846937f7\
    48d9ce71b22fcc8f8137398efb006e826c9541c24811aa4d02047a4f32c6eec17fa5e859648371028f2c7a6dcf037f5e\
    2a079ce05c85129d070fbad38cf38b5d9bdb2176429cc63f02ecfb1df2243d60d272a120fa2479723595bb75ebbe1b34\
    f86e2a66b1d52c12d19c0762d4dcdf7a348988eb2f4c7ca47918a256d0eca3a8f58561c3e38c539d50eb1efdb36fc21e\
    1f52491aa613a5f115852bdc0552d77d71ee2587be1f36cd62d7411f2d47d4d545dfe3fa5b697cf3d266e735ab613e7b\
    764ce8b6d100d3b7bc33fe91a1ee405b";

#[test]
fn a_quote_of_keylimes_verifies_under_its_key_and_no_other() {
    let part = |name: &str| read(&format!("tpm/keylime-quote/{name}"));
    let (Some(quote), Some(signature), Some(pcrs)) =
        (part("quote.out"), part("quotesig.out"), part("quotepcr.out"))
    else {
        return;
    };
    let attest = Attest::parse(&quote).unwrap();
    let fields = attest.fields();
    assert_eq!(fields.selection.len(), 1);
    assert_eq!(fields.selection[0].indices().collect::<Vec<_>>(), [15, 16, 22]);
    assert_eq!((fields.clock_ms, fields.firmware_version), (5994, 0x2016_0511_0016_2800));
    assert_eq!(Signature::parse(&signature).unwrap().hash, HashAlgorithm::Sha256);
    let values: Vec<_> = [0, 1, 2].map(|at| pcrs[140 + at * 66 + 2..][..32].to_vec()).into();
    let named = |values: &[Vec<u8>]| -> Vec<u8> {
        let value = |(index, value): (&u8, &Vec<u8>)| [&[0, 0x0b, *index][..], value].concat();
        [15, 16, 22].iter().zip(values).flat_map(value).collect()
    };
    let modulus = hex::decode(KEYLIME_AK).unwrap();
    let whole = (quote, signature, named(&values));
    let done = verify(&rsa_key(&modulus), &whole, &[]).unwrap().unwrap();
    let claimed = &done.tpm().unwrap().pcrs;
    assert!(claimed.keys().all(|index| *index == 15), "16 and 22 can be reset: {claimed:?}");

    let refusal = |ak: &[u8], quote: &(Vec<u8>, Vec<u8>, Vec<u8>)| match verify(ak, quote, &[]).unwrap() {
        Err(VerifyError::Tpm(error)) => error,
        other => panic!("{other:?}"),
    };
    let mut other = modulus.clone();
    other[100] ^= 1;
    assert_eq!(refusal(&rsa_key(&other), &whole), TpmVerifyError::Signature);
    let mut altered = whole.clone();
    // clock, which nothing else covers.
    altered.0[0x47] ^= 1;
    assert_eq!(refusal(&rsa_key(&modulus), &altered), TpmVerifyError::Signature);
    let mut swapped = values.clone();
    swapped[0][0] ^= 1;
    let altered = (whole.0.clone(), whole.1.clone(), named(&swapped));
    let error = refusal(&rsa_key(&modulus), &altered);
    assert!(matches!(error, TpmVerifyError::PcrDigest { .. }), "{error}");
}

/// A TPM 1.2 has structures of its own, which nothing here reads, and a log of SHA-1 alone.
#[test]
fn a_tpm_of_version_1_2_is_refused_in_every_part() {
    let Some(json) = read("tpm/go-eventlog-legacy/linux_tpm12.json") else { return };
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["Static"]["TPMVersion"], 1);
    let bytes = |part: &str, field: &str| base64(json[part][field].as_str().unwrap());
    let error = Public::parse(&bytes("AK", "Public")).unwrap_err();
    // TPM_PUBKEY begins with TPM_ALG_RSA in 32 bits, whose end stands where the algorithm of the Name should.
    assert!(matches!(error, TpmError::Algorithm { field: "name algorithm", got: 1, .. }), "{error}");
    let error = Attest::parse(&bytes("Quote", "Quote")).unwrap_err();
    // TPM_QUOTE_INFO: version 1.1.0.0, and `QUOT`.
    assert!(matches!(error, TpmError::Magic { got: 0x0101_0000 }), "{error}");
    let log = EventLog::parse(&bytes("Log", "Raw")).unwrap();
    assert!(!log.crypto_agile && log.algorithms == [HashAlgorithm::Sha1] && log.events.len() > 10);
    let sha1_only = BootError::Bank { expected: HashAlgorithm::Sha256, crypto_agile: false };
    assert_eq!(appraise(&log, HashAlgorithm::Sha256, &[]), Err(sha1_only));
    let sha1 = appraise(&log, HashAlgorithm::Sha1, &[]);
    assert!(sha1.is_err(), "sha1 is believed nowhere");
}

/// Runtime data of one machine, the blob of another, and the public key of a third: none of them is another's.
#[test]
fn azures_runtime_data_name_their_own_key() {
    let file = |name: &str| read(&format!("tpm/azure-cvm-tooling/{name}"));
    let (Some(hcl), Some(data), Some(key)) =
        (file("hcl-report-snp.bin"), file("var-data.bin"), file("akpub.pem"))
    else {
        return;
    };
    let blob = HclBlob::parse(&hcl).unwrap();
    let bound = crypto::sha256(&[blob.runtime.as_bytes()]);
    assert_eq!(blob.report.fields().report_data.0[..32], bound);
    let runtime = RuntimeData::parse(&data).unwrap();
    assert_ne!(runtime.ak, blob.runtime.ak);
    let key = String::from_utf8(key).unwrap();
    let spki = base64(&key.lines().filter(|line| !line.starts_with('-')).collect::<String>());
    for modulus in [&runtime.ak.modulus, &blob.runtime.ak.modulus] {
        assert_eq!(modulus.len(), 256);
        assert!(!spki.windows(256).any(|window| window == modulus));
    }
    // The third is the key of the quote: a modulus between the SubjectPublicKeyInfo's head and its exponent.
    let ak = rsa_key(&spki[33..289]);
    let Some(quote) = file("quote.bin") else { return };
    let quote = crate::azure::bincode(&quote);
    assert_eq!(Attest::parse(&quote.attest).unwrap().fields().extra_data, b"challenge");
    let done = verify(&ak, &(quote.attest, quote.signature, quote.pcrs), &[]).unwrap().unwrap();
    assert!(done.tpm().unwrap().pcrs.contains_key(&7));
}

#[test]
fn logs_of_more_machines_obey_the_rules_or_break_one_by_name() {
    let appraised = |bytes: &[u8]| appraise(&EventLog::parse(bytes).unwrap(), HashAlgorithm::Sha256, &[]);
    if let Some(text) = read("tpm/keylime-mb/mb_log.b64") {
        let log = base64(std::str::from_utf8(&text).unwrap().trim());
        let facts = appraised(&log).unwrap();
        assert_eq!((facts.secure_boot, facts.boot_services_exited), (None, None), "nothing was quoted");
    }
    for name in
        ["ubuntu_2104_shielded_vm_no_secure_boot_eventlog", "coreos_36_shielded_vm_no_secure_boot_eventlog"]
    {
        let Some(log) = read(&format!("tpm/go-eventlog-legacy/{name}")) else { continue };
        assert!(appraised(&log).is_ok(), "{name}: {}", appraised(&log).unwrap_err());
    }
}

pub fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let digits: Vec<u8> =
        text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=').map(value).collect();
    let bytes = |group: &[u8]| {
        let word =
            group.iter().fold(0_u32, |word, digit| word << 6 | u32::from(*digit)) << (6 * (4 - group.len()));
        word.to_be_bytes()[1..group.len()].to_vec()
    };
    digits.chunks(4).flat_map(bytes).collect()
}
