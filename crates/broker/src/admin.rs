//! What operators reach over the Unix socket: keys without their bytes, status, and why something was decided.
//!
//! There is no route here that shows, unwraps or exports a key, and none that releases one.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Extension, Path, Request, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use claims::tpm::ObjectName;
use claims::{
    AttestationKey, KeyAttributes, KeyId, KeyKind, KeyVersion, Operation, PolicyDigest, ReleasePolicy,
    RequestId, Suite, UnixTime, VersionSelector,
};
use policy::case::Decision;
use policy::{Act, Object, Operator};
use release::NewKey;
use secret::SecretBytes;
use serde::de::DeserializeOwned;
use wire::admin::{
    CreateKey, DecisionPage, EnrolAttestationKey, ImportSecret, Key, MissingDecisions, Status,
};
use wire::{Problem, ProblemCode};

use crate::app::{App, AppError};
use crate::manage::{ManageError, Placement};
use crate::operators::ActError;
use crate::public::now;
use crate::{decisions, enrol, explain, manage};

/// Most bytes of a body.
const MAX_BODY: usize = 64 * 1024;

/// The routes. Each connection adds the [`Operator`] at its other end.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        // Whoever may connect may know that somebody answers.
        .route("/admin/v1/alive", get(async || StatusCode::OK))
        .route("/admin/v1/status", get(status))
        .route("/admin/v1/keys", get(list).post(create))
        .route("/admin/v1/keys/{key}/descriptor", get(descriptor))
        .route("/admin/v1/keys/{key}/{version}/policy", post(set_policy))
        .route("/admin/v1/keys/{key}/{version}/{verb}", post(change))
        .route("/admin/v1/secrets", put(import))
        .route("/admin/v1/attestation-keys", get(attestation_keys).post(enrol))
        .route("/admin/v1/attestation-keys/{name}/withdraw", post(withdraw))
        .route("/admin/v1/policy", post(load_policies))
        .route("/admin/v1/explain/{request}", get(explain))
        .route("/admin/v1/decisions", get(past_decisions))
        .route("/admin/v1/decisions/{request}", get(decisions_of))
        .fallback(async || refuse(StatusCode::NOT_FOUND, ProblemCode::NotFound, "no such route"))
        .with_state(app)
}

async fn status(State(app): State<Arc<App>>, Extension(operator): Extension<Operator>) -> Response {
    if let Err(refused) = may(&app, &operator, Act::View, Object::Broker).await {
        return refused;
    }
    let roots = app.core.anchors.roots();
    json(&Status {
        broker: app.core.broker.to_string(),
        statement_sequence: app.statement.sequence,
        statement_expires: app.statement.expires.to_string(),
        policy_digest: app.policy().digest().to_string(),
        policies: app.config.policy.clone(),
        trusts_simulated: roots.into_iter().any(|(_, simulated, _)| simulated),
        log_size: app.log.size(),
        journal_key: app.journal_key.clone(),
        keys: app.keys().all().len(),
    })
}

async fn load_policies(State(app): State<Arc<App>>, Extension(operator): Extension<Operator>) -> Response {
    if let Err(refused) = may(&app, &operator, Act::Load, Object::Broker).await {
        return refused;
    }
    match app.load_policies(&operator.name).await {
        Ok(loaded) => json(&loaded),
        Err(error) => bad_request(&format!("{error}; the policies before stay in force")),
    }
}

async fn list(State(app): State<Arc<App>>, Extension(operator): Extension<Operator>) -> Response {
    if let Err(refused) = may(&app, &operator, Act::View, Object::Broker).await {
        return refused;
    }
    let keys: Vec<Key> = app.keys().all().iter().map(|key| describe(&key.wrapped.attributes)).collect();
    json(&keys)
}

async fn create(
    State(app): State<Arc<App>>,
    Extension(operator): Extension<Operator>,
    request: Request,
) -> Response {
    match body::<CreateKey>(request).await.and_then(|wanted| new_key(&app, wanted)) {
        Ok(wanted) => answer(manage::create(&app, wanted, &operator).await),
        Err(message) => bad_request(&message),
    }
}

