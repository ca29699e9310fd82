//! Who the broker is: its keys on disk, and the statement that the identity key signs about the others.
//!
//! | file | what | lost or leaked |
//! |-|-|-|
//! | `identity.key` | Ed25519 seed; signs the statement, may be kept offline after that | guests must be re-pinned |
//! | `journal.key` | Ed25519 seed; signs checkpoints and key descriptors | next statement names another |
//! | `challenge.key` | 32 bytes, HMAC-SHA256; shared by replicas | challenges on their way become invalid |
//! | `root.key` | 32 bytes; every KEK is wrapped under it | every key is lost, or open to its holder |
//! | `ca.key`, `ca.pem` | the CA of the TLS certificate, for clients that judge certificates | make new ones |
//! | `tls.key`, `tls.pem` | the TLS key; guests pin it through the statement | next statement names another |
//!
//! Nothing here is ever sent, logged or put into an error.

use std::path::Path;

use claims::{BrokerId, Sha256Digest, UnixTime};
use crypto::Ed25519SigningKey;
use release::RootKey;
use secret::SecretBytes;
use tlog::KeyName;
use tlog::note::Signer;
use verify::challenge::ChallengeKey;
use wire::{SignedStatement, Statement};

use crate::config::Config;
use crate::files::{self, FileError};
use crate::tls::{self, TlsIdentity};

/// Why the broker's identity could not be loaded or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A key could not be used or made.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),
    /// The root key could not be used.
    #[error(transparent)]
    Root(#[from] release::ReleaseError),
    /// The TLS certificate could not be made.
    #[error("cannot make a TLS certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A URL of the configuration has no host.
    #[error("not a URL of a broker: `{got}`; use https://host or https://host:port")]
    Url {
        /// What was given.
        got: String,
    },
    /// The statement does not fit a message: too many or too long URLs.
    #[error(transparent)]
    Statement(#[from] wire::EncodeError),
    /// The log's name or key is refused.
    #[error("cannot name the log: {0}")]
    Name(#[from] tlog::BadKey),
}

/// Everything that a broker is made of, besides its database.
pub struct Identity {
    /// SHA-256 of the identity key: what guests pin.
    pub id: BrokerId,
    /// What the identity key says about the other keys.
    pub statement: Statement,
    /// The same signed, as it is sent.
    pub signed_statement: Vec<u8>,
    /// The journal key, for descriptors; its name is the log's origin.
    pub journal: Signer,
    /// The same key, for the thread that signs checkpoints.
    pub log_signer: Signer,
    /// Makes and opens challenges.
    pub challenge: ChallengeKey,
    /// Wraps KEKs.
    pub root: RootKey,
    /// The TLS certificate and key.
    pub tls: TlsIdentity,
}

impl Identity {
    /// Loads the identity from the state directory, and makes there what is missing.
    ///
    /// The statement is renewed when it is in its last third, or says something else than the configuration.
    ///
    /// # Errors
    /// [`IdentityError`]; whatever was written by then stays and is used the next time.
    pub fn load_or_make(config: &Config, now: UnixTime) -> Result<Self, IdentityError> {
        let state = &config.state;
        files::private_dir(state)?;
        let identity = Ed25519SigningKey::from_seed(random_file(&state.join("identity.key"))?.expose())?;
        let id = BrokerId(crypto::sha256(&[&identity.public()]));
        let journal_seed = random_file(&state.join("journal.key"))?;
        let signer = || -> Result<Signer, IdentityError> {
            Ok(Signer::new(log_origin(&id)?, Ed25519SigningKey::from_seed(journal_seed.expose())?)?)
        };
        let journal = signer()?;
        let tls = tls::load_or_make(state, &hosts(&config.urls)?)?;
        let draft = Statement {
            broker: id,
            sequence: 1,
            expires: now.plus(config.statement_days.saturating_mul(86_400)),
            urls: config.urls.clone(),
            tls_keys: vec![tls.key],
            journal_keys: vec![journal.verifier().to_string()],
            witnesses: Vec::new(),
        };
        let (statement, signed_statement) = current_statement(config, draft, &identity, now)?;
        files::write(&state.join("broker-id"), format!("{id}\n").as_bytes(), 0o644)?;
        Ok(Self {
            id,
            statement,
            signed_statement,
            log_signer: signer()?,
            journal,
            challenge: ChallengeKey::new(&array(&random_file(&state.join("challenge.key"))?)?),
            root: RootKey::from_bytes(&random_file(&state.join("root.key"))?)?,
            tls,
        })
    }
}

/// The statement on disk if it says what `draft` says and is not in its last third; else a new one.
fn current_statement(
    config: &Config,
    draft: Statement,
    identity: &Ed25519SigningKey,
    now: UnixTime,
) -> Result<(Statement, Vec<u8>), IdentityError> {
    let path = config.state.join("broker.statement");
    let kept = files::read(&path).ok().and_then(|bytes| {
        let signed: SignedStatement = wire::decode(&bytes).ok()?;
        Some((wire::decode::<Statement>(&signed.statement).ok()?, bytes))
    });
    let mut sequence = 1;
    if let Some((statement, bytes)) = kept {
        let third = config.statement_days.saturating_mul(86_400) / 3;
        let same = Statement { sequence: statement.sequence, expires: statement.expires, ..draft.clone() };
        if statement == same && statement.expires > now.plus(third) {
            return Ok((statement, bytes));
        }
        sequence = statement.sequence.saturating_add(1);
    }
    let statement = Statement { sequence, ..draft };
    let encoded = wire::encode(&statement)?;
    let signature = identity.sign(&SignedStatement::signed_bytes(&encoded));
    let signed = SignedStatement { statement: encoded, identity: identity.public(), signature };
    let bytes = wire::encode(&signed)?;
    files::write(&path, &bytes, 0o644)?;
    Ok((statement, bytes))
}

fn log_origin(id: &BrokerId) -> Result<KeyName, IdentityError> {
    id.log_origin().parse().map_err(IdentityError::Name)
}

/// 32 random bytes in a file of mode 0600, made on first use.
fn random_file(path: &Path) -> Result<SecretBytes, IdentityError> {
    let secret = files::read_or_make(path, || {
        SecretBytes::try_fill(32, crypto::random).map_err(IdentityError::Crypto)
    })?;
    match secret.len() {
        32 => Ok(secret),
        _ => Err(FileError::Contents { path: path.to_owned(), expected: "key of 32 bytes" }.into()),
    }
}

fn array(secret: &SecretBytes) -> Result<[u8; 32], IdentityError> {
    secret.expose().try_into().map_err(|_| crypto::Error::BadKey { expected: "32 bytes" }.into())
}

/// The hosts of these URLs, for the certificate's subject alternative names.
fn hosts(urls: &[String]) -> Result<Vec<String>, IdentityError> {
    let host = |url: &String| {
        let rest = url.strip_prefix("https://")?.split('/').next()?;
        let host = match rest.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => rest,
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty()).then(|| host.to_owned())
    };
    urls.iter().map(|url| host(url).ok_or_else(|| IdentityError::Url { got: url.clone() })).collect()
}

/// What the statement says about a TLS key: SHA-256 of its SubjectPublicKeyInfo.
pub fn spki_digest(spki: &[u8]) -> Sha256Digest {
    Sha256Digest(crypto::sha256(&[spki]))
}
