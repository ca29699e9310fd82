//! The shell around [`crate::session`]: connects, asks the attester, and tries again until time is up.

use std::time::Duration;

use attester::{AttestError, Attester, Places};
use claims::BrokerId;
use keys::Opened;
use tokio::time::{Instant, sleep};
use transport::{Backoff, Client, ClientError, Endpoint, Method, Pins, Response, Timeouts};
use wire::{CHALLENGE_PATH, MEDIA_TYPE, Message, Problem, RELEASE_PATH, ReleaseResponse, Remedy};

use crate::config::Config;
use crate::failure::Failure;
use crate::keep::Keep;
use crate::session::{Knowledge, Outcome, Session, Wanted};
use crate::statement::VerifiedStatement;

/// How long each step with broker and attester may take.
const STEP: Duration = Duration::from_secs(10);

/// Asks for keys, and returns what came for each request, in order.
///
/// # Errors
/// [`Failure::Denied`] for the first request that the broker denied; else why the whole did not work.
pub fn obtain(config: &Config, wanted: &[Wanted]) -> Result<Vec<Opened>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Failure::Internal(format!("cannot start: {e}")))?;
    let outcome = runtime.block_on(until_time_is_up(config, wanted))?;
    let request = outcome.request_id;
    let one = |(answer, wanted): (Result<Opened, String>, &Wanted)| {
        answer.map_err(|code| Failure::Denied { key: wanted.key.clone(), code, request })
    };
    outcome.answers.into_iter().zip(wanted).map(one).collect()
}

/// Evidence over the report data given, for `keyfast-agent evidence`.
///
/// # Errors
/// [`Failure::Attest`].
pub fn evidence(config: &Config, report_data: &claims::ReportData) -> Result<Vec<u8>, Failure> {
    Ok(attester_of(config)?.attest(report_data)?)
}

async fn until_time_is_up(config: &Config, wanted: &[Wanted]) -> Result<Outcome, Failure> {
    let keep = Keep::new(config.state.clone());
    let deadline = Instant::now() + Duration::from_secs(config.wait_s);
    let mut backoff = Backoff::new(Duration::from_millis(100), STEP);
    let mut urls = config.urls.iter().cycle();
    loop {
        let url = urls.next().ok_or_else(|| Failure::Internal("no URL of a broker".to_owned()))?;
        let (last, retry_after) = match once(config, &keep, url, wanted).await {
            Ok(outcome) => return Ok(outcome),
            Err(Attempt::Final(failure)) => return Err(failure),
            Err(Attempt::Again { last, retry_after }) => (last, retry_after),
        };
        let random = crypto::random_array::<8>().map(u64::from_le_bytes).unwrap_or(0);
        let pause = backoff.after_failure(random, retry_after);
        tracing::info!(%url, error = %last, pause_ms = pause.as_millis(), "trying again");
        if Instant::now() + pause >= deadline {
            return Err(Failure::Unreachable { wait_s: config.wait_s, last });
        }
        sleep(pause).await;
    }
}

/// How a single try ended.
enum Attempt {
    /// Another try would end the same way.
    Final(Failure),
    /// Another try may go better.
    Again { last: String, retry_after: Option<Duration> },
}

impl<E: Into<Failure>> From<E> for Attempt {
    fn from(failure: E) -> Self {
        Self::Final(failure.into())
    }
}

fn again(error: &ClientError) -> Attempt {
    Attempt::Again { last: error.to_string(), retry_after: None }
}

/// One session with one broker: two round trips on one connection.
async fn once(config: &Config, keep: &Keep, url: &str, wanted: &[Wanted]) -> Result<Outcome, Attempt> {
    let endpoint: Endpoint = url.parse().map_err(|e| Failure::Usage(format!("{e}")))?;
    let mut client =
        Client::connect(&endpoint, &Pins::unknown(), Timeouts::from(STEP)).await.map_err(|e| again(&e))?;
    let mut attester = attester_of(config).map_err(Failure::from)?;
    let session = Session::new(knowledge(config, keep, attester.kind())?, wanted.to_vec());
    let challenge = post(&mut client, CHALLENGE_PATH, &session.challenge_request()?).await?;
    let attesting = session.on_challenge(&challenge, client.peer_key())?;
    let evidence = attester.attest(&attesting.report_data()).map_err(Failure::from)?;
    let (request, awaiting) = attesting.with_evidence(evidence)?;
    let outcome = awaiting.on_answer(&post(&mut client, RELEASE_PATH, &request).await?)?;
    keep.put(&outcome.checkpoint, outcome.statement.as_bytes()).map_err(Failure::State)?;
    Ok(outcome)
}

/// The attester that the configuration, or the command line, names.
fn attester_of(config: &Config) -> Result<Box<dyn Attester + Send>, AttestError> {
    let places = Places::of_this_machine(config.socket.clone());
    let choice = config.attester.resolve(&places)?;
    tracing::info!(attester = %choice, asked_for = %config.attester, "attester");
    choice.open(&places, STEP)
}

fn knowledge(config: &Config, keep: &Keep, evidence: claims::EvidenceKind) -> Result<Knowledge, Failure> {
    let pins: Vec<BrokerId> = [config.broker].into_iter().chain(config.successor).collect();
    Ok(Knowledge {
        statement: statement_at_hand(config, keep, &pins)?,
        pins,
        config: config.digest,
        suite: config.suite,
        evidence,
        witnesses: config.witnesses.clone(),
        quorum: config.quorum,
        checkpoint: keep.checkpoint().map_err(Failure::State)?,
    })
}

/// The newer of the statement that came with the image and the one kept from the last session.
fn statement_at_hand(
    config: &Config,
    keep: &Keep,
    pins: &[BrokerId],
) -> Result<Option<VerifiedStatement>, Failure> {
    let open = |bytes: Vec<u8>| VerifiedStatement::open(&bytes, pins).ok();
    let kept = keep.statement().map_err(Failure::State)?.and_then(open);
    let Some(path) = &config.statement else { return Ok(kept) };
    let shipped = std::fs::read(path).map_err(|source| Failure::File { path: path.clone(), source })?;
    let shipped = VerifiedStatement::open(&shipped, pins).map_err(crate::session::SessionError::from)?;
    Ok(Some(match kept {
        Some(kept) if kept.sequence() > shipped.sequence() => kept,
        _ => shipped,
    }))
}

/// Sends a message and returns the answer's body, or what the broker's refusal asks for.
async fn post(client: &mut Client, path: &str, body: &[u8]) -> Result<Vec<u8>, Attempt> {
    let response = client.request(Method::POST, path, MEDIA_TYPE, body, ReleaseResponse::MAX_LEN).await;
    let response = response.map_err(|e| again(&e))?;
    if response.status == 200 { Ok(response.body) } else { Err(refused(&response)) }
}

fn refused(response: &Response) -> Attempt {
    let Ok(problem) = Problem::from_json(&response.body) else {
        let last = format!("an answer with status {} that is no problem of keyfast", response.status);
        return Attempt::Again { last, retry_after: None };
    };
    let retry_after = problem.retry_after_s.map(Duration::from_secs);
    let last = problem.code.as_str().to_owned();
    match problem.code.remedy() {
        Remedy::Fix => Attempt::Final(Failure::Refused { problem }),
        Remedy::NewChallenge | Remedy::Wait => Attempt::Again { last, retry_after },
    }
}
