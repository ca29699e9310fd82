//! [`Reader`]: what is committed, read beside the writer.

use std::sync::{Mutex, MutexGuard, PoisonError};

use claims::leaf::Entry;
use claims::{AttestationKey, KeyId, KeyVersion, PolicyDigest, RequestId, UnixTime, VersionSelector};
use rusqlite::{Connection, Params, Row, params};

use crate::columns::{self, int, uint};
use crate::{KeyRow, Refusal, StorageError, StoredClaims, StoredLeaf, attestation, write};

/// A connection that reads only. Calls take turns; open more readers for more at once.
#[derive(Debug)]
pub struct Reader(Mutex<Connection>);

/// How many rows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Leaves of the journal.
    pub leaves: u64,
    /// Keys, each version by itself.
    pub keys: u64,
    /// Spent challenges that are remembered.
    pub nonces: u64,
    /// Refusals that are remembered.
    pub refusals: u64,
}

impl Reader {
    pub(crate) fn new(connection: Connection) -> Self {
        Self(Mutex::new(connection))
    }

    /// Number of leaves.
    ///
    /// # Errors
    /// [`StorageError`], as everywhere here, if the database fails or a row is damaged.
    pub fn leaf_count(&self) -> Result<u64, StorageError> {
        self.number("SELECT coalesce(max(idx) + 1, 0) FROM leaf")
    }

