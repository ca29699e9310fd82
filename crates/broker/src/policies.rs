//! The policies in force: read, checked for who signed them, loaded, and put in the place of those before.
//!
//! ```text
//! files ─▶ signatures of officers ─▶ Policy::load ─▶ keys' own policies ─▶ serials ─▶ leaf + activation ─▶ in force
//! ```
//!
//! All of it or nothing: whatever fails leaves what was in force, and says why. Decisions that were made under the
//! policies before are not recorded any more, and made anew.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use claims::{KeyId, KeyVersion, PolicyDigest};
use journal::{Event, PolicyLoaded};
use policy::{
    Bundle, BundleStatement, LoadErrors, Officers, OfficersError, Policy, ProofRecord, SignatureError,
    StatementError,
};
use serde::Deserialize;
use store::{Activation, CommitError, Transaction};
use wire::admin::PoliciesLoaded;

use crate::app::App;
use crate::config::Config;
use crate::public::now;

/// Who must sign, as the configuration says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signers {
    /// How many of them.
    pub required: usize,
    /// Lines of OpenSSH public key files, each with the name of its owner.
    pub keys: Vec<String>,
    /// What they sign must carry the record of a run of `keyfast policy prove` in which everything held. For officers
    /// of policies only.
    #[serde(default)]
    pub require_proof: bool,
}

impl Signers {
    /// Their keys.
    ///
    /// # Errors
    /// [`OfficersError`].
    pub fn officers(&self) -> Result<Officers, OfficersError> {
        Officers::new(self.required, &self.keys)
    }
}