fn new_key(app: &App, wanted: CreateKey) -> Result<NewKey, String> {
    let CreateKey { id, kind, operations, simulation, suite_floor, ring, region, release_policy, tags } =
        wanted;
    let kind = kind.parse::<KeyKind>().map_err(|e| e.to_string())?;
    let operations = operations.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let about = ImportSecret { id, simulation, suite_floor, ring, region, release_policy, tags };
    new_version(app, kind, operations, about)
}

/// The next version of a key. What is said of a secret is said of every kind.
fn new_version(
    app: &App,
    kind: KeyKind,
    operations: BTreeSet<Operation>,
    about: ImportSecret,
) -> Result<NewKey, String> {
    let id: KeyId = parse(&about.id)?;
    check_tags(&about.tags)?;
    let placement = placement(app, &id, about.ring, about.region, about.release_policy)?;
    Ok(NewKey {
        version: app.keys().next_version(&id),
        id,
        kind,
        operations,
        for_simulation: about.simulation,
        suite_floor: about.suite_floor.parse::<Suite>()?,
        ring: placement.ring.unwrap_or_default(),
        region: placement.region,
        release_policy: placement.release_policy,
        tags: about.tags,
        now: now(),
    })
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), String> {
    if tags.len() <= 64 && tags.iter().all(|(k, v)| k.len() <= 64 && v.len() <= 256) {
        return Ok(());
    }
    Err("too many or too long tags: at most 64, names of 64 and values of 256 bytes".to_owned())
}

/// Where the next version of a key belongs.
fn placement(
    app: &App,
    id: &KeyId,
    ring: Option<String>,
    region: Option<String>,
    release_policy: Option<wire::admin::ReleasePolicy>,
) -> Result<Placement, String> {
    let placement = Placement {
        ring: ring.map(|name| parse(&name)).transpose()?,
        region: region.map(|name| parse(&name)).transpose()?,
        release_policy: release_policy.map(own_policy),
    };
    placement.after_newest(app, id).map_err(|error| error.to_string())
}

fn parse<T: FromStr<Err = claims::InvalidKeyId>>(name: &str) -> Result<T, String> {
    name.parse().map_err(|error: claims::InvalidKeyId| error.to_string())
}

fn own_policy(policy: wire::admin::ReleasePolicy) -> ReleasePolicy {
    ReleasePolicy { cedar: policy.cedar.into(), immutable: policy.immutable }
}

async fn import(
    State(app): State<Arc<App>>,
    Extension(operator): Extension<Operator>,
    request: Request,
) -> Response {
    let body = match to_bytes(request.into_body(), ImportSecret::MAX_BODY).await {
        Ok(bytes) => SecretBytes::from_vec(Vec::from(bytes)),
        Err(_) => return bad_request("the body is too large: a secret has at most 65536 bytes"),
    };
    let (wanted, secret) = match ImportSecret::split(body.expose()) {
        Ok(split) => split,
        Err(error) => return bad_request(&error.to_string()),
    };
    let new = match new_version(&app, KeyKind::Secret, BTreeSet::from([Operation::Secret]), wanted) {
        Ok(new) => new,
        Err(message) => return bad_request(&message),
    };
    let secret = SecretBytes::from_vec(secret.to_vec());
    answer(manage::import_secret(&app, new, &secret, &operator).await)
}

async fn change(
    State(app): State<Arc<App>>,
    Extension(operator): Extension<Operator>,
    Path((key, version, verb)): Path<(String, u32, String)>,
) -> Response {
    let enable = match verb.as_str() {
        "enable" => true,
        "disable" => false,
        _ => return refuse(StatusCode::NOT_FOUND, ProblemCode::NotFound, "use enable or disable"),
    };
    match key.parse::<KeyId>() {
        Ok(id) => answer(manage::set_enabled(&app, &id, KeyVersion(version), enable, &operator).await),
        Err(error) => bad_request(&error.to_string()),
    }
}

