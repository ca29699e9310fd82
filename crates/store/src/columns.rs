//! How values are columns, and columns values. Whatever does not fit back is damage, and is named.

use std::collections::{BTreeMap, BTreeSet};

use claims::leaf::LeafKind;
use claims::{
    Fields, KeyAttributes, KeyVersion, Operation, Origin, ReleasePolicy, Sha256Digest, Suite, UnixTime,
};
use rusqlite::Row;

use crate::{ClaimsRow, KeyRow, LeafRow, Refusal, StorageError, StoredClaims, StoredLeaf};

/// An integer column. Times and counts beyond `i64` do not occur; they would saturate.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// An integer that cannot be negative.
pub(crate) fn uint(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// The columns of [`leaf`].
pub(crate) const LEAF: &str = "idx, kind, entry, salt, record, request, explanation";

pub(crate) fn leaf(row: &Row<'_>) -> Result<StoredLeaf, StorageError> {
    let index = uint(row.get(0)?);
    let damaged =
        |what: &str| StorageError::Damaged { table: "leaf", what: format!("{what} of leaf {index}") };
    let kind: i64 = row.get(1)?;
    let kind = u8::try_from(kind).ok().and_then(LeafKind::from_code).ok_or_else(|| damaged("kind"))?;
    let request: Option<Vec<u8>> = row.get(5)?;
    let request = request.map(|bytes| bytes.try_into().map(claims::RequestId)).transpose();
    let leaf = LeafRow {
        kind,
        entry: row.get::<_, Vec<u8>>(2)?.try_into().map_err(|_| damaged("entry"))?,
        salt: row.get::<_, Vec<u8>>(3)?.try_into().map_err(|_| damaged("salt"))?,
        record: row.get(4)?,
        request: request.map_err(|_| damaged("request id"))?,
        explanation: row.get(6)?,
    };
    Ok(StoredLeaf { index, leaf })
}

/// The columns of [`claims`], with the leaf that they lie beside.
pub(crate) const CLAIMS: &str = "claims.leaf, claims.at, claims.blind, claims.text, leaf.request";

pub(crate) fn claims(row: &Row<'_>) -> Result<StoredClaims, StorageError> {
    let leaf = uint(row.get(0)?);
    let damaged =
        |what: &str| StorageError::Damaged { table: "claims", what: format!("{what} of leaf {leaf}") };
    let request: Option<Vec<u8>> = row.get(4)?;
    let request = request.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| damaged("request id"))?;
    let claims = ClaimsRow {
        at: UnixTime(uint(row.get(1)?)),
        blind: row.get::<_, Vec<u8>>(2)?.try_into().map_err(|_| damaged("blind"))?,
        text: row.get(3)?,
    };
    Ok(StoredClaims { leaf, request: claims::RequestId(request), claims })
}

/// The columns of [`key`], in the order of the table.
pub(crate) const KEY: &str = "id, version, revision, kind, origin, operations, for_simulation, suite_floor, \
     enabled, created_at, tags, commitment, public, wrapped, ring, region, release_policy, policy_immutable";

pub(crate) fn key(row: &Row<'_>) -> Result<KeyRow, StorageError> {
    let id: String = row.get(0)?;
    let damaged = |what: &str| StorageError::Damaged { table: "key", what: format!("{what} of key `{id}`") };
    let code = |column: usize| -> Result<u8, StorageError> {
        u8::try_from(row.get::<_, i64>(column)?).map_err(|_| damaged("code"))
    };
    let flag = |column: usize| -> Result<bool, StorageError> {
        match row.get::<_, i64>(column)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(damaged("flag")),
        }
    };
    let operations: Vec<u8> = row.get(5)?;
    let operations: Option<BTreeSet<Operation>> = operations.into_iter().map(Operation::from_code).collect();
    let region: Option<String> = row.get(15)?;
    let region = region.map(|name| name.parse()).transpose();
    let (policy, immutable): (Option<String>, bool) = (row.get(16)?, flag(17)?);
    let attributes = KeyAttributes {
        id: id.parse().map_err(|_| damaged("name"))?,
        version: KeyVersion(u32::try_from(row.get::<_, i64>(1)?).map_err(|_| damaged("version"))?),
        revision: uint(row.get(2)?),
        kind: row.get::<_, String>(3)?.parse().map_err(|_| damaged("kind"))?,
        origin: Origin::from_code(code(4)?).ok_or_else(|| damaged("origin"))?,
        operations: operations.ok_or_else(|| damaged("operations"))?,
        for_simulation: flag(6)?,
        suite_floor: Suite::from_code(code(7)?).ok_or_else(|| damaged("suite floor"))?,
        enabled: flag(8)?,
        created_at: UnixTime(uint(row.get(9)?)),
        ring: row.get::<_, String>(14)?.parse().map_err(|_| damaged("ring"))?,
        region: region.map_err(|_| damaged("region"))?,
        release_policy: policy.map(|cedar| ReleasePolicy { cedar: cedar.into(), immutable }),
        tags: decode_tags(&row.get::<_, Vec<u8>>(10)?).ok_or_else(|| damaged("tags"))?,
        commitment: Sha256Digest(row.get::<_, Vec<u8>>(11)?.try_into().map_err(|_| damaged("commitment"))?),
    };
    Ok(KeyRow { attributes, public: row.get(12)?, wrapped: row.get(13)? })
}

/// The columns of [`refusal`].
pub(crate) const REFUSAL: &str = "request, at, code, detail";

pub(crate) fn refusal(row: &Row<'_>) -> Result<Refusal, StorageError> {
    let request: Vec<u8> = row.get(0)?;
    let damaged = |_| StorageError::Damaged { table: "refusal", what: "request id".to_owned() };
    Ok(Refusal {
        request: claims::RequestId(request.try_into().map_err(damaged)?),
        at: UnixTime(uint(row.get(1)?)),
        code: row.get(2)?,
        detail: row.get(3)?,
    })
}

pub(crate) fn encode_operations(operations: &BTreeSet<Operation>) -> Vec<u8> {
    operations.iter().map(|op| op.code()).collect()
}

/// Names and values in turn, each behind its length.
pub(crate) fn encode_tags(tags: &BTreeMap<String, String>) -> Vec<u8> {
    let tag = |fields: Fields, (k, v): (&String, &String)| fields.bytes(k.as_bytes()).bytes(v.as_bytes());
    tags.iter().fold(Fields::default(), tag).finish()
}

fn decode_tags(mut bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    let mut tags = BTreeMap::new();
    while !bytes.is_empty() {
        let (name, value) = (take_text(&mut bytes)?, take_text(&mut bytes)?);
        tags.insert(name, value);
    }
    Some(tags)
}

fn take_text(bytes: &mut &[u8]) -> Option<String> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*len)).ok()?)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}
