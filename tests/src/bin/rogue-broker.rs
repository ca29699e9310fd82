//! `rogue-broker`: stands where a broker stands, holds that broker's own TLS key and journal key, and lies.
//!
//! It passes challenges and releases on to the real broker and alters one thing in what comes back, so that tests
//! and the demo can show what a guest refuses even then: whoever has a broker's machine, but not its identity key,
//! cannot leave a release out of the log, plant a key, or pass off an old answer. For tests and the demo alone; it
//! must never be installed beside a broker.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use claims::leaf::{self, LeafKind, ReleaseRecord};
use claims::{BrokerId, KeyVersion, Nonce, Operation, Sha256Digest, TranscriptHash};
use clap::{Args, Parser};
use crypto::Ed25519SigningKey;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keys::{Payload, SealedKey};
use rcgen::{CertificateParams, KeyPair};
use secret::SecretBytes;
use tlog::note::{SignedNote, Signer};
use tlog::{Checkpoint, Hash, ProofError, verify_inclusion};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use transport::{Client, Endpoint, Method, Pins, Response};
use wire::{
    Answer, CHALLENGE_PATH, CHECKPOINT_PATH, ChallengeRequest, ChallengeResponse, MEDIA_TYPE, Permit,
    RELEASE_PATH, ReleaseRequest, ReleaseResponse, Sealed, SignedStatement,
};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    about = "Stand where a broker stands, with its own TLS and journal keys, and lie to guests (for tests)"
)]
struct Cli {
    /// State directory of the broker whose keys are misused
    #[arg(long)]
    state: PathBuf,
    /// Where that broker answers, `https://host:port`
    #[arg(long)]
    broker: Endpoint,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    #[command(flatten)]
    tricks: Tricks,
}

/// What to lie about.
#[derive(Clone, Copy, Debug, Args)]
#[group(required = true, multiple = false)]
struct Tricks {
    /// Show a log, signed with the journal key, that has another leaf in the place of the release
    #[arg(long)]
    omit: bool,
    /// Show the log as it was before the release
    #[arg(long)]
    old_checkpoint: bool,
    /// Seal a key of our own to the guest, with the genuine receipt
    #[arg(long)]
    plant: bool,
    /// Seal a key of our own to the guest, with a log, signed with the journal key, that has it
    #[arg(long)]
    plant_logged: bool,
    /// Answer honestly once, and from then on with that receipt
    #[arg(long)]
    replay_receipt: bool,
    /// Name another version of the key
    #[arg(long)]
    swap_version: bool,
    /// Send the statement signed by another identity
    #[arg(long)]
    false_statement: bool,
    /// Use a TLS key that is not in the statement
    #[arg(long)]
    foreign_tls: bool,
}

/// Whatever goes wrong ends the process or the connection; nobody looks closer.
type Fault = Box<dyn Error + Send + Sync>;

/// What connections share.
struct Rogue {
    real: Endpoint,
    tricks: Tricks,
    broker: BrokerId,
    journal: Signer,
    /// Nonces by token: transcripts need them.
    nonces: Mutex<HashMap<Vec<u8>, Nonce>>,
    /// The first answer, to be told again.
    first: Mutex<Option<ReleaseResponse>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match serve(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("rogue-broker: {fault}");
            ExitCode::FAILURE
        }
    }
}

/// Prints its URL once it listens; ends with its parent, so that no test or demo leaves one behind.
async fn serve(cli: Cli) -> Result<(), Fault> {
    let id = std::fs::read_to_string(cli.state.join("broker-id"))?;
    let broker: BrokerId = id.trim().parse()?;
    let seed: [u8; 32] = std::fs::read(cli.state.join("journal.key"))?.as_slice().try_into()?;
    let journal = Signer::new(broker.log_origin().parse()?, Ed25519SigningKey::from_seed(&seed)?)?;
    let tls = TlsAcceptor::from(tls_config(&cli)?);
    let (nonces, first) = (Mutex::default(), Mutex::default());
    let rogue = Arc::new(Rogue { real: cli.broker, tricks: cli.tricks, broker, journal, nonces, first });
    let listener = TcpListener::bind(&cli.listen).await?;
    println!("https://{}", listener.local_addr()?);
    let parent = std::os::unix::process::parent_id();
    let mut alive = tokio::time::interval(Duration::from_millis(200));
    while parent == std::os::unix::process::parent_id() {
        tokio::select! {
            _ = alive.tick() => {}
            accepted = listener.accept() => {
                let (tls, rogue) = (tls.clone(), Arc::clone(&rogue));
                let (stream, _) = accepted?;
                tokio::spawn(async move {
                    if let Err(fault) = connection(stream, tls, rogue).await {
                        eprintln!("rogue-broker: {fault}");
                    }
                });
            }
        }
    }
    Ok(())
}

