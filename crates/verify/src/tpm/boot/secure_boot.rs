//! Rule 4 of a log ([`super`]): the Secure Boot variables (section 3.3.4.8).
//!
//! They come first in PCR 7, so that nothing an operating system measures later can pass for one.

use claims::Sha256Digest;
use claims::tpm::DatabaseEntries;
use evidence::tpm::{Event, EventLog, SignatureEntry};

use super::BootError;
use super::event::*;

/// What PCR 7 begins with.
pub(super) struct Variables {
    /// SecureBoot is 1, and PK, KEK and db hold something.
    pub(super) enabled: bool,
    /// SHA-256 of the contents of PK, KEK, db and dbx.
    pub(super) digests: [Sha256Digest; 4],
    /// What db and dbx hold, where that can be read.
    pub(super) entries: [Option<DatabaseEntries>; 2],
}

/// Checks the variables and the authorities. That the data are what was measured, in the bank of the facts, is checked
/// here; that PCR 7 was quoted at all, by whoever uses them.
pub(super) fn check(log: &EventLog) -> Result<Variables, BootError> {
    let mut events = log.events.iter().enumerate().filter(|(_, event)| event.pcr == 7 && extends(event));
    let mut contents: Vec<&[u8]> = Vec::new();
    for (expected, guid) in VARIABLES {
        let next = events.by_ref().find(|(_, event)| event.kind != EV_EFI_ACTION);
        contents.push(next_variable(log, next, expected, guid)?);
    }
    let [secure_boot, pk, kek, db, dbx] = contents.as_slice() else {
        return Err(BootError::VariableOrder { expected: "SecureBoot", got: "nothing".to_owned() });
    };
    if !matches!(secure_boot, [0 | 1]) {
        let at = log.events.iter().position(|event| event.pcr == 7 && extends(event)).unwrap_or(0);
        return Err(BootError::Variable { event: at, expected: "SecureBoot to be one byte, 0 or 1" });
    }
    let mut separated = false;
    for (at, event) in events {
        match event.kind {
            EV_SEPARATOR => separated = true,
            EV_EFI_VARIABLE_DRIVER_CONFIG => further(log, at, event, separated)?,
            EV_EFI_VARIABLE_AUTHORITY => authority(log, at, event, db)?,
            _ => (),
        }
    }
    let enabled = secure_boot == &[1] && ![pk, kek, db].iter().any(|variable| variable.is_empty());
    let digests = [pk, kek, db, dbx].map(|variable| Sha256Digest(crypto::sha256(&[variable])));
    Ok(Variables { enabled, digests, entries: [db, dbx].map(|variable| database_entries(variable)) })
}

/// Certificates and digests of a Secure Boot database, in order and each once; nothing if it is no whole EFI signature lists.
pub fn database_entries(database: &[u8]) -> Option<DatabaseEntries> {
    let all = SignatureEntry::parse_all(database)?;
    let of_kind = |kind: [u8; 16]| all.iter().filter(move |entry| entry.kind == kind);
    let certificates = of_kind(SignatureEntry::X509).map(|entry| Sha256Digest(crypto::sha256(&[entry.data])));
    let hashes = of_kind(SignatureEntry::SHA256).filter_map(|entry| entry.data.try_into().ok());
    Some(DatabaseEntries { certificates: in_order(certificates), hashes: in_order(hashes.map(Sha256Digest)) })
}

fn in_order(digests: impl Iterator<Item = Sha256Digest>) -> Vec<Sha256Digest> {
    let mut digests: Vec<_> = digests.collect();
    digests.sort_unstable();
    digests.dedup();
    digests
}

/// The contents of the variable that is due.
fn next_variable<'a>(
    log: &EventLog,
    next: Option<(usize, &'a Event)>,
    expected: &'static str,
    guid: u128,
) -> Result<&'a [u8], BootError> {
    let other = |got: String| BootError::VariableOrder { expected, got };
    let (at, event) = next.ok_or_else(|| other("nothing".to_owned()))?;
    if event.kind != EV_EFI_VARIABLE_DRIVER_CONFIG {
        return Err(other(format!("an event of type {:#010x}", event.kind)));
    }
    let malformed = BootError::Variable { event: at, expected: "guid, name and contents" };
    let (vendor, name, contents) = variable(&event.data).ok_or(malformed)?;
    if name != expected || vendor != guid.to_be_bytes() {
        return Err(other(format!("`{name}`")));
    }
    prove(log, at, event)?;
    Ok(contents)
}

/// Another variable: only in front of the separator, and none of the five again.
fn further(log: &EventLog, at: usize, event: &Event, separated: bool) -> Result<(), BootError> {
    let expected = "none behind the separator, and none of the five twice";
    let refused = BootError::Variable { event: at, expected };
    let (_, name, _) = variable(&event.data).filter(|_| !separated).ok_or(refused.clone())?;
    if VARIABLES.iter().any(|(known, _)| *known == name) {
        return Err(refused);
    }
    prove(log, at, event)
}

/// An authority out of db is an entry of db, with its owner or, as loaders have it, without. Loaders (shim) also measure
/// others, with digests of something else.
fn authority(log: &EventLog, at: usize, event: &Event, db: &[u8]) -> Result<(), BootError> {
    let Some((vendor, name, contents)) = variable(&event.data) else { return Ok(()) };
    let from_db = name == "db" && vendor == IMAGE_SECURITY.to_be_bytes();
    let is_entry = |entry: &SignatureEntry<'_>| {
        contents == entry.data || contents.strip_prefix(&entry.owner) == Some(entry.data)
    };
    let is_in_db = || SignatureEntry::parse_all(db).is_some_and(|entries| entries.iter().any(is_entry));
    if from_db && prove(log, at, event).is_ok() && !is_in_db() {
        return Err(BootError::Authority { event: at });
    }
    Ok(())
}

/// The data are what was measured, in every bank that can be computed.
fn prove(log: &EventLog, at: usize, event: &Event) -> Result<(), BootError> {
    let mut banks = log.algorithms.iter().filter(|bank| **bank != claims::tpm::HashAlgorithm::Sha1);
    if banks.all(|bank| is_proven(event, *bank)) {
        return Ok(());
    }
    Err(BootError::Unproven { event: at, pcr: event.pcr })
}

/// EFI_GLOBAL_VARIABLE, 8be4df61-93ca-11d2-aa0d-00e098032b8c, in the byte order of logs.
const GLOBAL: u128 = 0x61df_e48b_ca93_d211_aa0d_00e0_9803_2b8c;
/// EFI_IMAGE_SECURITY_DATABASE, d719b2cb-3d3a-4596-a3bc-dad00e67656f, likewise.
const IMAGE_SECURITY: u128 = 0xcbb2_19d7_3a3d_9645_a3bc_dad0_0e67_656f;

const VARIABLES: [(&str, u128); 5] = [
    ("SecureBoot", GLOBAL),
    ("PK", GLOBAL),
    ("KEK", GLOBAL),
    ("db", IMAGE_SECURITY),
    ("dbx", IMAGE_SECURITY),
];
