//! [`Store`]: opening the file, and refusing what is not ours to open.
//!
//! In order: 1. nobody else has it, 2. nobody else may read it, 3. it is a database, 4. it is keyfast's, 5. of a
//! version that this code knows, 6. whole.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::schema::{APPLICATION_ID, SCHEMA_VERSION, TABLES, VERSIONS};
use crate::{OpenError, Reader, StorageError};

/// How much the store keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Spent challenges that are kept even when they have expired, the newest ones: a clock that jumps ahead and
    /// back again then revives none of them.
    pub nonces_kept: u64,
    /// Refusals that are kept, the newest ones.
    pub refusals_kept: u64,
    /// Leaves, the newest ones, beside which claims are kept; what was decided stays in the journal without them.
    pub claims_kept: u64,
    /// TPMs that reports vouch for and whose counters are kept: those that were served last.
    pub vouched_tpms_kept: u64,
    /// Requests that may wait to be written; those beyond are turned away.
    pub queue: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nonces_kept: 65_536,
            refusals_kept: 10_000,
            claims_kept: 250_000,
            vouched_tpms_kept: 65_536,
            queue: 4096,
        }
    }
}

/// An open store, which nobody else has open for writing.
#[derive(Debug)]
pub struct Store {
    pub(crate) connection: Connection,
    pub(crate) options: Options,
    path: PathBuf,
    _lock: File,
}

impl Store {
    /// Opens the store at `path`, or makes an empty one there, readable by its owner alone.
    ///
    /// Takes `path` with `.lock` appended as its lock.
    ///
    /// # Errors
    /// [`OpenError`], one for each reason in the order of this module.
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let lock = lock(path)?;
        create_if_missing(path)?;
        let mut connection = connect(path)?;
        set_up(&mut connection).map_err(|error| blame(path, error))?;
        check_identity(&mut connection, path)?;
        check_whole(&connection, path)?;
        Ok(Self { connection, options, path: path.to_owned(), _lock: lock })
    }

    /// Another connection, which reads what is committed.
    ///
    /// # Errors
    /// [`OpenError`] if the file cannot be opened again.
    pub fn reader(&self) -> Result<Reader, OpenError> {
        let connection = connect(&self.path)?;
        let query_only = connection.pragma_update(None, "query_only", true);
        query_only.map_err(|error| blame(&self.path, error))?;
        Ok(Reader::new(connection))
    }
}

/// Step 1.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let file = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(&lock_path);
    let file = file.map_err(|source| OpenError::Io { path: lock_path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path: lock_path, source }),
    }
}

/// Step 2. A new file is durable in its directory before anything is written to it.
fn create_if_missing(path: &Path) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io { path: path.to_owned(), source };
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(path) {
        Ok(file) => {
            file.sync_all().map_err(failed)?;
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new("."))).and_then(|dir| dir.sync_all()).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mode = std::fs::metadata(path).map_err(failed)?.mode() & 0o777;
            let exposed = OpenError::Exposed { path: path.to_owned(), mode };
            if mode & 0o077 == 0 { Ok(()) } else { Err(exposed) }
        }
        Err(error) => Err(failed(error)),
    }
}

fn connect(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| blame(path, error))?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.busy_timeout(Duration::from_secs(5)).map_err(|error| blame(path, error))?;
    Ok(connection)
}

/// Step 3, and how the writer writes: WAL, and an fsync in every commit.
fn set_up(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")
}

/// Steps 4 and 5.
fn check_identity(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let blame = |error| blame(path, error);
    let found: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(blame)?;
    let found = u32::from_ne_bytes(found.to_ne_bytes());
    let objects: u64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0))
        .map(|n| n.try_into().unwrap_or(0))
        .map_err(blame)?;
    if found == 0 && objects == 0 {
        return create_tables(connection).map_err(blame);
    }
    if found != APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned(), found });
    }
    let version: u32 =
        connection.query_row("SELECT version FROM version", [], |row| row.get(0)).map_err(blame)?;
    match version {
        SCHEMA_VERSION => Ok(()),
        0 => Err(OpenError::Damaged { path: path.to_owned(), what: "version 0".to_owned() }),
        older if older < SCHEMA_VERSION => {
            let missing = VERSIONS.get(older as usize..).unwrap_or_default();
            upgrade(connection, missing).map_err(blame)
        }
        found => Err(OpenError::Newer { path: path.to_owned(), found, supported: SCHEMA_VERSION }),
    }
}

fn create_tables(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    VERSIONS.into_iter().try_for_each(|sql| transaction.execute_batch(sql))?;
    transaction.execute("INSERT INTO version (version) VALUES (?1)", [SCHEMA_VERSION])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.commit()
}

/// From an older version, all of it or nothing: makes what that one has not.
fn upgrade(connection: &mut Connection, missing: &[&str]) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    missing.iter().try_for_each(|sql| transaction.execute_batch(sql))?;
    transaction.execute("UPDATE version SET version = ?1", [SCHEMA_VERSION])?;
    transaction.commit()
}

/// Step 6.
fn check_whole(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let damaged = |what| OpenError::Damaged { path: path.to_owned(), what };
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| blame(path, error))?;
    if verdict != "ok" {
        return Err(damaged(verdict));
    }
    for table in TABLES {
        let sql = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?1";
        let found: i64 = connection.query_row(sql, [table], |row| row.get(0)).map_err(|e| blame(path, e))?;
        if found != 1 {
            return Err(damaged(format!("table {table} is missing")));
        }
    }
    Ok(())
}

/// What an error says about the file at `path`.
fn blame(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase { path },
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Damaged { path, what: error.to_string() },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::InUse { path },
        _ if matches!(error, rusqlite::Error::QueryReturnedNoRows) => {
            OpenError::Damaged { path, what: "it has no version".to_owned() }
        }
        _ => StorageError::from(error).into(),
    }
}