/// A certificate over the broker's key, or over one of our own. Guests look at the key alone.
fn tls_config(cli: &Cli) -> Result<Arc<tokio_rustls::rustls::ServerConfig>, Fault> {
    let key = match cli.tricks.foreign_tls {
        true => KeyPair::generate()?,
        false => KeyPair::try_from(read(&cli.state, "tls.key")?)?,
    };
    let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()])?.self_signed(&key)?;
    Ok(transport::server_config(&[certificate.der().to_vec()], &key.serialize_der())?)
}

fn read(state: &Path, name: &str) -> Result<Vec<u8>, Fault> {
    Ok(std::fs::read(state.join(name))?)
}

async fn connection(stream: TcpStream, tls: TlsAcceptor, rogue: Arc<Rogue>) -> Result<(), Fault> {
    let stream = tls.accept(stream).await?;
    let service = service_fn(move |request| {
        let rogue = Arc::clone(&rogue);
        async move { Ok::<_, Infallible>(rogue.answer(request).await) }
    });
    Ok(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await?)
}

impl Rogue {
    async fn answer(&self, request: hyper::Request<Incoming>) -> hyper::Response<Full<Bytes>> {
        let answer = self.altered(request).await.unwrap_or_else(|fault| {
            eprintln!("rogue-broker: {fault}");
            Response { status: 500, content_type: None, retry_after: None, body: Vec::new() }
        });
        let mut response = hyper::Response::new(Full::new(Bytes::from(answer.body)));
        *response.status_mut() = hyper::StatusCode::from_u16(answer.status).unwrap_or_default();
        let media = answer.content_type.and_then(|media| media.parse().ok());
        media.and_then(|media| response.headers_mut().insert(CONTENT_TYPE, media));
        response
    }

