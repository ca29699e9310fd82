//! The shell around [`crate::session`]: connects, asks the attester, and tries again until time is up.

use std::time::Duration;

use attester::{AttestError, Attester, Choice, Places};
use claims::{BrokerId, EvidenceKind, ReportData};
use keys::Opened;
use tokio::time::{Instant, sleep};
use transport::{Backoff, Client, ClientError, Endpoint, Method, Pins, Response, Timeouts};
use wire::{
    CHALLENGE_PATH, Enrolled, MEDIA_TYPE, Message, PREFLIGHT_PATH, Prediction, PreflightResponse, Problem,
    ProblemCode, RELEASE_PATH, ReleaseResponse, Remedy,
};

use crate::config::Config;
use crate::enrol;
use crate::failure::Failure;
use crate::keep::Keep;
use crate::session::{Attesting, Knowledge, Outcome, Session, Wanted};
use crate::statement::VerifiedStatement;

/// How long each step with broker and attester may take.
const STEP: Duration = Duration::from_secs(10);

/// Asks for keys, and returns what came for each request, in order.
///
/// # Errors
/// [`Failure::Denied`] for the first request that the broker denied; else why the whole did not work.
pub fn obtain(config: &Config, wanted: &[Wanted]) -> Result<Vec<Opened>, Failure> {
    let mut may_enrol = true;
    let outcome = runtime()?.block_on(until_time_is_up(config, async |config, keep, url| {
        once(config, keep, url, wanted, &mut may_enrol).await
    }))?;
    let request = outcome.request_id;
    let one = |(answer, wanted): (Result<Opened, String>, &Wanted)| {
        answer.map_err(|code| Failure::Denied { key: wanted.key.clone(), code, request })
    };
    outcome.answers.into_iter().zip(wanted).map(one).collect()
}

/// Asks what would be decided about these requests, for this guest as it is or for what it supposes of its next
/// boot. Nothing is released, and nothing kept.
///
/// # Errors
/// Why the whole did not work; [`Failure::NoPreflight`] where the broker answers none. That something would be denied is
/// no failure here.
pub fn preflight(
    config: &Config,
    wanted: &[Wanted],
    prediction: Option<&Prediction>,
) -> Result<PreflightResponse, Failure> {
    let mut may_enrol = true;
    let answer = runtime()?.block_on(until_time_is_up(config, async |config, keep, url| {
        let (mut client, mut attester, attesting) = identified(config, keep, url, wanted).await?;
        let asking = attesting.into_preflight(prediction.cloned());
        let evidence = attester.attest(&asking.report_data())?;
        let (request, awaiting) = asking.with_evidence(evidence)?;
        let answer = post(&mut client, &mut *attester, PREFLIGHT_PATH, &request, &mut may_enrol).await?;
        Ok(awaiting.on_answer(&answer)?)
    }));
    answer.map_err(|failure| match failure {
        Failure::Refused { problem } if problem.code == ProblemCode::NotFound => Failure::NoPreflight,
        failure => failure,
    })
}

/// The kind of evidence that this guest gives, and evidence over zeros, to be looked at here.
///
/// # Errors
/// [`Failure::Attest`].
pub fn present(config: &Config) -> Result<(EvidenceKind, Vec<u8>), Failure> {
    let mut attester = attester_of(config)?;
    Ok((attester.kind(), attester.attest(&ReportData([0; 64]))?))
}

/// Evidence over the report data given, for `keyfast-agent evidence`.
///
/// # Errors
/// [`Failure::Attest`].
pub fn evidence(choice: Choice, places: &Places, report_data: &ReportData) -> Result<Vec<u8>, Failure> {
    Ok(open_attester(choice, places)?.attest(report_data)?)
}

/// Makes the broker know the attestation key of this guest's TPM.
///
/// # Errors
/// [`Failure::Usage`] if the evidence of this guest needs no enrolment; else why it did not work.
pub fn enrol(config: &Config) -> Result<Enrolled, Failure> {
    runtime()?.block_on(until_time_is_up(config, async |config, keep, url| {
        let (mut client, mut attester, _) = identified(config, keep, url, &[]).await?;
        let kind = attester.kind();
        let tpm = attester.activation()?.ok_or_else(|| {
            Failure::Usage(format!("evidence of kind {kind} has no attestation key to enrol"))
        })?;
        enrol::enrol(&mut client, tpm).await
    }))
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|e| Failure::Internal(format!("cannot start: {e}")))
}