async fn set_policy(
    State(app): State<Arc<App>>,
    Extension(operator): Extension<Operator>,
    Path((key, version)): Path<(String, u32)>,
    request: Request,
) -> Response {
    let wanted = body::<Option<wire::admin::ReleasePolicy>>(request).await;
    match wanted.and_then(|policy| Ok((parse::<KeyId>(&key)?, policy.map(own_policy)))) {
        Ok((key, policy)) => {
            answer(manage::set_policy(&app, &key, KeyVersion(version), policy, &operator).await)
        }
        Err(message) => bad_request(&message),
    }
}

async fn descriptor(
    State(app): State<Arc<App>>,
    Extension(operator): Extension<Operator>,
    Path(key): Path<String>,
) -> Response {
    if let Err(refused) = may(&app, &operator, Act::View, Object::Broker).await {
        return refused;
    }
    let described = key.parse::<KeyId>().map_err(|e| e.to_string()).and_then(|id| {
        let found = app.keys().select(&id, VersionSelector::Latest);
        let found = found.ok_or_else(|| format!("there is no key `{id}`"))?;
        manage::descriptor(&app, &found).map_err(|e| e.to_string())
    });
    match described {
        Ok(note) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], note).into_response(),
        Err(message) => bad_request(&message),
    }
}

async fn attestation_keys(State(app): State<Arc<App>>, Extension(operator): Extension<Operator>) -> Response {
    if let Err(refused) = may(&app, &operator, Act::View, Object::Broker).await {
        return refused;
    }
    let keys = app.core.attestation_keys.all();
    json(&keys.iter().map(describe_attestation_key).collect::<Vec<_>>())
}

async fn enrol(
    State(app): State<Arc<App>>,
    Extension(operator): Extension<Operator>,
    request: Request,
) -> Response {
    let read = |wanted: EnrolAttestationKey| {
        let public = unhex(&wanted.public).ok_or("the public area is not hexadecimal")?;
        enrol::by_operator(&public, wanted.simulation).map_err(|e| e.to_string())
    };
    let key = match body::<EnrolAttestationKey>(request).await.and_then(read) {
        Ok(key) => key,
        Err(message) => return bad_request(&message),
    };
    match may(&app, &operator, Act::Enrol, Object::AttestationKey(&key.name)).await {
        Ok(policy) => {
            changed(&key, app.record_attestation_key(&key, "enrol", &operator.name, (policy, now())).await)
        }
        Err(refused) => refused,
    }
}

async fn withdraw(
    State(app): State<Arc<App>>,
    Extension(operator): Extension<Operator>,
    Path(name): Path<String>,
) -> Response {
    let known = name.parse::<ObjectName>().map_err(str::to_owned).and_then(|name| {
        let known = app.core.attestation_keys.durable(&name);
        known.ok_or_else(|| format!("there is no attestation key {name}"))
    });
    match known {
        Ok(key) => match may(&app, &operator, Act::Withdraw, Object::AttestationKey(&key.name)).await {
            Ok(policy) => {
                let key = AttestationKey { believed: false, ..key };
                let recorded =
                    app.record_attestation_key(&key, "withdraw", &operator.name, (policy, now())).await;
                changed(&key, recorded)
            }
            Err(refused) => refused,
        },
        Err(message) => bad_request(&message),
    }
}

fn changed(key: &AttestationKey, recorded: Result<(), AppError>) -> Response {
    match recorded {
        Ok(()) => json(&describe_attestation_key(key)),
        Err(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, ProblemCode::Unavailable, &error.to_string()),
    }
}

