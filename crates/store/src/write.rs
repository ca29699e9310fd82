//! Writing one group: many requests in one SQLite transaction, each all or nothing.
//!
//! For each request, in order: 1. the policy is still the active one, 2. the keys are as they were, the attestation
//! key is believed and no TPM was put back, 3. the challenge was not used, 4. keys, policy, leaves, claims and
//! refusals are written. A request that is refused leaves nothing and the next one goes on: up to 3 nothing but the
//! challenge is written, and that last; one that writes keys, which may be refused later, has a savepoint. If the
//! database itself fails, the whole group does.

use claims::leaf::Entry;
use claims::{KeyId, KeyVersion, PolicyDigest, Region, UnixTime};
use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use crate::columns::{encode_operations, encode_tags, int, uint};
use crate::{
    Activation, ClaimsRow, CommitError, KeyRow, KeyUnchanged, KeyWrite, LeafRow, Options, Refusal,
    SpentNonce, StorageError, Transaction, attestation, vouched,
};

/// What became of a group.
#[derive(Debug)]
pub(crate) struct Written {
    /// The place of the group's first entry.
    pub(crate) first_index: u64,
    /// All entries of the group.
    pub(crate) entries: Vec<Entry>,
    /// For each request, how many of the entries are its own, or why it was not written.
    pub(crate) outcomes: Vec<Result<usize, CommitError>>,
}

/// Writes a group and makes it durable.
///
/// # Errors
/// [`StorageError`] if the database failed; then nothing of the group was acknowledged by it.
pub(crate) fn group<'a>(
    connection: &Connection,
    options: &Options,
    group: impl Iterator<Item = &'a Transaction>,
) -> Result<Written, StorageError> {
    cached(connection, "BEGIN IMMEDIATE")?.execute([])?;
    let written = requests(connection, options, group).and_then(|written| {
        cached(connection, "COMMIT")?.execute([])?;
        Ok(written)
    });
    if written.is_err() && !connection.is_autocommit() {
        // What failed is what the caller hears of; a failed rollback leaves the transaction to the next open.
        let _ = cached(connection, "ROLLBACK").and_then(|mut rollback| rollback.execute([]));
    }
    written
}

fn requests<'a>(
    connection: &Connection,
    options: &Options,
    group: impl Iterator<Item = &'a Transaction>,
) -> Result<Written, StorageError> {
    let next = "SELECT coalesce(max(idx) + 1, 0) FROM leaf";
    let first_index = uint(cached(connection, next)?.query_row([], |row| row.get(0))?);
    let mut written = Written { first_index, entries: Vec::new(), outcomes: Vec::new() };
    let (mut now, mut spent) = (UnixTime(0), 0_u64);
    for transaction in group {
        now = now.max(transaction.now);
        spent = spent.saturating_add(u64::from(transaction.nonce.is_some()));
        let undoable = !transaction.keys.is_empty();
        if undoable {
            cached(connection, "SAVEPOINT request")?.execute([])?;
        }
        let next = first_index.saturating_add(written.entries.len() as u64);
        let outcome = match request(connection, options, transaction, next) {
            Ok(()) => {
                written.entries.extend(transaction.leaves.iter().map(|leaf| leaf.entry));
                Ok(transaction.leaves.len())
            }
            Err(CommitError::Storage(error)) => return Err(error),
            Err(refused) => {
                if undoable {
                    cached(connection, "ROLLBACK TO request")?.execute([])?;
                }
                Err(refused)
            }
        };
        if undoable {
            cached(connection, "RELEASE request")?.execute([])?;
        }
        written.outcomes.push(outcome);
    }
    forget(connection, options, now, spent)?;
    Ok(written)
}

fn request(
    connection: &Connection,
    options: &Options,
    transaction: &Transaction,
    next: u64,
) -> Result<(), CommitError> {
    // 1. and 2. before anything is written.
    check_policy(connection, transaction.policy)?;
    transaction.activate.iter().try_for_each(|new| check_newer(connection, new))?;
    transaction.keys_unchanged.iter().try_for_each(|key| check_key(connection, key))?;
    transaction.tpm.iter().try_for_each(|seen| attestation::check(connection, seen))?;
    transaction.vouched_tpm.iter().try_for_each(|seen| vouched::check(connection, seen))?;
    // 3.
    transaction.nonce.iter().try_for_each(|nonce| spend(connection, nonce))?;
    // 4.
    transaction.keys.iter().try_for_each(|key| write_key(connection, key))?;
    transaction.attestation_keys.iter().try_for_each(|key| attestation::put(connection, key))?;
    transaction.tpm.iter().try_for_each(|seen| attestation::keep(connection, seen))?;
    let served = transaction.vouched_tpm.iter().filter(|seen| seen.served);
    let limit = options.vouched_tpms_kept;
    served.into_iter().try_for_each(|seen| vouched::keep(connection, seen, transaction.now, limit))?;
    transaction.activate.iter().try_for_each(|policy| activate(connection, policy, transaction.now))?;
    (next..).zip(&transaction.leaves).try_for_each(|(index, leaf)| append(connection, index, leaf))?;
    let claims = transaction.claims.iter().filter(|_| !transaction.leaves.is_empty());
    claims.into_iter().try_for_each(|claims| put_beside(connection, next, claims))?;
    Ok(transaction.refusals.iter().try_for_each(|refusal| remember(connection, refusal))?)
}