/// Tries one broker after the other, with pauses between.
async fn until_time_is_up<T>(
    config: &Config,
    mut once: impl AsyncFnMut(&Config, &Keep, &str) -> Result<T, Attempt>,
) -> Result<T, Failure> {
    let keep = Keep::new(config.state.clone());
    let deadline = Instant::now() + Duration::from_secs(config.wait_s);
    let mut backoff = Backoff::new(Duration::from_millis(100), STEP);
    let mut urls = config.urls.iter().cycle();
    loop {
        let url = urls.next().ok_or_else(|| Failure::Internal("no URL of a broker".to_owned()))?;
        let (last, retry_after) = match once(config, &keep, url).await {
            Ok(done) => return Ok(done),
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
pub(crate) enum Attempt {
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

/// One session with one broker: two round trips on one connection. If the broker does not know the TPM's key, and
/// `may_enrol`, two more make it known, and the next try may go better.
async fn once(
    config: &Config,
    keep: &Keep,
    url: &str,
    wanted: &[Wanted],
    may_enrol: &mut bool,
) -> Result<Outcome, Attempt> {
    let (mut client, mut attester, attesting) = identified(config, keep, url, wanted).await?;
    let evidence = attester.attest(&attesting.report_data())?;
    let (request, awaiting) = attesting.with_evidence(evidence)?;
    let answer = post(&mut client, &mut *attester, RELEASE_PATH, &request, may_enrol).await?;
    let outcome = awaiting.on_answer(&answer)?;
    keep.put(&outcome.checkpoint, outcome.statement.as_bytes()).map_err(Failure::State)?;
    Ok(outcome)
}

/// Sends evidence. Where the broker does not know the TPM's key, it is enrolled, and the session starts over.
async fn post(
    client: &mut Connection,
    attester: &mut (dyn Attester + Send),
    path: &str,
    request: &[u8],
    may_enrol: &mut bool,
) -> Result<Vec<u8>, Attempt> {
    match client.post(path, request).await {
        Err(Attempt::Final(Failure::Refused { problem }))
            if problem.code.remedy() == Remedy::Enrol && core::mem::take(may_enrol) =>
        {
            let tpm = attester.activation()?.ok_or(Failure::Refused { problem })?;
            enrol::enrol(client, tpm).await?;
            Err(Attempt::Again { last: "enrolled".to_owned(), retry_after: None })
        }
        answer => answer,
    }
}

/// A connection to the pinned broker, with a challenge of its own.
async fn identified(
    config: &Config,
    keep: &Keep,
    url: &str,
    wanted: &[Wanted],
) -> Result<(Connection, Box<dyn Attester + Send>, Attesting), Attempt> {
    let endpoint: Endpoint = url.parse().map_err(|e| Failure::Usage(format!("{e}")))?;
    let client = Client::connect(&endpoint, &Pins::unknown(), Timeouts::from(STEP)).await;
    let mut client = Connection(client.map_err(|e| again(&e))?);
    let attester = attester_of(config)?;
    let session = Session::new(knowledge(config, keep, attester.kind())?, wanted.to_vec());
    let challenge = client.post(CHALLENGE_PATH, &session.challenge_request()?).await?;
    let attesting = session.on_challenge(&challenge, client.0.peer_key())?;
    Ok((client, attester, attesting))
}

/// The attester that the configuration, or the command line, names.
fn attester_of(config: &Config) -> Result<Box<dyn Attester + Send>, AttestError> {
    open_attester(config.attester, &config.places)
}

fn open_attester(choice: Choice, places: &Places) -> Result<Box<dyn Attester + Send>, AttestError> {
    let picked = choice.resolve(places)?;
    if choice == Choice::Auto {
        tracing::info!(target: "attester", "auto picked `{picked}`");
    }
    picked.open(places, STEP)
}

fn knowledge(config: &Config, keep: &Keep, evidence: EvidenceKind) -> Result<Knowledge, Failure> {
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

/// A connection to a broker.
pub(crate) struct Connection(Client);

impl Connection {
    /// Sends a message and returns the answer's body, or what the broker's refusal asks for.
    pub(crate) async fn post(&mut self, path: &str, body: &[u8]) -> Result<Vec<u8>, Attempt> {
        let response = self.0.request(Method::POST, path, MEDIA_TYPE, body, ReleaseResponse::MAX_LEN).await;
        let response = response.map_err(|e| again(&e))?;
        if response.status == 200 { Ok(response.body) } else { Err(refused(&response)) }
    }
}

fn refused(response: &Response) -> Attempt {
    let Ok(problem) = Problem::from_json(&response.body) else {
        let last = format!("an answer with status {} that is no problem of keyfast", response.status);
        return Attempt::Again { last, retry_after: None };
    };
    let retry_after = problem.retry_after_s.map(Duration::from_secs);
    let last = problem.code.as_str().to_owned();
    match problem.code.remedy() {
        Remedy::Fix | Remedy::Enrol => Attempt::Final(Failure::Refused { problem }),
        Remedy::NewChallenge | Remedy::Wait => Attempt::Again { last, retry_after },
    }
}
