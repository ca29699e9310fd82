//! The sockets: TLS for guests, a Unix socket for operators, and the timers beside them.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_rustls::TlsAcceptor;

use crate::app::App;
use crate::operators::{Operators, Strangers};
use crate::public::{Network, now};

/// How long a TLS handshake, or a request's head, may take; also how long an idle connection is kept.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the log is published.
const PUBLISH: Duration = Duration::from_secs(1);
/// How often refusals are summed in a leaf.
const SUM: Duration = Duration::from_secs(60);

/// Serves guests over TLS until the task is dropped.
///
/// # Errors
/// Never ends by itself; a failing `accept` is logged and tried again.
pub async fn guests(listener: TcpListener, tls: TlsAcceptor, router: Router, connections: usize) {
    let room = Arc::new(Semaphore::new(connections));
    loop {
        let Some((stream, peer)) = accepted(listener.accept().await).await else { continue };
        // Beyond the bound a connection is closed at once: the guest's backoff brings it back.
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (tls, router) = (tls.clone(), router.clone().layer(Extension(Network(peer.ip()))));
        let _ = stream.set_nodelay(true);
        tokio::spawn(async move {
            if let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(stream)).await {
                connection(stream, router).await;
            }
            drop(place);
        });
    }
}

/// Serves operators over a Unix socket until the task is dropped.
pub async fn operators(listener: UnixListener, operators: Operators, router: Router) {
    let mut strangers = Strangers::default();
    loop {
        let Some((stream, _)) = accepted(listener.accept().await).await else { continue };
        match stream.peer_cred().ok().and_then(|peer| operators.find(peer.uid())) {
            Some(operator) => {
                tokio::spawn(connection(stream, router.clone().layer(Extension(operator))));
            }
            None => {
                if let Some(connections) = strangers.one_more(now()) {
                    tracing::warn!(connections, "closed what accounts opened that are no operator's");
                }
            }
        }
    }
}

async fn accepted<C>(result: io::Result<C>) -> Option<C> {
    match result {
        Ok(connection) => Some(connection),
        Err(error) => {
            tracing::warn!(%error, "cannot accept a connection");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin, router: Router) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Binds the operators' socket in the place of one that a dead broker left: with mode 0600, or 0666 where accounts are
/// named that are neither root nor the broker's own. Whoever is none of them is turned away either way.
///
/// # Errors
/// Whatever the system says; "address in use" if a broker listens there.
pub fn bind_operators(path: &Path, operators: &Operators) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another broker listens there"));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    let mode = if operators.has_others() { 0o666 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

/// Publishes the log, stores refusals, and sums them, until the task is dropped.
pub async fn timers(app: Arc<App>) {
    let (mut publish, mut sum) = (interval(PUBLISH), interval(SUM));
    publish.set_missed_tick_behavior(MissedTickBehavior::Delay);
    sum.set_missed_tick_behavior(MissedTickBehavior::Delay);
    sum.tick().await;
    loop {
        tokio::select! {
            _ = publish.tick() => app.housekeep().await,
            _ = sum.tick() => app.sum_refusals().await,
        }
    }
}
