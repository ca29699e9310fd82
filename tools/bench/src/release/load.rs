//! The generator: guests that ask again and again on connections that stay open.
//!
//! To leave the cores to the broker, a guest makes its recipient key once and opens only its first answer; whatever
//! the broker does is the same. That first answer goes through `agent::session`, every check included.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use agent::session::{Knowledge, Session, Wanted};
use claims::{
    BrokerId, ConfigDigest, EvidenceKind, KeyId, Operation, ReportData, Sha256Digest, Suite, VersionSelector,
};
use keys::RecipientSecret;
use simtee::{Guest, GuestSpec};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use transport::{Client, Endpoint, Method, Pins};
use wire::{
    Answer, CHALLENGE_PATH, ChallengeRequest, ChallengeResponse, MEDIA_TYPE, Message, RELEASE_PATH,
    ReleaseRequest, ReleaseResponse, Request, Unwrap,
};

use crate::clock::Samples;
use crate::rig::Rig;
use crate::{Failed, process};

const PATIENCE: Duration = Duration::from_secs(60);
/// Stands for the digest of the agents' configuration.
const CONFIG: ConfigDigest = ConfigDigest([9; 32]);

/// What guests ask for, and how often.
#[derive(Clone)]
pub struct Plan {
    /// What is asked for.
    pub operation: Operation,
    /// Of which key.
    pub key: KeyId,
    /// For `unwrap`, the data key.
    pub unwrap: Option<Unwrap>,
    /// Sealed with.
    pub suite: Suite,
    /// Whether the checkpoint that was kept is shown.
    pub keeps: bool,
    /// Guests at a time.
    pub connections: usize,
    /// Releases before anything is measured.
    pub warm_up: usize,
    /// Releases that are measured.
    pub count: usize,
}

/// What the broker took.
pub struct Measured {
    /// CPU seconds of the broker for one release.
    pub cpu_s: f64,
    /// Those of its writing thread: database, tree, signature.
    pub writer_s: f64,
    /// Releases a second by the clock on the wall.
    pub wall_rate: f64,
    /// Seconds of both round trips.
    pub latency: Samples,
    /// Releases that one commit made durable, in the mean.
    pub group: f64,
}

/// What all guests of one run share.
struct Shared {
    plan: Plan,
    endpoint: Endpoint,
    broker: BrokerId,
    statement: u64,
    /// Releases to go: of the warm-up, and of the measurement.
    left: [AtomicUsize; 2],
    /// Guests and the one who measures meet here: connected; warm; at the start; at the end.
    barrier: Barrier,
    outcome: Mutex<Outcome>,
}

#[derive(Default)]
struct Outcome {
    latency: Samples,
    checkpoints: HashSet<u64>,
}

/// Runs a plan against a broker.
pub fn run(rig: &Rig, plan: &Plan) -> Result<Measured, Failed> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let launch = |n| rig.host.launch(&GuestSpec::new(rig.host.product(), &format!("guest {n}")));
    let guests = (0..plan.connections).map(launch).collect::<Result<Vec<_>, _>>()?;
    let shared = Arc::new(Shared {
        plan: plan.clone(),
        endpoint: rig.url.parse()?,
        broker: rig.broker,
        statement: rig.statement,
        left: [plan.warm_up, plan.count].map(AtomicUsize::new),
        barrier: Barrier::new(plan.connections + 1),
        outcome: Mutex::default(),
    });
    runtime.block_on(measure(rig.pid(), &shared, guests))
}

async fn measure(pid: u32, shared: &Arc<Shared>, guests: Vec<Guest>) -> Result<Measured, Failed> {
    let mut running = JoinSet::new();
    for guest in guests {
        let shared = Arc::clone(shared);
        running.spawn(async move { guest_runs(&shared, guest).await });
    }
    // A guest that fails never comes to the barrier; its error then ends the wait.
    all_meet(shared, &mut running).await?;
    let before = (process::cpu_seconds(pid)?, process::thread_cpu_seconds(pid, "group-commit")?);
    let begun = Instant::now();
    all_meet(shared, &mut running).await?;
    all_meet(shared, &mut running).await?;
    let wall = begun.elapsed().as_secs_f64();
    let after = (process::cpu_seconds(pid)?, process::thread_cpu_seconds(pid, "group-commit")?);
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let outcome = std::mem::take(&mut *shared.outcome.lock().unwrap_or_else(PoisonError::into_inner));
    let count = f64::from(u32::try_from(shared.plan.count)?);
    let groups = f64::from(u32::try_from(outcome.checkpoints.len().max(1))?);
    if outcome.latency.len() != shared.plan.count {
        return Err("the guests did not do what they were to do".into());
    }
    Ok(Measured {
        cpu_s: (after.0 - before.0) / count,
        writer_s: (after.1 - before.1) / count,
        wall_rate: count / wall,
        latency: outcome.latency,
        group: count / groups,
    })
}

async fn all_meet(shared: &Shared, running: &mut JoinSet<Result<(), Failed>>) -> Result<(), Failed> {
    let mut met = pin!(shared.barrier.wait());
    loop {
        tokio::select! {
            _ = &mut met => return Ok(()),
            // A guest ends well only after all have met for the last time.
            Some(ended) = running.join_next() => ended??,
        }
    }
}