/// Why policies are not put in force.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A file cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is larger than what belongs there.
    #[error("`{}` is too large: expected at most {limit} bytes", path.display())]
    TooLarge {
        /// Which one.
        path: PathBuf,
        /// Most bytes.
        limit: u64,
    },
    /// A file is not text.
    #[error("`{}` is not UTF-8", path.display())]
    Text {
        /// Which one.
        path: PathBuf,
    },
    /// The texts are no policies.
    #[error(transparent)]
    Load(#[from] LoadErrors),
    /// The configured officers cannot be.
    #[error(transparent)]
    Officers(#[from] OfficersError),
    /// Not enough officers have signed.
    #[error("`{}`: {source}", path.display())]
    Signatures {
        /// The file that must be signed.
        path: PathBuf,
        /// What is missing.
        source: SignatureError,
    },
    /// What was signed is no statement.
    #[error("`{}`: {source}", path.display())]
    Statement {
        /// The file.
        path: PathBuf,
        /// Why.
        source: StatementError,
    },
    /// What was signed is about other texts.
    #[error("`{}` is about other policies: run `keyfast policy bundle` and have it signed again", path.display())]
    OtherTexts {
        /// The file.
        path: PathBuf,
    },
    /// What was signed does not show that everything was proven.
    #[error("`{}` has no record of a proof in which everything held: {found}; run `keyfast policy bundle --prove`", path.display())]
    NotProven {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: String,
    },
    /// A key has a policy that is none beside these.
    #[error("the own policy of `{key}` version {version} does not load beside it: {errors}")]
    OwnPolicy {
        /// The key.
        key: KeyId,
        /// Its version.
        version: KeyVersion,
        /// What is wrong.
        errors: LoadErrors,
    },
    /// Not recorded, hence not in force.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// The system gives no randomness.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// The loader was stopped.
    #[error("the policies could not be loaded: {0}")]
    Stopped(String),
}

/// Policies that may be put in force, and who signed them.
pub struct Loaded {
    /// The policies.
    pub policy: Policy,
    /// Serial number of the signed statement; 0 where none is asked for.
    pub serial: u64,
    /// Who has signed, officers before signers of reference values.
    pub signed_by: Vec<String>,
}

impl Loaded {
    /// What the store remembers of them.
    pub fn activation(&self) -> Activation {
        let (digest, references) = (self.policy.digest(), self.policy.serial());
        Activation { digest, bundle_serial: self.serial, references_serial: references }
    }
}

/// Reads the policies that the configuration names, checks their signatures, and loads them; none named means that
/// everything is denied.
///
/// # Errors
/// [`PolicyError`], with every problem of every file.
pub fn load(config: &Config) -> Result<Loaded, PolicyError> {
    let dir = &config.policies;
    let references = read(&dir.join(Bundle::REFERENCES), MAX_REFERENCES)?;
    let mut bundle = Bundle::new(read(&dir.join(Bundle::SCHEMA), MAX_TEXT)?, &references);
    if config.policy.is_empty() {
        bundle = bundle.with_policy("deny-all.cedar", DENY_ALL);
    }
    for name in &config.policy {
        let file = format!("{name}.cedar");
        let text = read(&dir.join(&file), MAX_TEXT)?;
        bundle = bundle.with_policy(file, text);
    }
    let (mut signed_by, mut proof) = (Vec::new(), None);
    let mut serial = 0;
    if let Some(signers) = &config.policy_officers {
        let digests = (bundle.digest(), bundle.rules_digest());
        let (statement, by) = statement(dir, signers, digests, config.reference_signers.is_none())?;
        serial = statement.serial;
        signed_by.extend(by);
        proof = Some(statement.proof).filter(|_| signers.require_proof);
    }
    if let Some(signers) = &config.reference_signers {
        let path = dir.join(Bundle::REFERENCES);
        let signatures = read(&dir.join(BundleStatement::REFERENCE_SIGNATURES), MAX_TEXT)?;
        let namespace = BundleStatement::REFERENCE_NAMESPACE;
        let by = signers.officers()?.verify(namespace, references.as_bytes(), &signatures);
        signed_by.extend(by.map_err(|source| PolicyError::Signatures { path, source })?);
    }
    let policy = Policy::load(bundle)?;
    if let Some(found) = proof.and_then(|proof| unproven(proof.as_ref(), &policy)) {
        return Err(PolicyError::NotProven { path: dir.join(BundleStatement::FILE), found });
    }
    Ok(Loaded { policy, serial, signed_by })
}

/// What a record of a proof of this policy has that it should not, or lacks.
fn unproven(proof: Option<&ProofRecord>, policy: &Policy) -> Option<String> {
    let Some(proof) = proof else { return Some("none at all".to_owned()) };
    if !proof.failed.is_empty() {
        return Some(format!("{} did not", proof.failed.join(", ")));
    }
    let missing = proof.lacks(policy.rules().map(|(id, _)| id));
    missing.map(|id| format!("`{id}` was not asked"))
}

/// What officers signed, if it is about these texts. They answer for the reference values too, unless others do.
fn statement(
    dir: &Path,
    signers: &Signers,
    (digest, rules): (PolicyDigest, PolicyDigest),
    references_too: bool,
) -> Result<(BundleStatement, Vec<String>), PolicyError> {
    let path = dir.join(BundleStatement::FILE);
    let text = read(&path, MAX_TEXT)?;
    let signatures = read(&dir.join(BundleStatement::SIGNATURES), MAX_TEXT)?;
    let verified = signers.officers()?.verify(BundleStatement::NAMESPACE, text.as_bytes(), &signatures);
    let by = verified.map_err(|source| PolicyError::Signatures { path: path.clone(), source })?;
    let statement = BundleStatement::parse(&text);
    let statement = statement.map_err(|source| PolicyError::Statement { path: path.clone(), source })?;
    if !statement.is_about(digest, rules, references_too) {
        return Err(PolicyError::OtherTexts { path });
    }
    Ok((statement, by))
}

impl App {
    /// Puts the policies as their files are now in the place of those in force.
    ///
    /// # Errors
    /// [`PolicyError`]; what was in force stays.
    pub async fn load_policies(self: &Arc<Self>, actor: &str) -> Result<PoliciesLoaded, PolicyError> {
        let _turn = self.policy_turn.lock().await;
        let app = Arc::clone(self);
        let loading = tokio::task::spawn_blocking(move || {
            let loaded = load(&app.config)?;
            app.own_policies_load(&loaded.policy)?;
            Ok::<_, PolicyError>(loaded)
        });
        let loaded = loading.await.map_err(|error| PolicyError::Stopped(error.to_string()))??;
        let now = now();
        let before = self.policy().digest();
        let Activation { digest, bundle_serial, references_serial } = loaded.activation();
        let leaf = PolicyLoaded {
            broker: self.core.broker,
            policy: digest,
            before,
            bundle_serial,
            references_serial,
            signed_by: loaded.signed_by.clone(),
            actor: actor.to_owned(),
            at: now,
        };
        let mut transaction = Transaction::new(now);
        transaction.activate = Some(loaded.activation());
        transaction.leaves.push(Event::PolicyLoaded(leaf).row(crypto::random_array()?, None, None));
        self.commit(transaction).await?;
        tracing::info!(policy = %digest, references_serial, "policies loaded");
        let rules = loaded.policy.rules().count();
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(loaded.policy);
        Ok(PoliciesLoaded {
            before: before.to_string(),
            policy_digest: digest.to_string(),
            rules,
            serial: bundle_serial,
            references_serial,
            signed_by: loaded.signed_by,
        })
    }

    /// Whether every key that has a policy of its own can still be asked for.
    fn own_policies_load(&self, policy: &Policy) -> Result<(), PolicyError> {
        for key in self.keys().all() {
            let attributes = &key.wrapped.attributes;
            let Some(own) = &attributes.release_policy else { continue };
            let unloadable = |errors| PolicyError::OwnPolicy {
                key: attributes.id.clone(),
                version: attributes.version,
                errors,
            };
            policy.of_key(own).map_err(unloadable)?;
        }
        Ok(())
    }
}

fn read(path: &Path, limit: u64) -> Result<String, PolicyError> {
    let failed = |source| PolicyError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > limit) {
        return Err(PolicyError::TooLarge { path: path.to_owned(), limit });
    }
    String::from_utf8(bytes).map_err(|_| PolicyError::Text { path: path.to_owned() })
}

/// Most bytes of reference values: what `policy` takes.
const MAX_REFERENCES: u64 = 64 * 1024 * 1024;
/// Most bytes of a policy, the schema, a statement or signatures.
const MAX_TEXT: u64 = 256 * 1024;
/// What is in force where no policy is named.
const DENY_ALL: &str = include_str!("../../../attestation-policies/deny-all.cedar");