    /// Up to `limit` leaves from `first` on, in order.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn leaves(&self, first: u64, limit: usize) -> Result<Vec<StoredLeaf>, StorageError> {
        let sql = format!("SELECT {} FROM leaf WHERE idx >= ?1 ORDER BY idx LIMIT ?2", columns::LEAF);
        self.rows(&sql, params![int(first), int(limit as u64)], columns::leaf)
    }

    /// The public entries of up to `limit` leaves from `first` on, in order.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn entries(&self, first: u64, limit: usize) -> Result<Vec<Entry>, StorageError> {
        let sql = "SELECT entry FROM leaf WHERE idx >= ?1 ORDER BY idx LIMIT ?2";
        self.rows(sql, params![int(first), int(limit as u64)], |row| {
            let damaged = |_| StorageError::Damaged { table: "leaf", what: "entry".to_owned() };
            row.get::<_, Vec<u8>>(0)?.try_into().map_err(damaged)
        })
    }

    /// All leaves of one answer, in order.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn leaves_of_request(&self, request: RequestId) -> Result<Vec<StoredLeaf>, StorageError> {
        let sql = format!("SELECT {} FROM leaf WHERE request = ?1 ORDER BY idx", columns::LEAF);
        self.rows(&sql, params![request.0], columns::leaf)
    }

    /// The claims beside the request whose first leaf is this, if they are kept.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn claims_beside(&self, leaf: u64) -> Result<Option<StoredClaims>, StorageError> {
        let sql = format!(
            "SELECT {} FROM claims JOIN leaf ON leaf.idx = claims.leaf WHERE claims.leaf = ?1",
            columns::CLAIMS
        );
        Ok(self.rows(&sql, params![int(leaf)], columns::claims)?.pop())
    }

    /// Claims of up to `limit` requests that were decided from `since` on and before `until`, in order of time and then
    /// of their leaves; those after `after`, a time and the place of a first leaf, where it is given.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn claims_between(
        &self,
        since: UnixTime,
        until: UnixTime,
        after: Option<(UnixTime, u64)>,
        limit: usize,
    ) -> Result<Vec<StoredClaims>, StorageError> {
        let (from, behind) = match after {
            Some((at, leaf)) if at >= since => (at, int(leaf)),
            _ => (since, -1),
        };
        let sql = format!(
            "SELECT {} FROM claims JOIN leaf ON leaf.idx = claims.leaf \
             WHERE claims.at >= ?1 AND claims.at < ?2 AND (claims.at > ?1 OR claims.leaf > ?3) \
             ORDER BY claims.at, claims.leaf LIMIT ?4",
            columns::CLAIMS
        );
        let page = params![int(from.0), int(until.0), behind, int(limit as u64)];
        self.rows(&sql, page, columns::claims)
    }

    /// How many answers lie before the first claims that are kept.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn answers_before_claims(&self) -> Result<u64, StorageError> {
        self.number(
            "SELECT count(*) FROM leaf WHERE request IS NOT NULL \
             AND idx < (SELECT coalesce(min(leaf), 9223372036854775807) FROM claims)",
        )
    }

    /// How many of the refusals that are remembered came from `since` on and before `until`.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn refusals_between(&self, since: UnixTime, until: UnixTime) -> Result<u64, StorageError> {
        let connection = self.connection();
        let mut count =
            connection.prepare_cached("SELECT count(*) FROM refusal WHERE at >= ?1 AND at < ?2")?;
        Ok(uint(count.query_row(params![int(since.0), int(until.0)], |row| row.get(0))?))
    }

    /// The refusal with this request id, if it is still remembered.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn refusal(&self, request: RequestId) -> Result<Option<Refusal>, StorageError> {
        let sql = format!("SELECT {} FROM refusal WHERE request = ?1 LIMIT 1", columns::REFUSAL);
        Ok(self.rows(&sql, params![request.0], columns::refusal)?.pop())
    }

    /// All keys, by name and version.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn keys(&self) -> Result<Vec<KeyRow>, StorageError> {
        self.rows(&format!("SELECT {} FROM key ORDER BY id, version", columns::KEY), [], columns::key)
    }

    /// All versions of a key, the oldest first; none if there is no such key.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn key_versions(&self, key: &KeyId) -> Result<Vec<KeyRow>, StorageError> {
        let sql = format!("SELECT {} FROM key WHERE id = ?1 ORDER BY version", columns::KEY);
        self.rows(&sql, params![key.as_str()], columns::key)
    }

    /// One version of a key.
    ///
    /// `latest` is the newest enabled one; if none is enabled, the newest, so that the refusal can say why.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn key(&self, key: &KeyId, version: VersionSelector) -> Result<Option<KeyRow>, StorageError> {
        let exact = match version {
            VersionSelector::Exact(KeyVersion(version)) => Some(version),
            VersionSelector::Latest => None,
        };
        let sql = format!(
            "SELECT {} FROM key WHERE id = ?1 AND (?2 IS NULL OR version = ?2) \
             ORDER BY enabled DESC, version DESC LIMIT 1",
            columns::KEY
        );
        Ok(self.rows(&sql, params![key.as_str(), exact], columns::key)?.pop())
    }

    /// All attestation keys that were ever enrolled.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn attestation_keys(&self) -> Result<Vec<AttestationKey>, StorageError> {
        let sql = format!("SELECT {} FROM attestation_key ORDER BY rowid", attestation::COLUMNS);
        self.rows(&sql, [], attestation::decode)
    }

    /// The policy that was activated last; `None` before the first.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn active_policy(&self) -> Result<Option<PolicyDigest>, StorageError> {
        write::active_policy(&self.connection())
    }

    /// How many rows there are.
    ///
    /// # Errors
    /// [`StorageError`].
    pub fn counts(&self) -> Result<Counts, StorageError> {
        Ok(Counts {
            leaves: self.number("SELECT count(*) FROM leaf")?,
            keys: self.number("SELECT count(*) FROM key")?,
            nonces: self.number("SELECT count(*) FROM nonce")?,
            refusals: self.number("SELECT count(*) FROM refusal")?,
        })
    }

    fn number(&self, sql: &str) -> Result<u64, StorageError> {
        Ok(uint(self.connection().prepare_cached(sql)?.query_row([], |row| row.get(0))?))
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        decode: impl Fn(&Row<'_>) -> Result<T, StorageError>,
    ) -> Result<Vec<T>, StorageError> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut decoded = Vec::new();
        while let Some(row) = rows.next()? {
            decoded.push(decode(row)?);
        }
        Ok(decoded)
    }

    /// A panic elsewhere leaves a connection as good as before: statements end with their borrow.
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