    async fn altered(&self, request: hyper::Request<Incoming>) -> Result<Response, Fault> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await?.to_bytes();
        match head.uri.path() {
            CHALLENGE_PATH => self.challenge().await,
            RELEASE_PATH => self.release(&body).await,
            other => self.forward(head.method, other, &body).await,
        }
    }

    /// Sends a request on to the real broker.
    async fn forward(&self, method: Method, path: &str, body: &[u8]) -> Result<Response, Fault> {
        let mut client = Client::connect(&self.real, &Pins::unknown(), PATIENCE).await?;
        Ok(client.request(method, path, MEDIA_TYPE, body, MAX_BODY).await?)
    }

    /// A genuine challenge, always with a statement.
    async fn challenge(&self) -> Result<Response, Fault> {
        let ask = wire::encode(&ChallengeRequest { known_statement: 0 })?;
        let mut answer = self.forward(Method::POST, CHALLENGE_PATH, &ask).await?;
        if answer.status != 200 {
            return Ok(answer);
        }
        let mut challenge: ChallengeResponse = wire::decode(&answer.body)?;
        lock(&self.nonces).insert(challenge.token.clone(), challenge.nonce);
        if self.tricks.false_statement {
            challenge.statement = challenge.statement.as_deref().map(signed_by_another).transpose()?;
        }
        answer.body = wire::encode(&challenge)?;
        Ok(answer)
    }

    async fn release(&self, body: &[u8]) -> Result<Response, Fault> {
        let before = self.forward(Method::GET, CHECKPOINT_PATH, &[]).await?.body;
        let mut answer = self.forward(Method::POST, RELEASE_PATH, body).await?;
        if answer.status != 200 {
            return Ok(answer);
        }
        let mut response: ReleaseResponse = wire::decode(&answer.body)?;
        self.alter(&wire::decode(body)?, &mut response, before)?;
        answer.body = wire::encode(&response)?;
        Ok(answer)
    }

    /// Lies about the first permit; leaves an answer without one as it is.
    fn alter(
        &self,
        asked: &ReleaseRequest,
        response: &mut ReleaseResponse,
        before: Vec<u8>,
    ) -> Result<(), Fault> {
        let honest = response.clone();
        let mut permits =
            response.answers.iter_mut().zip(0u32..).filter_map(|(answer, index)| match answer {
                Answer::Permit(permit) => Some((permit, index)),
                Answer::Denial(_) => None,
            });
        let Some((permit, index)) = permits.next() else { return Ok(()) };
        let Tricks { omit, old_checkpoint, plant, plant_logged, replay_receipt, swap_version, .. } =
            self.tricks;
        if omit {
            let another = crypto::random_array::<34>()?;
            response.checkpoint = self.log_with(&tlog::leaf_hash(&another), permit, &honest.checkpoint)?;
        } else if old_checkpoint {
            response.checkpoint = before;
        } else if plant || plant_logged {
            let record = self.plant(asked, index, permit)?;
            if plant_logged {
                let entry = tlog::entry(LeafKind::Release, &permit.receipt.salt, &record.encode());
                response.checkpoint = self.log_with(&tlog::leaf_hash(&entry), permit, &honest.checkpoint)?;
            }
        } else if swap_version {
            permit.version = KeyVersion(permit.version.0.saturating_add(1));
        } else if replay_receipt {
            let mut first = lock(&self.first);
            let Some(earlier) = first.as_ref() else {
                *first = Some(honest);
                return Ok(());
            };
            let receipt = earlier.answers.iter().find_map(|answer| match answer {
                Answer::Permit(permit) => Some(permit.receipt.clone()),
                Answer::Denial(_) => None,
            });
            permit.receipt = receipt.ok_or("the first answer had no receipt")?;
            response.checkpoint = earlier.checkpoint.clone();
            // The guest kept that very checkpoint, which extends itself.
            response.consistency.clear();
        }
        Ok(())
    }

    /// A checkpoint of the log with `leaf` in the permit's place and all else as it is, signed with the journal key.
    fn log_with(&self, leaf: &Hash, permit: &Permit, checkpoint: &[u8]) -> Result<Vec<u8>, Fault> {
        let mut checkpoint = Checkpoint::parse(SignedNote::parse(checkpoint)?.unverified_text())?;
        let proof: Vec<Hash> = permit.receipt.proof.iter().map(|hash| Hash(hash.0)).collect();
        // The proof's refusal says where it leads to.
        let nowhere = Hash([0; Hash::LEN]);
        checkpoint.root =
            match verify_inclusion(leaf, permit.receipt.index, checkpoint.size, &proof, &nowhere) {
                Err(ProofError::Root { got, .. }) => got,
                other => return Err(format!("a genuine proof leads nowhere: {other:?}").into()),
            };
        Ok(checkpoint.sign(&self.journal)?)
    }

    /// Replaces the sealed bytes by a key of our own; gives the record that they would have.
    fn plant(&self, asked: &ReleaseRequest, index: u32, permit: &mut Permit) -> Result<ReleaseRecord, Fault> {
        let request =
            usize::try_from(index).ok().and_then(|at| asked.requests.get(at)).ok_or("no such request")?;
        let nonce = *lock(&self.nonces).get(&asked.token).ok_or("a token of another")?;
        let transcript = asked.transcript(self.broker, nonce, sha256).encode();
        let kind = match request.operation {
            Operation::Release => Payload::KEK_AES,
            Operation::Unwrap => Payload::DEK,
            Operation::Secret | Operation::Renew => Payload::SECRET,
        };
        let own = Payload::encode(kind, &SecretBytes::try_fill(32, crypto::random)?);
        let aad = leaf::sealing_aad(index, request.operation, &request.key, permit.version);
        let sealed = crypto::hpke_seal(&asked.recipient_key(), &transcript, &aad, own.expose())?;
        let sealed = SealedKey::from(sealed);
        let digest = sealed.digest();
        let SealedKey { encapsulated, ciphertext } = sealed;
        permit.sealed = Some(Sealed { encapsulated, ciphertext });
        Ok(ReleaseRecord {
            broker: self.broker,
            transcript: TranscriptHash(crypto::sha512(&[&transcript])),
            index,
            operation: request.operation,
            key: request.key.clone(),
            version: permit.version,
            key_commitment: permit.receipt.key_commitment,
            policy: permit.receipt.policy,
            sealed: digest,
            decided_at: permit.receipt.decided_at,
        })
    }
}

/// The same statement under a signature of an identity that nobody pinned.
fn signed_by_another(statement: &[u8]) -> Result<Vec<u8>, Fault> {
    let SignedStatement { statement, .. } = wire::decode(statement)?;
    let another = Ed25519SigningKey::from_seed(&crypto::random_array::<32>()?)?;
    let signature = another.sign(&SignedStatement::signed_bytes(&statement));
    Ok(wire::encode(&SignedStatement { statement, identity: another.public(), signature })?)
}

fn sha256(bytes: &[u8]) -> Sha256Digest {
    Sha256Digest(crypto::sha256(&[bytes]))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long the real broker may take for each step.
const PATIENCE: Duration = Duration::from_secs(30);
/// Most bytes of a body, either way.
const MAX_BODY: usize = 4 * 1024 * 1024;
