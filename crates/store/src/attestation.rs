//! Attestation keys that were enrolled, the counters of their TPMs, and where the keys are in their hierarchies: no TPM
//! tells that at enrolment, so the first quote that is answered does.

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

/// Writes a key in the place of what was known of it. Its TPM's counters and its place stay.
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

/// Checks that the key is believed still, that it is where it was in its hierarchy, and that its TPM was not put back.
pub(crate) fn check(connection: &Connection, seen: &SeenTpm) -> Result<(), CommitError> {
    let ak = &seen.counters.ak;
    let sql = "SELECT believed, signer, resets, restarts, clock FROM attestation_key WHERE name = ?1";
    let row = |row: &Row<'_>| {
        let kept: (Option<u32>, Option<u32>, Option<i64>) = (row.get(2)?, row.get(3)?, row.get(4)?);
        Ok((row.get::<_, bool>(0)?, row.get::<_, Option<Vec<u8>>>(1)?, kept))
    };
    let found =
        cached(connection, sql).and_then(|mut select| select.query_row([ak.to_bytes()], row).optional());
    let Some((true, signer, kept)) = found.map_err(StorageError::from)? else {
        return Err(CommitError::AttestationKeyWithdrawn { name: ak.clone() });
    };
    if let Some(signer) = signer {
        same_signer(&signer, &seen.signer, ak, "attestation_key")?;
    }
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

/// That a key signs under the qualified Name that this table keeps of it.
pub(crate) fn same_signer(
    kept: &[u8],
    got: &ObjectName,
    ak: &ObjectName,
    table: &'static str,
) -> Result<(), CommitError> {
    let damaged = || StorageError::Damaged { table, what: "signer".to_owned() };
    let kept = ObjectName::from_bytes(kept).ok_or_else(damaged)?;
    if kept == *got {
        return Ok(());
    }
    Err(CommitError::TpmSigner { ak: ak.clone(), names: Box::new((kept, got.clone())) })
}

/// Keeps the later of these counters and those that are there, and the key's first place.
pub(crate) fn keep(connection: &Connection, seen: &SeenTpm) -> Result<(), StorageError> {
    let counters = &seen.counters;
    let sql = "UPDATE attestation_key SET signer = ?2 WHERE name = ?1 AND signer IS NULL";
    execute(connection, sql, params![counters.ak.to_bytes(), seen.signer.to_bytes()])?;
    let sql = "UPDATE attestation_key SET resets = ?2, restarts = ?3, clock = ?4 WHERE name = ?1 AND \
               (resets IS NULL OR (resets, restarts, clock) < (?2, ?3, ?4))";
    let columns = params![counters.ak.to_bytes(), counters.resets, counters.restarts, int(counters.clock_ms)];
    execute(connection, sql, columns).map(drop)
}
