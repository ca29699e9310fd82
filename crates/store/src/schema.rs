//! The tables, version 7: none is new; records of every kind name the policy, which earlier brokers cannot read. Version 2
//! brought attestation keys, version 3 rings, regions and policies of keys, and serial numbers of policies, version 4
//! claims, version 5 counters of TPMs that reports vouch for, version 6 where attestation keys are in their hierarchies.
//!
//! `leaf` is the journal: never updated, never deleted from. `nonce.seq` and `refusal.seq` are in order of arrival,
//! so that the oldest can be forgotten. `claims` lie beside the leaves of a request, under the place of the first; the
//! oldest are forgotten too.

/// The version of the tables that this code writes, and the newest that it reads.
pub const SCHEMA_VERSION: u32 = 7;

/// Marks the file as keyfast's: "KFST".
pub(crate) const APPLICATION_ID: u32 = 0x4b46_5354;

/// Makes the tables of an empty database. Run in one transaction.
const CREATE: &str = "
CREATE TABLE version (version INTEGER NOT NULL) STRICT;
CREATE TABLE leaf (
    idx         INTEGER PRIMARY KEY,
    kind        INTEGER NOT NULL,
    entry       BLOB NOT NULL,
    salt        BLOB NOT NULL,
    record      BLOB NOT NULL,
    request     BLOB,
    explanation TEXT
) STRICT;
CREATE INDEX leaf_request ON leaf (request) WHERE request IS NOT NULL;
CREATE TABLE nonce (
    seq     INTEGER PRIMARY KEY,
    nonce   BLOB NOT NULL UNIQUE,
    expires INTEGER NOT NULL
) STRICT;
CREATE TABLE key (
    id             TEXT NOT NULL,
    version        INTEGER NOT NULL,
    revision       INTEGER NOT NULL,
    kind           TEXT NOT NULL,
    origin         INTEGER NOT NULL,
    operations     BLOB NOT NULL,
    for_simulation INTEGER NOT NULL,
    suite_floor    INTEGER NOT NULL,
    enabled        INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    tags           BLOB NOT NULL,
    commitment     BLOB NOT NULL,
    public         BLOB,
    wrapped        BLOB NOT NULL,
    PRIMARY KEY (id, version)
) STRICT;
CREATE TABLE policy_epoch (
    epoch        INTEGER PRIMARY KEY,
    digest       BLOB NOT NULL,
    activated_at INTEGER NOT NULL
) STRICT;
CREATE TABLE refusal (
    seq     INTEGER PRIMARY KEY,
    request BLOB NOT NULL,
    at      INTEGER NOT NULL,
    code    TEXT NOT NULL,
    detail  TEXT NOT NULL
) STRICT;
CREATE INDEX refusal_request ON refusal (request);
";

/// Makes what version 2 has and version 1 has not.
const CREATE_2: &str = "
CREATE TABLE attestation_key (
    name      BLOB PRIMARY KEY,
    binding   TEXT NOT NULL,
    ek        BLOB,
    simulated INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    believed  INTEGER NOT NULL,
    resets    INTEGER,
    restarts  INTEGER,
    clock     INTEGER
) STRICT;
";

/// Makes what version 3 has and version 2 has not.
const CREATE_3: &str = "
ALTER TABLE key ADD COLUMN ring TEXT NOT NULL DEFAULT 'default';
ALTER TABLE key ADD COLUMN region TEXT;
ALTER TABLE key ADD COLUMN release_policy TEXT;
ALTER TABLE key ADD COLUMN policy_immutable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE policy_epoch ADD COLUMN bundle_serial INTEGER NOT NULL DEFAULT 0;
ALTER TABLE policy_epoch ADD COLUMN references_serial INTEGER NOT NULL DEFAULT 0;
";

/// Makes what version 4 has and version 3 has not.
const CREATE_4: &str = "
CREATE TABLE claims (
    leaf  INTEGER PRIMARY KEY,
    at    INTEGER NOT NULL,
    blind BLOB NOT NULL,
    text  TEXT NOT NULL
) STRICT;
CREATE INDEX claims_at ON claims (at);
";

/// Makes what version 5 has and version 4 has not.
const CREATE_5: &str = "
CREATE TABLE vouched_tpm (
    key      BLOB PRIMARY KEY,
    signer   BLOB NOT NULL,
    resets   INTEGER NOT NULL,
    restarts INTEGER NOT NULL,
    clock    INTEGER NOT NULL,
    at       INTEGER NOT NULL
) STRICT;
CREATE INDEX vouched_tpm_at ON vouched_tpm (at);
";

/// Makes what version 6 has and version 5 has not.
const CREATE_6: &str = "
ALTER TABLE attestation_key ADD COLUMN signer BLOB;
";

/// Nothing: version 7 has other records, and no other tables, than version 6.
const CREATE_7: &str = "";

/// What each version adds to the one before it, from version 1 on.
pub(crate) const VERSIONS: [&str; SCHEMA_VERSION as usize] =
    [CREATE, CREATE_2, CREATE_3, CREATE_4, CREATE_5, CREATE_6, CREATE_7];

/// The tables that a database of this version has.
pub(crate) const TABLES: [&str; 9] = [
    "version",
    "leaf",
    "nonce",
    "key",
    "policy_epoch",
    "refusal",
    "attestation_key",
    "claims",
    "vouched_tpm",
];