fn describe_attestation_key(key: &AttestationKey) -> wire::admin::AttestationKey {
    wire::admin::AttestationKey {
        name: key.name.to_string(),
        binding: key.binding.name().to_owned(),
        ek: key.ek.as_ref().map(ToString::to_string),
        simulated: key.simulated,
        not_after: key.not_after.to_string(),
        believed: key.believed,
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().map(byte).collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

async fn explain(
    State(app): State<Arc<App>>,
    Extension(operator): Extension<Operator>,
    Path(request): Path<String>,
) -> Response {
    if let Err(refused) = may(&app, &operator, Act::Audit, Object::Broker).await {
        return refused;
    }
    let Ok(request) = request.parse::<RequestId>() else {
        return bad_request("not a request id: expected 32 hexadecimal digits");
    };
    app.housekeep().await;
    match explain::explain(&app.reader, request) {
        Ok(Some(explanation)) => json(&explanation),
        Ok(None) => refuse(
            StatusCode::NOT_FOUND,
            ProblemCode::NotFound,
            &format!(
                "nothing is known of the request {request}; refusals of strangers are kept for a while only"
            ),
        ),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, ProblemCode::Internal, &error.to_string()),
    }
}

async fn past_decisions(
    State(app): State<Arc<App>>,
    Extension(operator): Extension<Operator>,
    uri: Uri,
) -> Response {
    if let Err(refused) = may(&app, &operator, Act::Audit, Object::Broker).await {
        return refused;
    }
    let Span { since, until, after, limit } = match Span::parse(uri.query().unwrap_or_default()) {
        Ok(span) => span,
        Err(message) => return bad_request(&message),
    };
    app.housekeep().await;
    let told = decisions::page(&app.reader, since, until, after, limit).and_then(|page| {
        let missing = match after {
            Some(_) => None,
            None => Some(MissingDecisions {
                refused: app.reader.refusals_between(since, until)?,
                without_claims: app.reader.answers_before_claims()?,
            }),
        };
        let next = page.last.map(|(at, leaf)| format!("{}.{leaf}", at.0));
        Ok(DecisionPage { decisions: values(&page.decisions), next, missing })
    });
    match told {
        Ok(page) => json(&page),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, ProblemCode::Internal, &error.to_string()),
    }
}

async fn decisions_of(
    State(app): State<Arc<App>>,
    Extension(operator): Extension<Operator>,
    Path(request): Path<String>,
) -> Response {
    if let Err(refused) = may(&app, &operator, Act::Audit, Object::Broker).await {
        return refused;
    }
    let Ok(request) = request.parse::<RequestId>() else {
        return bad_request("not a request id: expected 32 hexadecimal digits");
    };
    match decisions::of_request(&app.reader, request) {
        Ok(Some(told)) => json(&DecisionPage { decisions: values(&told), next: None, missing: None }),
        Ok(None) => refuse(
            StatusCode::NOT_FOUND,
            ProblemCode::NotFound,
            &format!(
                "nothing is kept of what the request {request} was decided on: it was refused before, or is too old"
            ),
        ),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, ProblemCode::Internal, &error.to_string()),
    }
}

/// As JSON; what cannot be JSON would be `null`, which no reader takes.
fn values(decisions: &[Decision]) -> Vec<serde_json::Value> {
    decisions.iter().map(|decision| serde_json::to_value(decision).unwrap_or_default()).collect()
}

/// Which decisions a query asks for.
#[derive(Debug, PartialEq, Eq)]
struct Span {
    since: UnixTime,
    until: UnixTime,
    after: Option<(UnixTime, u64)>,
    limit: usize,
}

impl Span {
    fn parse(query: &str) -> Result<Self, String> {
        let limit = decisions::MAX_REQUESTS;
        let mut span = Self { since: UnixTime(0), until: UnixTime::END, after: None, limit };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let wrong = |expected: &str| format!("`{name}`: expected {expected}, got `{value}`");
            let time = || UnixTime::parse(value).ok_or_else(|| wrong("a time such as 2026-11-22T09:30:00Z"));
            match name {
                "since" => span.since = time()?,
                "until" => span.until = time()?,
                "after" => {
                    let place = value
                        .split_once('.')
                        .and_then(|(at, leaf)| Some((UnixTime(at.parse().ok()?), leaf.parse().ok()?)));
                    span.after = Some(place.ok_or_else(|| wrong("what `next` of the page before says"))?);
                }
                "limit" => {
                    let limit =
                        value.parse().ok().filter(|limit| (1..=decisions::MAX_REQUESTS).contains(limit));
                    let expected = || wrong(&format!("1 to {}", decisions::MAX_REQUESTS));
                    span.limit = limit.ok_or_else(expected)?;
                }
                _ => return Err(format!("unknown parameter `{name}`; use since, until, after and limit")),
            }
        }
        Ok(span)
    }
}

