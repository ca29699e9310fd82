//! Attestation keys that were enrolled, and the counters of their TPMs.

use claims::tpm::{AkBinding, ObjectName};
use claims::{AttestationKey, TpmCounters, UnixTime};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::columns::{int, uint};
use crate::write::{cached, execute};
use crate::{CommitError, SeenTpm, StorageError};

/// The columns of [`decode`], in the order of the table.
pub(crate) const COLUMNS: &str = "name, binding, ek, simulated, not_after, believed";

pub(crate) fn decode(row: &Row<'_>) -> Result<AttestationKey, StorageError> {
    let damaged = |what: &str| StorageError::Damaged { table: "attestation_key", what: what.to_owned() };
    let name = |bytes: Vec<u8>, what| ObjectName::from_bytes(&bytes).ok_or_else(|| damaged(what));
    let binding: String = row.get(1)?;
    let ek: Option<Vec<u8>> = row.get(2)?;
    Ok(AttestationKey {
        name: name(row.get(0)?, "name")?,
        binding: binding.parse::<AkBinding>().map_err(|_| damaged("binding"))?,
        ek: ek.map(|bytes| name(bytes, "endorsement key")).transpose()?,
        simulated: row.get(3)?,
        not_after: UnixTime(uint(row.get(4)?)),
        believed: row.get(5)?,
    })
}

/// Writes a key in the place of what was known of it. Its TPM's counters stay.
pub(crate) fn put(connection: &Connection, key: &AttestationKey) -> Result<(), StorageError> {
    let sql = "INSERT INTO attestation_key (name, binding, ek, simulated, not_after, believed) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name) DO UPDATE SET binding = ?2, ek = ?3, \
               simulated = ?4, not_after = ?5, believed = ?6";
    let columns = params![
        key.name.to_bytes(),
        key.binding.name(),
        key.ek.as_ref().map(ObjectName::to_bytes),
        key.simulated,
        int(key.not_after.0),
        key.believed,
    ];
    execute(connection, sql, columns).map(drop)
}

/// Checks that the key is believed still and that its TPM was not put back.
pub(crate) fn check(connection: &Connection, seen: &SeenTpm) -> Result<(), CommitError> {
    let ak = &seen.counters.ak;
    let sql = "SELECT believed, resets, restarts, clock FROM attestation_key WHERE name = ?1";
    let row = |row: &Row<'_>| {
        let kept: (Option<u32>, Option<u32>, Option<i64>) = (row.get(1)?, row.get(2)?, row.get(3)?);
        Ok((row.get::<_, bool>(0)?, kept))
    };
    let found =
        cached(connection, sql).and_then(|mut select| select.query_row([ak.to_bytes()], row).optional());
    let Some((true, kept)) = found.map_err(StorageError::from)? else {
        return Err(CommitError::AttestationKeyWithdrawn { name: ak.clone() });
    };
    // No quote of this key was answered before.
    let (Some(resets), Some(restarts), Some(clock)) = kept else { return Ok(()) };
    let kept = TpmCounters { ak: ak.clone(), resets, restarts, clock_ms: uint(clock) };
    match seen.counters.went_back(&kept, seen.slack_ms) {
        None => Ok(()),
        Some(counter) => {
            let got = Box::new(seen.counters.clone());
            Err(CommitError::TpmPutBack { counter, kept: Box::new(kept), got })
        }
    }
}

/// Keeps the later of these counters and those that are there.
pub(crate) fn keep(connection: &Connection, counters: &TpmCounters) -> Result<(), StorageError> {
    let sql = "UPDATE attestation_key SET resets = ?2, restarts = ?3, clock = ?4 WHERE name = ?1 AND \
               (resets IS NULL OR (resets, restarts, clock) < (?2, ?3, ?4))";
    let columns = params![counters.ak.to_bytes(), counters.resets, counters.restarts, int(counters.clock_ms)];
    execute(connection, sql, columns).map(drop)
}
