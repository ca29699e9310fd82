//! One HTTP/1.1 connection (RFC 9112), kept alive, over any byte stream; request after request, each with a limit
//! on the answer's length and on every step's time.

use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, RETRY_AFTER};
use hyper::http::request::Builder;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;

use crate::client::Timeouts;
use crate::error::ClientError;

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The header `Content-Type`, where it is text.
    pub content_type: Option<String>,
    /// The header `Retry-After`, where it is a number of seconds; a date is ignored, for want of a clock.
    pub retry_after: Option<Duration>,
    /// The body, no longer than asked for.
    pub body: Vec<u8>,
}

/// An open connection. Dropping it closes it.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    host: String,
    timeouts: Timeouts,
}

impl Connection {
    /// Speaks HTTP over `stream`; `host` is what the header `Host` will carry.
    pub(crate) async fn new<S>(stream: S, host: String, timeouts: Timeouts) -> Result<Self, ClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = http1::Builder::new();
        builder.max_headers(MAX_HEADERS).max_buf_size(MAX_BUFFER);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        // What ends the connection also ends the request on it, which reports the error.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { sender, driver, host, timeouts })
    }

    /// Sends one request and reads the whole answer.
    pub(crate) async fn request(
        &mut self,
        method: Method,
        path: &str,
        content_type: &str,
        body: &[u8],
        max: usize,
    ) -> Result<Response, ClientError> {
        let body = Full::new(Bytes::copy_from_slice(body));
        let request = self.head(method, path).header(CONTENT_TYPE, content_type).body(body);
        self.exchange(request.map_err(ClientError::Request)?, max).await
    }

    /// Asks for what is at `path`, with these headers besides `Host`.
    pub(crate) async fn fetch(
        &mut self,
        path: &str,
        headers: &[(&'static str, &'static str)],
        max: usize,
    ) -> Result<Response, ClientError> {
        let head = self.head(Method::GET, path);
        let request = headers.iter().fold(head, |head, (name, value)| head.header(*name, *value));
        self.exchange(request.body(Full::default()).map_err(ClientError::Request)?, max).await
    }

    fn head(&self, method: Method, path: &str) -> Builder {
        Request::builder().method(method).uri(path).header(HOST, &self.host)
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>, max: usize) -> Result<Response, ClientError> {
        let exchange = async {
            self.sender.ready().await?;
            self.sender.send_request(request).await
        };
        let answer = within("the answer", self.timeouts.answer, exchange).await??;
        let (head, body) = answer.into_parts();
        let text = |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok());
        let (content_type, retry_after) = (text(CONTENT_TYPE).map(str::to_owned), text(RETRY_AFTER));
        let retry_after = retry_after.and_then(|s| s.parse().ok()).map(Duration::from_secs);
        let body = within("the answer's body", self.timeouts.body, read(body, max)).await??;
        Ok(Response { status: head.status.as_u16(), content_type, retry_after, body })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Waits for a step, but not longer than `limit`.
pub(crate) async fn within<F: Future>(
    step: &'static str,
    limit: Duration,
    future: F,
) -> Result<F::Output, ClientError> {
    tokio::time::timeout(limit, future).await.map_err(|_| ClientError::Timeout { step, limit })
}

/// Reads a body of at most `max` bytes. An announced length is believed only to refuse it.
async fn read(mut body: Incoming, max: usize) -> Result<Vec<u8>, ClientError> {
    if usize::try_from(body.size_hint().lower()).is_ok_and(|announced| announced > max) {
        return Err(ClientError::TooLarge { max });
    }
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        if max.saturating_sub(bytes.len()) < data.len() {
            return Err(ClientError::TooLarge { max });
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Most headers of an answer.
const MAX_HEADERS: usize = 64;
/// Most bytes that are buffered, and so of an answer's headers.
const MAX_BUFFER: usize = 64 * 1024;
