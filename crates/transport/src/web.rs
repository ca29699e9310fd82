//! Fetching from public web servers: `GET` over HTTP/1.1, with TLS as browsers judge it, or without.
//!
//! For documents that prove themselves, such as signed certificates; a server that lies can withhold one and no more.
//! That is why an operator may write `http://`, and why TLS 1.2 will do. No redirect is followed, no proxy is used,
//! no cookie kept, nothing sent but the request; each has a connection of its own, since they are rare.

use core::fmt;
use core::str::FromStr;
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::endpoint::{HTTPS, Host, split_authority};
use crate::error::{ClientError, NoAuthorities};
use crate::http::{Connection, Response, within};
use crate::{EndpointError, Timeouts, tls};

/// Where a web server's documents start: `http[s]://host[:port][/path]`, without query and fragment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebUrl {
    secure: bool,
    host: Host,
    port: u16,
    /// Empty, or with a slash in front and none at the end.
    path: String,
}

/// Why a string is no [`WebUrl`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebUrlError {
    /// Another scheme, or none.
    #[error("not a web address: `{}`; expected https://host or http://host, with port and path if need be", got.escape_debug())]
    Scheme {
        /// What was given, cut to 300 characters.
        got: String,
    },
    /// Host or port are none.
    #[error(transparent)]
    Authority(#[from] EndpointError),
    /// The path has characters that a path has not, or goes on with a query.
    #[error("not a path: `{}`; expected letters, digits and -._~/", got.escape_debug())]
    Path {
        /// What stands there, cut to 300 characters.
        got: String,
    },
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl FromStr for WebUrl {
    type Err = WebUrlError;

    fn from_str(s: &str) -> Result<Self, WebUrlError> {
        let (secure, rest) = match (s.strip_prefix("https://"), s.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(WebUrlError::Scheme { got: s.chars().take(300).collect() }),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = split_authority(authority, if secure { HTTPS } else { HTTP })?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
        if !path.bytes().all(plain) {
            return Err(WebUrlError::Path { got: path.chars().take(300).collect() });
        }
        Ok(Self { secure, host, port, path: path.trim_end_matches('/').to_owned() })
    }
}

impl WebUrl {
    fn authority(&self) -> String {
        self.host.authority(self.port, if self.secure { HTTPS } else { HTTP })
    }
}

/// Fetches documents. Clones share the authorities, which are read when first needed.
#[derive(Clone, Debug)]
pub struct WebClient {
    timeouts: Timeouts,
    tls: Arc<OnceLock<Result<Arc<ClientConfig>, NoAuthorities>>>,
}

impl WebClient {
    /// A client whose every step may take as long as `timeouts` says.
    pub fn new(timeouts: impl Into<Timeouts>) -> Self {
        Self { timeouts: timeouts.into(), tls: Arc::default() }
    }

    /// Fetches `base` followed by `path`, which starts with a slash and may have a query. Gives any status; the body
    /// has at most `max` bytes.
    ///
    /// Must be called on a tokio runtime with time and I/O enabled. Dropping the future ends the request.
    ///
    /// # Errors
    /// [`ClientError`]: no connection or answer in time, a certificate that the system's authorities do not vouch for,
    /// none of these readable, too long a body; [`ClientError::Request`] for a path that is none.
    pub async fn fetch(
        &self,
        base: &WebUrl,
        path: &str,
        headers: &[(&'static str, &'static str)],
        max: usize,
    ) -> Result<Response, ClientError> {
        let host = base.host.name();
        let address = (host.as_str(), base.port);
        let stream = within("connecting", self.timeouts.connect, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        let mut connection = if base.secure {
            let config = self.tls.get_or_init(tls::web_config).clone()?;
            let failed = |e| ClientError::Tls(std::io::Error::other(e));
            let name = ServerName::try_from(host.clone()).map_err(failed)?;
            let handshake = TlsConnector::from(config).connect(name, stream);
            let stream = within("the handshake", self.timeouts.handshake, handshake).await?;
            Connection::new(stream.map_err(ClientError::Tls)?, base.authority(), self.timeouts).await?
        } else {
            Connection::new(stream, base.authority(), self.timeouts).await?
        };
        connection.fetch(&format!("{}{path}", base.path), headers, max).await
    }
}

/// The port of `http`.
const HTTP: u16 = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_reads() {
        for (text, printed) in [
            ("https://kds.example", "https://kds.example"),
            ("https://kds.example:443/", "https://kds.example"),
            ("http://KDS.example:443", "http://kds.example:443"),
            ("http://169.254.169.254:80/metadata//", "http://169.254.169.254/metadata"),
            ("http://[::1]:8080/mirror/amd-1", "http://[::1]:8080/mirror/amd-1"),
        ] {
            let url: WebUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), printed);
            assert_eq!(printed.parse::<WebUrl>().unwrap(), url);
        }
    }

    #[test]
    fn says_which_part_is_wrong() {
        let path = |got: &str| WebUrlError::Path { got: got.into() };
        for (text, error) in [
            ("", WebUrlError::Scheme { got: String::new() }),
            ("ftp://a", WebUrlError::Scheme { got: "ftp://a".into() }),
            ("HTTP://a", WebUrlError::Scheme { got: "HTTP://a".into() }),
            ("http://", EndpointError::Host { got: String::new() }.into()),
            ("http://user@a/", EndpointError::Host { got: "user@a".into() }.into()),
            ("http://a:0/", EndpointError::Port { got: ":0".into() }.into()),
            ("http://a?x=1", EndpointError::Host { got: "a?x=1".into() }.into()),
            ("http://a/b?x=1", path("/b?x=1")),
            ("http://a/b#c", path("/b#c")),
            ("http://a/b c", path("/b c")),
        ] {
            assert_eq!(text.parse::<WebUrl>(), Err(error), "{text}");
        }
    }
}
