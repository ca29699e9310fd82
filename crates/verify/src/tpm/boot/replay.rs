//! Rules 5 and 6 of a log ([`super`]): the events, replayed, give the quoted values.

use claims::tpm::{BOOT_PHASES, Digest, HashAlgorithm};
use evidence::tpm::{EventLog, PcrValue};

use super::super::ak::digest;
use super::BootError;
use super::event::{EV_NO_ACTION, extends};

/// Replays every quoted PCR from 0 to 15, and gives how many of systemd's phases PCR 11 has gone on by.
pub(super) fn check(log: &EventLog, quoted: &[PcrValue]) -> Result<usize, BootError> {
    let locality = startup_locality(log)?;
    let mut phases: Option<usize> = None;
    let known = |value: &&PcrValue| log.algorithms.contains(&value.bank) && value.bank != HashAlgorithm::Sha1;
    for value in quoted.iter().filter(known).filter(|value| value.index <= 15 && value.index != IMA_PCR) {
        let PcrValue { bank, index: pcr, value: expected } = value.clone();
        let start = if pcr == 0 { locality } else { 0 };
        // Only PCRs of the operating system can be without events: the others have their separators.
        let Some(got) = replayed(log, value, start) else { continue };
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

/// What the events of a PCR lead to, or `None` if it has none.
fn replayed(log: &EventLog, value: &PcrValue, start: u8) -> Option<Digest> {
    let bank = value.bank;
    let mut pcr = vec![0; bank.digest_len()];
    if let Some(last) = pcr.last_mut() {
        *last = start;
    }
    let mut any = false;
    let events = log.events.iter().filter(|event| event.pcr == u32::from(value.index) && extends(event));
    for measured in events.filter_map(|event| event.digest(bank)) {
        pcr = digest(bank, &[&pcr, measured]).0;
        any = true;
    }
    any.then_some(Digest(pcr))
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
const STARTUP_LOCALITY: &[u8] = b"StartupLocality\0";
