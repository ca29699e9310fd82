//! Counters of TPMs that a report vouches for (Azure's, and those of service modules): nobody enrols their keys, and any
//! number of them may come. So those alone are kept that were served something, the latest of them
//! ([`crate::Options::vouched_tpms_kept`]): a TPM that was forgotten is taken as it comes, once.

use claims::{TpmCounters, UnixTime};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::attestation::same_signer;
use crate::columns::{int, uint};
use crate::write::{cached, execute};
use crate::{CommitError, SeenVouchedTpm, StorageError};

/// Checks that the TPM was not put back, and that its key is where it was in its hierarchy.
pub(crate) fn check(connection: &Connection, seen: &SeenVouchedTpm) -> Result<(), CommitError> {
    let ak = &seen.counters.ak;
    let sql = "SELECT signer, resets, restarts, clock FROM vouched_tpm WHERE key = ?1";
    let row = |row: &Row<'_>| {
        let clock_ms = uint(row.get(3)?);
        let (resets, restarts) = (row.get(1)?, row.get(2)?);
        Ok((row.get::<_, Vec<u8>>(0)?, TpmCounters { ak: ak.clone(), resets, restarts, clock_ms }))
    };
    let found =
        cached(connection, sql).and_then(|mut select| select.query_row([ak.to_bytes()], row).optional());
    let Some((signer, kept)) = found.map_err(StorageError::from)? else { return Ok(()) };
    same_signer(&signer, &seen.signer, ak, "vouched_tpm")?;
    match seen.counters.went_back(&kept, seen.slack_ms) {
        None => Ok(()),
        Some(counter) => {
            let got = Box::new(seen.counters.clone());
            Err(CommitError::TpmPutBack { counter, kept: Box::new(kept), got })
        }
    }
}

/// Keeps the later of these counters and those that are there, and that the TPM was served now. Where it is new and more
/// than `limit` are kept, those are forgotten that were served the longest ago.
pub(crate) fn keep(
    connection: &Connection,
    seen: &SeenVouchedTpm,
    now: UnixTime,
    limit: u64,
) -> Result<(), StorageError> {
    let TpmCounters { ak, resets, restarts, clock_ms } = &seen.counters;
    let (key, clock, at) = (ak.to_bytes(), int(*clock_ms), int(now.0));
    let sql = "UPDATE vouched_tpm SET at = max(at, ?2) WHERE key = ?1";
    if execute(connection, sql, params![key, at])? == 0 {
        let sql = "INSERT INTO vouched_tpm (key, signer, resets, restarts, clock, at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        execute(connection, sql, params![key, seen.signer.to_bytes(), resets, restarts, clock, at])?;
        let sql = "DELETE FROM vouched_tpm WHERE rowid IN (SELECT rowid FROM vouched_tpm \
                   ORDER BY at DESC, rowid DESC LIMIT -1 OFFSET ?1)";
        return execute(connection, sql, params![int(limit)]).map(drop);
    }
    let sql = "UPDATE vouched_tpm SET resets = ?2, restarts = ?3, clock = ?4 WHERE key = ?1 AND \
               (resets, restarts, clock) < (?2, ?3, ?4)";
    execute(connection, sql, params![key, resets, restarts, clock]).map(drop)
}