/// A key as operators see it.
pub(crate) fn describe(attributes: &KeyAttributes) -> Key {
    Key {
        id: attributes.id.to_string(),
        version: attributes.version.0,
        kind: attributes.kind.to_string(),
        origin: attributes.origin.name().to_owned(),
        operations: attributes.operations.iter().map(ToString::to_string).collect(),
        simulation: attributes.for_simulation,
        suite_floor: attributes.suite_floor.to_string(),
        ring: attributes.ring.to_string(),
        region: attributes.region.as_ref().map(ToString::to_string),
        release_policy: attributes.release_policy.as_ref().map(|policy| wire::admin::ReleasePolicy {
            cedar: policy.cedar.to_string(),
            immutable: policy.immutable,
        }),
        enabled: attributes.enabled,
        revision: attributes.revision,
        created_at: attributes.created_at.to_string(),
        commitment: attributes.commitment.to_string(),
    }
}

async fn body<T: DeserializeOwned>(request: Request) -> Result<T, String> {
    let bytes =
        to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| "the body is too large".to_owned())?;
    serde_json::from_slice(&bytes).map_err(|e| format!("the body is not what this route takes: {e}"))
}

fn answer(result: Result<KeyAttributes, ManageError>) -> Response {
    match result {
        Ok(attributes) => json(&describe(&attributes)),
        Err(ManageError::Act(error)) => refuse_act(&error),
        Err(error) if error.blames_caller() => bad_request(&error.to_string()),
        Err(error) => refuse(StatusCode::SERVICE_UNAVAILABLE, ProblemCode::Unavailable, &error.to_string()),
    }
}

/// Whether policies let this operator do it, or the answer that says why not.
async fn may(app: &App, operator: &Operator, act: Act, object: Object<'_>) -> Result<PolicyDigest, Response> {
    app.may(operator, act, object).await.map_err(|error| refuse_act(&error))
}

fn refuse_act(error: &ActError) -> Response {
    match error {
        ActError::Denied { .. } => refuse(StatusCode::FORBIDDEN, ProblemCode::ActDenied, &error.to_string()),
        _ => refuse(StatusCode::SERVICE_UNAVAILABLE, ProblemCode::Unavailable, &error.to_string()),
    }
}

fn json(value: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, ProblemCode::Internal, &error.to_string()),
    }
}

fn bad_request(message: &str) -> Response {
    refuse(StatusCode::BAD_REQUEST, ProblemCode::MalformedRequest, message)
}

/// Problem details with the whole reason: operators may know it.
fn refuse(status: StatusCode, code: ProblemCode, detail: &str) -> Response {
    let problem = Problem { detail: Some(detail.to_owned()), ..Problem::from(code) };
    (status, [(header::CONTENT_TYPE, wire::PROBLEM_MEDIA_TYPE)], problem.to_json()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_and_what_is_none_is_named() {
        let all = Span { since: UnixTime(0), until: UnixTime::END, after: None, limit: 500 };
        assert_eq!(Span::parse(""), Ok(all));
        let span =
            Span { since: UnixTime(5), until: UnixTime(86_400), after: Some((UnixTime(7), 3)), limit: 2 };
        assert_eq!(Span::parse("since=5&until=1970-01-02&after=7.3&limit=2"), Ok(span));
        for (query, expected) in [
            ("since=x", "`since`: expected a time such as 2026-11-22T09:30:00Z, got `x`"),
            ("after=7", "`after`: expected what `next` of the page before says, got `7`"),
            ("limit=501", "`limit`: expected 1 to 500, got `501`"),
            ("limit=0", "`limit`: expected 1 to 500, got `0`"),
            ("from=1", "unknown parameter `from`; use since, until, after and limit"),
        ] {
            assert_eq!(Span::parse(query).unwrap_err(), expected);
        }
    }
}
