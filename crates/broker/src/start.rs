//! Putting a broker together from its configuration.

use std::io;
use std::sync::{Arc, Mutex, RwLock};

use claims::UnixTime;
use journal::{Event, LogSequencer, RebuildError, Started};
use store::{Activation, GroupCommit, Options, Store, Transaction};
use tlog::note::VerifierKey;
use tlog::{Checkpoint, VerifiedCheckpoint};
use verify::{AnchorError, CrlPolicy, Endorsements, EndorsementsError, TrustAnchors};

use crate::app::App;
use crate::attestation_keys::AttestationKeys;
use crate::config::{Config, Trust};
use crate::core::Core;
use crate::files::FileError;
use crate::identity::{Identity, IdentityError};
use crate::log::{Log, LogError};
use crate::policies::{self, PolicyError};
use crate::refusals::Refusals;
use crate::revocation::Lists;
use crate::ring::KeyRing;
use crate::served::Served;
use crate::tls::TlsIdentity;
use crate::tpm_roots::TpmRoots;

/// Why a broker does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Its keys cannot be loaded or made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its policies do not load.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// A trust anchor is none.
    #[error("trust anchor `{file}`: {reason}")]
    Anchor {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// The operator's certificates cannot be used.
    #[error("endorsements: {0}")]
    Endorsements(String),
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] store::OpenError),
    /// The database cannot be read.
    #[error(transparent)]
    Storage(#[from] store::StorageError),
    /// The journal is not as this broker left it.
    #[error(
        "the journal does not verify: {0}; restore the database from a backup that is not older than the log"
    )]
    Journal(#[from] RebuildError),
    /// A key at rest is not as the journal has it.
    #[error("the keys at rest are not those of the journal: {0}")]
    Keys(#[from] journal::KeyFault),
    /// The published checkpoint is not this broker's.
    #[error("the published checkpoint is not ours: {0}")]
    Checkpoint(#[from] tlog::CheckpointError),
    /// The log cannot be published.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The start cannot be recorded.
    #[error("cannot record the start: {0}")]
    Commit(#[from] store::CommitError),
    /// The library failed.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// The system refused a thread or socket.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why.
        source: io::Error,
    },
}

/// Loads everything, verifies the journal, and records the start.
///
/// # Errors
/// [`StartError`]; whatever was made by then stays and is used the next time.
pub async fn start(config: Config, now: UnixTime) -> Result<(Arc<App>, TlsIdentity), StartError> {
    let identity = Identity::load_or_make(&config, now)?;
    let loaded = policies::load(&config)?;
    let activation = loaded.activation();
    let sources = config.endorsements.sources(&config.state, crypto::random_array()?);
    tracing::info!(%sources, "certificates that evidence lacks");
    let anchors = anchors(&config.trust)?;
    let mut core = Core {
        broker: identity.id,
        challenge: identity.challenge,
        endorsements: endorsements(&config)?,
        crls: Lists::load(&sources, &anchors, now).map_err(StartError::Endorsements)?,
        anchors,
        root: identity.root,
        ek_roots: TpmRoots::load(&config.trust)?,
        attestation_keys: AttestationKeys::default(),
        challenge_lifetime_s: config.challenge_lifetime_s,
        served: Served::default(),
    };
    let store = Store::open(&config.state.join("keyfast.sqlite"), Options::default())?;
    let reader = store.reader()?;
    let log = Log::new(config.state.join("journal"));
    let known = published_checkpoint(&log, identity.journal.verifier())?;
    let (sequencer, journalled) = LogSequencer::rebuild(&reader, identity.log_signer, known.as_ref())?;
    let rows = reader.keys()?;
    journalled.check(rows.iter().map(|row| &row.attributes))?;
    let ring = KeyRing::from_rows(rows);
    let attestation_keys = reader.attestation_keys()?;
    journalled.check_attestation_keys(&attestation_keys)?;
    core.attestation_keys = AttestationKeys::from_rows(attestation_keys);
    let spawned = GroupCommit::spawn(store, sequencer);
    let commits =
        spawned.map_err(|source| StartError::Io { what: "cannot start a thread".to_owned(), source })?;
    let room = tokio::sync::Semaphore::new(config.max_releases);
    let app = Arc::new(App {
        room,
        attestation_keys_turn: tokio::sync::Mutex::default(),
        core,
        sources,
        signed_statement: identity.signed_statement,
        statement: identity.statement,
        journal_key: identity.journal.verifier().to_string(),
        signer: identity.journal,
        log,
        config,
        policy: RwLock::new(Arc::new(loaded.policy)),
        policy_turn: tokio::sync::Mutex::default(),
        ring: RwLock::new(Arc::new(ring)),
        commits,
        reader,
        refusals: Mutex::new(Refusals::default()),
    });
    record_start(&app, activation, now).await?;
    app.log.publish(&app.reader)?;
    Ok((app, identity.tls))
}

/// The first leaf of this run: who, under which policy. It also makes the policy the active one.
async fn record_start(app: &App, activation: Activation, now: UnixTime) -> Result<(), StartError> {
    let policy = activation.digest;
    let started = Started {
        broker: app.core.broker,
        software: concat!("keyfast-broker ", env!("CARGO_PKG_VERSION")).to_owned(),
        config: app.config.digest,
        policy,
        at: now,
    };
    let mut transaction = Transaction::new(now);
    transaction.activate = Some(activation);
    transaction.leaves.push(Event::Started(started).row(crypto::random_array()?, None, None));
    app.commit(transaction).await?;
    Ok(())
}

/// The checkpoint that was published last, which the journal must extend: a database that was put back shows here.
fn published_checkpoint(log: &Log, key: &VerifierKey) -> Result<Option<Checkpoint>, StartError> {
    let Some(note) = log.read("checkpoint") else { return Ok(None) };
    let opened = VerifiedCheckpoint::open(&note, key.name(), std::slice::from_ref(key))?;
    Ok(Some(opened.checkpoint().clone()))
}

fn anchors(trust: &Trust) -> Result<TrustAnchors, StartError> {
    let mut anchors = if trust.amd { TrustAnchors::amd() } else { TrustAnchors::none() };
    for root in &trust.simulated {
        let file = root.certificate.display().to_string();
        let anchor = |reason: String| StartError::Anchor { file: file.clone(), reason };
        let certificates = endorsements::read_file(&root.certificate).map_err(|e| anchor(e.to_string()))?;
        let [der] = certificates.as_slice() else {
            return Err(anchor(format!("expected one certificate, got {}", certificates.len())));
        };
        let sha256 = root.digest().map_err(|e| anchor(e.to_string()))?;
        anchors = anchors.with_simulated(der, sha256).map_err(|e: AnchorError| anchor(e.to_string()))?;
    }
    Ok(match trust.crl_max_age_days {
        Some(days) => anchors.with_crl_policy(CrlPolicy::Required { max_age_s: u64::from(days) * 86_400 }),
        None => anchors,
    })
}

fn endorsements(config: &Config) -> Result<Endorsements, StartError> {
    let Some(dir) = &config.endorsements.directory else { return Ok(Endorsements::default()) };
    let certificates =
        endorsements::read_directory(dir).map_err(|e| StartError::Endorsements(e.to_string()))?;
    let import = "`keyfast endorsements import` puts any number under names of their own";
    let unusable =
        |e: EndorsementsError| StartError::Endorsements(format!("{e} in `{}`; {import}", dir.display()));
    Endorsements::from_certificates(certificates).map_err(unusable)
}
