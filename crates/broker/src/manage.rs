//! Making and changing keys. Every act is a leaf of the journal, in the transaction that does it.

use std::sync::Arc;

use claims::{
    KeyAttributes, KeyId, KeyKind, KeyVersion, Operation, Origin, PolicyDigest, Region, ReleasePolicy,
    RingId, Sha256Digest, VersionSelector,
};
use journal::{Event, KeyChanged, KeyCreated};
use keys::Descriptor;
use policy::{Act, LoadErrors, Object, Operator};
use release::{Created, NewKey, ReleaseError};
use secret::SecretBytes;
use store::{CommitError, KeyRow, KeyWrite};

use crate::app::App;
use crate::operators::ActError;
use crate::public::now;
use crate::ring::RingKey;

/// Why a key was not made, changed or described.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManageError {
    /// An operation that the kind of key does not have.
    #[error("a key of kind {kind} has no operation `{operation}`")]
    Operation {
        /// The kind.
        kind: KeyKind,
        /// The operation.
        operation: Operation,
    },
    /// A key that guests may do nothing with.
    #[error("name at least one operation: unwrap, release")]
    NoOperation,
    /// A secret is imported, not made.
    #[error("a secret is brought: use `keyfast keys import`")]
    SecretIsImported,
    /// The policy of a key is no policy beside the bundle in force.
    #[error("the key's own policy does not load: {0}")]
    Policy(#[from] LoadErrors),
    /// The policy of a key was made to stay.
    #[error(
        "the policy of `{key}` version {version} is immutable: it can be neither changed nor removed, nor can a later \
         version have another; make a key of another name"
    )]
    PolicyIsImmutable {
        /// The key.
        key: KeyId,
        /// The version that it was made for.
        version: KeyVersion,
    },
    /// There is no such key.
    #[error("there is no key `{key}` version {version}")]
    Unknown {
        /// Its name.
        key: KeyId,
        /// Its version.
        version: KeyVersion,
    },
    /// The key has no public half.
    #[error("a key of kind {kind} has no public half to describe; only RSA keys have descriptors")]
    NoPublicHalf {
        /// The kind.
        kind: KeyKind,
    },
    /// The key could not be made or wrapped.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The system gives no randomness.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// The descriptor could not be signed.
    #[error("cannot sign the descriptor: {0}")]
    Sign(#[from] tlog::note::NoteError),
    /// Policies do not let this operator do it.
    #[error(transparent)]
    Act(#[from] ActError),
    /// Not recorded, hence not done.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl ManageError {
    /// Whether another request would go better.
    pub fn blames_caller(&self) -> bool {
        !matches!(self, Self::Release(_) | Self::Crypto(_) | Self::Sign(_) | Self::Act(_) | Self::Commit(_))
    }
}

/// Where a new key or version belongs, and its own policy.
#[derive(Clone, Debug, Default)]
pub struct Placement {
    /// The ring; that of the version before if `None`.
    pub ring: Option<RingId>,
    /// The region; as with the ring.
    pub region: Option<Region>,
    /// The policy; as with the ring.
    pub release_policy: Option<ReleasePolicy>,
}

impl Placement {
    /// What the newest version of `key` has takes the place of what was not said.
    ///
    /// # Errors
    /// [`ManageError::Policy`] and [`ManageError::PolicyIsImmutable`].
    pub fn after_newest(self, app: &App, key: &KeyId) -> Result<Self, ManageError> {
        let newest = app.keys().newest(key);
        let before = newest.as_ref().map(|key| &key.wrapped.attributes);
        let inherited = before.and_then(|before| before.release_policy.clone());
        let fixed = inherited.as_ref().filter(|policy| policy.immutable);
        if let (Some(fixed), Some(wanted), Some(before)) = (fixed, &self.release_policy, before)
            && fixed != wanted
        {
            return Err(ManageError::PolicyIsImmutable { key: key.clone(), version: before.version });
        }
        let placement = Self {
            ring: self.ring.or_else(|| before.map(|before| before.ring.clone())),
            region: self.region.or_else(|| before.and_then(|before| before.region.clone())),
            release_policy: self.release_policy.or(inherited),
        };
        if let Some(policy) = &placement.release_policy {
            app.policy().of_key(policy)?;
        }
        Ok(placement)
    }
}

/// Makes a key.
///
/// # Errors
/// [`ManageError`]; there is no key then.
pub async fn create(app: &Arc<App>, new: NewKey, actor: &Operator) -> Result<KeyAttributes, ManageError> {
    let kind = new.kind;
    if kind == KeyKind::Secret {
        return Err(ManageError::SecretIsImported);
    }
    let unfit = new.operations.iter().find(|op| !matches!(op, Operation::Unwrap | Operation::Release));
    if let Some(operation) = unfit {
        return Err(ManageError::Operation { kind, operation: *operation });
    }
    if new.operations.is_empty() {
        return Err(ManageError::NoOperation);
    }
    let policy = app.may(actor, Act::Create, Object::Key(&as_it_will_be(&new, Origin::Generated))).await?;
    // Making an RSA key takes a second or so; guests are served meanwhile.
    let maker = Arc::clone(app);
    let made = tokio::task::spawn_blocking(move || maker.core.root.generate(new)).await;
    let gone = |_| CommitError::Stopped("the key could not be made".to_owned());
    record(app, made.map_err(gone)??, policy, actor).await
}

/// Takes over a secret.
///
/// # Errors
/// [`ManageError`]; nothing is kept then.
pub async fn import_secret(
    app: &App,
    new: NewKey,
    secret: &SecretBytes,
    actor: &Operator,
) -> Result<KeyAttributes, ManageError> {
    let policy = app.may(actor, Act::Import, Object::Key(&as_it_will_be(&new, Origin::Imported))).await?;
    record(app, app.core.root.import_secret(new, secret)?, policy, actor).await
}

/// All that policies can read of a key before its bytes are there.
fn as_it_will_be(new: &NewKey, origin: Origin) -> KeyAttributes {
    new.clone().attributes(origin, Sha256Digest([0; 32]))
}

async fn record(
    app: &App,
    created: Created,
    policy: PolicyDigest,
    actor: &Operator,
) -> Result<KeyAttributes, ManageError> {
    let attributes = created.wrapped.attributes;
    let under = (app.core.broker, policy);
    let event = KeyCreated::new(under, &attributes, &actor.name, attributes.created_at);
    let leaf = Event::KeyCreated(event).row(crypto::random_array()?, None, None);
    let row = KeyRow {
        attributes: attributes.clone(),
        public: created.public_spki,
        wrapped: created.wrapped.bytes,
    };
    app.write_key((policy, attributes.created_at), KeyWrite::Create(row), leaf).await?;
    Ok(attributes)
}

/// Enables or disables a version.
///
/// # Errors
/// [`ManageError`]; it is as it was then.
pub async fn set_enabled(
    app: &App,
    key: &KeyId,
    version: KeyVersion,
    enabled: bool,
    actor: &Operator,
) -> Result<KeyAttributes, ManageError> {
    let (act, action) = if enabled { (Act::Enable, "enable") } else { (Act::Disable, "disable") };
    change(app, (key, version), (act, action), actor, |attributes| {
        attributes.enabled = enabled;
        Ok(())
    })
    .await
}

/// Gives a version another policy of its own, or none.
///
/// # Errors
/// [`ManageError`]; it is as it was then.
pub async fn set_policy(
    app: &App,
    key: &KeyId,
    version: KeyVersion,
    policy: Option<ReleasePolicy>,
    actor: &Operator,
) -> Result<KeyAttributes, ManageError> {
    if let Some(policy) = &policy {
        app.policy().of_key(policy)?;
    }
    let action = if policy.is_some() { "set-policy" } else { "remove-policy" };
    change(app, (key, version), (Act::SetPolicy, action), actor, |attributes| {
        if attributes.release_policy.as_ref().is_some_and(|policy| policy.immutable) {
            return Err(ManageError::PolicyIsImmutable { key: key.clone(), version });
        }
        attributes.release_policy = policy;
        Ok(())
    })
    .await
}

/// Writes another revision of a version.
async fn change(
    app: &App,
    (key, version): (&KeyId, KeyVersion),
    (act, action): (Act, &str),
    actor: &Operator,
    alter: impl FnOnce(&mut KeyAttributes) -> Result<(), ManageError>,
) -> Result<KeyAttributes, ManageError> {
    let unknown = || ManageError::Unknown { key: key.clone(), version };
    let old = app.keys().select(key, VersionSelector::Exact(version)).ok_or_else(unknown)?;
    let mut attributes = old.wrapped.attributes.clone();
    let policy = app.may(actor, act, Object::Key(&attributes)).await?;
    alter(&mut attributes)?;
    attributes.revision = attributes.revision.saturating_add(1);
    let wrapped = app.core.root.rewrap(&old.wrapped, attributes.clone())?;
    let now = now();
    let event = KeyChanged::new((app.core.broker, policy), &attributes, action, &actor.name, now);
    let leaf = Event::KeyChanged(event).row(crypto::random_array()?, None, None);
    let row =
        KeyRow { attributes: attributes.clone(), public: old.public_spki.clone(), wrapped: wrapped.bytes };
    app.write_key((policy, now), KeyWrite::Replace(row), leaf).await?;
    Ok(attributes)
}

/// The signed descriptor of a key's public half.
///
/// # Errors
/// [`ManageError::NoPublicHalf`] for keys without one.
pub fn descriptor(app: &App, key: &RingKey) -> Result<Vec<u8>, ManageError> {
    let attributes = &key.wrapped.attributes;
    let no_public = ManageError::NoPublicHalf { kind: attributes.kind };
    let descriptor = Descriptor {
        broker: app.core.broker,
        key: attributes.id.clone(),
        version: attributes.version,
        kind: attributes.kind,
        operations: attributes.operations.iter().copied().collect(),
        for_simulation: attributes.for_simulation,
        public_spki: key.public_spki.clone().ok_or(no_public)?,
        statement: app.signed_statement.clone(),
    };
    Ok(app.signer.sign(&descriptor.to_text())?)
}
