//! What guests and auditors reach over TLS. Bodies are bounded before they are read; errors are problem details.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use claims::{RequestId, UnixTime};
use wire::{
    CHALLENGE_PATH, CHECKPOINT_PATH, ChallengeRequest, ENROL_PATH, ENROL_PROOF_PATH, EnrolProof,
    EnrolRequest, MEDIA_TYPE, Message, PREFLIGHT_PATH, PROBLEM_MEDIA_TYPE, PreflightRequest, Problem,
    ProblemCode, RELEASE_PATH, ReleaseRequest, STATEMENT_PATH,
};

use crate::app::{App, AppError};
use crate::served::Arrival;

/// How long a request's body may take; the longest has 264 KiB.
const PATIENCE: Duration = Duration::from_secs(10);
/// Seconds that a guest is asked to wait when the broker is busy.
const RETRY_AFTER_S: u64 = 2;
/// The longest wait that a guest is told, whatever a service asked the broker for.
const MAX_RETRY_AFTER_S: u64 = 60;

/// The address at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Network(pub IpAddr);

/// The routes. Each connection adds its [`Network`].
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route(CHALLENGE_PATH, post(challenge))
        .route(RELEASE_PATH, post(release))
        .route(PREFLIGHT_PATH, post(preflight))
        .route(ENROL_PATH, post(enrol))
        .route(ENROL_PROOF_PATH, post(prove))
        .route(STATEMENT_PATH, get(statement))
        .route(CHECKPOINT_PATH, get(checkpoint))
        .route("/v1/log/{*path}", get(tile))
        .fallback(async || problem(ProblemCode::NotFound, None))
        .method_not_allowed_fallback(async || problem(ProblemCode::MethodNotAllowed, None))
        .with_state(app)
}

async fn challenge(State(app): State<Arc<App>>, request: Request) -> Response {
    let id = request_id();
    let body = match body(request, ChallengeRequest::MAX_LEN).await {
        Ok(body) => body,
        Err(code) => return problem(code, Some(id)),
    };
    respond(&app, id, app.challenge(&body, now()))
}

async fn release(State(app): State<Arc<App>>, request: Request) -> Response {
    let id = request_id();
    let network = request.extensions().get::<Network>().map(|network| network.0);
    let body = match body(request, ReleaseRequest::MAX_LEN).await {
        Ok(body) => body,
        Err(code) => return problem(code, Some(id)),
    };
    let answer = app.release(&body, id, Arrival { now: now(), network }).await;
    respond(&app, id, answer)
}

async fn preflight(State(app): State<Arc<App>>, request: Request) -> Response {
    let id = request_id();
    let network = request.extensions().get::<Network>().map(|network| network.0);
    let body = match body(request, PreflightRequest::MAX_LEN).await {
        Ok(body) => body,
        Err(code) => return problem(code, Some(id)),
    };
    let answer = app.preflight(&body, id, Arrival { now: now(), network }).await;
    respond(&app, id, answer)
}

async fn enrol(State(app): State<Arc<App>>, request: Request) -> Response {
    let id = request_id();
    let body = match body(request, EnrolRequest::MAX_LEN).await {
        Ok(body) => body,
        Err(code) => return problem(code, Some(id)),
    };
    respond(&app, id, app.enrol(&body, now()))
}

async fn prove(State(app): State<Arc<App>>, request: Request) -> Response {
    let id = request_id();
    let body = match body(request, EnrolProof::MAX_LEN).await {
        Ok(body) => body,
        Err(code) => return problem(code, Some(id)),
    };
    let answer = app.prove(&body, now()).await;
    respond(&app, id, answer)
}

async fn statement(State(app): State<Arc<App>>) -> Response {
    bytes(MEDIA_TYPE, app.signed_statement.clone())
}

async fn checkpoint(State(app): State<Arc<App>>) -> Response {
    published(&app, "checkpoint", "text/plain; charset=utf-8")
}

async fn tile(State(app): State<Arc<App>>, Path(path): Path<String>) -> Response {
    published(&app, &path, "application/octet-stream")
}

fn published(app: &App, path: &str, media: &'static str) -> Response {
    app.log.read(path).map_or_else(|| problem(ProblemCode::NotFound, None), |found| bytes(media, found))
}

/// The body, if it is of our media type, no longer than the message may be, and here in time: who sends a byte now and
/// then must not hold a connection for ever.
async fn body(request: Request, max: usize) -> Result<Bytes, ProblemCode> {
    let media = request.headers().get(header::CONTENT_TYPE).map(header::HeaderValue::as_bytes);
    if media != Some(MEDIA_TYPE.as_bytes()) {
        return Err(ProblemCode::UnsupportedMediaType);
    }
    let read = tokio::time::timeout(PATIENCE, to_bytes(request.into_body(), max)).await;
    read.map_err(|_| ProblemCode::MalformedRequest)?.map_err(|_| ProblemCode::TooLarge)
}

fn respond(app: &App, id: RequestId, answer: Result<Vec<u8>, AppError>) -> Response {
    match answer {
        Ok(body) => bytes(MEDIA_TYPE, body),
        Err(error) => {
            let code = error.code();
            tracing::info!(request = %id, code = code.as_str(), step = error.step(), %error, "refused");
            app.refused(id, now(), &error);
            problem_after(code, Some(id), error.wait_s())
        }
    }
}

fn bytes(media: &'static str, body: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, media)], Body::from(body)).into_response()
}

/// An error as problem details (RFC 9457).
pub(crate) fn problem(code: ProblemCode, request_id: Option<RequestId>) -> Response {
    problem_after(code, request_id, None)
}

/// As [`problem`]; where the guest is to wait, for so many seconds, within bounds.
fn problem_after(code: ProblemCode, request_id: Option<RequestId>, wait_s: Option<u64>) -> Response {
    let wait = code.remedy() == wire::Remedy::Wait;
    let wait_s = wait_s.unwrap_or(RETRY_AFTER_S).clamp(RETRY_AFTER_S, MAX_RETRY_AFTER_S);
    let retry_after_s = wait.then_some(wait_s);
    let body = Problem { code, detail: None, request_id, retry_after_s }.to_json();
    let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_MEDIA_TYPE)], body).into_response();
    if let Some(seconds) = retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    response
}

/// Names an answer; zeros if the system gives no randomness, which the answer itself then fails for.
fn request_id() -> RequestId {
    RequestId(crypto::random_array().unwrap_or_default())
}

/// The broker's clock.
pub(crate) fn now() -> UnixTime {
    UnixTime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()))
}