/// A connection's guest, from its first contact to the end of the run.
async fn guest_runs(shared: &Shared, guest: Guest) -> Result<(), Failed> {
    let mut client = Client::connect(&shared.endpoint, &Pins::unknown(), PATIENCE).await?;
    first_time(shared, &guest, &mut client).await?;
    let recipient = RecipientSecret::generate(shared.plan.suite)?.public().public.clone();
    let mut guest = Repeating { guest, client, recipient, kept: 0, outcome: Outcome::default() };
    guest.work_off(shared, &shared.left[0]).await?;
    shared.barrier.wait().await;
    guest.outcome = Outcome::default();
    shared.barrier.wait().await;
    guest.work_off(shared, &shared.left[1]).await?;
    {
        let mut all = shared.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        all.latency.append(guest.outcome.latency);
        all.checkpoints.extend(guest.outcome.checkpoints);
    }
    shared.barrier.wait().await;
    Ok(())
}

/// A session as an agent has it: statement, receipt and key are checked, the key is opened.
async fn first_time(shared: &Shared, guest: &Guest, client: &mut Client) -> Result<(), Failed> {
    let Plan { operation, key, unwrap, suite, .. } = shared.plan.clone();
    let knowledge = Knowledge {
        pins: vec![shared.broker],
        config: CONFIG,
        suite,
        evidence: EvidenceKind::SevSnp,
        witnesses: Vec::new(),
        quorum: 0,
        statement: None,
        checkpoint: None,
    };
    let wanted = Wanted { operation, key, version: VersionSelector::Latest, unwrap };
    let session = Session::new(knowledge, vec![wanted]);
    let challenge = post(client, CHALLENGE_PATH, &session.challenge_request()?).await?;
    let attesting = session.on_challenge(&challenge, client.peer_key())?;
    let evidence = guest.attest(&attesting.report_data())?;
    let (request, awaiting) = attesting.with_evidence(evidence)?;
    let outcome = awaiting.on_answer(&post(client, RELEASE_PATH, &request).await?)?;
    match outcome.answers.into_iter().next() {
        Some(Ok(_)) => Ok(()),
        Some(Err(code)) => Err(format!("the broker denied: {code}").into()),
        None => Err("no answer".into()),
    }
}

/// A guest that does nothing for itself that the broker does not see.
struct Repeating {
    guest: Guest,
    client: Client,
    recipient: Vec<u8>,
    /// Leaves in the last checkpoint.
    kept: u64,
    outcome: Outcome,
}

impl Repeating {
    async fn work_off(&mut self, shared: &Shared, left: &AtomicUsize) -> Result<(), Failed> {
        let take = |left: usize| left.checked_sub(1);
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            self.once(shared).await?;
        }
        Ok(())
    }

    async fn once(&mut self, shared: &Shared) -> Result<(), Failed> {
        let ask = wire::encode(&ChallengeRequest { known_statement: shared.statement })?;
        let begun = Instant::now();
        let challenge = post(&mut self.client, CHALLENGE_PATH, &ask).await?;
        let first_trip = begun.elapsed();
        let body = self.answer_challenge(shared, &challenge)?;
        let begun = Instant::now();
        let response = post(&mut self.client, RELEASE_PATH, &body).await?;
        self.outcome.latency.push((first_trip + begun.elapsed()).as_secs_f64());
        let response: ReleaseResponse = wire::decode(&response)?;
        let Some(Answer::Permit(_)) = response.answers.first() else {
            return Err("a release was denied".into());
        };
        let size = checkpoint_size(&response.checkpoint).ok_or("no checkpoint")?;
        self.outcome.checkpoints.insert(size);
        self.kept = self.kept.max(size);
        Ok(())
    }

    fn answer_challenge(&self, shared: &Shared, challenge: &[u8]) -> Result<Vec<u8>, Failed> {
        let challenge: ChallengeResponse = wire::decode(challenge)?;
        let Plan { operation, key, unwrap, suite, keeps, .. } = shared.plan.clone();
        let mut message = ReleaseRequest {
            token: challenge.token,
            kind: EvidenceKind::SevSnp,
            evidence: Vec::new(),
            suite,
            recipient: self.recipient.clone(),
            config: CONFIG,
            requests: vec![Request { operation, key, version: VersionSelector::Latest, unwrap }],
            known_checkpoint_size: if keeps { self.kept } else { 0 },
        };
        let sha256 = |bytes: &[u8]| Sha256Digest(crypto::sha256(&[bytes]));
        let transcript = message.transcript(shared.broker, challenge.nonce, sha256);
        message.evidence = self.guest.attest(&ReportData(crypto::sha512(&[&transcript.encode()])))?;
        Ok(wire::encode(&message)?)
    }
}

async fn post(client: &mut Client, path: &str, body: &[u8]) -> Result<Vec<u8>, Failed> {
    let response = client.request(Method::POST, path, MEDIA_TYPE, body, ReleaseResponse::MAX_LEN).await?;
    match response.status {
        200 => Ok(response.body),
        status => Err(format!("status {status}: {}", String::from_utf8_lossy(&response.body)).into()),
    }
}

/// The second line of a checkpoint (C2SP tlog-checkpoint).
fn checkpoint_size(note: &[u8]) -> Option<u64> {
    std::str::from_utf8(note).ok()?.lines().nth(1)?.parse().ok()
}