fn check_policy(connection: &Connection, expected: Option<PolicyDigest>) -> Result<(), CommitError> {
    let Some(expected) = expected else { return Ok(()) };
    match active_policy(connection)? {
        Some(found) if found == expected => Ok(()),
        found => Err(CommitError::PolicyChanged { expected, found }),
    }
}

/// The policy that was activated last.
pub(crate) fn active_policy(connection: &Connection) -> Result<Option<PolicyDigest>, StorageError> {
    let sql = "SELECT digest FROM policy_epoch ORDER BY epoch DESC LIMIT 1";
    let digest: Option<Vec<u8>> = cached(connection, sql)?.query_row([], |row| row.get(0)).optional()?;
    let damaged = |_| StorageError::Damaged { table: "policy_epoch", what: "digest".to_owned() };
    digest.map(|bytes| bytes.try_into().map(PolicyDigest)).transpose().map_err(damaged)
}

/// Refuses a policy that is older than the active one, and one that officers signed under the same numbers: of two such,
/// whoever runs the broker could choose.
fn check_newer(connection: &Connection, new: &Activation) -> Result<(), CommitError> {
    let sql = "SELECT bundle_serial, references_serial FROM policy_epoch ORDER BY epoch DESC LIMIT 1";
    let serials = |row: &rusqlite::Row<'_>| Ok((uint(row.get(0)?), uint(row.get(1)?)));
    let mut select = cached(connection, sql).map_err(StorageError::from)?;
    let found = select.query_row([], serials).optional().map_err(StorageError::from)?;
    let (bundle, references) = found.unwrap_or_default();
    let older = |what, expected, got| Err(CommitError::PolicyOlder { what, expected, got });
    if new.bundle_serial < bundle {
        return older("policies", bundle, new.bundle_serial);
    }
    if new.references_serial < references {
        return older("reference values", references, new.references_serial);
    }
    let same = (new.bundle_serial, new.references_serial) == (bundle, references);
    if same && bundle > 0 && active_policy(connection)?.is_some_and(|active| active != new.digest) {
        return Err(CommitError::PolicySerial { serial: bundle });
    }
    Ok(())
}

fn check_key(connection: &Connection, key: &KeyUnchanged) -> Result<(), CommitError> {
    match revision(connection, &key.key, key.version)? {
        Some(found) if found == key.revision => Ok(()),
        found => Err(changed(&key.key, key.version, key.revision, found)),
    }
}

fn changed(key: &KeyId, version: KeyVersion, expected: u64, found: Option<u64>) -> CommitError {
    CommitError::KeyChanged { key: key.clone(), version, expected, found }
}

fn revision(connection: &Connection, key: &KeyId, version: KeyVersion) -> Result<Option<u64>, StorageError> {
    let mut select = cached(connection, "SELECT revision FROM key WHERE id = ?1 AND version = ?2")?;
    let found = select.query_row(params![key.as_str(), version.0], |row| row.get(0)).optional()?;
    Ok(found.map(uint))
}

fn spend(connection: &Connection, spent: &SpentNonce) -> Result<(), CommitError> {
    let sql = "INSERT OR IGNORE INTO nonce (nonce, expires) VALUES (?1, ?2)";
    let new = execute(connection, sql, params![spent.nonce.0, int(spent.expires.0)])?;
    if new == 1 { Ok(()) } else { Err(CommitError::ChallengeSpent) }
}

