//! Structures of TPMs, event logs, endorsement certificates.

use claims::tpm::{Digest, HashAlgorithm};
use evidence::tpm::{
    Attest, Event, EventLog, PcrValue, PcrValues, Public, Signature, SignatureEntry, log::EV_NO_ACTION,
};
use verify::tpm::boot::appraise;
use verify::tpm::ek::EkRoots;
use verify::tpm::name_of;

use crate::NOW;

/// TPMS_ATTEST.
pub fn attest(data: &[u8]) {
    if let Ok(attest) = Attest::parse(data) {
        assert_eq!(attest.as_bytes(), data);
        let indices = attest.fields().selection.iter().flat_map(|one| one.indices());
        assert!(indices.into_iter().all(|index| index < 24));
    }
}

/// TPMT_SIGNATURE.
pub fn signature(data: &[u8]) {
    let _any = Signature::parse(data);
}

/// TPMT_PUBLIC, and with its length in front TPM2B_PUBLIC.
pub fn public(data: &[u8]) {
    if let Ok(public) = Public::parse(data) {
        assert_eq!(public.as_bytes(), data);
        let sized = [&u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes(), data].concat();
        let again = Public::parse_sized(&sized);
        assert!(again.is_ok_and(|again| name_of(&again) == name_of(&public)));
    }
    let _any = Public::parse_sized(data);
}

/// PCR values.
pub fn pcr_values(data: &[u8]) {
    let Ok(parsed) = PcrValues::parse(data) else { return };
    let value = |value: &PcrValue| {
        let bank = value.bank.id().to_be_bytes();
        [&bank[..], &[value.index], &value.value.0].concat()
    };
    assert_eq!(parsed.values().iter().flat_map(value).collect::<Vec<u8>>(), data);
    let selected: usize = parsed.selection().iter().map(|bank| bank.indices().count()).sum();
    assert_eq!(selected, parsed.values().len());
}

/// What a Secure Boot database holds.
pub fn database_entries(data: &[u8]) {
    let Some(entries) = SignatureEntry::parse_all(data) else { return };
    assert!(entries.len() <= SignatureEntry::MAX);
    let held: usize = entries.iter().map(|entry| entry.owner.len() + entry.data.len()).sum();
    assert!(held <= data.len() && entries.iter().all(|entry| !entry.data.is_empty()));
}

/// An event log, read and no more.
pub fn event_log(data: &[u8]) {
    let Ok(log) = EventLog::parse(data) else { return };
    let held: usize = log.events.iter().map(|event| event.data.len()).sum();
    assert!(held <= data.len());
    assert!(log.events.iter().all(|event| event.kind == EV_NO_ACTION || event.pcr < 24));
}

/// A log and the very values that it leads to: grammar, replay and facts. Another value is never explained by it.
pub fn boot_facts(data: &[u8]) {
    let Ok(log) = EventLog::parse(data) else { return };
    for bank in log.algorithms.iter().copied() {
        let mut quoted = replayed(&log, bank);
        if appraise(&log, bank, &quoted).is_err() {
            continue;
        }
        // PCR 11 goes on by phases that are in no log, and 10 is the kernel's.
        let bound = |value: &&mut PcrValue| value.index <= 9 && bank != HashAlgorithm::Sha1;
        if let Some(value) = quoted.iter_mut().find(bound)
            && let Some(byte) = value.value.0.first_mut()
        {
            *byte ^= 1;
            assert!(appraise(&log, bank, &quoted).is_err(), "an altered value is explained");
        }
    }
}

/// What the events of each PCR lead to, where any event extends it.
fn replayed(log: &EventLog, bank: HashAlgorithm) -> Vec<PcrValue> {
    let locality = log.events.iter().find_map(startup_locality).unwrap_or(0);
    let value = |index: u8| {
        let mut pcr = vec![0; bank.digest_len()];
        if let Some(last) = pcr.last_mut().filter(|_| index == 0) {
            *last = locality;
        }
        let of_pcr = |event: &&Event| event.pcr == u32::from(index) && event.kind != EV_NO_ACTION;
        let mut digests = log.events.iter().filter(of_pcr).filter_map(|event| event.digest(bank)).peekable();
        digests.peek()?;
        digests.for_each(|digest| pcr = hash(bank, &[&pcr, digest]));
        Some(PcrValue { bank, index, value: Digest(pcr) })
    };
    (0..16).filter_map(value).collect()
}

fn startup_locality(event: &Event) -> Option<u8> {
    let is_action = event.kind == EV_NO_ACTION && event.pcr == 0;
    event.data.strip_prefix(b"StartupLocality\0").filter(|_| is_action)?.first().copied()
}

fn hash(bank: HashAlgorithm, parts: &[&[u8]]) -> Vec<u8> {
    match bank {
        HashAlgorithm::Sha256 => crypto::sha256(parts).to_vec(),
        HashAlgorithm::Sha384 => crypto::sha384(parts).to_vec(),
        HashAlgorithm::Sha512 => crypto::sha512(parts).to_vec(),
        _ => vec![0; bank.digest_len()],
    }
}

/// Certificates of a TPM's endorsement key: PEM or DER as a file has them.
pub fn endorsement_key(data: &[u8]) {
    let certificates = endorsements::read_certificates(data).unwrap_or_else(|_| vec![data.to_vec()]);
    let none = EkRoots::default();
    assert!(none.verify(&certificates, NOW).is_err(), "believed without a root");
    // Each as its own root: what is believed then is signed by itself at least.
    for der in &certificates {
        if let Ok(roots) = EkRoots::default().with_root(der, true)
            && let Ok(verified) = roots.verify(&certificates, NOW)
        {
            assert!(verified.simulated() && NOW <= verified.not_after());
        }
    }
}
