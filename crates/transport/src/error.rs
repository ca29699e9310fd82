//! Why a request got no answer, and why a server cannot be set up.

use std::time::Duration;

use claims::Sha256Digest;

/// Why a request got no answer. The other side or the network is to blame, except for [`Self::Request`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// This machine has no authorities to judge a web server by.
    #[error(transparent)]
    Authorities(#[from] NoAuthorities),
    /// No connection: name resolution, routing, or nobody listens.
    #[error("unreachable: {0}")]
    Unreachable(#[from] std::io::Error),
    /// The TLS handshake failed.
    #[error("no TLS 1.3 connection: {0}")]
    Tls(std::io::Error),
    /// The server proved to hold another key than the pinned ones.
    #[error("wrong TLS key: expected {expected}, got {got}; ask the operator for the broker's statement")]
    PinMismatch {
        /// The acceptable keys.
        expected: crate::Pins,
        /// SHA-256 of the SubjectPublicKeyInfo that the server has.
        got: Sha256Digest,
    },
    /// A step took too long.
    #[error("{step} took longer than {limit:?}")]
    Timeout {
        /// Which step: `connecting`, `the handshake`, `the answer` or `the answer's body`.
        step: &'static str,
        /// What it may take.
        limit: Duration,
    },
    /// The answer is longer than asked for.
    #[error("answer too long: expected at most {max} bytes")]
    TooLarge {
        /// Most bytes of body.
        max: usize,
    },
    /// The connection is closed, or the other side does not speak HTTP/1.1.
    #[error("the connection broke off: {0}")]
    Protocol(#[from] hyper::Error),
    /// The caller's path or media type is none.
    #[error("not a request: {0}")]
    Request(hyper::http::Error),
}

/// Why a public web server cannot be asked over `https`: this machine knows no authorities.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "no certificate authorities of this system can be read ({reason}); install its package ca-certificates, or name a \
     PEM file in SSL_CERT_FILE"
)]
pub struct NoAuthorities {
    /// What was found instead.
    pub reason: String,
}

/// Why a TLS server cannot be set up: certificate and key do not fit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerConfigError {
    /// No certificate was given.
    #[error("no certificate: expected the leaf first, then its issuers")]
    NoCertificate,
    /// The first certificate cannot be read.
    #[error("unreadable certificate: {0}")]
    Certificate(rustls::Error),
    /// The key is no PKCS #8 of RSA, ECDSA or Ed25519.
    #[error("unusable private key: expected PKCS #8 in DER of an ECDSA, Ed25519 or RSA key")]
    Key,
    /// The key is not the certificate's.
    #[error("certificate and private key do not belong together")]
    Mismatch,
    /// The library refused the configuration.
    #[error("TLS 1.3 is not available: {0}")]
    Library(rustls::Error),
}