fn write_key(connection: &Connection, write: &KeyWrite) -> Result<(), CommitError> {
    match write {
        KeyWrite::Create(row) => {
            let sql = "INSERT OR IGNORE INTO key VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, \
                       ?16, ?17, ?18)";
            let KeyRow { attributes: a, .. } = row;
            let exists = CommitError::KeyExists { key: a.id.clone(), version: a.version };
            if put_key(connection, sql, row)? == 1 { Ok(()) } else { Err(exists) }
        }
        KeyWrite::Replace(row) => {
            let KeyRow { attributes: a, .. } = row;
            let expected = a.revision.saturating_sub(1);
            match revision(connection, &a.id, a.version)? {
                Some(found) if found == expected => {}
                found => return Err(changed(&a.id, a.version, expected, found)),
            }
            let sql = "REPLACE INTO key VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
                       ?17, ?18)";
            put_key(connection, sql, row)?;
            Ok(())
        }
    }
}

fn put_key(connection: &Connection, sql: &str, row: &KeyRow) -> Result<usize, StorageError> {
    let a = &row.attributes;
    let columns = params![
        a.id.as_str(),
        a.version.0,
        int(a.revision),
        a.kind.to_string(),
        a.origin.code(),
        encode_operations(&a.operations),
        a.for_simulation,
        a.suite_floor.code(),
        a.enabled,
        int(a.created_at.0),
        encode_tags(&a.tags),
        a.commitment.0,
        row.public,
        row.wrapped,
        a.ring.as_str(),
        a.region.as_ref().map(Region::as_str),
        a.release_policy.as_ref().map(|policy| &*policy.cedar),
        a.release_policy.as_ref().is_some_and(|policy| policy.immutable),
    ];
    execute(connection, sql, columns)
}

fn activate(connection: &Connection, new: &Activation, now: UnixTime) -> Result<(), StorageError> {
    let sql = "INSERT INTO policy_epoch (digest, activated_at, bundle_serial, references_serial) \
               VALUES (?1, ?2, ?3, ?4)";
    let columns = params![new.digest.0, int(now.0), int(new.bundle_serial), int(new.references_serial)];
    execute(connection, sql, columns).map(drop)
}

fn append(connection: &Connection, index: u64, leaf: &LeafRow) -> Result<(), StorageError> {
    let sql = "INSERT INTO leaf (idx, kind, entry, salt, record, request, explanation) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let columns = params![
        int(index),
        leaf.kind.code(),
        leaf.entry,
        leaf.salt,
        leaf.record,
        leaf.request.map(|request| request.0),
        leaf.explanation,
    ];
    execute(connection, sql, columns).map(drop)
}

/// Puts claims beside the leaves from this one on.
fn put_beside(connection: &Connection, leaf: u64, claims: &ClaimsRow) -> Result<(), StorageError> {
    let sql = "INSERT INTO claims (leaf, at, blind, text) VALUES (?1, ?2, ?3, ?4)";
    execute(connection, sql, params![int(leaf), int(claims.at.0), claims.blind, claims.text]).map(drop)
}

fn remember(connection: &Connection, refusal: &Refusal) -> Result<(), StorageError> {
    let sql = "INSERT INTO refusal (request, at, code, detail) VALUES (?1, ?2, ?3, ?4)";
    let columns = params![refusal.request.0, int(refusal.at.0), refusal.code, refusal.detail];
    execute(connection, sql, columns).map(drop)
}

/// Forgets what is beyond [`Options`]: expired challenges, from the oldest, a few more than came in, so that the
/// table shrinks and no commit is long; claims beside all but the newest leaves; and all but the newest refusals.
fn forget(connection: &Connection, options: &Options, now: UnixTime, spent: u64) -> Result<(), StorageError> {
    if spent > 0 {
        let sql = "DELETE FROM nonce WHERE expires < ?1 AND seq IN (SELECT seq FROM nonce \
                   WHERE seq <= (SELECT max(seq) FROM nonce) - ?2 ORDER BY seq LIMIT ?3)";
        let batch = spent.saturating_mul(2).saturating_add(8);
        execute(connection, sql, params![int(now.0), int(options.nonces_kept), int(batch)])?;
    }
    let sql = "DELETE FROM claims WHERE leaf < (SELECT max(idx) + 1 FROM leaf) - ?1";
    execute(connection, sql, params![int(options.claims_kept)])?;
    let sql = "DELETE FROM refusal WHERE seq <= (SELECT max(seq) FROM refusal) - ?1";
    execute(connection, sql, params![int(options.refusals_kept)]).map(drop)
}

pub(crate) fn execute(
    connection: &Connection,
    sql: &str,
    columns: &[&dyn rusqlite::ToSql],
) -> Result<usize, StorageError> {
    Ok(cached(connection, sql)?.execute(columns)?)
}

pub(crate) fn cached<'c>(
    connection: &'c Connection,
    sql: &str,
) -> Result<CachedStatement<'c>, rusqlite::Error> {
    connection.prepare_cached(sql)
}
