//! Rules 5 and 6 of a log ([`super`]): the events, replayed, give the quoted values.

use claims::tpm::{BOOT_PHASES, Digest, HashAlgorithm};
use evidence::tpm::{EventLog, PcrValue};

use super::super::ak::digest;
use super::BootError;
use super::event::{EV_NO_ACTION, extends};

/// Replays every quoted PCR from 0 to 15, and gives how many of systemd's phases PCR 11 has gone on by. A PCR without
/// events has the value that it started with; only PCR 15, which the operating system extends and no firmware logs, may
/// have any.
pub(super) fn check(log: &EventLog, quoted: &[PcrValue]) -> Result<usize, BootError> {
    let locality = startup_locality(log)?;
    let mut phases: Option<usize> = None;
    // Of a bank that the log has not it says nothing.
    let known = quoted.iter().filter(|value| value.bank != HashAlgorithm::Sha1);
    let known = known.filter(|value| log.algorithms.contains(&value.bank));
    for value in known.filter(|value| value.index <= 15 && value.index != IMA_PCR) {
        let PcrValue { bank, index: pcr, value: expected } = value.clone();
        let start = if pcr == 0 { locality } else { 0 };
        let (got, events) = replayed(log, value, start);
        if events == 0 && pcr == USER_PCR {
            continue;
        }
        let passed = if pcr == PHASES_PCR { phases_to(&got, value) } else { None };
        let agrees = match passed {
            // Banks were extended together, so they have gone on by the same phases.
            Some(passed) => *phases.get_or_insert(passed) == passed,
            None => got == expected,
        };
        if !agrees {
            return Err(BootError::Replay { pcr, bank, expected, got });
        }
    }
    Ok(phases.unwrap_or(0))
}

/// What the events of a PCR lead to, and how many they are.
fn replayed(log: &EventLog, value: &PcrValue, start: u8) -> (Digest, usize) {
    let bank = value.bank;
    let mut pcr = vec![0; bank.digest_len()];
    if let Some(last) = pcr.last_mut() {
        *last = start;
    }
    let mut count: usize = 0;
    let events = log.events.iter().filter(|event| event.pcr == u32::from(value.index) && extends(event));
    for measured in events.filter_map(|event| event.digest(bank)) {
        pcr = digest(bank, &[&pcr, measured]).0;
        count = count.saturating_add(1);
    }
    (Digest(pcr), count)
}

/// How many phases lead on from `pcr` to the quoted value, or `None`.
fn phases_to(pcr: &Digest, value: &PcrValue) -> Option<usize> {
    let mut pcr = pcr.clone();
    for (passed, phase) in BOOT_PHASES.iter().enumerate() {
        if pcr == value.value {
            return Some(passed);
        }
        let measured = digest(value.bank, &[phase.as_bytes()]);
        pcr = digest(value.bank, &[&pcr.0, &measured.0]);
    }
    (pcr == value.value).then_some(BOOT_PHASES.len())
}

/// 5: the locality that the TPM was started at, which is what PCR 0 starts from.
fn startup_locality(log: &EventLog) -> Result<u8, BootError> {
    let mut locality = None;
    let mut extended = false;
    for (at, event) in log.events.iter().enumerate() {
        extended |= event.pcr == 0 && extends(event);
        let Some(rest) = event.data.strip_prefix(STARTUP_LOCALITY).filter(|_| event.kind == EV_NO_ACTION)
        else {
            continue;
        };
        let fits = event.pcr == 0 && !extended && locality.is_none();
        match rest {
            [found @ (0 | 3 | 4)] if fits => locality = Some(*found),
            _ => return Err(BootError::StartupLocality { event: at }),
        }
    }
    Ok(locality.unwrap_or(0))
}

/// The PCR of the phases.
const PHASES_PCR: u8 = 11;
/// The PCR of the kernel's integrity measurement.
const IMA_PCR: u8 = 10;
/// The PCR of identities and volumes, as systemd measures them.
const USER_PCR: u8 = 15;
const STARTUP_LOCALITY: &[u8] = b"StartupLocality\0";

