//! Clients over TLS and over Unix sockets: one connection each, kept alive.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use claims::Sha256Digest;
use hyper::Method;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::error::ClientError;
use crate::http::{Connection, Response, within};
use crate::{Endpoint, Pins, tls};

/// How long each step may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name resolution and connecting, all addresses together.
    pub connect: Duration,
    /// The TLS handshake.
    pub handshake: Duration,
    /// From sending a request to the head of the answer.
    pub answer: Duration,
    /// From the head of the answer to its end.
    pub body: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::from(Duration::from_secs(10))
    }
}

impl From<Duration> for Timeouts {
    /// The same for each step.
    fn from(each: Duration) -> Self {
        Self { connect: each, handshake: each, answer: each, body: each }
    }
}

/// A connection to a broker over TLS 1.3.
pub struct Client {
    connection: Connection,
    peer_key: Sha256Digest,
}

impl Client {
    /// Connects, and returns once the server has proved to hold a key that `pins` accepts. Nothing of the caller's
    /// has been sent by then, and no certificate authority was asked; see the crate's documentation.
    ///
    /// Must be called on a tokio runtime with time and I/O enabled.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`], [`ClientError::Tls`], [`ClientError::PinMismatch`], or
    /// [`ClientError::Timeout`].
    pub async fn connect(
        endpoint: &Endpoint,
        pins: &Pins,
        timeouts: impl Into<Timeouts>,
    ) -> Result<Self, ClientError> {
        let timeouts = timeouts.into();
        let host = endpoint.host();
        let address = (host.as_str(), endpoint.port());
        let stream = within("connecting", timeouts.connect, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let stream = within("the handshake", timeouts.handshake, handshake(&host, stream)).await??;
        let got = peer_key(&stream)?;
        if !pins.accept(&got) {
            return Err(ClientError::PinMismatch { expected: pins.clone(), got });
        }
        let connection = Connection::new(stream, endpoint.authority(), timeouts).await?;
        Ok(Self { connection, peer_key: got })
    }

    /// SHA-256 of the SubjectPublicKeyInfo of the key that the server proved to hold.
    pub fn peer_key(&self) -> Sha256Digest {
        self.peer_key
    }

    /// Sends a request and reads an answer with a body of at most `max_response` bytes.
    ///
    /// # Errors
    /// [`ClientError::Timeout`], [`ClientError::TooLarge`], [`ClientError::Protocol`]; the connection is of no use
    /// after them. [`ClientError::Request`] if `path` or `content_type` cannot stand in a request.
    pub async fn request(
        &mut self,
        method: Method,
        path: &str,
        content_type: &str,
        body: &[u8],
        max_response: usize,
    ) -> Result<Response, ClientError> {
        self.connection.request(method, path, content_type, body, max_response).await
    }
}

/// A connection to a broker's admin socket, or an agent's. Who may connect is a matter of the file's mode.
pub struct UnixClient {
    connection: Connection,
}

impl UnixClient {
    /// Connects to the socket at `path`.
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] or [`ClientError::Timeout`].
    pub async fn connect(path: &Path, timeouts: impl Into<Timeouts>) -> Result<Self, ClientError> {
        let timeouts = timeouts.into();
        let stream = within("connecting", timeouts.connect, UnixStream::connect(path)).await??;
        Ok(Self { connection: Connection::new(stream, "localhost".to_owned(), timeouts).await? })
    }

    /// As [`Client::request`].
    ///
    /// # Errors
    /// As [`Client::request`].
    pub async fn request(
        &mut self,
        method: Method,
        path: &str,
        content_type: &str,
        body: &[u8],
        max_response: usize,
    ) -> Result<Response, ClientError> {
        self.connection.request(method, path, content_type, body, max_response).await
    }
}

async fn handshake(host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, ClientError> {
    let failed = |e: rustls::Error| ClientError::Tls(std::io::Error::other(e));
    let config = tls::client_config().map_err(failed)?;
    let name =
        ServerName::try_from(host.to_owned()).map_err(|e| ClientError::Tls(std::io::Error::other(e)))?;
    TlsConnector::from(Arc::clone(&config)).connect(name, stream).await.map_err(ClientError::Tls)
}

/// The key of the certificate that the handshake was signed with.
fn peer_key(stream: &TlsStream<TcpStream>) -> Result<Sha256Digest, ClientError> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates().and_then(|chain| chain.first());
    let leaf = leaf.ok_or(rustls::Error::NoCertificatesPresented);
    leaf.and_then(|leaf| tls::spki_sha256(leaf)).map_err(|e| ClientError::Tls(std::io::Error::other(e)))
}
