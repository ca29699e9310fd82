//! A request and a key as JSON, in the words of `claims`.

use std::collections::{BTreeMap, BTreeSet};

use claims::{
    AttestedRequest, KeyAttributes, KeyId, KeyVersion, Operation, Origin, ReleasePolicy, Sha256Digest, Suite,
    UnixTime, VersionSelector,
};
use serde::{Deserialize, Serialize};

use super::claims_json::{named, parse};

/// An [`AttestedRequest`] without the binding of a DEK, which no policy reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestJson {
    operation: String,
    key: String,
    /// `latest` or a number.
    version: VersionJson,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum VersionJson {
    Exact(u32),
    Name(String),
}

/// [`KeyAttributes`] without the id, which is the request's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyJson {
    version: u32,
    kind: String,
    origin: String,
    operations: Vec<String>,
    for_simulation: bool,
    suite_floor: String,
    enabled: bool,
    created_at: String,
    tags: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ring: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release_policy: Option<ReleasePolicyJson>,
}

/// [`ReleasePolicy`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleasePolicyJson {
    cedar: String,
    immutable: bool,
}

impl From<&AttestedRequest> for RequestJson {
    fn from(request: &AttestedRequest) -> Self {
        let version = match request.version {
            VersionSelector::Latest => VersionJson::Name("latest".to_owned()),
            VersionSelector::Exact(version) => VersionJson::Exact(version.0),
        };
        Self { operation: request.operation.name().to_owned(), key: request.key.to_string(), version }
    }
}

impl From<&KeyAttributes> for KeyJson {
    fn from(key: &KeyAttributes) -> Self {
        Self {
            version: key.version.0,
            kind: key.kind.to_string(),
            origin: key.origin.name().to_owned(),
            operations: key.operations.iter().map(|operation| operation.name().to_owned()).collect(),
            for_simulation: key.for_simulation,
            suite_floor: key.suite_floor.name().to_owned(),
            enabled: key.enabled,
            created_at: key.created_at.to_string(),
            tags: key.tags.clone(),
            ring: (!key.ring.is_default()).then(|| key.ring.to_string()),
            region: key.region.as_ref().map(ToString::to_string),
            release_policy: key.release_policy.as_ref().map(|policy| ReleasePolicyJson {
                cedar: policy.cedar.to_string(),
                immutable: policy.immutable,
            }),
        }
    }
}

impl TryFrom<RequestJson> for AttestedRequest {
    type Error = String;

    fn try_from(json: RequestJson) -> Result<Self, String> {
        let version = match json.version {
            VersionJson::Exact(version) => VersionSelector::Exact(KeyVersion(version)),
            VersionJson::Name(name) if name == "latest" => VersionSelector::Latest,
            VersionJson::Name(name) => {
                return Err(format!("`version`: expected `latest` or a number, got `{name}`"));
            }
        };
        let operation = parse("operation", &json.operation)?;
        Ok(Self { operation, key: parse("key", &json.key)?, version, unwrap: None })
    }
}

impl KeyJson {
    /// The attributes of a key with this id; revision 1, and a commitment of zeros.
    pub(super) fn attributes(self, id: &KeyId) -> Result<KeyAttributes, String> {
        let operations = self.operations.iter().map(|name| parse::<Operation>("operations", name));
        let no_time = || format!("`created_at` is no time: `{}`", self.created_at);
        Ok(KeyAttributes {
            id: id.clone(),
            version: KeyVersion(self.version),
            kind: parse("kind", &self.kind)?,
            origin: named("origin", ORIGINS, |origin| origin.name(), &self.origin)?,
            operations: operations.collect::<Result<BTreeSet<_>, _>>()?,
            for_simulation: self.for_simulation,
            suite_floor: parse::<Suite>("suite_floor", &self.suite_floor)?,
            enabled: self.enabled,
            revision: 1,
            created_at: UnixTime::parse(&self.created_at).ok_or_else(no_time)?,
            ring: self.ring.map(|ring| parse("ring", &ring)).transpose()?.unwrap_or_default(),
            region: self.region.map(|region| parse("region", &region)).transpose()?,
            release_policy: self
                .release_policy
                .map(|policy| ReleasePolicy { cedar: policy.cedar.into(), immutable: policy.immutable }),
            tags: self.tags,
            commitment: Sha256Digest([0; 32]),
        })
    }
}

const ORIGINS: [Origin; 3] = [Origin::Generated, Origin::Imported, Origin::Restored];
