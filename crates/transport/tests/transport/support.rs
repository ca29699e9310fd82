//! Servers for the tests: a well-behaved one, and one that writes what it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use claims::Sha256Digest;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use transport::{Endpoint, server_config, spki_sha256};

/// A self-signed certificate and its key.
pub struct Identity {
    pub chain: Vec<Vec<u8>>,
    pub pkcs8: Vec<u8>,
}

impl Identity {
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["another.name.example".to_owned()]).unwrap();
        Self { chain: vec![made.cert.der().to_vec()], pkcs8: made.signing_key.serialize_der() }
    }

    pub fn key(&self) -> Sha256Digest {
        spki_sha256(self.chain.first().unwrap()).unwrap()
    }

    pub fn config(&self) -> Arc<ServerConfig> {
        server_config(&self.chain, &self.pkcs8).unwrap()
    }
}

/// What a server does with a connection after the handshake.
#[derive(Clone, Copy)]
pub enum Manner {
    /// Answers each request with its head, as text, with status 200.
    Echo,
    /// Writes these bytes after the first request and then nothing, without closing.
    Write(&'static [u8]),
}

/// A server on the loopback interface that counts its handshakes.
pub struct Server {
    pub endpoint: Endpoint,
    pub handshakes: Arc<AtomicUsize>,
}

impl Server {
    pub async fn start(config: Arc<ServerConfig>, manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
        let handshakes = Arc::new(AtomicUsize::new(0));
        let (counter, acceptor) = (Arc::clone(&handshakes), TlsAcceptor::from(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counter, acceptor) = (Arc::clone(&counter), acceptor.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        counter.fetch_add(1, Ordering::SeqCst);
                        serve(stream, manner).await;
                    }
                });
            }
        });
        Self { endpoint, handshakes }
    }
}

/// Serves one connection; bodies of requests are not read, so send none.
pub async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, manner: Manner) {
    match manner {
        Manner::Write(bytes) => {
            head(&mut stream).await;
            stream.write_all(bytes).await.unwrap();
            stream.flush().await.unwrap();
        }
        Manner::Echo => {
            while let Some(head) = head(&mut stream).await {
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{head}",
                    head.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
}

/// A request's head, up to and with the empty line; `None` once the other side is gone.
async fn head(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(bytes).ok()
}