#[cfg(test)]
mod tests {
    use super::*;
    use evidence::tpm::Event;

    const SHA256: HashAlgorithm = HashAlgorithm::Sha256;

    /// An event whose digest is of nines, in the banks of SHA-1 and SHA-256.
    fn event(pcr: u32, kind: u32, data: &[u8]) -> Event {
        let digests = vec![(HashAlgorithm::Sha1, vec![9; 20]), (SHA256, vec![9; 32])];
        Event { pcr, kind, digests, data: data.to_vec() }
    }

    fn log(events: Vec<Event>) -> EventLog {
        EventLog { algorithms: vec![HashAlgorithm::Sha1, SHA256], crypto_agile: true, events }
    }

    #[test]
    fn every_value_to_pcr_15_is_replayed_but_those_of_sha1_and_of_the_kernel() {
        let log = log((0..24).map(|pcr| event(pcr, 1, &[])).collect());
        let value =
            |bank, index, len: usize| check(&log, &[PcrValue { bank, index, value: Digest(vec![7; len]) }]);
        let got = Digest(crypto::sha256(&[&[0; 32], &[9; 32]]).to_vec());
        for pcr in (0..=15).filter(|pcr| *pcr != 10) {
            let (bank, expected, got) = (SHA256, Digest(vec![7; 32]), got.clone());
            assert_eq!(value(SHA256, pcr, 32), Err(BootError::Replay { pcr, bank, expected, got }));
            assert_eq!(value(HashAlgorithm::Sha1, pcr, 20), Ok(0));
            assert_eq!(value(HashAlgorithm::Sha384, pcr, 48), Ok(0), "the log has no such digests");
        }
        for pcr in [10, 16, 23] {
            assert_eq!(value(SHA256, pcr, 32), Ok(0));
        }
    }

    /// Whoever takes all of a PCR's events out of a log has to explain its value still.
    #[test]
    fn a_pcr_without_events_has_the_value_that_it_started_with() {
        let (phase, expected) = (digest(SHA256, &[BOOT_PHASES[0].as_bytes()]), Digest(vec![7; 32]));
        let entered = digest(SHA256, &[&[0; 32], &phase.0]);
        for pcr in 0..=23 {
            let ask = |value: &Digest| {
                check(&log(Vec::new()), &[PcrValue { bank: SHA256, index: pcr, value: value.clone() }])
            };
            let zero = Digest(vec![0; 32]);
            assert_eq!(ask(&zero), Ok(0));
            let explained = match pcr {
                10 | 15.. => Ok(0),
                _ => Err(BootError::Replay { pcr, bank: SHA256, expected: expected.clone(), got: zero }),
            };
            assert_eq!(ask(&expected), explained);
            assert_eq!(ask(&entered).ok(), if pcr == PHASES_PCR { Some(1) } else { explained.ok() });
        }
    }

    #[test]
    fn a_locality_stands_in_front_of_what_its_own_pcr_measured() {
        let locality = |value: u8| event(0, EV_NO_ACTION, &[STARTUP_LOCALITY, &[value]].concat());
        let (first, other, note) = (event(0, 1, &[]), event(7, 1, &[]), event(0, EV_NO_ACTION, b"a note"));
        let found = |events: &[&Event]| startup_locality(&log(events.iter().copied().cloned().collect()));
        for value in [0, 3, 4] {
            assert_eq!(found(&[&other, &note, &locality(value), &first]), Ok(value));
        }
        assert_eq!(found(&[&other, &first]), Ok(0));
        assert_eq!(found(&[&first, &locality(3)]), Err(BootError::StartupLocality { event: 1 }));
        assert_eq!(found(&[&locality(3), &locality(3)]), Err(BootError::StartupLocality { event: 1 }));
        for value in [1, 2, 5] {
            assert_eq!(found(&[&locality(value)]), Err(BootError::StartupLocality { event: 0 }));
        }
        let elsewhere = Event { pcr: 1, ..locality(3) };
        assert_eq!(found(&[&elsewhere]), Err(BootError::StartupLocality { event: 0 }));
    }
}
